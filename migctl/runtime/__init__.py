"""The composition root: the only room that picks implementations, and the owner of what `serve` runs."""
