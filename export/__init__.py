"""Keras models to verified device files."""

from export.data import as_sequences
from export.evaluate import evaluate_file, predict_file
from export.recipes import RECIPES, Recipe
from export.report import Report, RuntimeResult, VerificationError
from export.sequence import to_sequence
from export.step import Step, to_step
from export.stepper import Stepper, steppers
from export.targets import TARGETS, Target
from export.tflite import to_tflite
from export.verify import verify

__all__ = [
    "RECIPES",
    "TARGETS",
    "Recipe",
    "Report",
    "RuntimeResult",
    "Step",
    "Stepper",
    "Target",
    "VerificationError",
    "as_sequences",
    "evaluate_file",
    "predict_file",
    "steppers",
    "to_sequence",
    "to_step",
    "to_tflite",
    "verify",
]
