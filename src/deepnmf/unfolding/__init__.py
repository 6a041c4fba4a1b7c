"""Inference algorithms unfolded into networks."""
