"""Signal processing that every stage shares: transform, level, bands, arrays."""
