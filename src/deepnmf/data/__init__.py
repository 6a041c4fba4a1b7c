"""From recordings to training data: manifests, mixtures, features."""
