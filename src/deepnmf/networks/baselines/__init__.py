"""Conventional networks as baselines for the unfolded ones."""
