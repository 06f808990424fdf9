"""Arguments of the cells: names, documentation, configs, and their effect on the weights."""

import inspect
import re

import keras
import numpy as np
import pytest
from matrix import CELLS, DIAGONAL, FEATURES, numbers

import lnn_keras
from lnn_keras import CfCCell, LEFCell, LRCCell, LTCCell, MixedMemoryCell, cells

CLASSES = [getattr(cells, name) for name in cells.__all__]
BASES = (lnn_keras.ContinuousTimeCell, lnn_keras.ODECell, lnn_keras.DenseODECell)
KERAS_OPTIONS = [
    "use_bias",
    "kernel_initializer",
    "recurrent_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "recurrent_regularizer",
    "bias_regularizer",
    "kernel_constraint",
    "recurrent_constraint",
    "bias_constraint",
    "dropout",
    "recurrent_dropout",
    "seed",
]
DENSE_CELLS = [name for name in CELLS if name not in {"ltc", "ltc-ncp", "lrc"}]
every_dense_cell = pytest.mark.parametrize("name", DENSE_CELLS)
every_class = pytest.mark.parametrize("cell_class", CLASSES, ids=cells.__all__)


def dense_weights(cell):
    """The kernels and biases of a cell, without those of the inner cell of a mixed memory."""
    inner = {id(v) for v in cell.cell.variables} if isinstance(cell, MixedMemoryCell) else ()
    return [
        variable
        for variable in cell.trainable_variables
        if id(variable) not in inner and ("kernel" in variable.name or "bias" in variable.name)
    ]


def parameters_of(cell_class):
    return dict(list(inspect.signature(cell_class.__init__).parameters.items())[1:])


@every_class
def test_every_argument_is_named_typed_and_documented(cell_class):
    parameters = parameters_of(cell_class)
    kwargs = parameters.pop("kwargs")
    assert kwargs.kind is inspect.Parameter.VAR_KEYWORD
    text = inspect.cleandoc(cell_class.__doc__)
    arguments = text.split("\nArgs:\n")[1].split("\n\n")[0]
    documented = re.findall(r"^    (\w+):", arguments, re.MULTILINE)
    assert documented == list(parameters)
    for parameter in parameters.values():
        assert parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        assert parameter.annotation is not inspect.Parameter.empty


@every_class
def test_options_of_keras_have_the_order_of_keras(cell_class):
    names = list(parameters_of(cell_class))
    options = [name for name in names if name in KERAS_OPTIONS]
    others = [name for name in KERAS_OPTIONS if "recurrent" not in name]
    assert options in ([], KERAS_OPTIONS, others)
    of_lstm = [name for name in parameters_of(keras.layers.LSTMCell) if name in KERAS_OPTIONS]
    assert of_lstm == KERAS_OPTIONS


@pytest.mark.parametrize("name", CELLS)
def test_a_config_holds_every_argument(name):
    cell = CELLS[name]()
    assert set(parameters_of(type(cell))) - {"kwargs"} <= set(cell.get_config())


@every_dense_cell
def test_options_reach_the_weights_and_the_config(name):
    options = {
        "kernel_initializer": keras.initializers.Constant(0.25),
        "recurrent_initializer": keras.initializers.Constant(0.5),
        "bias_initializer": keras.initializers.Constant(2.0),
        "kernel_regularizer": "l1",
        "recurrent_regularizer": "l2",
        "bias_regularizer": "l1",
        "kernel_constraint": "non_neg",
        "recurrent_constraint": "unit_norm",
        "bias_constraint": "max_norm",
    }
    if name in DIAGONAL:
        options = {key: value for key, value in options.items() if "recurrent" not in key}
    cell = CELLS[name](**options)
    config = cell.get_config()
    cell = type(cell).from_config(config)
    assert cell.get_config() == config
    cell.build((None, FEATURES))
    kinds = {
        0.25: (keras.regularizers.L1, keras.constraints.NonNeg),
        0.5: (keras.regularizers.L2, keras.constraints.UnitNorm),
        2.0: (keras.regularizers.L1, keras.constraints.MaxNorm),
    }
    dense = dense_weights(cell)
    if name in DIAGONAL:
        del kinds[0.5]
    for variable in dense:
        regularizer, constraint = kinds[numbers(variable).flat[0]]
        assert isinstance(variable.regularizer, regularizer)
        assert isinstance(variable.constraint, constraint)
    assert {numbers(variable).flat[0] for variable in dense} == set(kinds)
    assert len(cell.losses) == len(dense)


@every_dense_cell
def test_cells_without_bias(name, random):
    cell, plain = CELLS[name](use_bias=False), CELLS[name](bias_initializer="zeros")
    for each in (cell, plain):
        each.build((None, FEATURES))
    assert not any("bias" in variable.name for variable in dense_weights(cell))
    # Zero biases give the same result.
    biases = {id(v) for v in dense_weights(plain) if "bias" in v.name}
    assert biases
    others = [v for v in plain.trainable_variables if id(v) not in biases]
    for variable, value in zip(others, cell.trainable_variables, strict=True):
        variable.assign(value)
    x = random.standard_normal((2, FEATURES)).astype("float32")
    states = cell.get_initial_state(2)
    for constants in (None, cell.constants(0.5)):
        actual, _ = cell.advance(cell.project(x), states, 0.5, constants)
        expected, _ = plain.advance(plain.project(x), states, 0.5)
        np.testing.assert_allclose(numbers(actual), numbers(expected), atol=1e-5)


def test_kernels_of_one_initializer_differ():
    """An unseeded initializer repeats its values, so later kernels use clones of it."""
    cell = CfCCell(3, backbone_units=6, backbone_layers=3)
    cell.build((None, FEATURES))
    assert (numbers(cell.later_layers[0][0]) != numbers(cell.later_layers[1][0])).any()


@pytest.mark.parametrize("cell_class", [LTCCell, LRCCell])
def test_initializers_of_synapses(cell_class):
    constants = {"leak": 0.5, "leak_reversal": 0.1, "sigma": 4.0, "mu": 0.6, "weight": 0.7}
    options = {
        f"{name}_initializer": keras.initializers.Constant(value)
        for name, value in constants.items()
    }
    cell = cell_class(4, **options)
    cell = cell_class.from_config(cell.get_config())
    cell.build((None, FEATURES))
    for variable in cell.weights:
        name = variable.name.removeprefix("sensory_")
        if name in constants:
            np.testing.assert_allclose(numbers(variable), constants[name], rtol=1e-6)


def test_initial_capacitances_and_time_constants_must_be_positive():
    for cell, argument in (
        (LTCCell(2, capacitance_initializer="zeros"), "capacitance_initializer"),
        (LEFCell(2, tau_initializer="zeros"), "tau_initializer"),
    ):
        with pytest.raises(ValueError, match=rf"`{argument}` must give values above 0"):
            cell.build((None, FEATURES))


@pytest.mark.parametrize("cell_class", BASES)
def test_abstract_methods_are_not_implemented(cell_class):
    arguments = (2, 2) if cell_class is lnn_keras.ContinuousTimeCell else (2,)
    cell = cell_class(*arguments)
    cell.build((None, FEATURES))
    x = np.zeros((1, FEATURES), "float32")
    with pytest.raises(NotImplementedError, match=r"must implement `(project|increments)`"):
        cell(x, cell.get_initial_state(1))
