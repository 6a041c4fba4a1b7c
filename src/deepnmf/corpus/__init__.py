"""Corpora: manifests, folder layouts and mixing."""
