"""The dashboard: the page that `serve` shows, its vendor files, and what fetches them. Pages are in `static/`."""
