"""Export of Keras models to verified files for phones and microcontrollers, and to C.

Names are imported on first use, so that `import export` does not load TensorFlow.
"""

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from export.adaptation import Adaptation
    from export.artifact import read_file
    from export.c.model import CModel
    from export.c_pipeline import to_c
    from export.comparison import Comparison, compare
    from export.data import as_sequences
    from export.forms.sequence import to_sequence
    from export.forms.step import Step, to_step
    from export.pipeline import to_tflite
    from export.recipes import RECIPES, Recipe
    from export.runtimes.stepper import Stepper, steppers
    from export.targets import TARGETS, Target
    from export.verification.evaluate import evaluate_file, predict_file
    from export.verification.provenance import model_sha256
    from export.verification.report import Report, RuntimeResult, VerificationError
    from export.verification.verify import verify

_MODULES = {
    "Adaptation": "export.adaptation",
    "CModel": "export.c.model",
    "Comparison": "export.comparison_table",
    "RECIPES": "export.recipes",
    "TARGETS": "export.targets",
    "Recipe": "export.recipes",
    "Report": "export.verification.report",
    "RuntimeResult": "export.verification.report",
    "Step": "export.forms.step",
    "Stepper": "export.runtimes.stepper",
    "Target": "export.targets",
    "VerificationError": "export.verification.report",
    "as_sequences": "export.data",
    "compare": "export.comparison",
    "evaluate_file": "export.verification.evaluate",
    "model_sha256": "export.verification.provenance",
    "predict_file": "export.verification.evaluate",
    "read_file": "export.artifact",
    "steppers": "export.runtimes.stepper",
    "to_c": "export.c_pipeline",
    "to_sequence": "export.forms.sequence",
    "to_step": "export.forms.step",
    "to_tflite": "export.pipeline",
    "verify": "export.verification.verify",
}
_REQUIRED = ("tensorflow", "flatbuffers")

__all__ = [
    "RECIPES",
    "TARGETS",
    "Adaptation",
    "CModel",
    "Comparison",
    "Recipe",
    "Report",
    "RuntimeResult",
    "Step",
    "Stepper",
    "Target",
    "VerificationError",
    "as_sequences",
    "compare",
    "evaluate_file",
    "model_sha256",
    "predict_file",
    "read_file",
    "steppers",
    "to_c",
    "to_sequence",
    "to_step",
    "to_tflite",
    "verify",
]

_missing = [name for name in _REQUIRED if find_spec(name) is None]
if _missing:
    raise ImportError(
        f"The package `export` needs {' and '.join(_missing)}, which is not installed. "
        "Install the extra: pip install 'lnn-keras[export]'."
    )


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'export' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
