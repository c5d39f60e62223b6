"""The admin panel, a page per file. Every handler checks the person itself."""
