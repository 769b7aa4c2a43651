"""How servers are run: many of them, watched, and behind one door."""
