"""The sliders of the playground: for each change of the signal, the values that it can take."""

from dataclasses import dataclass

from zoo.explain.playground.changes import Changes


@dataclass(frozen=True)
class Slider:
    """A slider with a list of positions.

    Attributes:
        name: The attribute of `Changes` that it sets.
        label: Its name in the page.
        help: What it does, in one sentence.
        values: The value at each position.
    """

    name: str
    label: str
    help: str
    values: tuple[float, ...]

    @property
    def start(self) -> int:
        """The position that changes nothing."""
        return self.values.index(getattr(Changes(), self.name))


def sliders(coarse: bool = False, sampling: str = "") -> tuple[Slider, ...]:
    """Return all sliders.

    Args:
        coarse: Whether there are only some positions, for answers that are computed beforehand.
        sampling: What another sampling rate does; "" for no such slider.
    """
    every = 5 if coarse else 1
    all_sliders = (
        Slider("gain", "Gain", "Multiplies each value.", _range(-20, 60, 20, every)),
        Slider(
            "offset",
            "Offset",
            "Adds a constant, in standard deviations of the feature.",
            _range(-60, 60, 20, every * 2),
        ),
        Slider(
            "noise",
            "Noise",
            "Adds random numbers, in standard deviations of the feature.",
            _range(0, 40, 20, every),
        ),
        Slider(
            "dropped",
            "Dropped samples",
            "This share of the samples is lost; the value before is held.",
            _range(0, 19, 20, every),
        ),
        Slider("rate", "Sampling rate", sampling, RATES),
    )
    return all_sliders if sampling else all_sliders[:-1]


RATES = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0)


def _range(first: int, last: int, parts: int, every: int) -> tuple[float, ...]:
    """The numbers from `first / parts` to `last / parts`."""
    return tuple(number / parts for number in range(first, last + 1, every))
