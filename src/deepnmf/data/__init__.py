"""From recordings to what is trained on: manifests, mixtures, features."""
