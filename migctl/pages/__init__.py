"""Reports as one HTML file each: no script, nothing from elsewhere, and no text from outside is ever markup."""
