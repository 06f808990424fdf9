"""A model that learns as two files: its body in integers, and its adaptive readout in floats."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from export import recipes
from export.adaptation import Adaptation, AdaptiveData
from export.convert import convert
from export.data import as_sequences, real_inputs, verification_sequences
from export.forms.adaptive_readout import delay_of
from export.forms.model_graph import read_graph
from export.forms.step import Step, to_step
from export.recipes import Recipe
from export.runtimes.keras_step import keras_rollout
from export.runtimes.rollout import Rollout, Runtime, rollout
from export.runtimes.start import start_runtimes
from export.source import RECORDED_STEPS, DeviceFile, readout_files, record
from export.targets import Target
from export.tflite_file import flatbuffer
from export.tflite_file.layout import tensor_layout
from export.verification.measure_steps import Runs, compare
from export.verification.report import Report
from export.verification.verify import report_of
from lnn_keras.adapt.adaptive_model import TARGET
from lnn_keras.adapt.readout import readout
from lnn_keras.adapt.readout_cell import AdaptiveReadoutCell
from lnn_keras.adapt.stream_model import functional
from lnn_keras.compat import call_before

READOUT_FILE = "readout.tflite"
PREDICTION = "prediction"
# Layers that an integer file leaves to the scales of its inputs.
_FOLDED = (keras.layers.InputLayer, keras.layers.Normalization, keras.layers.Rescaling)
_FLOAT = recipes.get("float32")


@dataclass(frozen=True)
class ReadoutPair:
    """A model in two parts, and the whole that they are compared with.

    Attributes:
        data: The adaptive model, and its evaluation data.
        body: The model with the outputs `prediction` and `features`.
        readout: The adaptive readout, from inputs, features, prediction and target to the
            corrected prediction.
        sources: By name of an input of `readout`, the name of the input or output of `body` that
            it takes, or `target`.
    """

    data: AdaptiveData
    body: keras.Model
    readout: keras.Model
    sources: dict[str, str]

    def renamed(self, data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Data of the model, by the names of the body's inputs."""
        return dict(zip(read_graph(self.body).inputs, data.values(), strict=True))

    @property
    def body_inputs(self) -> dict[str, np.ndarray]:
        """The evaluation data without targets, by the names of the body's inputs."""
        names = read_graph(self.body).inputs
        return dict(zip(names, list(self.data.inputs.values())[:-1], strict=True))

    def convert_readout(self, target: Target) -> bytes:
        """The file of the readout."""
        return convert(to_step(self.readout), _FLOAT, target)

    def verify(
        self, body: bytes, readout: bytes, target: Target, recipe: Recipe, steps: int, reset: bool
    ) -> Report:
        """Compare both files in a chain with the adaptive model in Keras, on every runtime."""
        step, body_step = to_step(self.data.model), to_step(self.body, fold_scaling=True)
        sequences = as_sequences(step, self.data.inputs, "evaluation")
        rows = verification_sequences(step, sequences, steps, reset)
        body_rows = as_sequences(body_step, self.body_inputs, "evaluation")
        body_rows = verification_sequences(body_step, body_rows, steps, reset)
        bodies, missing, rejections = start_runtimes(body, target.runtimes)
        readouts, _, also_rejected = start_runtimes(readout, target.runtimes)
        second = {runtime.name: runtime for runtime in readouts}
        (output,) = step.outputs
        rollouts = {
            runtime.name: self._chain(
                runtime, second[runtime.name], body_step, body_rows, rows[TARGET], output
            )
            for runtime in bodies
            if runtime.name in second
        }
        arenas = [r.arena_bytes for r in (*bodies, *readouts) if r.arena_bytes is not None]
        runs = Runs(rollouts, sum(arenas) or None, missing, {**rejections, **also_rejected})
        measured = compare(body, step, rows, sequences, self.data.true_outputs, recipe, runs)
        described = f"the given data; features in {recipe.name}, the readout in float32"
        return report_of(self.data.model, [body, readout], target, recipe, described, measured)

    def _chain(
        self,
        body: Runtime,
        readout: Runtime,
        body_step: Step,
        rows: dict[str, np.ndarray],
        targets: np.ndarray,
        output: str,
    ) -> Rollout:
        """Run the body, and the readout on what it returns."""
        first = rollout(body, rows, body_step.initial_states)
        readout_step = to_step(self.readout)
        inputs = self._readout_rows(body_step, rows, first, targets)
        last = rollout(readout, inputs, readout_step.initial_states)
        (values,) = last.outputs.values()
        return Rollout(
            {output: values}, {**first.states, **last.states}, first.seconds + last.seconds
        )

    def _readout_rows(self, body_step, rows, first: Rollout, targets):
        """The readout's inputs (batch, time, size), by name."""
        given = real_inputs(body_step, rows)
        known = {
            **{name: body_step.scalings[name].to_real(v) for name, v in first.outputs.items()},
            **given,
            TARGET: targets,
        }
        return {name: known[source].astype("float32") for name, source in self.sources.items()}

    def source_files(self, content: bytes, target: Target) -> dict[str, str]:
        """The source files of the readout: text by file name."""
        step, body_step = to_step(self.readout), to_step(self.body, fold_scaling=True)
        rows = as_sequences(body_step, self.body_inputs, "evaluation")
        rows = verification_sequences(body_step, rows, RECORDED_STEPS)
        whole = to_step(self.data.model)
        targets = as_sequences(whole, self.data.inputs, "evaluation")
        targets = verification_sequences(whole, targets, RECORDED_STEPS)[TARGET]
        inputs = self._readout_rows(body_step, rows, keras_rollout(body_step, rows), targets)
        file = DeviceFile(
            content,
            tensor_layout(flatbuffer.read_signature(content), step),
            model=f"{read_graph(self.body).name}, readout",
            recipe=_FLOAT.name,
            recording=record(content, step, inputs) if target.batch == 1 else None,
            runtime=_FLOAT.runtime,
            delay=delay_of(step.graph),
        )
        return readout_files(target.name, file, self.sources)


