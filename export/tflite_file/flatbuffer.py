"""Reads a .tflite file: its signatures, tensors and operations."""

import functools
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeAlias

import flatbuffers
import numpy as np

from export import compat
from export.forms.names import NEXT
from export.targets import STEP
from export.tflite_file.structure import IDENTIFIER, FileError, require_structure

# Objects of the generated schema, which has no usable types.
Model: TypeAlias = Any
Graph: TypeAlias = Any

# Name of the metadata that state the earliest runtime of a file.
MINIMUM_RUNTIME = "min_runtime_version"


@dataclass(frozen=True)
class Tensor:
    """An input or output of a file.

    Attributes:
        name: Its name in the signature.
        position: Its index among the file's inputs or outputs.
        shape: Its shape; the first axis is the batch.
        dtype: "float32", "int8" or "int16".
        scale: Real value of one quantization step; 0 for float.
        zero_point: The integer that represents 0.
        shape_signature: The same shape, with -1 for axes of any size.
    """

    name: str
    position: int
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    shape_signature: tuple[int, ...] = ()

    @property
    def range(self) -> tuple[float, float]:
        """Least and greatest real value of a quantized tensor."""
        limits = np.iinfo(self.dtype)
        return (
            (limits.min - self.zero_point) * self.scale,
            (limits.max - self.zero_point) * self.scale,
        )

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Convert real values to the tensor's dtype; values out of range saturate.

        Raises:
            ValueError: A value is not finite, such as that of a broken sensor.
        """
        values = np.asarray(values)
        if not np.all(np.isfinite(values)):
            wrong = values[~np.isfinite(values)].flat[0]
            raise ValueError(
                f"Tensor {self.name!r} of the file takes finite values; received {wrong}. "
                "Replace missing measurements before the step."
            )
        if not self.scale:
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        integers = np.round(values.astype("float64") / self.scale) + self.zero_point
        return np.clip(integers, limits.min, limits.max).astype(self.dtype)

    def dequantize(self, values: np.ndarray) -> np.ndarray:
        """Convert the tensor's values to real values."""
        if not self.scale:
            return np.asarray(values)
        return ((values.astype("float64") - self.zero_point) * self.scale).astype("float32")


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a step file. Output `next_h` is fed back into input `h`."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def states(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Each state's input and output."""
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


def unpack(content: bytes) -> Model:
    """Parse a file into a `ModelT` of the schema.

    Raises:
        FileError: The content is not a .tflite file, or its structure is damaged.
    """
    require_structure(content)
    schema = compat.tflite_schema()
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))


@functools.lru_cache(maxsize=4)
def parsed(content: bytes) -> Model:
    """Parse a file as `unpack` does, once; the result must not be changed."""
    return unpack(content)


def pack(model: Model) -> bytes:
    """Serialize a `ModelT` of the schema."""
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def signature_names(content: bytes) -> tuple[str, ...]:
    """Return the names of a file's signatures.

    Raises:
        ValueError: The content is not a .tflite file.
    """
    return tuple(_signatures(parsed(content)))


def read_signature(content: bytes, name: str = STEP) -> Signature:
    """Return the inputs and outputs of one signature of a file.

    Raises:
        ValueError: The content is not a .tflite file, or has no signature of that name.
    """
    model = parsed(content)
    signatures = _signatures(model)
    if name not in signatures:
        raise ValueError(
            f"The file has no signature {name!r}; it has: {', '.join(signatures) or 'none'}."
        )
    signature = signatures[name]
    graph = model.subgraphs[signature.subgraphIndex]

    def tensors(entries, indices):
        position_of = {index: position for position, index in enumerate(indices)}
        unsorted = [_tensor(entry, graph, position_of[entry.tensorIndex]) for entry in entries]
        return tuple(sorted(unsorted, key=lambda tensor: tensor.position))

    return Signature(
        tensors(signature.inputs, graph.inputs), tensors(signature.outputs, graph.outputs)
    )


def graph_of(model: Model, signature: str) -> Graph:
    """Return the subgraph of a signature."""
    return model.subgraphs[_signatures(model)[signature].subgraphIndex]


def read_operations(content: bytes, signature: str | None = None) -> Counter[tuple[str, str]]:
    """Count each (operation, dtype of its first output) in a file, or in one signature."""
    model = parsed(content)
    graphs = model.subgraphs if signature is None else [graph_of(model, signature)]
    return Counter(
        (name, dtype_of(graph.tensors[operator.outputs[0]]))
        for graph in graphs
        for name, operator in zip(operation_names(model, graph), graph.operators, strict=True)
    )


def operation_names(model: Model, graph: Graph) -> list[str]:
    """Return the name of each operation of a subgraph, in order."""
    builtin = vars(compat.tflite_schema().BuiltinOperator).items()
    name_of_code = {code: name for name, code in builtin if not name.startswith("_")}
    opcodes = [model.operatorCodes[operator.opcodeIndex] for operator in graph.operators or []]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in opcodes]
    unknown = set(codes) - set(name_of_code)
    if unknown:
        raise FileError(f"it has the unknown operation {unknown.pop()}")
    return [name_of_code[code] for code in codes]


def computed_tensors(content: bytes) -> dict[int, str]:
    """Return index and name of each tensor that an operation computes, in a file of one graph."""
    (graph,) = parsed(content).subgraphs
    indices = {int(index) for operator in graph.operators for index in operator.outputs}
    return {index: graph.tensors[index].name.decode() for index in sorted(indices)}


def weights_dtype(content: bytes) -> str:
    """Return the narrowest dtype of a file's matrices: "int8", "float16" or "float32"."""
    model = parsed(content)
    dtypes = {
        dtype_of(tensor)
        for graph in model.subgraphs
        for tensor in graph.tensors
        if tensor.shape is not None and len(tensor.shape) == 2 and is_constant(model, tensor)
    }
    return next((dtype for dtype in ("int8", "float16") if dtype in dtypes), "float32")


def dtype_of(tensor: Any) -> str:
    """Return the dtype of a tensor of the schema."""
    types = vars(compat.tflite_schema().TensorType).items()
    return {code: name.lower() for name, code in types}[tensor.type]


def minimum_runtime_version(content: bytes) -> str:
    """Return the earliest runtime version that a file states, such as "2.14.0"; "" if none.

    Raises:
        FileError: It is no version.
    """
    model = parsed(content)
    for entry in model.metadata or []:
        if entry.name == MINIMUM_RUNTIME.encode():
            data = model.buffers[entry.buffer].data
            text = bytes([] if data is None else data).rstrip(b"\0").decode("ascii", "replace")
            if text and not re.fullmatch(r"\d{1,4}(\.\d{1,4}){1,3}", text):
                raise FileError(f"its {MINIMUM_RUNTIME} is {text!r}")
            return text
    return ""


def is_constant(model: Model, tensor: Any) -> bool:
    """Return whether the file stores a tensor's values."""
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _signatures(model):
    return {entry.signatureKey.decode(): entry for entry in model.signatureDefs or []}


def _tensor(entry, graph, position):
    tensor = graph.tensors[entry.tensorIndex]
    scale, zero_point = 0.0, 0
    quantization = tensor.quantization
    if quantization is not None and quantization.scale is not None:
        scale, zero_point = float(quantization.scale[0]), int(quantization.zeroPoint[0])
    return Tensor(
        name=entry.name.decode(),
        position=position,
        shape=tuple(int(size) for size in tensor.shape),
        dtype=dtype_of(tensor),
        scale=scale,
        zero_point=zero_point,
        shape_signature=tuple(
            int(size)
            for size in (tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature)
        ),
    )
