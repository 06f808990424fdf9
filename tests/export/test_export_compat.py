"""One test per function of `export.compat`: says which feature of `export` an update breaks."""

import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from export import compat
from export.runtimes.interpreters import make_interpreter
from export.runtimes.micro import Micro
from export.tflite_file import flatbuffer


class Dense(tf.Module):
    """sigmoid(x kernel), with a signature `step`."""

    def __init__(self):
        super().__init__()
        kernel = np.random.default_rng(0).standard_normal((4, 3)) * [1, 10, 100]
        self.kernel = tf.constant(kernel.astype("float32"))

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32, name="x")])
    def step(self, x):
        return {"y": tf.sigmoid(tf.matmul(x, self.kernel))}


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("dense"))
    module = Dense()
    tf.saved_model.save(module, folder, signatures={"step": module.step.get_concrete_function()})
    return folder


@pytest.fixture(scope="module")
def float_file(saved_model):
    return tf.lite.TFLiteConverter.from_saved_model(saved_model).convert()


def test_schema(float_file):
    reason = "no .tflite file can be read or rewritten (export.tflite_file)"
    schema = compat.tflite_schema()
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(float_file, 0))
        (signature,) = model.signatureDefs
        (graph,) = model.subgraphs
        tensor = graph.tensors[graph.inputs[0]]
        fields = (
            signature.signatureKey,
            signature.inputs[0].name,
            signature.inputs[0].tensorIndex == graph.inputs[0],
            tuple(tensor.shape),
            tensor.type == schema.TensorType.FLOAT32,
            [model.operatorCodes[o.opcodeIndex].builtinCode for o in graph.operators],
        )
        _ = (tensor.quantization, tensor.buffer, model.buffers[0].data, model.metadata[0].buffer)
    except AttributeError as error:
        pytest.fail(f"{error}: {reason}")
    codes = [schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOperator.LOGISTIC]
    assert fields == (b"step", b"x", True, (1, 4), True, codes), reason
    repacked = make_interpreter(flatbuffer.pack(model)).get_signature_runner("step")
    x = np.ones((1, 4), "float32")
    assert repacked(x=x)["y"].shape == (1, 3), reason


@pytest.mark.parametrize("xnnpack", [True, False])
@pytest.mark.parametrize("litert", [True, False])
@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors")
def test_interpreter(litert, xnnpack, float_file, monkeypatch):
    if litert and not compat.has_litert():
        pytest.skip("no LiteRT wheel on this platform")
    monkeypatch.setattr(compat, "has_litert", lambda: litert)
    try:
        interpreter = compat.tflite_interpreter(float_file, True, xnnpack)
    except (TypeError, AttributeError) as error:
        pytest.fail(f"{error}: no file can be run on the host (export.runtimes.litert)")
    assert type(interpreter).__module__.startswith("ai_edge_litert" if litert else "tensorflow")
    interpreter.allocate_tensors()
    (position,) = [detail["index"] for detail in interpreter.get_input_details()]
    x = np.full((1, 4), 0.1, "float32")
    interpreter.set_tensor(position, x)
    interpreter.invoke()
    details = interpreter.get_tensor_details()
    values = [interpreter.get_tensor(d["index"]) for d in details if tuple(d["shape"]) == (1, 3)]
    product = x @ Dense().kernel.numpy()
    assert any(np.allclose(v, 1 / (1 + np.exp(-product))) for v in values)
    assert any(np.allclose(v, product) for v in values), (
        "intermediate tensors are lost, so ranges of int8 files cannot be observed"
    )


