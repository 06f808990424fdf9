"""Numbers and quantities in words."""

from collections.abc import Sequence

import numpy as np

from zoo.explain.subject import Answer, Subject
from zoo.labels import CLASSES, NUMBERS, RISK

# Keeps a number and its unit in one line.
SPACE = "\u00a0"
_PLAIN = {
    NUMBERS: "{name} is {value}",
    RISK: "{name} is {value}",
    CLASSES: "the class is {name}, with probability {value}",
}


def number(value: float) -> str:
    """A number with three significant digits, without an exponent where it can be."""
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-4 else f"{value:.1e}"


def percent(share: float) -> str:
    """A share in percent; at the ends as "over 99 %" and "under 1 %"."""
    if 0.995 < share < 1:
        return f"over 99{SPACE}%"
    if 0 < share < 0.005:
        return f"under 1{SPACE}%"
    return f"{100 * share:.0f}{SPACE}%"


def quantity(answer: Answer, value: float, index: int | None = None) -> str:
    """The value of an output with its unit, or a probability in percent."""
    index = answer.explained if index is None else index
    if answer.is_probability:
        return percent(value)
    unit = answer.units[index]
    return f"{number(value)}{SPACE}{unit}".strip()


def reading(subject: Subject, value: float, feature: int) -> str:
    """A value of the signal as it was measured, with its unit."""
    measured = float(subject.measured(np.asarray(value, "float64"), feature))
    if not np.isfinite(measured):
        return "unknown"
    return f"{number(measured)}{SPACE}{subject.units[subject.main][feature]}".strip()


def difference(answer: Answer, value: float) -> str:
    """A change of the explained output with its sign and unit."""
    if answer.is_probability:
        points = 100 * value
        if 0 < abs(points) < 0.05:
            return f"under 0.1{SPACE}points"
        digits = 1 if abs(points) < 9.95 else 0
        return f"{points:+.{digits}f}{SPACE}points" if points else f"0{SPACE}points"
    unit = answer.units[answer.explained]
    sign = "+" if value > 0 else "-" if value < 0 else ""
    return f"{sign}{number(abs(value))}{SPACE}{unit}".strip()


def place(subject: Subject, index: int) -> str:
    """A step in words, with its time if it is known."""
    labels = subject.labels
    text = f"{labels.step} {index + 1:,}"
    if labels.time_unit and labels.interval is not None:
        text += f" ({number(float(subject.times[index]))} {labels.time_unit})"
    return text


def count(number: int, thing: str) -> str:
    """A number of things, "1 step" or "1,000 steps"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def enumeration(texts: Sequence[str]) -> str:
    """Texts with commas, and "and" before the last one."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def said(subject: Subject) -> str:
    """The answer at the explained step, in one sentence."""
    answer = subject.answer
    sentence = subject.labels.sentence or _PLAIN[answer.kind]
    value = quantity(answer, subject.said[answer.explained])
    text = sentence.format(name=answer.names[answer.explained], value=value)
    return f"At {place(subject, subject.step_index)} of {subject.length:,}, {text}."


def truth(subject: Subject) -> str:
    """The true value at the explained step, and the error; "" if it is unknown."""
    found, answer = subject.truth, subject.answer
    if found is None:
        return ""
    if answer.kind == CLASSES:
        true = int(np.argmax(found))
        right = "as the model says" if true == answer.explained else "so the model is wrong"
        return f"The true class is {answer.names[true]}, {right}."
    value = found[answer.explained]
    if not np.isfinite(value):
        return ""
    if answer.kind == RISK:
        return f"The true outcome: {'yes' if value > 0.5 else 'no'}."
    error = abs(value - subject.said[answer.explained])
    return f"The true value is {quantity(answer, value)}; the error is {quantity(answer, error)}."


def confidence(subject: Subject) -> str:
    """How sure the model is, as far as that is known."""
    answer = subject.answer
    if answer.kind == CLASSES:
        order = np.argsort(-subject.said)
        next_class = answer.names[order[1]] if len(order) > 1 else ""
        second = (
            f" Next: {next_class}, {percent(float(subject.said[order[1]]))}." if next_class else ""
        )
        share = float(subject.said[order[0]])
        words = "sure" if share > 0.9 else "fairly sure" if share > 0.7 else "not sure"
        return f"The model is {words}.{second} These are its own probabilities."
    if answer.kind == RISK:
        return "This is the probability that the model gives."
    if subject.deviations is not None:
        at = subject.deviations[subject.step_index] if subject.is_sequence else subject.deviations
        deviation = float(at[answer.explained])
        return (
            f"The model's own interval: within ± {quantity(answer, 2 * deviation)} in 95 of 100 "
            "cases."
        )
    targets = subject.targets
    if targets is not None and subject.is_sequence:
        errors = (subject.outputs - targets)[:, answer.explained]
        known = errors[np.isfinite(errors)]
        if len(known) > 2:
            root = float(np.sqrt(np.mean(known**2)))
            return (
                f"Over this sequence, its error is {quantity(answer, root)} (root of the mean "
                f"square over {len(known):,} {subject.labels.step}s)."
            )
    if targets is not None and not subject.is_sequence and len(answer.names) > 2:
        errors = subject.said - targets
        known = errors[np.isfinite(errors)]
        root = float(np.sqrt(np.mean(known**2)))
        return (
            f"Over all {len(known):,} outputs, its error is {quantity(answer, root)} (root of the "
            "mean square)."
        )
    if subject.truth is not None:
        return "The model gives a number without an interval."
    return "The model gives a number without an interval, and the file has no true values."
