"""The page at ``/``: static files, served as they are. ``index.html`` names the rest."""
