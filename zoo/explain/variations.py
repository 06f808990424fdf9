"""The answer of a model to many variants of a sequence at once, near the explained step."""

from collections.abc import Mapping, Sequence

import numpy as np

from zoo.explain.subject import Subject

# Steps before the explained one that variants differ in, and numbers of all variants at once.
MOST_STEPS = 200
MOST_NUMBERS = 4_000_000
_BATCH = 64


class Window:
    """The part of a sequence that ends at the explained step, and answers to variants of it.

    The states start from their initial values at the start of the part. A model with outputs at
    the last step only is given the whole sequence.

    Args:
        subject: The model and its sequence.

    Attributes:
        start: The first step of the part.
        inputs: Arrays (1, steps, ...) by input name.
    """

    def __init__(self, subject: Subject):
        self._subject = subject
        stop = subject.step_index + 1
        self.start = max(0, stop - MOST_STEPS) if subject.is_sequence else 0
        rows = subject.step.rows if subject.step is not None else 1
        fixed = subject.step is None or subject.step.window is not None
        self.start = 0 if fixed else self.start - self.start % rows
        # Bidirectional models and those of a fixed length need the steps after it, too.
        self._stop = subject.length if fixed else stop + -stop % rows
        part = slice(self.start, self._stop)
        self.inputs = {name: array[:, part] for name, array in subject.inputs.items()}

    @property
    def length(self) -> int:
        """The number of steps."""
        return self._stop - self.start

    @property
    def index(self) -> int:
        """The explained step within the part."""
        return self._subject.step_index - self.start

    @property
    def batch(self) -> int:
        """The number of variants that are computed at once."""
        size = sum(array.size for array in self.inputs.values())
        return int(np.clip(MOST_NUMBERS // max(size, 1), 1, _BATCH))

    def answers(self, variants: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
        """The outputs at the explained step in real units for each variant, (variants, outputs).

        Args:
            variants: Inputs by name, (1, steps, ...). All have the same number of steps, which may
                differ from that of the part; the explained step then is the last one.
        """
        stacked = {
            name: np.concatenate([variant[name] for variant in variants]) for name in self.inputs
        }
        outputs = self._subject.predict(stacked, self.batch)
        if self._subject.is_sequence:
            same = outputs.shape[1] == self.length
            outputs = outputs[:, self.index if same else -1]
        return self._subject.answer.to_real(outputs.reshape(len(variants), -1))
