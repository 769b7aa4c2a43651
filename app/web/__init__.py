"""The page at ``/``: static files, served unchanged. ``index.html`` loads the others."""
