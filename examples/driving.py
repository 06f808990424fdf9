# %% [markdown]
# # Driving: how a driver reacts to the car in front
#
# A liquid network predicts the acceleration of a human driver over the next second from spacing and
# speeds, and becomes C source. `python examples/driving.py` takes minutes, with `--quick` seconds.

# %%
import os
import sys

import keras
import numpy as np

import export
import lnn_keras
from zoo.data import ngsim

QUICK = "--quick" in sys.argv or "QUICK" in os.environ
STEPS, AHEAD = 60, 10  # of 0.1 s
keras.utils.set_random_seed(0)


# %% [markdown]
# Recorded events are cut into windows of six seconds; the target is the change of speed per second.


# %%
def windows(events: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (windows, time, 4), and accelerations (windows, time, 1) in m/s^2."""
    found = []
    for event in events:
        speed = event[:, ngsim.COLUMNS.index("speed")]
        change = (speed[AHEAD:] - speed[:-AHEAD]) * ngsim.HERTZ / AHEAD
        for start in range(0, len(change) - STEPS, STEPS // 2):
            steps = slice(start, start + STEPS)
            found.append((event[steps], change[steps, None]))
    inputs, targets = zip(*found, strict=True)
    return np.stack(inputs).astype("float32"), np.stack(targets).astype("float32")


splits = {name: windows(events) for name, events in ngsim.splits().items()}
(x, y), (test_x, test_y) = splits["train"], splits["test"]

# %%
normalize = keras.layers.Normalization()
model = keras.Sequential(
    [
        keras.Input((None, len(ngsim.COLUMNS))),
        normalize,
        lnn_keras.LiquidRNN(
            lnn_keras.LiquidCell(32, unfolds=1, elapsed=1 / ngsim.HERTZ), return_sequences=True
        ),
        keras.layers.Dense(1),
    ],
    name="driver",
)
normalize.adapt(x)
model.compile(keras.optimizers.Adam(0.005), "mse", jit_compile=True)
model.fit(x, y, validation_data=splits["validation"], epochs=2 if QUICK else 40, verbose=2)

# %%
error = np.sqrt(np.mean((model.predict(test_x, verbose=0) - test_y) ** 2))
print(f"RMSE {error:.3f} m/s^2; constant speed as the forecast: {np.sqrt(np.mean(test_y**2)):.3f}")

# %%
report = export.to_c(
    model, "build/driver", recipe="int16x8", calibration=x[:256], evaluation=(test_x, test_y)
)
report.print()
