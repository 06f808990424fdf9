"""Effects: the answers of a model to changed signals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zoo.explain.influence import Influence, mean_of
from zoo.explain.subject import Subject
from zoo.explain.variations import Window

# Features that are held at their mean, one at a time.
FEATURES = 3
# Draws of random changes, whose mean effect is shown.
DRAWS = 4
# The precision of float32 answers, as a share of the largest output.
ROUNDING = 1e-6
# Steps that are lost at the end.
LOST = 3


@dataclass(frozen=True)
class Effect:
    """The effect of a change of the signal on the answer.

    Attributes:
        change: The change, in words.
        answer: The outputs (outputs,) in real units, of random changes the mean over draws.
        difference: The change of the explained output; of random changes the root mean square.
        is_random: Whether the change is random.
    """

    change: str
    answer: np.ndarray
    difference: float
    is_random: bool = False


def effects(subject: Subject, window: Window, found: Influence | None) -> list[Effect]:
    """The effects of changes of the signal, the largest first."""
    changed = [*_of_the_whole(subject, window), *_of_features(subject, window, found)]
    main = subject.main
    # Some changes leave a constant signal as it is.
    changed = [
        (change, draws)
        for change, draws in changed
        if not np.array_equal(draws[0][main], window.inputs[main])
    ]
    variants = [inputs for _, draws in changed for inputs in draws]
    answers = window.answers([window.inputs, *variants])
    slower = _slower(subject, window)
    unchanged, rest = answers[0], list(answers[1:])
    number = subject.answer.explained
    # Smaller differences are those of the order of the same sums.
    least = ROUNDING * np.abs(unchanged).max()
    result = []
    for change, draws in changed:
        own, rest = np.array(rest[: len(draws)]), rest[len(draws) :]
        differences = own[:, number] - unchanged[number]
        is_random = len(draws) > 1
        difference = float(np.sqrt(np.mean(differences**2)) if is_random else differences[0])
        result.append(Effect(change, own.mean(axis=0), difference, is_random))
    if slower is not None:
        change, inputs = slower
        answer = window.answers([inputs])[0]
        result.append(Effect(change, answer, float(answer[number] - unchanged[number])))
    result = [
        effect if abs(effect.difference) > least else replace(effect, difference=0.0)
        for effect in result
        if np.isfinite(effect.answer).all()
    ]
    return sorted(result, key=lambda effect: -abs(effect.difference))


def _of_the_whole(subject: Subject, window: Window) -> Iterator[tuple[str, list[dict]]]:
    """Changes of all features at once, each with its variants of the inputs."""
    signal = window.inputs[subject.main]
    spread = _spread(signal)
    random = np.random.default_rng(0)
    if subject.labels.picture is None:
        yield "all values 10 % larger", [_with(subject, window, signal * 1.1)]
        yield "all values 10 % smaller", [_with(subject, window, signal * 0.9)]
        yield (
            "all values higher by half a deviation",
            [_with(subject, window, signal + 0.5 * spread)],
        )
    else:
        yield "pictures 20 % brighter", [_with(subject, window, signal * 1.2)]
        yield "pictures 20 % darker", [_with(subject, window, signal * 0.8)]
    noisy = [
        _with(subject, window, signal + 0.1 * spread * random.standard_normal(signal.shape))
        for _ in range(DRAWS)
    ]
    yield "noise of a tenth of a deviation", noisy
    if window.index >= LOST:
        held = signal.copy()
        lost = slice(window.index + 1 - LOST, window.index + 1)
        held[:, lost] = signal[:, lost.start - 1 : lost.start]
        change = f"the last {LOST} {subject.labels.step}s lost, the value before held"
        yield change, [_with(subject, window, held)]


def _of_features(
    subject: Subject, window: Window, found: Influence | None
) -> Iterator[tuple[str, list[dict]]]:
    """The features that contributed most, each held at its mean."""
    if found is None or subject.labels.picture is not None:
        return
    signal = window.inputs[subject.main]
    flat = signal.reshape(*signal.shape[:2], -1)
    if flat.shape[-1] < 2:
        return
    typical = (mean_of(signal) if subject.typical is None else subject.typical).reshape(-1)
    for feature in found.features[:FEATURES]:
        changed = flat.copy()
        changed[..., feature] = typical[feature]
        name = subject.feature_names[subject.main][feature]
        yield f"{name} held at its mean", [_with(subject, window, changed.reshape(signal.shape))]


def _slower(subject: Subject, window: Window) -> tuple[str, dict[str, np.ndarray]] | None:
    """Every second step left out; elapsed times are added, if the model takes them."""
    fixed = subject.step is None or subject.step.window is not None or subject.step.rows > 1
    if fixed or window.length < 8:
        return None
    stop = window.index + 1 if subject.is_sequence else window.length
    first = (stop - 1) % 2
    inputs = {name: array[:, first:stop:2] for name, array in window.inputs.items()}
    note = "the model is not told"
    if subject.elapsed in inputs:
        gaps = window.inputs[subject.elapsed][:, first:stop].copy()
        inputs[subject.elapsed] = gaps[:, ::2].copy()
        inputs[subject.elapsed][:, 1:] += gaps[:, 1:-1:2]
        note = "elapsed times doubled"
    elif subject.elapsed is not None:
        signal = inputs[subject.main].copy()
        signal[..., -1] *= 2
        inputs[subject.main] = signal
        note = "elapsed times doubled"
    return f"half as many {subject.labels.step}s ({note})", inputs


def _with(subject: Subject, window: Window, signal: np.ndarray) -> dict[str, np.ndarray]:
    signal = signal.astype("float32")
    if subject.labels.picture is not None:
        signal = signal.clip(0, 1)
    if subject.elapsed is not None and subject.elapsed not in window.inputs:
        # The last feature is the elapsed time.
        signal[..., -1] = window.inputs[subject.main][..., -1]
    return {**window.inputs, subject.main: signal}


def _spread(signal: np.ndarray) -> np.ndarray:
    """The deviation of each feature; 0 of those that are constant or take two values only."""
    spread = signal.astype("float64").std(axis=1, keepdims=True)
    flags = np.isin(signal, (0, 1)).all(axis=1, keepdims=True)
    return np.where(flags, 0, spread)


def changes_class(effect: Effect, names: Sequence[str], said: int) -> str | None:
    """The class after a change, if it is another one."""
    after = int(np.argmax(effect.answer))
    return names[after] if after != said else None
