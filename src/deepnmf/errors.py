"""The one exception that a user is meant to read."""


class DeepnmfError(Exception):
    """Bad input: one line that says what is wrong, where, and what to do. The CLI prints it and exits with 1."""
