"""Checks of an installation that holds only keras, numpy and JAX.

    python -m venv lean && lean/bin/pip install ".[jax]"
    KERAS_BACKEND=jax lean/bin/python tests/lean_install.py

Run it from a folder that does not hold the packages. It trains a model, loads every bundled preset
and predicts with them, and reads the errors that name a missing extra.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

ABSENT = ("tensorflow", "ai_edge_litert", "flatbuffers", "typer", "platformdirs", "requests")


def check_environment() -> None:
    """Nothing but the core and JAX is installed."""
    assert keras.backend.backend() == "jax", keras.backend.backend()
    installed = [name for name in ABSENT if importlib.util.find_spec(name)]
    assert not installed, f"installed, but must not be: {installed}"


def check_training() -> None:
    """A liquid model learns to sum its inputs."""
    import lnn_keras

    x = np.random.default_rng(0).standard_normal((64, 12, 3)).astype("float32")
    model = keras.Sequential([lnn_keras.LiquidRNN(lnn_keras.LiquidCell(8)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.02), "mse")
    losses = model.fit(x, x.sum((1, 2))[:, None] / 6, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0], losses
    print(f"trained a LiquidCell on JAX: loss {losses[0]:.3f} -> {losses[-1]:.3f}")


def check_presets() -> None:
    """Every bundled preset loads; one predicts as well as its samples ask."""
    import zoo

    for name in zoo.PRESETS:
        zoo.load(name)
    samples = zoo.samples("half-cheetah-micro")
    predicted = zoo.load("half-cheetah-micro").predict(samples["inputs"][None], verbose=0)[0]
    error = float(np.mean((predicted - samples["targets"]) ** 2))
    assert error < 2, error
    print(f"loaded {len(zoo.PRESETS)} presets; half-cheetah-micro: MSE {error:.3f}")


def check_errors() -> None:
    """Errors about missing packages name the extra to install."""
    try:
        import export
    except ImportError as error:
        assert "lnn-keras[export]" in str(error), error
    else:
        raise AssertionError(f"{export} was imported without TensorFlow")
    command = [str(Path(sys.executable).with_name("lnn")), "presets"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode != 0 and "lnn-keras[zoo]" in result.stderr, result.stderr
    assert "Traceback" not in result.stderr, result.stderr
    print("missing extras are named")


if __name__ == "__main__":
    check_environment()
    check_training()
    check_presets()
    check_errors()
    assert "tensorflow" not in sys.modules
    print("all checks passed")
