"""Damaged .tflite files are refused before a runtime reads them, in one line each."""

import hashlib
import json
import struct

import flatbuffers
import numpy as np
import pytest
from export_models import reset_names_and_seeds, sequential, step_file

import export
from export import compat, recipes, targets
from export.convert import convert
from export.tflite_file import structure
from export.tflite_file.flatbuffer import minimum_runtime_version, pack, signature_names, unpack
from export.tflite_file.structure import FileError
from export.tflite_file.verifier import require_sound

BUILTIN = compat.tflite_schema().BuiltinOperator


@pytest.fixture(scope="module")
def content():
    """A float32 file of one step: FULLY_CONNECTED, TANH and the readout."""
    reset_names_and_seeds()
    return step_file(export.to_step(sequential("simple")), recipe="float32")


def operator(model, name):
    """The first operation of that name."""
    code = getattr(compat.tflite_schema().BuiltinOperator, name)
    graph = model.subgraphs[0]
    return next(
        o for o in graph.operators if model.operatorCodes[o.opcodeIndex].builtinCode == code
    )


def tensor(model, index):
    return model.subgraphs[0].tensors[index]


def first_input(model):
    return tensor(model, model.subgraphs[0].inputs[0])


def kernel(model):
    return tensor(model, operator(model, "FULLY_CONNECTED").inputs[1])


def quantized(scale, zero_point, axis=0):
    table = compat.tflite_schema().QuantizationParametersT()
    table.scale, table.zeroPoint = np.float32(scale), np.int64(zero_point)
    table.quantizedDimension = axis
    return table


def set_in(part, **values):
    for name, value in values.items():
        setattr(part, name, value)


