"""Signal processing shared by all stages: transform, level, bands, arrays."""
