"""Names of the files in the folder of an experiment, beside :data:`deepnmf.model.BEST`."""

DICTIONARY = "dictionary.safetensors"
"""The pretrained dictionaries."""
LAST = "last.safetensors"
"""The model of the last epoch."""
CHECKPOINT = "checkpoint.safetensors"
"""What a resumed run needs besides."""
