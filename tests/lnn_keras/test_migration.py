"""Layers of ncps 1.0.1 that `from_ncps` converts have the same outputs."""

import keras
import numpy as np
import pytest
from matrix import numbers, same

from lnn_keras import from_ncps

ncps = pytest.importorskip("ncps")
ncps_keras = pytest.importorskip("ncps.keras")
STEPS, MANY_STEPS = 6, 50
WIRINGS = {
    "full": lambda: ncps.wirings.FullyConnected(8, 3),
    "random": lambda: ncps.wirings.Random(8, 3, sparsity_level=0.5),
    "ncp": lambda: ncps.wirings.NCP(6, 4, 3, 3, 2, 4, 2),
    "auto": lambda: ncps.wirings.AutoNCP(16, 3),
}
every_wiring = pytest.mark.parametrize("name", WIRINGS)
needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="ncps fails on other backends"
)
every_mode = pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])


@pytest.fixture
def x(random):
    return random.standard_normal((4, STEPS, 5)).astype("float32")


def built(layer, random, gain=1.0):
    """A layer with random weights, so that equal outputs imply equal equations."""
    layer.cell.build((None, 5))
    weights = layer.get_weights()
    layer.set_weights([gain * w * random.uniform(0.7, 1.3, w.shape) + 0.01 for w in weights])
    return layer


@every_wiring
def test_ltc(name, x, random):
    source = built(ncps_keras.LTC(WIRINGS[name](), return_sequences=True), random)
    same(from_ncps(source)(x), source(x), atol=1e-5)


@pytest.mark.slow
@every_wiring
def test_ltc_over_many_steps(name, random):
    x = random.standard_normal((4, MANY_STEPS, 5)).astype("float32")
    source = built(ncps_keras.LTC(WIRINGS[name](), return_sequences=True), random)
    same(from_ncps(source)(x), source(x), atol=1e-5)


@pytest.mark.parametrize("mapping", [None, "linear"])
def test_ltc_without_mappings(mapping, x, random):
    source = ncps_keras.LTC(WIRINGS["full"](), input_mapping=mapping, output_mapping=mapping)
    built(source, random)
    same(from_ncps(source)(x), source(x), atol=1e-5)


@every_mode
@pytest.mark.parametrize("backbone_layers", [0, 1, 2])
def test_cfc(mode, backbone_layers, x, random):
    source = ncps_keras.CfC(
        6, mode=mode, backbone_units=7, backbone_layers=backbone_layers, return_sequences=True
    )
    # Gains below 1, or float32 results drift apart in the modes with unbounded states.
    built(source, random, gain=0.5)
    same(from_ncps(source)(x), source(x), atol=1e-5)


@pytest.mark.slow
@every_mode
def test_cfc_over_many_steps(mode, random):
    x = random.standard_normal((4, MANY_STEPS, 5)).astype("float32")
    source = ncps_keras.CfC(6, mode=mode, backbone_units=7, return_sequences=True)
    built(source, random, gain=0.5)
    same(from_ncps(source)(x), source(x), atol=1e-5)


@every_mode
@every_wiring
def test_wired_cfc(name, mode, x, random):
    source = built(ncps_keras.CfC(WIRINGS[name](), mode=mode, return_sequences=True), random, 0.5)
    same(from_ncps(source)(x), source(x), atol=1e-5)


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 3.0])
def test_the_epsilon_of_ltc_is_a_leak(epsilon, x, random):
    source = built(ncps_keras.LTC(WIRINGS["auto"](), epsilon=epsilon, ode_unfolds=2), random)
    plain = ncps_keras.LTC(source.cell.wiring, ode_unfolds=2)
    plain.cell.build((None, 5))
    plain.set_weights(source.get_weights())
    same(from_ncps(source)(x), source(x), atol=1e-5)
    if epsilon:
        assert np.abs(numbers(source(x)) - numbers(plain(x))).max() > 1e-2


def test_an_epsilon_of_neurons_without_leak(x, random):
    source = built(ncps_keras.LTC(WIRINGS["full"](), epsilon=0.0), random)
    source.cell._params["gleak"].assign(np.zeros(8))
    same(from_ncps(source)(x), source(x), atol=1e-5)