def test_has_litert(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert not compat.has_litert(), "TensorFlow's interpreter no longer replaces LiteRT's"


def test_16_bit_activations(saved_model):
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: iter([("step", {"x": np.ones((1, 4), "float32")})])
    try:
        compat.quantize_activations_to_int16(converter)
    except AttributeError as error:
        pytest.fail(f"{error}: recipe int16x8 cannot be converted for CMSIS-NN")
    model = flatbuffer.unpack(converter.convert())
    (graph,) = model.subgraphs
    names = flatbuffer.operation_names(model, graph)
    product = graph.operators[names.index("FULLY_CONNECTED")]
    activations, kernel = (graph.tensors[index] for index in product.inputs[:2])
    assert flatbuffer.dtype_of(activations) == "int16", "recipe int16x8 has no 16-bit activations"
    assert len(kernel.quantization.scale) == 1, "CMSIS-NN rejects the kernels of recipe int16x8"


def test_update_slice():
    @tf.function(
        input_signature=[tf.TensorSpec((5, 2), tf.float32), tf.TensorSpec((), tf.int32)],
        autograph=False,
    )
    def write(rows, index):
        return compat.update_slice(rows, tf.ones((1, 2)), tf.stack([index, 0]))

    concrete = write.get_concrete_function()
    content = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module()).convert()
    operations = {name for name, _ in flatbuffer.read_operations(content)}
    reason = "the sequence form needs operations that plain runtimes lack (export.forms.rnn_forms)"
    assert "DYNAMIC_UPDATE_SLICE" in operations, reason
    assert not any(name.startswith(("Flex", "Xla")) for name in operations), reason


def test_inline_calls():
    inner = tf.function(lambda x: tf.sigmoid(x), autograph=False)

    @tf.function(input_signature=[tf.TensorSpec((2,), tf.float32)], autograph=False)
    def outer(x):
        return tf.while_loop(lambda i, _: i < 3, lambda i, x: (i + 1, inner(x)), [0, inner(x)])[1]

    flat = compat.inline_calls(outer.get_concrete_function())
    types = {operation.type for operation in flat.graph.get_operations()}
    reason = "layers' operations stay hidden in function calls (export.graph)"
    assert "Sigmoid" in types and not types & {"PartitionedCall", "StatefulPartitionedCall"}, reason
    assert types & {"While", "StatelessWhile"}, "the kernel check finds no loops (export.graph)"


def test_graph_nodes():
    """Export reads each call of a model with its arguments, without calling it."""
    x = keras.Input((None, 3))
    layer = keras.layers.LSTM(2)
    y = layer(x * 2.0, mask=None)
    model = keras.Model(x, y)
    calls = list(compat.graph_nodes(model))
    assert [type(operation).__name__ for operation, *_ in calls] == ["Multiply", "LSTM"]
    (_, args, kwargs, outputs), (_, inner_args, _, results) = calls
    assert args == (x, 2.0) and kwargs == {}
    assert inner_args[0] is outputs[0] and results[0] is y
    assert len(layer._inbound_nodes) == 1


def test_flatten_layers():
    """Export checks the dtype of layers within layers, and takes operations of a graph."""
    inner = keras.layers.Dense(2)
    wrapper = keras.layers.TimeDistributed(inner)
    assert compat.flatten_layers(wrapper) == [wrapper, inner]
    x = keras.Input((3,))
    operation = keras.Model(x, keras.ops.tanh(x)).operations[-1]
    assert compat.flatten_layers(operation) == [operation]


def test_called_graphs():
    reason = "prune overlooks kernels within loops and calls (export.compress.roles)"
    inner = tf.function(lambda x: tf.sigmoid(x), autograph=False)

    @tf.function(input_signature=[tf.TensorSpec((2,), tf.float32)], autograph=False)
    def outer(x):
        y = tf.while_loop(lambda i, _: i < 3, lambda i, x: (i + 1, tf.tanh(x)), [0, inner(x)])[1]
        return tf.cond(y[0] > 0, lambda: tf.exp(y), lambda: tf.abs(y))

    found = {}
    for operation in outer.get_concrete_function().graph.get_operations():
        graphs = compat.called_graphs(operation)
        types = [{inner.type for inner in graph.get_operations()} for graph in graphs]
        if types:
            found[operation.type.removeprefix("Stateful").removeprefix("Stateless")] = types
    assert "Sigmoid" in found["PartitionedCall"][0], reason
    assert "Tanh" in found["While"][0], reason
    assert [bool({"Exp", "Abs"} & types) for types in found["If"]] == [True, True], reason


