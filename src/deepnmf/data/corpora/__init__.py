"""Supported corpora: layouts, splits and downloads."""

NAMES = (
    "folders",
    "chime2",
    "voicebank_demand",
    "ms_snsd",
    "librispeech_musan",
    "librispeech_demand",
    "wham",
)
"""What `deepnmf prepare --corpus` takes; described in `catalogue`."""
