"""Sparse non-negative matrix factorisation: divergences, multiplicative updates, dictionaries."""
