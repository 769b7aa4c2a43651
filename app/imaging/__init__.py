"""Pixels to contact sheets, PNG, WebP and animations."""
