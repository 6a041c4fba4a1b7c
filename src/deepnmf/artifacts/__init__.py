"""Files that one stage writes for the next: written atomically, checksummed, and equal for equal inputs."""

from .atomic import atomic_path, file_hash, remove_abandoned, remove_temporaries
from .tensors import load_tensors, save_tensors
from .text import checked_line, read_checked_line, read_csv, read_json, write_csv, write_json, write_text

__all__ = [
    "atomic_path",
    "checked_line",
    "file_hash",
    "load_tensors",
    "read_checked_line",
    "read_csv",
    "read_json",
    "remove_abandoned",
    "remove_temporaries",
    "save_tensors",
    "write_csv",
    "write_json",
    "write_text",
]