@every_mode
def test_a_sparsity_mask_is_kept_in_training(mode, x, random):
    mask = (random.random((11, 6)) > 0.5).astype("float32")
    source = ncps_keras.CfC(
        6, mode=mode, backbone_units=0, backbone_layers=0, sparsity_mask=mask, return_sequences=True
    )
    built(source, random, gain=0.5)
    layer = from_ncps(source)
    same(layer(x), source(x), atol=1e-5)
    model = keras.Sequential([keras.Input((STEPS, 5)), layer])
    model.compile("sgd", "mse", run_eagerly=True)
    model.train_on_batch(x, np.zeros((4, STEPS, 6), "float32"))
    trained = np.concatenate([numbers(layer.cell.kernel), numbers(layer.cell.recurrent_kernel)])
    heads = 1 if mode == "pure" else 2
    assert not trained[:, : 6 * heads][np.tile(mask, heads) == 0].any()
    assert trained[:, : 6 * heads][np.tile(mask, heads) == 1].all()
    assert trained[:, 6 * heads :].all()


def test_fractions_in_a_sparsity_mask(x, random):
    mask = random.choice([0.0, 0.5, -2.0], (11, 6)).astype("float32")
    cell = ncps_keras.CfCCell(6, backbone_units=0, backbone_layers=0, sparsity_mask=mask)
    source = built(keras.layers.RNN(cell), random, gain=0.5)
    same(from_ncps(source)(x), source(x), atol=1e-5)


def test_an_activation_of_the_backbone(x, random):
    source = built(ncps_keras.CfC(6, activation="gelu", backbone_units=7), random)
    same(from_ncps(source)(x), source(x), atol=1e-5)


def test_initialization_ranges_are_in_the_weights(x):
    ranges = {"gleak": (0.5, 0.6), "mu": (0.1, 0.2), "sensory_sigma": (1, 2)}
    source = ncps_keras.LTC(WIRINGS["full"](), initialization_ranges=ranges)
    same(source(x), from_ncps(source)(x), atol=1e-5)


def test_a_wiring_that_several_layers_share(x, random):
    """`build` of ncps adds synapses to a wiring that is built already."""
    wiring = WIRINGS["auto"]()
    first = built(ncps_keras.LTC(wiring), random)
    synapses = np.abs(wiring.adjacency_matrix).sum()
    second = built(ncps_keras.LTC(wiring), random)
    third = built(ncps_keras.CfC(wiring), random)
    assert np.abs(wiring.adjacency_matrix).sum() > synapses
    for source in (first, second, third):
        same(from_ncps(source)(x), source(x), atol=1e-5)


MIXED = {
    "ltc": lambda **k: ncps_keras.LTC(WIRINGS["full"](), mixed_memory=True, **k),
    "cfc": lambda **k: ncps_keras.CfC(6, mixed_memory=True, backbone_units=7, **k),
    "wired": lambda **k: ncps_keras.CfC(WIRINGS["auto"](), mixed_memory=True, **k),
}


@needs_tensorflow
@pytest.mark.parametrize("name", MIXED)
def test_mixed_memory(name, x, random):
    source = built(MIXED[name](return_state=True), random, 0.5)
    source.cell.forget_gate_bias = 0.3
    for ours, theirs in zip(from_ncps(source)(x), source(x), strict=True):
        same(ours, theirs, atol=1e-5)


