"""Mask-estimation networks in NumPy: saved by training, run by enhancement."""
