"""Models for other languages."""