DAMAGES = {
    "a tensor without a buffer": (lambda m: set_in(first_input(m), buffer=999), "missing buffer"),
    "a negative size": (lambda m: set_in(kernel(m), shape=[-6, 3]), "has the shape"),
    "a constant of another size": (lambda m: set_in(kernel(m), shape=[600, 3]), "its buffer has"),
    "too many elements": (lambda m: set_in(first_input(m), shape=[1, 2**31 - 1]), "bytes, more"),
    "two shapes": (lambda m: set_in(first_input(m), shapeSignature=[1, 7]), "two shapes"),
    "an unknown type": (lambda m: set_in(first_input(m), type=99), "unknown type 99"),
    "a text": (lambda m: set_in(first_input(m), type=5), "the type string"),
    "a variable": (lambda m: set_in(first_input(m), isVariable=True), "is a variable"),
    "a scale of a float": (
        lambda m: set_in(first_input(m), quantization=quantized([1.0], [0])),
        "has a scale",
    ),
    "an index": (lambda m: set_in(operator(m, "TANH"), inputs=[500]), "tensor 500 of"),
    "a missing input": (lambda m: set_in(operator(m, "TANH"), inputs=[-1]), "TANH lacks an input"),
    "too few inputs": (lambda m: set_in(operator(m, "TANH"), inputs=[]), "TANH has 0 inputs"),
    "an unknown code": (lambda m: set_in(operator(m, "TANH"), opcodeIndex=77), "code 77"),
    "an unknown operation": (lambda m: set_in(m.operatorCodes[0], builtinCode=999), "999"),
    "an operation of others": (
        lambda m: set_in(m.operatorCodes[0], builtinCode=BUILTIN.LSTM),
        "LSTM",
    ),
    "a loop of operations": (
        lambda m: set_in(operator(m, "TANH"), inputs=m.subgraphs[0].operators[-1].outputs),
        "before it is computed",
    ),
    "an input that is computed": (
        lambda m: set_in(operator(m, "TANH"), outputs=[int(m.subgraphs[0].inputs[0])]),
        "computed twice",
    ),
    "an output that is not computed": (
        lambda m: m.subgraphs[0].operators.pop(),
        "is never computed",
    ),
    "a shape that does not follow": (
        lambda m: set_in(tensor(m, operator(m, "TANH").outputs[0]), shape=[1, 500]),
        "gives the shape",
    ),
    "an option": (
        lambda m: set_in(operator(m, "FULLY_CONNECTED").builtinOptions, fusedActivationFunction=77),
        "fusedActivationFunction = 77",
    ),
    "a signature's subgraph": (lambda m: set_in(m.signatureDefs[0], subgraphIndex=4), "subgraph"),
    "a signature's tensor": (
        lambda m: set_in(m.signatureDefs[0].inputs[0], tensorIndex=9),
        "inputs",
    ),
    "a name with an escape": (
        lambda m: set_in(m.signatureDefs[0].inputs[0], name="\x1b[31m"),
        "are no text",
    ),
    "metadata": (lambda m: set_in(m.metadata[0], buffer=999), "metadata"),
    "no subgraph": (lambda m: set_in(m, subgraphs=[]), "no subgraphs"),
    "another schema": (lambda m: set_in(m, version=2), "version 2"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_field_is_named_in_one_line(name, content):
    damage, words = DAMAGES[name]
    model = unpack(content)
    damage(model)
    with pytest.raises(FileError) as raised:
        require_sound(pack(model))
    assert words in str(raised.value) and len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("scale", "zero_point", "axis", "words"),
    [
        ([np.nan], [0], 0, "no positive number"),
        ([0.0], [0], 0, "no positive number"),
        ([-1.0], [0], 0, "no positive number"),
        ([np.inf], [0], 0, "no positive number"),
        ([0.1], [300], 0, "zero point"),
        ([0.1], [0, 0], 0, "1 scales and 2 zero points"),
        ([0.1] * 4, [0] * 4, 0, "4 scales on axis 0"),
        ([0.1], [0], 9, "axis 9"),
    ],
)
def test_quantization_is_checked(scale, zero_point, axis, words, exported):
    model = unpack(exported("liquid").content)
    table = quantized(scale, zero_point, axis)
    set_in(first_input(model), quantization=table)
    with pytest.raises(FileError, match=words):
        require_sound(pack(model))


def test_bytes_that_end_early_or_flip_are_refused_or_harmless(content):
    for end in range(0, len(content), 37):
        with pytest.raises(FileError):
            require_sound(content[:end])
    random, refused = np.random.default_rng(0), 0
    for place in random.integers(0, len(content), 400):
        damaged = bytearray(content)
        damaged[place] ^= 1 << random.integers(8)
        try:
            require_sound(bytes(damaged))
        except FileError as error:
            refused += 1
            assert len(str(error).splitlines()) == 1
    assert refused > 50


def test_tables_that_many_others_share_do_not_multiply(content, monkeypatch):
    monkeypatch.setattr(structure, "MOST_TABLES", 10)
    with pytest.raises(FileError, match="more than 10 tables"):
        structure.require_structure(content)


def test_a_table_that_no_exported_file_has_is_refused():
    """A custom code in an operation code, which names a function of the runtime."""
    schema = compat.tflite_schema()
    builder = flatbuffers.Builder(0)
    code = schema.OperatorCodeT()
    code.customCode = b"FlexAdd"
    model = schema.ModelT()
    model.version, model.operatorCodes = 3, [code]
    builder.Finish(model.Pack(builder), file_identifier=structure.IDENTIFIER)
    with pytest.raises(FileError, match="OperatorCode has the field 1"):
        require_sound(bytes(builder.Output()))


def test_a_loop_runs_no_missing_subgraph_and_not_itself():
    reset_names_and_seeds()
    form = export.to_sequence(sequential("simple"))
    content = convert(None, recipes.get("float32"), targets.get("phone"), sequence=form)
    assert signature_names(content) == ("sequence",)
    for index, words in ((99, "missing subgraph 99"), (0, "runs itself")):
        damaged = unpack(content)
        operator(damaged, "WHILE").builtinOptions.bodySubgraphIndex = index
        with pytest.raises(FileError, match=words):
            require_sound(pack(damaged))


def test_a_file_states_the_earliest_runtime(content, exported):
    assert minimum_runtime_version(content) == "2.14.0"
    assert minimum_runtime_version(exported("liquid").content) == "2.20.0"
    damaged = unpack(content)
    (entry,) = (e for e in damaged.metadata if e.name == b"min_runtime_version")
    damaged.buffers[entry.buffer].data = np.frombuffer(b"2.\x1b[31m", "uint8")
    with pytest.raises(FileError, match="min_runtime_version is"):
        require_sound(pack(damaged))


def test_a_file_on_disk_is_read_or_named(content, tmp_path):
    path = tmp_path / "model.tflite"
    with pytest.raises(ValueError, match=r"There is no file .*model.tflite"):
        export.read_file(path)
    with pytest.raises(ValueError, match="cannot be read"):
        export.read_file(tmp_path)
    path.write_bytes(content)
    assert export.read_file(path) == content
    path.write_bytes(content[:-1000])
    with pytest.raises(ValueError, match=r"model.tflite: The .tflite file is damaged") as raised:
        export.read_file(path)
    assert len(str(raised.value).splitlines()) == 1


def test_the_report_in_the_folder_states_the_digest(content, tmp_path):
    path, report = tmp_path / "model.tflite", tmp_path / "report.json"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    report.write_text(json.dumps({"files": {"model.tflite": ""}, "file_sha256": digest}))
    assert export.read_file(path) == content
    # The last bytes of the file are no part of a table.
    path.write_bytes(content + struct.pack("<Q", 0))
    with pytest.raises(ValueError, match=r"is not the file that .*report.json describes"):
        export.read_file(path)
    for text in ("{", "[]", '{"files": {"model.tflite": ""}, "file_sha256": "12"}'):
        report.write_text(text)
        with pytest.raises(ValueError, match=r"report.json"):
            export.read_file(path)