def readout_pair(model: keras.Model, adaptation: Adaptation, data: AdaptiveData) -> ReadoutPair:
    """Split a model into its body and its adaptive readout.

    Features that only normalize inputs are computed by the readout, which takes these inputs.
    """
    graph = functional(model)
    found = readout(graph)
    computed = [tensor for tensor in found.features if not _is_folded(tensor)]
    names = [f"features_{i}" for i in range(len(computed))] if len(computed) > 1 else ["features"]
    outputs = dict(zip(names, computed, strict=True)) | {PREDICTION: graph.outputs[0]}
    body = keras.Model(graph.inputs, outputs, name=model.name)
    body_graph = read_graph(body)

    # Inputs of the readout, with the input or output of the body that they take.
    taken: list[tuple[Any, str]] = []
    clones: dict[int, Any] = {}
    features = []
    named_outputs = dict(zip(sorted(outputs), body_graph.outputs, strict=True))
    for tensor in found.features:
        if not _is_folded(tensor):
            name = next(n for n, t in outputs.items() if t is tensor)
            features.append(keras.Input((None, tensor.shape[-1]), name=name))
            taken.append((features[-1], named_outputs[name]))
            continue
        used = _inputs_behind(tensor)
        for source, name in zip(graph.inputs, body_graph.inputs, strict=True):
            if any(source is t for t in used) and id(source) not in clones:
                clones[id(source)] = keras.Input(tuple(source.shape[1:]), name=source.name)
                taken.append((clones[id(source)], name))
        own = [clones[id(source)] for source in used]
        is_input = len(used) == 1 and used[0] is tensor
        features.append(own[0] if is_input else keras.Model(used, tensor)(own))
    prediction = keras.Input((None, found.outputs), name=PREDICTION)
    target = keras.Input((None, found.outputs), name=TARGET)
    taken += [(prediction, named_outputs[PREDICTION]), (target, TARGET)]
    size = sum(tensor.shape[-1] for tensor in features)
    cell = AdaptiveReadoutCell(
        adaptation.method, size, found.outputs, adaptation.delay, name="adaptive_readout_cell"
    )
    layer: Any = keras.layers.RNN(cell, return_sequences=True, name="adaptive_readout")
    joined = keras.layers.Concatenate()([*features, prediction, target])
    whole = keras.Model([tensor for tensor, _ in taken], layer(joined), name="readout")
    files = read_graph(whole).inputs
    return ReadoutPair(
        data, body, whole, dict(zip(files, (name for _, name in taken), strict=True))
    )


def _is_folded(tensor):
    """Whether a tensor is an input of the model, at most normalized."""
    layer, inputs = call_before(tensor)
    return isinstance(layer, _FOLDED) and all(map(_is_folded, inputs))


def _inputs_behind(tensor):
    layer, inputs = call_before(tensor)
    if isinstance(layer, keras.layers.InputLayer):
        return [tensor]
    return list({id(t): t for given in inputs for t in _inputs_behind(given)}.values())
