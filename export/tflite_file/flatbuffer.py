"""Read a .tflite file's tensors and operations, and refine those of an integer file."""

from collections import Counter
from dataclasses import dataclass

import flatbuffers
import numpy as np

from export.forms.step import NEXT
from export.targets import STEP
from export.tflite_file.narrow_ranges import narrow_ranges, share_scale

_IDENTIFIER = b"TFL3"


@dataclass(frozen=True)
class Tensor:
    """An input or output of a file.

    Attributes:
        name: Its name in the signature.
        position: Its place among the file's inputs or outputs.
        shape: Its shape; the first axis is the batch.
        dtype: Type of its numbers: "float32", "int8" or "int16".
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


def signature_names(content: bytes) -> tuple[str, ...]:
    """The names of a file's signatures.

    Raises:
        ValueError: The content is not a .tflite file.
    """
    return tuple(entry.signatureKey.decode() for entry in unpack(content).signatureDefs or [])


def read_signature(content: bytes, name: str = STEP) -> Signature:
    """The inputs and outputs of one signature of a file.

    Raises:
        ValueError: The content is not a .tflite file, or has no signature of that name.
    """
    model = unpack(content)
    signatures = {entry.signatureKey.decode(): entry for entry in model.signatureDefs or []}
    if name not in signatures:
        raise ValueError(
            f"The file has no signature {name!r}; it has: {', '.join(signatures) or 'none'}."
        )
    signature = signatures[name]
    graph = model.subgraphs[signature.subgraphIndex]

    def tensors(named, positions):
        order = {index: position for position, index in enumerate(positions)}
        found = [_tensor(entry, graph, order[entry.tensorIndex]) for entry in named]
        return tuple(sorted(found, key=lambda tensor: tensor.position))

    return Signature(
        tensors(signature.inputs, graph.inputs), tensors(signature.outputs, graph.outputs)
    )


def read_operations(content: bytes, signature: str | None = None) -> Counter[tuple[str, str]]:
    """How often each (operation, dtype of its first output) occurs in a file, or a signature."""
    model = unpack(content)
    named = {entry.signatureKey.decode(): entry.subgraphIndex for entry in model.signatureDefs}
    graphs = model.subgraphs if signature is None else [model.subgraphs[named[signature]]]
    return Counter(
        (name, dtype_of(graph.tensors[operator.outputs[0]]))
        for graph in graphs
        for name, operator in zip(operation_names(model, graph), graph.operators, strict=True)
    )


def operation_names(model, graph) -> list[str]:
    """The name of each operation of a subgraph, in order."""
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


def share_state_scales(content: bytes) -> bytes:
    """Give each state one scale as input and as output, so that feeding it back is a copy.

    The output takes the input's scale where the operation that makes it gives any; where
    the two differ by rounding alone, the input takes the output's. Others stay.
    """
    signature = read_signature(content)
    different = {tensor.name for tensor in differently_scaled_states(signature)}
    model = unpack(content)
    (graph,) = model.subgraphs
    names = operation_names(model, graph)
    for state, following in signature.states:
        entering, leaving = graph.inputs[state.position], graph.outputs[following.position]
        if following.name not in different:
            source = graph.tensors[leaving].quantization
            target = graph.tensors[entering].quantization
            target.scale, target.zeroPoint = source.scale, source.zeroPoint
        else:
            share_scale(graph, names, entering, leaving)
    return _pack(model)


def narrow_file(content: bytes, visited: dict[int, tuple[int, int]]) -> bytes:
    """Narrow the ranges of an int8 file to what it visits and what gates can tell apart.

    Args:
        content: The file.
        visited: Least and greatest number seen in each of its tensors, by index.
    """
    model = unpack(content)
    (graph,) = model.subgraphs
    narrow_ranges(graph, operation_names(model, graph), visited)
    return _pack(model)


def share_constants(content: bytes) -> bytes:
    """Keep one copy of constants and of scales that are the same, as unfolded steps have them."""
    model = unpack(content)
    first, kept, moved = {}, [], []
    for index, buffer in enumerate(model.buffers):
        data = None if buffer.data is None else bytes(buffer.data)
        # The buffer 0 is that of tensors without constants; empty ones stay as they are.
        if index and data and data in first:
            moved.append(first[data])
            continue
        moved.append(len(kept))
        if data:
            first[data] = len(kept)
        kept.append(buffer)
    model.buffers = kept
    tables = {}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = moved[tensor.buffer]
            if tensor.quantization is not None:
                table = _SharedTable(tensor.quantization)
                tensor.quantization = tables.setdefault(table.key, table)
    for entry in model.metadata or []:
        entry.buffer = moved[entry.buffer]
    return _pack(model)


class _SharedTable:
    """A table of scales that is written once, however many tensors have it."""

    def __init__(self, table):
        self.key = repr([np.asarray(v).tolist() for v in vars(table).values()])
        self._table, self._offset = table, None

    def Pack(self, builder):  # noqa: N802 - the schema's objects call it so
        if self._offset is None:
            self._offset = self._table.Pack(builder)
        return self._offset


def _pack(model):
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _schema():
    from tensorflow.lite.python import schema_py_generated

    return schema_py_generated


def unpack(content: bytes):
    """A file as the schema's object.

    Raises:
        ValueError: The content is not a .tflite file.
    """
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
        dtype=dtype_of(tensor),
        scale=float(quantization.scale[0]) if quantized else 0.0,
        zero_point=int(quantization.zeroPoint[0]) if quantized else 0,
    )


def dtype_of(tensor) -> str:
    """The type of a tensor's numbers."""
    schema = _schema()
    names = {code: name.lower() for name, code in vars(schema.TensorType).items()}
    return names[tensor.type]


def is_constant(model, tensor) -> bool:
    """Whether a tensor's numbers lie in the file."""
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def made_tensors(content: bytes) -> set[int]:
    """Indices of the tensors that operations of a file of one graph make."""
    (graph,) = unpack(content).subgraphs
    return {int(index) for operator in graph.operators for index in operator.outputs}


def weights_dtype(content: bytes) -> str:
    """The narrowest type in which a file holds a matrix: "int8", "float16" or "float32"."""
    model = unpack(content)
    found = {
        dtype_of(tensor)
        for graph in model.subgraphs
        for tensor in graph.tensors
        if tensor.shape is not None and len(tensor.shape) == 2 and is_constant(model, tensor)
    }
    return next((dtype for dtype in ("int8", "float16") if dtype in found), "float32")
