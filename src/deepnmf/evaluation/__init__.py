"""Evaluation: scores of models and folders of enhanced files, and their differences, as CSV, JSON and a table."""

from .compare import Comparison, compare
from .comparison import ComparisonFolder, read_comparison
from .evaluate import Evaluation, evaluate, evaluate_folders
from .folder import EvaluationFolder, read_evaluation
from .items import FolderRecordings, ManifestRecordings
from .systems import Enhance, EnhancedFiles, System, model_system

__all__ = [
    "Comparison",
    "ComparisonFolder",
    "Enhance",
    "EnhancedFiles",
    "Evaluation",
    "EvaluationFolder",
    "FolderRecordings",
    "ManifestRecordings",
    "System",
    "compare",
    "evaluate",
    "evaluate_folders",
    "model_system",
    "read_comparison",
    "read_evaluation",
]
