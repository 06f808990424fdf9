"""The half-cheetah task: its model in all sizes, and the full training (slow)."""

import numpy as np
import pytest

import export
import zoo
from export.targets import MICRO
from zoo import registry
from zoo.control import half_cheetah
from zoo.control.half_cheetah import HalfCheetahConfig
from zoo.experiments import runs
from zoo.recurrent_layer import CELLS

NAME = "half-cheetah-micro"


@pytest.mark.parametrize("cell", CELLS)
def test_model_of_any_size(cell, random):
    model = half_cheetah.build(HalfCheetahConfig(cell=cell, units=6))
    data = (random.standard_normal((8, 5, 17)) * 7 + 3).astype("float32")
    half_cheetah.prepare(model, data)
    hidden = model.get_layer("normalize")(data)
    np.testing.assert_allclose(np.asarray(hidden).mean((0, 1)), 0, atol=1e-5)
    restored = model.get_layer("restore")(hidden)
    np.testing.assert_allclose(restored, data, atol=1e-4)
    assert model(data).shape == data.shape


def test_unknown_cell_is_named():
    with pytest.raises(
        ValueError, match=r"cell 'gruu'; allowed: cfc, gru, liquid, lstm, stack. Did"
    ):
        HalfCheetahConfig(cell="gruu")


def test_compared_models_have_about_the_same_size():
    preset = registry.get(NAME)
    sizes = [runs.trainable_parameters(preset.build(c)) for c in preset.configs.values()]
    assert max(sizes) <= 10_000
    assert max(sizes) / min(sizes) < 1.05


@pytest.mark.slow
def test_training_beats_the_published_number(real_data, tmp_path):
    preset = registry.get(NAME)
    result = runs.run(preset, "liquid", 0, tmp_path)
    assert result["test"] < preset.bars[0].value


@pytest.mark.parametrize(("recipe", "tolerance"), [("int8", 0.045), ("int16x8", 0.025)])
def test_shipped_files_stay_close_in_every_test_trace(real_data, recipe, tolerance):
    """Two traces rear up to three times the pitch of the training traces."""
    model, content = zoo.load(NAME), zoo.exported(NAME, recipe)
    inputs, _ = half_cheetah.load_evaluation()
    expected = model.predict(inputs, verbose=0)
    predictions = export.predict_file(content, model, inputs, [MICRO])[MICRO]
    errors = [rms(p - e) / e.std() for p, e in zip(predictions, expected, strict=True)]
    assert max(errors) < tolerance
    assert max(errors) < 3 * min(errors)


def rms(values):
    return np.sqrt(np.mean(np.square(values)))
