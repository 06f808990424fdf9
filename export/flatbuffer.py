"""Read a .tflite file's tensors and operations, and refine those of an integer file."""

from collections import Counter
from dataclasses import dataclass

import flatbuffers
import numpy as np

from export.ranges import narrow_ranges
from export.step import NEXT

_IDENTIFIER = b"TFL3"


@dataclass(frozen=True)
class Tensor:
    """An input or output of a file.

    Attributes:
        name: Its name in the signature.
        position: Its place among the file's inputs or outputs.
        shape: Its shape; the first axis is the batch.
        dtype: Type of its numbers: "float32" or "int8".
        scale: Real value of one unit; 0 for float.
        zero_point: The integer that stands for 0.
    """

    name: str
    position: int
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest real value that a quantized tensor can hold."""
        limits = np.iinfo(self.dtype)
        return tuple((end - self.zero_point) * self.scale for end in (limits.min, limits.max))

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Real values -> what the tensor holds; values out of range saturate."""
        if not self.scale:
            return np.asarray(values, self.dtype)
        limits = np.iinfo(self.dtype)
        numbers = np.round(np.asarray(values, "float64") / self.scale) + self.zero_point
        return np.clip(numbers, limits.min, limits.max).astype(self.dtype)

    def dequantize(self, numbers: np.ndarray) -> np.ndarray:
        """What the tensor holds -> real values."""
        if not self.scale:
            return np.asarray(numbers)
        return ((numbers.astype("float64") - self.zero_point) * self.scale).astype("float32")


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a step file. Output `next_h` becomes input `h`."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def states(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Pairs of a state's input and output."""
        outputs = {tensor.name: tensor for tensor in self.outputs}
        return tuple(
            (tensor, outputs[NEXT + tensor.name])
            for tensor in self.inputs
            if NEXT + tensor.name in outputs
        )

    @property
    def data_inputs(self) -> tuple[Tensor, ...]:
        """The inputs that are not states."""
        states = {tensor.name for tensor, _ in self.states}
        return tuple(tensor for tensor in self.inputs if tensor.name not in states)

    @property
    def data_outputs(self) -> tuple[Tensor, ...]:
        """The outputs that are not next states."""
        states = {tensor.name for _, tensor in self.states}
        return tuple(tensor for tensor in self.outputs if tensor.name not in states)


def read_signature(content: bytes) -> Signature:
    """The inputs and outputs of a file's only signature.

    Raises:
        ValueError: The content is not a .tflite file or does not have one signature.
    """
    model = _unpack(content)
    signatures = model.signatureDefs or []
    if len(signatures) != 1:
        raise ValueError(f"The file must have one signature, the step; it has {len(signatures)}.")
    graph = model.subgraphs[signatures[0].subgraphIndex]

    def tensors(named, positions):
        order = {index: position for position, index in enumerate(positions)}
        found = [_tensor(entry, graph, order[entry.tensorIndex]) for entry in named]
        return tuple(sorted(found, key=lambda tensor: tensor.position))

    return Signature(
        tensors(signatures[0].inputs, graph.inputs), tensors(signatures[0].outputs, graph.outputs)
    )


def read_operations(content: bytes) -> Counter[tuple[str, str]]:
    """How often each (operation, dtype of its first output) occurs in a file."""
    model = _unpack(content)
    return Counter(
        (name, _dtype(graph.tensors[operator.outputs[0]]))
        for graph in model.subgraphs
        for name, operator in zip(_operation_names(model, graph), graph.operators, strict=True)
    )


def _operation_names(model, graph):
    builtin = vars(_schema().BuiltinOperator).items()
    names = {code: name for name, code in builtin if not name.startswith("_")}
    opcodes = [model.operatorCodes[operator.opcodeIndex] for operator in graph.operators]
    found = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in opcodes]
    return [
        code.customCode.decode() if name == "CUSTOM" else name
        for name, code in zip(found, opcodes, strict=True)
    ]


def differently_scaled_states(signature: Signature) -> list[Tensor]:
    """The outputs of the states whose input has another scale, by more than rounding."""
    return [
        following
        for state, following in signature.states
        if not np.isclose(state.scale, following.scale, rtol=1e-3, atol=0)
        or abs(state.zero_point - following.zero_point) > 1
    ]


def refine_integer_file(content: bytes, visited: dict[int, tuple[int, int]]) -> bytes:
    """Give each state's input the scale of its output; narrow ranges to what matters.

    Feeding a state back is a copy then, and gates resolve the part that matters.

    Args:
        content: The file.
        visited: Least and greatest number seen in each of its tensors, by index.

    Raises:
        ValueError: A state's two scales differ by more than rounding; changing one
            would change the model.
    """
    signature = read_signature(content)
    different = differently_scaled_states(signature)
    if different:
        raise ValueError(
            f"The state {different[0].name.removeprefix(NEXT)!r} has another scale as input than "
            f"as output ({different[0].scale:.6g}), so it cannot be fed back."
        )
    model = _unpack(content)
    (graph,) = model.subgraphs
    for state, following in signature.states:
        source = graph.tensors[graph.outputs[following.position]].quantization
        target = graph.tensors[graph.inputs[state.position]].quantization
        target.scale, target.zeroPoint = source.scale, source.zeroPoint
    narrow_ranges(graph, _operation_names(model, graph), visited)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _schema():
    from tensorflow.lite.python import schema_py_generated

    return schema_py_generated


def _unpack(content):
    if content[4:8] != _IDENTIFIER:
        raise ValueError("The content is not a .tflite file: its identifier is missing.")
    schema = _schema()
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))


def _tensor(entry, graph, position):
    tensor = graph.tensors[entry.tensorIndex]
    quantization = tensor.quantization
    quantized = quantization is not None and quantization.scale is not None
    return Tensor(
        name=entry.name.decode(),
        position=position,
        shape=tuple(int(size) for size in tensor.shape),
        dtype=_dtype(tensor),
        scale=float(quantization.scale[0]) if quantized else 0.0,
        zero_point=int(quantization.zeroPoint[0]) if quantized else 0,
    )


def _dtype(tensor):
    schema = _schema()
    names = {code: name.lower() for name, code in vars(schema.TensorType).items()}
    return names[tensor.type]
