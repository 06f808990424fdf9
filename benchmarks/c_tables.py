"""The tables of docs/microcontrollers.md, row by row as they are measured."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import keras

from benchmarks import c_models
from benchmarks.c_measurements import Measured, measured, tried
from benchmarks.markdown import list_item, percent, table_header, table_row
from export.c import boards
from export.recipes import RECIPES
from export.targets import TARGETS
from zoo import registry
from zoo.hub import store

BOARDS = ("m4", "m4-plain")
PLAIN_RATIO = 2.0
ADAPT_RATIO = 3.0
LEARNED_ERROR = 1e-4
METRIC_CHANGE = 0.01
PRESET = "half-cheetah-micro"
# Tracks that lane-keeping drives.
TRACKS = 10


class Bars(NamedTuple):
    """Largest accepted figures of a model: instructions, bytes, errors by recipe."""

    instructions: int
    flash: int
    ram: int
    errors: dict[str, float]


FIVE = {
    "LiquidCell 16": Bars(10_000, 4 * 1024, 512, {"int16x8": 0.01, "int16": 0.003}),
    "GRU 16": Bars(4_500, 5 * 1024, 512, {"int16x8": 0.01, "int16": 0.003}),
    "CfCCell 16": Bars(25_000, 16 * 1024, 768, {"int16x8": 0.01, "int16": 0.003}),
    "LTCCell AutoNCP(16, 2)": Bars(20_000, 6 * 1024, 768, {"int16x8": 0.02, "int16": 0.01}),
    PRESET: Bars(45_000, 18 * 1024, 1024, {"int16x8": 0.02, "int16": 0.015}),
}
LAYER_OF = {
    "LiquidCell 16": "LiquidCell",
    "GRU 16": "GRU",
    "CfCCell 16": "CfCCell",
    "LTCCell AutoNCP(16, 2)": "LTCCell, AutoNCP",
}
# Measured earlier on models of the same kind: instructions of int8 files under TensorFlow Lite
# Micro, with its reference kernels and with CMSIS-NN.
INTERPRETED = {
    "LiquidCell 16": (134_120, 123_998),
    "GRU 16": (48_021, 42_876),
    "CfCCell 16": (166_499, 128_158),
    PRESET: (266_400, 196_662),
}


def number(value: float | None) -> str:
    """A count or a number of bytes; "-" if there is none."""
    return "-" if value is None else f"{value:,.0f}"


def with_bar(value: float, bar: float, text: str, bar_text: str) -> str:
    """A value with its bar, bold if it misses the bar."""
    return f"{text} / {bar_text}" if value <= bar else f"**{text}** / {bar_text}"


def _counted(value: float | None, bar: float) -> str:
    return with_bar(float("inf") if value is None else value, bar, number(value), number(bar))


def model_of(name: str) -> tuple[keras.Model, dict[str, Any]]:
    """A model of the first table, and its calibration and evaluation data."""
    if name != PRESET:
        evaluation = tuple(c_models.evaluation())
        options = {"calibration": c_models.calibration(), "evaluation": evaluation}
        return c_models.trained(LAYER_OF[name], 16), options
    return store.load(name), _preset_data(name)


def _preset_data(name: str) -> dict[str, Any]:
    samples, preset = store.samples(name), registry.get(name)
    evaluation = preset.load_evaluation() if preset.load_evaluation else store.evaluation(samples)
    return {"calibration": samples["calibration"], "evaluation": evaluation}


def target_rows() -> Iterator[str]:
    """The five models with the bars, and TensorFlow Lite Micro."""
    yield from table_header(
        "model",
        "recipe",
        "instructions",
        "plain C",
        "flash",
        "flash, with floats",
        "RAM",
        "error",
        "TFLite Micro int8",
        "with CMSIS-NN",
    )
    for name, bars in FIVE.items():
        model, options = model_of(name)
        for recipe in bars.errors:
            found = measured(model, recipe, BOARDS, **options)
            yield table_row(name, recipe, *_target_cells(name, bars, recipe, found))


def _target_cells(name: str, bars: Bars, recipe: str, found: Measured) -> tuple[str, ...]:
    with_dsp, plain = (found.profiles[board] for board in BOARDS)
    count = with_dsp.instructions or float("nan")
    others = INTERPRETED.get(name)
    return (
        _counted(count, bars.instructions),
        _counted(plain.instructions, PLAIN_RATIO * count),
        _counted(with_dsp.raw_flash_bytes, bars.flash),
        number(with_dsp.flash_bytes),
        _counted(with_dsp.ram_bytes, bars.ram),
        with_bar(
            found.error, bars.errors[recipe], percent(found.error), percent(bars.errors[recipe])
        ),
        *(["-", "-"] if others is None else [f"{x:,} ({x / count:.1f} x)" for x in others]),
    )


def cell_rows() -> Iterator[str]:
    """Every cell at 16 and 32 units, one table per recipe."""
    columns = ("instructions", "flash", "RAM", "error")
    models = {
        (name, units): c_models.trained(name, units)
        for name in c_models.LAYERS
        for units in c_models.UNITS
    }
    evaluation = tuple(c_models.evaluation())
    calibration = c_models.calibration()
    for recipe in TARGETS["c"].recipes:
        yield f"### {recipe}"
        yield ""
        yield from table_header(
            "layer", *(f"{units}: {column}" for units in c_models.UNITS for column in columns)
        )
        for name in c_models.LAYERS:
            cells = []
            for units in c_models.UNITS:
                model = models[name, units]
                found = measured(model, recipe, calibration=calibration, evaluation=evaluation)
                cells += cost_cells(found)
            yield table_row(name, *cells)
        yield ""


def cost_cells(found: Measured) -> list[str]:
    """Instructions, flash, RAM and error of a model on an M4, bold if the error is too large."""
    tolerance = RECIPES[found.report.recipe].tolerance + found.result.rounding
    error = percent(found.error)
    profile = found.profiles["m4"]
    return [
        number(profile.instructions),
        number(profile.raw_flash_bytes or profile.flash_bytes),
        number(profile.ram_bytes),
        error if found.error <= tolerance else f"**{error}**",
    ]


def preset_rows() -> Iterator[str]:
    """Every preset: the metric of its task in Keras and in C, and its costs."""
    from zoo.experiments.runs import evaluate, evaluate_export

    yield from table_header(
        "preset",
        "recipe",
        "metric",
        "Keras",
        "C",
        "change",
        "error",
        "instructions",
        "flash",
        "RAM",
    )
    refused: dict[str, list[str]] = {}
    for name in registry.PRESETS:
        preset, model, data = registry.get(name), store.load(name), _preset_data(name)
        # Only the metric that ranks the models: others may need data that are left out.
        preset = replace(preset, metrics=preset.metrics[:1])
        test, expected = None, float("nan")
        for recipe in ("int16x8", "float32"):
            found = tried(lambda m=model, r=recipe, d=data: measured(m, r, **d))
            if isinstance(found, str):
                refused.setdefault(found, []).append(f"{name} in {recipe}")
                continue
            if test is None:
                test = _test_data(preset)
                expected = evaluate(preset, model, *test)[preset.metric.name]
            values = evaluate_export(preset, found.source, model, *test)
            value = next(iter(values.values()))[preset.metric.name]
            yield table_row(
                name, recipe, *_metric_cells(preset, expected, value), *_preset_costs(found)
            )
    yield ""
    for reason, names in refused.items():
        yield list_item("-", f"Refused: {', '.join(names)}: {reason}")


def _test_data(preset: Any) -> tuple[Any, Any]:
    """The test split; of lane-keeping only the first tracks, which take seconds each to drive."""
    inputs, targets = preset.load_splits(0)["test"]
    if preset.name == "lane-keeping":
        return {key: value[:TRACKS] for key, value in inputs.items()}, targets[:TRACKS]
    return inputs, targets


def _metric_cells(preset: Any, expected: float, value: float) -> list[str]:
    change = (value - expected) / abs(expected)
    worse = -change if preset.metric.higher_is_better else change
    text = f"{100 * change:+.2f} %"
    return [
        preset.metric.name,
        f"{expected:.4g}",
        f"{value:.4g}",
        text if worse <= METRIC_CHANGE else f"**{text}**",
    ]


def _preset_costs(found: Measured) -> list[str]:
    costs = cost_cells(found)
    return [costs[-1], *costs[:-1]]


def board_rows() -> Iterator[str]:
    """One model on every board."""
    recipes = ("int16x8", "float32")
    model, options = model_of(PRESET)
    found = {recipe: measured(model, recipe, tuple(boards.BOARDS), **options) for recipe in recipes}
    yield from table_header(
        "board", "", *(f"{r}: {c}" for r in recipes for c in ("instructions", "flash", "hash"))
    )
    for name, board in boards.BOARDS.items():
        cells = []
        for recipe in recipes:
            profile = found[recipe].profiles[name]
            flash = profile.raw_flash_bytes or profile.flash_bytes
            cells += [number(profile.instructions), number(flash), "equal"]
        yield table_row(name, board.description, *cells)


def adaptation_rows() -> Iterator[str]:
    """Models with a readout that learns: instructions of a step and of learning."""
    yield from table_header(
        "model", "step", "learning", "ratio", "flash", "RAM", "error of learned weights"
    )
    for name in [name for name in FIVE if "LTC" not in name]:
        model, options = model_of(name)
        plain = measured(model, "float32", **options).profiles["m4"]
        found = measured(model, "float32", adapt="readout", evaluation=options["evaluation"])
        profile = found.profiles["m4"]
        step = plain.instructions or float("nan")
        learning = (profile.instructions or float("nan")) - step
        error = found.result.learned_error
        error = float("inf") if error is None else error
        yield table_row(
            name,
            number(step),
            number(learning),
            with_bar(
                learning / step, ADAPT_RATIO, f"{learning / step:.2f} x", f"{ADAPT_RATIO:.0f} x"
            ),
            number(profile.flash_bytes),
            number(profile.ram_bytes),
            with_bar(error, LEARNED_ERROR, f"{error:.1e}", f"{LEARNED_ERROR:.0e}"),
        )