@needs_tensorflow
@pytest.mark.parametrize(
    "options",
    [
        {"return_state": True},
        {"go_backwards": True, "return_sequences": True},
        {"unroll": True},
        {"zero_output_for_mask": True, "return_sequences": True},
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.parametrize("name", ["ltc", "cfc"])
def test_options_of_the_layer(name, options, x, random):
    make = {
        "ltc": lambda: ncps_keras.LTC(WIRINGS["auto"](), **options),
        "cfc": lambda: ncps_keras.CfC(6, backbone_units=7, **options),
    }
    source = built(make[name](), random, 0.5)
    mask = np.array([[True] * STEPS, [True] * 4 + [False] * 2] * 2)
    ours, theirs = (layer(x, mask=mask) for layer in (from_ncps(source), source))
    for one, other in zip(keras.tree.flatten(ours), keras.tree.flatten(theirs), strict=True):
        same(one, other, atol=1e-5)


def test_states_of_a_stateful_layer_are_kept(x, random):
    source = ncps_keras.LTC(WIRINGS["auto"](), stateful=True)
    source(x[:, :1])
    converted = from_ncps(source)
    expected = [numbers(source(x[:, :1])) for _ in range(2)]
    for outputs in expected:
        same(converted(x[:, :1]), outputs, atol=1e-5)
    assert np.abs(expected[0] - expected[1]).max() > 1e-3


def test_a_double_precision_layer(x, random):
    """ncps passes no dtype to the cell of CfC, which stays in float32."""
    source = built(ncps_keras.CfC(6, backbone_units=7, dtype="float64"), random)
    same(from_ncps(source)(x), source(x), atol=1e-5)


def test_frozen_layers_stay_frozen(random):
    source = built(ncps_keras.LTC(WIRINGS["full"]()), random)
    assert from_ncps(source).trainable_weights
    source.trainable = False
    assert not from_ncps(source).trainable_weights


def test_a_converted_layer_is_saved(x, random, tmp_path):
    source = built(ncps_keras.LTC(WIRINGS["auto"]()), random)
    model = keras.Sequential([keras.Input((None, 5)), from_ncps(source)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numbers(loaded(x)), numbers(model(x)))
    wiring = loaded.layers[0].cell.wiring
    assert wiring.layers == model.layers[0].cell.wiring.layers and len(wiring.layers) == 3
    assert "units=16, outputs=3" in repr(wiring)


def test_a_file_loads_without_ncps(x, random):
    """Nothing in the config of a converted layer names ncps, whose registered names it has."""
    for source in (ncps_keras.CfC(6, backbone_units=7), ncps_keras.CfC(WIRINGS["auto"]())):
        layer = from_ncps(built(source, random))
        config = keras.saving.serialize_keras_object(layer)
        assert "ncps" not in str(config).replace(layer.name, "")
        assert "lnn_keras>lecun_tanh" in str(config) or "wiring" in str(config)


def refused(change, **options):
    source = ncps_keras.LTC(WIRINGS["full"](), **options)
    source.cell.build((None, 5))
    change(source.cell)
    return lambda: from_ncps(source)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: from_ncps(keras.layers.LSTM(3)), "received .*LSTM"),
        (lambda: from_ncps(None), "received .*NoneType"),
        (lambda: from_ncps(ncps_keras.LTC(WIRINGS["full"]())), "is not built"),
        (lambda: from_ncps(ncps_keras.LTCCell(WIRINGS["full"]())), "is not built"),
        (refused(lambda cell: cell._params["cm"].assign(np.zeros(8))), "capacitance `cm` of 0"),
        (refused(lambda cell: None, epsilon=-5.0), "`epsilon` -5.0, which makes the leak"),
        (
            lambda: from_ncps(built_on_zeros(ncps_keras.CfC(3, dtype="mixed_float16"))),
            "`dtype` mixed_float16",
        ),
        (
            lambda: from_ncps(built_on_zeros(ncps_keras.CfC(3, backbone_dropout=0.2))),
            "`backbone_dropout` 0.2, which CfCCell does not have",
        ),
        (lambda: from_ncps(mixed_gru()), "Cells of type .*GRUCell have no counterpart"),
    ],
)
def test_other_layers_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def mixed_gru():
    layer = keras.layers.RNN(ncps_keras.MixedMemoryRNN(keras.layers.GRUCell(3)))
    layer.cell.build((None, 5))
    return layer


def built_on_zeros(layer):
    layer(np.zeros((1, 2, 5), "float32"))
    return layer


def test_a_layer_without_dropout_takes_the_weights_of_one_with_it(x):
    """The remedy that the error about `backbone_dropout` names."""
    dropped = ncps_keras.CfC(6, backbone_units=7, backbone_dropout=0.2)
    expected = numbers(dropped(x))
    source = ncps_keras.CfC(6, backbone_units=7, backbone_dropout=0.0)
    source(x)
    source.set_weights(dropped.get_weights())
    same(from_ncps(source)(x), expected, atol=1e-5)


def test_dropout_of_a_backbone_without_layers_has_no_effect(x, random):
    cell = ncps_keras.CfCCell(6, backbone_units=0, backbone_layers=0)
    source = built(keras.layers.RNN(cell), random)
    same(from_ncps(source)(x), source(x), atol=1e-5)
