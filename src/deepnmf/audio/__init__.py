"""Audio files, pipes and decoders: recordings in, recordings out."""
