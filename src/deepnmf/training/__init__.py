"""Training: dictionaries, networks, and complete experiments."""
