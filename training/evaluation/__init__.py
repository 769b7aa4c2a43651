"""How good generated images are, in numbers."""
