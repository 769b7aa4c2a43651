"""Pixels to sheets, PNG, WebP and animations."""
