"""Networks that estimate masks, in NumPy: what training makes and enhancement runs."""
