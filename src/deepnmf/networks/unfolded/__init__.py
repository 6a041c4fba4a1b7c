"""Networks unfolded from an inference algorithm."""
