"""The page: sections about a prediction as one HTML file without external resources."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib import resources

import numpy as np

from export.text_templates import fill
from zoo.explain import elements, figures, words
from zoo.explain.dynamics import Dynamics, dynamics, unit_of_time
from zoo.explain.effects import Effect, changes_class, effects
from zoo.explain.influence import Influence, influence
from zoo.explain.neurons import Neurons, neurons
from zoo.explain.subject import Subject
from zoo.explain.variations import Window
from zoo.labels import CLASSES

PACKAGE = "zoo.explain"


@dataclass(frozen=True)
class Findings:
    """The findings about a prediction.

    Attributes:
        window: The steps that were varied.
        influence: The contributions of the signal; None if nothing can be compared.
        effects: The effects of changes, the largest first.
        dynamics: The recorded recurrent layer.
        neurons: Its neurons, or the reason why there are none; None if they were not asked for.
    """

    window: Window
    influence: Influence | None
    effects: list[Effect]
    dynamics: Dynamics
    neurons: Neurons | str | None


def findings(subject: Subject, with_neurons: bool = False) -> Findings:
    """Compute the content of the page."""
    window = Window(subject)
    found = influence(subject, window)
    recorded = dynamics(subject, window)
    return Findings(
        window,
        found,
        effects(subject, window, found),
        recorded,
        _neurons_of(subject, window, recorded) if with_neurons else None,
    )


def _neurons_of(subject: Subject, window: Window, recorded: Dynamics) -> Neurons | str:
    try:
        return neurons(subject, window, recorded)
    except ValueError as error:
        return str(error)


def page(subject: Subject, found: Findings, facts: Mapping[str, str], playground: str = "") -> str:
    """The text of the page.

    Args:
        subject: The prediction.
        found: The findings.
        facts: Facts about the model, the file and the command, by name.
        playground: The section in which the signal can be changed, as HTML.
    """
    style = (resources.files(PACKAGE) / "templates/explanation.css").read_text("utf-8")
    sections = [
        elements.section(
            "The answers over time" if subject.is_sequence else "All outputs", _answers(subject)
        ),
        elements.section("What mattered", _mattered(subject, found)),
        elements.section("What would change the answer", _effects(subject, found)),
        playground,
        elements.section("How fast it reacted", _speed(subject, found)),
        elements.section("How it is wired", _wiring(subject, found)),
    ]
    if isinstance(found.neurons, str):
        sections.append(elements.section("Neurons", elements.paragraph(found.neurons)))
    elif found.neurons is not None:
        sections.append(elements.section("Neurons", _neurons(subject, found, found.neurons)))
    return fill(
        PACKAGE,
        "explanation.html",
        title=escape(f"{subject.name}: one prediction explained"),
        style=style,
        said=escape(words.said(subject)),
        truth=escape(words.truth(subject)),
        confidence=escape(words.confidence(subject)),
        notes="".join(f'<p class="note">{escape(note)}</p>' for note in subject.notes),
        sections="\n".join(sections),
        facts=elements.facts_list(facts),
    )


def _answers(subject: Subject) -> str:
    figure = figures.answers(subject)
    if figure is not None:
        return figure
    answer = subject.answer
    if len(answer.names) < 2:
        return ""
    rows = [
        (name, words.quantity(answer, subject.said[index], index))
        for index, name in enumerate(answer.names)
    ]
    return elements.table(("output", "value"), rows)


def _mattered(subject: Subject, found: Findings) -> str:
    contributions = found.influence
    if contributions is None:
        if subject.typical is not None or np.ptp(subject.signal, axis=0).any():
            return elements.paragraph("No value moved the answer from that for a typical signal.")
        return elements.paragraph(
            "The signal does not change over the sequence, so there is no typical value to compare "
            "it with."
        )
    if subject.labels.picture is not None:
        sentence = (
            "Right: how much each pixel of this picture moved the answer; purple ones raised it, "
            "orange ones lowered it."
        )
        return elements.paragraph(sentence) + figures.influences(
            subject, found.window, contributions
        )
    named = contributions.groups(subject.feature_names[subject.main])
    listed = words.enumeration([f"{name} ({words.percent(share)})" for name, share in named[:3]])
    most = "The features that moved the answer most"
    if len(named) < len(contributions.features):
        most += ", those of one quantity together"
    step, feature, value = contributions.strongest(1)[0]
    name = subject.feature_names[subject.main][feature]
    reading = words.reading(subject, subject.signal[step, feature], feature)
    single = (
        f"The strongest single value: {name} was {reading} at {words.place(subject, step)}, which "
        f"moved the answer by {words.difference(subject.answer, value)}."
    )
    means = (
        f"the last {words.count(found.window.length, subject.labels.step)}"
        if subject.typical is None
        else f"the {subject.sequences:,} sequences of the file"
    )
    method = (
        "Computed by integrated gradients: each value against the mean of its feature over "
        f"{means}. The darker the shade, the larger the contribution."
    )
    return (
        elements.paragraph(f"{most}: {listed}.", single)
        + figures.influences(subject, found.window, contributions)
        + f'<p class="note">{escape(method)}</p>'
    )


def _effects(subject: Subject, found: Findings) -> str:
    answer = subject.answer
    largest = max((abs(effect.difference) for effect in found.effects), default=0.0)
    if not largest > 0:
        return elements.paragraph("None of the changes that were tried moved the answer.")
    first = found.effects[0]
    sentence = f"The largest effect of those tried: {first.change}"
    if answer.kind == CLASSES:
        after = changes_class(first, answer.names, answer.explained)
        sentence += f"; the class becomes {after}." if after else "; the class stays the same."
    else:
        sentence += f", {words.difference(answer, first.difference)}."
    rows = []
    for effect in found.effects:
        if effect.is_random:
            change = words.difference(answer, effect.difference).replace("+", "± ")
        else:
            change = words.difference(answer, effect.difference)
        if answer.kind == CLASSES:
            after = changes_class(effect, answer.names, answer.explained)
            change += f" → {after}" if after else ""
        share = 100 * abs(effect.difference) / largest
        direction = ' class="down"' if effect.difference < 0 else ""
        rows.append(
            f"<tr><td>{escape(effect.change)}</td>"
            f'<td class="number">{escape(change)}</td>'
            f'<td class="bar" aria-hidden="true"><span{direction} style="width:{share:.0f}%">'
            "</span></td></tr>"
        )
    of = "change of the answer"
    if answer.kind == CLASSES:
        of = f"probability of {answer.names[answer.explained]}"
    return (
        elements.paragraph(sentence)
        + f'<table><thead><tr><th>change of the signal</th><th class="number">{escape(of)}</th>'
        + '<th class="bar"></th></tr></thead><tbody>'
        + "".join(rows)
        + "</tbody></table>"
    )


def _speed(subject: Subject, found: Findings) -> str:
    recorded, values = found.dynamics, found.dynamics.time_constants
    if values is None:
        return elements.paragraph(
            f"The layer {recorded.layer} ({recorded.cell}) has no time constants: it does not "
            "state how fast it forgets."
        )
    factor, unit = unit_of_time(subject)
    typical = np.nanmedian(values, axis=1) * factor
    now, index = typical[found.window.index], found.window.index
    quickest, slowest = int(np.nanargmin(typical)), int(np.nanargmax(typical))
    place = [words.place(subject, found.window.start + step) for step in (quickest, slowest)]
    sentence = (
        f"The time constant of a neuron says how long it takes to follow its input. Here the "
        f"median neuron has {words.number(float(now))} {unit} at the explained "
        f"{subject.labels.step}."
    )
    ratio = typical[slowest] / max(typical[quickest], 1e-12)
    if ratio > 1.1 and len(typical) > 1:
        sentence += (
            f" It was fastest at {place[0]} ({words.number(float(typical[quickest]))} {unit}) and "
            f"slowest at {place[1]} ({words.number(float(typical[slowest]))} {unit}), a factor of "
            f"{ratio:.2g}."
        )
    else:
        sentence += " It hardly changed over the sequence."
    figure = figures.time_constants(subject, found.window, recorded) if index > 0 else None
    return elements.paragraph(sentence) + (figure or "")


def _wiring(subject: Subject, found: Findings) -> str:
    recorded = found.dynamics
    units = recorded.recording["inputs"].shape[-1]
    others = f" Further recurrent layers: {', '.join(recorded.others)}." if recorded.others else ""
    sentence = (
        f"The recurrent layer {recorded.layer} has {words.count(recorded.units, 'neuron')} "
        f"({recorded.cell}) and reads {words.count(units, 'value')}.{others}"
    )
    figure = figures.wiring(subject, recorded)
    if figure is None:
        missing = "It has no weight for each pair of neurons that could be drawn."
        return elements.paragraph(sentence, missing)
    legend = "Solid lines excite, dashed ones inhibit; the width is the weight."
    return elements.paragraph(sentence, legend) + figure


def _neurons(subject: Subject, found: Findings, known: Neurons) -> str:
    factor, unit = unit_of_time(subject)
    one_unit = "unit of time" if unit == "units of time" else unit
    one_unit = one_unit.removesuffix("s") or unit
    rows = [
        (
            str(neuron.number),
            words.difference(subject.answer, neuron.effect),
            f"{neuron.follows[0]} ({neuron.follows[1]:+.2f})" if neuron.follows[1] else "-",
            "-" if neuron.time_constant is None else words.number(neuron.time_constant * factor),
        )
        for neuron in known.strongest
    ]
    held = (
        "Each" if known.knocked_out == known.count else f"Each of the first {known.knocked_out:,}"
    )
    sentences = [
        f"The layer has {words.count(known.count, 'neuron')}. {held} was held at 0 for the whole "
        f"sequence; the table has the {len(rows)} that changed the answer most."
    ]
    if known.slowest is not None:
        sentences.append(
            f"The longest time scale of the layer at this {subject.labels.step} is "
            f"{words.number(known.slowest * factor)} {unit}."
        )
    if known.exponent is not None:
        fades = "below 0: it forgets disturbances" if known.exponent < 0 else "they may grow"
        sentences.append(
            f"Its largest Lyapunov exponent is {words.number(known.exponent / factor)} per "
            f"{one_unit}, {fades}."
        )
    headings = (
        "neuron",
        "change of the answer without it",
        "follows (correlation)",
        f"time constant ({unit})",
    )
    return (
        elements.paragraph(*sentences)
        + figures.states(subject, found.window, found.dynamics)
        + elements.table(headings, rows)
        + _pair(found, known)
    )


def _pair(found: Findings, known: Neurons) -> str:
    """The phase portrait of the two strongest neurons."""
    if len(known.strongest) < 2:
        return ""
    first, second = (neuron.number for neuron in known.strongest[:2])
    figure = figures.phase_portrait(found.dynamics, (first, second))
    if figure is None:
        return ""
    sentence = (
        f"Neurons {first} and {second} over the sequence, and where they would go if the "
        "last input stayed."
    )
    return elements.paragraph(sentence) + figure
