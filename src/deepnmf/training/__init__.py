"""Training: dictionaries, networks, and whole experiments."""
