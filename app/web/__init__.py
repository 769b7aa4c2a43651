"""The page at ``/``: HTML, CSS and JavaScript modules, and what joins these into one script."""
