"""Evaluation: scores of a model on a manifest, or of any folder of enhanced files, as CSV, JSON and a table."""

from .evaluate import Evaluation, evaluate, evaluate_folders
from .folder import EvaluationFolder, read_evaluation
from .systems import Enhance, System

__all__ = [
    "Enhance",
    "Evaluation",
    "EvaluationFolder",
    "System",
    "evaluate",
    "evaluate_folders",
    "read_evaluation",
]
