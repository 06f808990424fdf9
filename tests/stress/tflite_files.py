"""Damaged .tflite files through the functions that take files of others."""

import copy
import functools
import hashlib
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import keras
import numpy as np

from tests.stress.isolated import IsolatedCheck
from tests.stress.kinds import Kind, Result
from tests.stress.trials import damaged_bytes, run_trials, unclear_error

layers = keras.layers
STEPS, FEATURES = 3, 3
# A file that runs for ever is no death of the product; few seconds make trials cheap.
SILENCE_SECONDS = 4.0
# Parts of the messages where a runtime's process died or hung.
DEATHS = ("process died", "gave no answer")
EVENTS = "events.txt"
NUMBERS = (-(2**31), -129, -2, -1, 0, 1, 2, 3, 7, 127, 255, 256, 2**15, 2**31 - 1)
REALS = (0.0, -1.0, float("nan"), float("inf"), 1e30, 1e-30, 1e-45, 0.5)


@dataclass(frozen=True)
class Base:
    """A file that exports give, and the folder of its model.

    Attributes:
        name: Model, target and recipe.
        folder: Folder with the saved models.
        content: The file.
    """

    name: str
    folder: str
    content: bytes

    @property
    def model(self) -> str:
        """Path of the saved model."""
        return f"{self.folder}/{self.name.split()[0]}.keras"


def _models() -> dict[str, Any]:
    """Small models with the operations that most files have."""
    from lnn_keras import CfCCell, LiquidCell, LiquidRNN

    x = keras.Input((None, FEATURES), name="x")
    hidden = layers.Bidirectional(layers.SimpleRNN(3, return_sequences=True))(x)
    window = [
        keras.Input((6, FEATURES), name="x"),
        layers.Conv1D(4, 3, padding="causal"),
        layers.GRU(3),
    ]
    return {
        "liquid": keras.Sequential(
            [
                keras.Input((None, FEATURES), name="x"),
                LiquidRNN(LiquidCell(4, unfolds=2), return_sequences=True),
                layers.Dense(2),
            ]
        ),
        "cfc": keras.Sequential(
            [
                keras.Input((None, FEATURES), name="x"),
                LiquidRNN(CfCCell(3), return_sequences=True),
                layers.Dense(2, activation="softmax"),
            ]
        ),
        "window": keras.Sequential([*window, layers.Dense(1)]),
        "whole": keras.Model(x, layers.Dense(1)(hidden)),
    }


_FILES = {
    "liquid": ("micro float32", "micro int8", "micro int16x8", "phone float32", "phone dynamic"),
    "cfc": ("micro int8", "phone float16"),
    "window": ("micro float32", "micro int8"),
    "whole": ("phone float32",),
}


@functools.lru_cache(maxsize=4)
def bases(names: tuple[str, ...] = ()) -> tuple[Base, ...]:
    """The files that are damaged, made once: all, or those of some names."""
    keras.utils.set_random_seed(0)
    folder = tempfile.mkdtemp(prefix="tflite-stress-")
    found = []
    for name, model in _models().items():
        model.save(f"{folder}/{name}.keras")
        for described in _FILES[name]:
            if not names or f"{name} {described}" in names:
                found.append(Base(f"{name} {described}", folder, _converted(model, described)))
    return tuple(found)


def _converted(model: Any, described: str) -> bytes:
    """The file of a target and a recipe, without its verification."""
    import export
    from export.calibration import closed_loop_samples
    from export.convert import convert
    from export.pipeline import forms_of

    target, recipe = described.split()
    target, recipe = export.TARGETS[target], export.RECIPES[recipe]
    forms, samples = forms_of(model, target, recipe), []
    if recipe.is_integer:
        data = np.random.default_rng(0).standard_normal((4, 12, FEATURES)).astype("float32")
        samples = closed_loop_samples(forms.step, export.as_sequences(forms.step, data))
    return convert(forms.step, recipe, target, samples, forms.sequence)


@st.composite
def damaged_files(draw: st.DrawFn, files: tuple[Base, ...]) -> Base:
    """A file with damaged bytes, or with damaged fields and intact offsets."""
    base = draw(st.sampled_from(files))
    if draw(st.booleans()):
        return Base(base.name, base.folder, draw(damaged_bytes(base.content)))
    return Base(base.name, base.folder, _damaged_fields(base.content, draw(st.integers(0, 2**32))))


def _damaged_fields(content: bytes, seed: int) -> bytes:
    """The file with one to three fields changed, and packed again."""
    from export.tflite_file.flatbuffer import pack, unpack

    generator = random.Random(seed)
    while True:
        model = copy.deepcopy(unpack(content))
        for _ in range(generator.randint(1, 3)):
            _damage(generator, model)
        try:
            return pack(model)
        except Exception:
            # A value that its field cannot hold.
            continue


