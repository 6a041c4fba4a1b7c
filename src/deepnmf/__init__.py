"""Speech enhancement with deep unfolded non-negative matrix factorisation."""

__version__ = "0.1.0"
