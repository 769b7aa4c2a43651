"""Pixels to contact sheets, PNG, WebP and animations; uploaded files to pixels."""
