# %% [markdown]
# # Control: the next reading of 17 sensors, on a microcontroller
#
# A liquid network predicts the next observation of a simulated runner, and becomes C source.
# `python examples/control.py` takes minutes, with `--quick` seconds.

# %%
import os
import sys

import keras
import numpy as np

import export
import lnn_keras
from zoo.data import half_cheetah

QUICK = "--quick" in sys.argv or "QUICK" in os.environ
keras.utils.set_random_seed(0)

# %% [markdown]
# Recorded traces, cut into windows of 32 steps; the target is the observation one step later.

# %%
x, y = half_cheetah.windows(half_cheetah.traces("train"))
test_x, test_y = half_cheetah.windows(half_cheetah.traces("test"))

# %% [markdown]
# Observations have different units: the model normalizes them, and restores the units at the end.

# %%
normalize, restore = keras.layers.Normalization(), keras.layers.Normalization(invert=True)
model = keras.Sequential(
    [
        keras.Input((None, half_cheetah.FEATURES)),
        normalize,
        lnn_keras.LiquidRNN(lnn_keras.LiquidCell(48, unfolds=2), return_sequences=True),
        keras.layers.Dense(half_cheetah.FEATURES),
        restore,
    ],
    name="runner",
)
normalize.adapt(x)
restore.adapt(x)
model.compile(keras.optimizers.Adam(0.005), "mse", jit_compile=True)
model.fit(x, y, batch_size=64, epochs=2 if QUICK else 40, verbose=2)

# %%
predicted = model.predict(test_x, verbose=0)
print(f"mean squared error: {np.mean((predicted - test_y) ** 2):.2f}")
print(f"the last reading again: {np.mean((test_x - test_y) ** 2):.2f}")

# %% [markdown]
# C source with 16-bit activations. The export fails if the compiled code differs from Keras by more
# than 2 % in 1,000 closed-loop steps, or if its error on the test traces is more than 1 % worse.

# %%
traces = half_cheetah.traces("test")[:2]
report = export.to_c(
    model,
    "build/runner",
    recipe="int16x8",
    calibration=half_cheetah.traces("train")[:, :500],
    evaluation=(traces[:, :-1], traces[:, 1:]),
)
report.print()
