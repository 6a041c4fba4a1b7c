"""``python -m deepnmf``."""

from .cli import main

main()
