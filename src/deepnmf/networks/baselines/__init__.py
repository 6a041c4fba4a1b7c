"""Conventional networks that the unfolded ones are compared with."""
