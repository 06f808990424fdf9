"""Recipes start from the initial values of the published weights, not from today's defaults."""

import json

import keras
import numpy as np
import pytest

from zoo.hub.store import bundled_folder
from zoo.recurrent_layer import recurrent
from zoo.registry import PRESETS

# kernel, recurrent kernel, bias, logarithm of tau, A.
PUBLISHED = [
    -0.0045319,
    -1.0605512,
    0.6995449,
    -0.8964764,
    0.8809665,
    -0.3235142,
    0.9785058,
    0.0602514,
    -0.1972209,
    0.014536,
    0.9338351,
    0.3574085,
    0.2057061,
    -0.3525931,
    0.9128872,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.5801766,
    0.5460768,
    -0.8033905,
]
LIQUID = [name for name, preset in PRESETS.items() if preset.config.cell == "liquid"]


def without_none(config):
    """A config without unset values: versions of Keras write different ones."""
    return {name: value for name, value in config.items() if value is not None}


def cell_configs(config):
    """The initializers of all LiquidCells in the config of a model."""
    if isinstance(config, list):
        return [found for each in config for found in cell_configs(each)]
    if not isinstance(config, dict):
        return []
    if config.get("class_name") == "LiquidCell":
        return [
            {
                name: (value["class_name"], without_none(value["config"]))
                for name, value in config["config"].items()
                if name.endswith("_initializer")
            }
        ]
    return [found for each in config.values() for found in cell_configs(each)]


@pytest.mark.parametrize("name", LIQUID)
def test_recipe_starts_from_the_committed_initializers(name):
    preset = PRESETS[name]
    committed = json.loads((bundled_folder(preset) / "config.json").read_text())
    built = json.loads(preset.build(preset.config).to_json())
    assert cell_configs(built) == cell_configs(committed) != []


def test_values_of_a_seed_are_those_of_the_published_recipes():
    """Drawn with the defaults that LiquidCell had when the weights were published."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None, 2))
    model = keras.Model(inputs, recurrent(inputs, "liquid", 3))
    values = np.concatenate([np.ravel(value) for value in model.get_weights()])
    np.testing.assert_allclose(values, PUBLISHED, atol=1e-6)
