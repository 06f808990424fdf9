"""Exports of diagonal liquid cells and of stacks of them."""

import numpy as np
import pytest
from export_models import compiled, fit, reset_names_and_seeds, sequential, step_file

import export
from export.forms.step import to_step
from export.tflite_file import flatbuffer
from export.tflite_file.cost import multiply_accumulates
from lnn_keras import DiagonalLiquidCell, LiquidRNN, LiquidStack


@pytest.fixture(scope="module")
def stack(waves):
    """A trained stack of two blocks in the form for integers."""
    reset_names_and_seeds()
    model = LiquidStack(4, 4, width=8, solver="semi_implicit")
    fit(compiled(model), waves, epochs=25)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["int8", "int16x8"])
def test_integer_files_of_a_trained_stack(recipe, stack, waves, tmp_path):
    """Errors and metric are within the tolerances of the recipe on every runtime."""
    report = export.to_tflite(
        stack,
        tmp_path / "device",
        target="micro",
        recipe=recipe,
        calibration=waves[:24, :-1],
        evaluation=(waves[24:, :-1], waves[24:, 1:]),
    )
    assert report.passed
    assert len(report.results) > 1


def test_whole_sequences_of_a_stack_with_strides(waves, tmp_path):
    """Elapsed times are an input, and a mean follows the first block."""
    reset_names_and_seeds()
    model = LiquidStack(4, 2, width=6, blocks=2, strides=(2, 1), elapsed="input")
    inputs = {
        "inputs": waves[:2, :12],
        "elapsed": np.random.default_rng(0).uniform(0.2, 2, (2, 12)).astype("float32"),
    }
    report = export.to_tflite(
        model, tmp_path / "phone", target="phone", recipe="float32", evaluation=inputs
    )
    assert report.passed


def test_the_recurrent_part_costs_no_products(waves):
    """Matrix products are those of the inputs and the readout: O(units)."""
    for units in (8, 16):
        cell = DiagonalLiquidCell(units, solver="semi_implicit")
        model = sequential(LiquidRNN(cell, return_sequences=True), features=4)
        content = step_file(to_step(model), recipe="float32")
        assert multiply_accumulates(content) == 4 * 2 * units + units * 2


@pytest.mark.parametrize("solver", ["exact", "semi_implicit"])
def test_quantization_aware_training(solver, waves):
    cell = DiagonalLiquidCell(5, solver=solver)
    model = sequential(LiquidRNN(cell, return_sequences=True), outputs=4, features=4)
    aware = compiled(export.compress.quantize_aware(model))
    losses = fit(aware, waves, epochs=2)
    assert losses[-1] < losses[0]


def test_files_of_a_parallel_layer_hold_the_loop(waves, tmp_path):
    reset_names_and_seeds()
    layer = LiquidRNN(DiagonalLiquidCell(5), return_sequences=True, parallel="scan")
    report = export.to_tflite(
        sequential(layer, features=4),
        tmp_path / "phone",
        target="phone",
        recipe="float32",
        evaluation=np.repeat(waves[:2], 12, axis=1),
    )
    assert report.passed
    content = (tmp_path / "phone" / "model.tflite").read_bytes()
    # Blocks would be reshaped and padded.
    assert "PAD" not in {name for name, _ in flatbuffer.read_operations(content, "sequence")}