def _damage(generator: random.Random, table: Any) -> None:
    """Change a field of a table, or one of a table within it."""
    name, value = generator.choice(list(vars(table).items()))
    if isinstance(value, list) and value and hasattr(value[0], "__dict__"):
        if generator.random() < 0.9:
            _damage(generator, generator.choice(value))
        elif generator.random() < 0.5:
            value.pop(generator.randrange(len(value)))
        else:
            value.append(generator.choice(value))
    elif hasattr(value, "__dict__"):
        if generator.random() < 0.9 and vars(value):
            _damage(generator, value)
        else:
            setattr(table, name, None)
    elif isinstance(value, np.ndarray) and len(value):
        setattr(table, name, _damaged_array(generator, value))
    elif isinstance(value, bool):
        setattr(table, name, not value)
    elif isinstance(value, int):
        setattr(table, name, generator.choice([*NUMBERS, value + 1, value - 1]))
    elif isinstance(value, float):
        setattr(table, name, generator.choice(REALS))
    elif isinstance(value, bytes):
        setattr(table, name, generator.choice([b"", b"x", value + b"x", b"\x1b[31m", b"step"]))
    elif value is None:
        numbers = generator.choice([[], [1], [2, 3]])
        setattr(table, name, generator.choice([None, np.array(numbers, "int32")]))


def _damaged_array(generator: random.Random, value: np.ndarray) -> Any:
    array, edit = value.copy(), generator.random()
    if edit < 0.15:
        return array[:-1]
    if edit < 0.3:
        return np.append(array, array[-1:])
    if edit < 0.35:
        return None
    numbers = REALS if array.dtype.kind == "f" else NUMBERS
    number = generator.choice([*numbers, int(array[0]) if array.dtype.kind != "f" else 2.0])
    with np.errstate(all="ignore"):
        array[generator.randrange(len(array))] = np.array(number).astype(array.dtype)
    return array


@functools.lru_cache(maxsize=8)
def saved_model(path: str) -> Any:
    """The model of a file."""
    import lnn_keras  # noqa: F401 - its layers are in the files

    return keras.saving.load_model(path)


def check(example: Base) -> str | None:
    """Run a few steps of a file on each runtime: numbers, or one clear error."""
    import export
    from export.runtimes import isolated, runtime_process
    from export.targets import BUILT_IN, MICRO, SEQUENCE, XNNPACK
    from export.tflite_file.flatbuffer import signature_names

    runtime_process.SILENCE_SECONDS = isolated.SILENCE_SECONDS = SILENCE_SECONDS
    isolated.SECONDS_PER_ROW = 0.0
    names = (XNNPACK, BUILT_IN, MICRO)
    x = np.linspace(-1, 1, 6 * FEATURES, dtype="float32").reshape(1, 6, FEATURES)
    model = saved_model(example.model)

    def run():
        if "whole" in example.name:
            export.predict_file(example.content, model, x, names)
            return
        for stepper in export.steppers(example.content, model, names):
            for step in range(STEPS):
                stepper(x[:, step])
        if SEQUENCE in signature_names(example.content):
            from export.runtimes.sequences import run_sequence

            run_sequence(example.content, {"x": x})

    return unclear_error(lambda: _counted(run, example), "file")


def _counted(run: Callable[[], None], example: Base) -> None:
    """Run, and note how it ended; keep files that the verifier lets through to their victims."""
    event = "ran"
    try:
        run()
    except Exception as error:
        died = any(text in str(error) for text in DEATHS)
        event = "died" if died else type(error).__name__
        if died:
            digest = hashlib.sha256(example.content).hexdigest()[:12]
            Path(example.folder, f"died-{digest}.tflite").write_bytes(example.content)
            Path(example.folder, f"died-{digest}.txt").write_text(f"{example.name}: {error}\n")
        raise
    finally:
        with Path(example.folder, EVENTS).open("a") as file:
            file.write(event + "\n")


def run(
    count: int, seed: int, names: tuple[str, ...] = (), in_this_process: bool = False
) -> Result:
    """Damage files, all or those of some names, and run them.

    Args:
        count: Number of files.
        seed: Seed of the damages.
        names: Names of the files that are damaged.
        in_this_process: Take the files here, which is quicker to start; a failure would end it.
    """
    files = bases(names)
    events = Path(files[0].folder, EVENTS)
    events.write_text("")
    if in_this_process:
        return run_trials(damaged_files(files), check, count, seed)
    with IsolatedCheck(check, seconds=60) as isolated:
        result = run_trials(damaged_files(files), isolated, count, seed)
    print(dict(Counter(events.read_text().split())), "in", files[0].folder)
    return result


KINDS = (
    Kind(
        name="damaged .tflite files",
        count=5_000,
        run=run,
        right="numbers, or one line that names the file's fault; the process lives",
    ),
)