def test_replace_sublayer():
    reason = "quantize_aware of Bidirectional keeps the weights of a layer that it replaced"
    layer = keras.layers.Bidirectional(keras.layers.LSTM(2))
    new = keras.layers.LSTM(3)
    compat.replace_sublayer(layer, "forward_layer", new)
    assert layer.forward_layer is new, reason
    assert [part.units for part in layer._layers] == [2, 3], reason
    layer.build((None, 4, 5))
    assert {w.shape[-1] for w in layer.forward_layer.weights} == {12}, reason


def test_quantizers():
    reason = "quantize_aware has no quantizers (export.compress.quantization)"

    class Owner:
        def add_weight(self, name, shape=(), initializer=None, trainable=False):
            return tf.Variable(tf.zeros(shape or ()), trainable=trainable)

    quantizers = compat.tfmot_quantizers()
    options = {"num_bits": 8, "per_axis": False}
    values = tf.constant(np.linspace(-1, 2, 7).astype("float32"))
    for kind, symmetric in (("AllValuesQuantizer", False), ("LastValueQuantizer", True)):
        assert hasattr(quantizers, kind), reason
        quantizer = getattr(quantizers, kind)(
            symmetric=symmetric, narrow_range=symmetric, **options
        )
        ranges = quantizer.build(None, "range", Owner())
        assert {"min_var", "max_var"} <= ranges.keys(), reason
        rounded = quantizer(values, training=True, weights=ranges)
        np.testing.assert_allclose(rounded, values, atol=2 / 100, err_msg=reason)
        assert float(ranges["max_var"]) >= 2, reason


def test_tf_keras_stays_keras_3():
    compat.tfmot_quantizers()
    assert tf.keras.Model is keras.Model, "TFMOT turned tf.keras into Keras 2 for the user"


def test_polynomial_decay():
    schedule = compat.tfmot_polynomial_decay()(
        initial_sparsity=0.0, final_sparsity=0.5, begin_step=1, end_step=10, frequency=2
    )
    reason = "prune(model, share) has no schedule (export.compress.pruning)"
    update, share = schedule(tf.constant(9, tf.int64))
    assert bool(update) and float(share) == pytest.approx(0.5, abs=0.001), reason
    update, share = schedule(tf.constant(2, tf.int64))
    assert not bool(update) and float(share) < 0.5, reason


def test_pruning():
    weights = tf.Variable([[0.1, -2.0], [3.0, -0.2]])
    mask, threshold = tf.Variable(tf.ones((2, 2))), tf.Variable(0.0)
    step = tf.Variable(tf.constant(1, tf.int64))
    pruning = compat.tfmot_pruning()(
        lambda: step, [(weights, mask, threshold)], lambda _: (True, 0.5), (1, 1), "AVG", None
    )
    pruning.conditional_mask_update()
    pruning.weight_mask_op()
    reason = "prune does not set the smallest weights to zero (export.compress.pruning)"
    np.testing.assert_allclose(weights.numpy(), [[0, -2], [3, 0]], err_msg=reason)


def test_centroid_initializers():
    from export.compress.clustering import INITIALIZATIONS

    library = compat.tfmot_centroid_initializers()
    weights = np.random.default_rng(0).standard_normal((8, 8)).astype("float32")
    for kind in INITIALIZATIONS.values():
        reason = f"cluster has no {kind} (export.compress.clustering)"
        assert hasattr(library, kind), reason
        initializer = getattr(library, kind)(weights, 4, preserve_sparsity=False)
        assert np.asarray(initializer.get_cluster_centroids()).shape == (4,), reason


def test_arena_size(float_file):
    pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel on this platform")
    reason = "reports and LNN_ARENA_BYTES have no arena size (export.runtimes.micro)"
    try:
        used = Micro(float_file).arena_bytes
    except (AttributeError, RuntimeError) as error:
        pytest.fail(f"{error}: {reason}")
    assert 100 < used < 65536, reason


def test_arena_size_that_is_not_printed():
    class Interpreter:
        def print_allocations(self):
            pass

    with pytest.raises(RuntimeError, match=re.escape("no arena size; it printed: 'other'")):
        compat.micro_arena_bytes(Interpreter(), lambda: "other")
