# %% [markdown]
# # Forecasting: the oil temperature of a transformer in six hours
#
# A liquid network reads seven loads and temperatures hour by hour, and becomes a file for a phone or
# a gateway. `python examples/forecasting.py` takes minutes, with `--quick` seconds.

# %%
import os
import sys

import keras
import numpy as np

import export
import lnn_keras
from zoo.data import etth1

QUICK = "--quick" in sys.argv or "QUICK" in os.environ
HOURS, AHEAD = 96, 6
keras.utils.set_random_seed(0)

# %% [markdown]
# Windows of four days in units of standard deviations. The last column is the oil temperature.

# %%
splits = etth1.splits(HOURS, AHEAD)
data = {name: (x, y[:, -1, -1:]) for name, (x, y) in splits.items()}
(x, y), (test_x, test_y) = data["train"], data["test"]
if QUICK:
    x, y = x[::8], y[::8]

# %% [markdown]
# The model predicts how much the temperature changes, since the present value is a good guess.

# %%
inputs = keras.Input((None, len(etth1.COLUMNS)), name="loads")
state = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(32, unfolds=1, elapsed=0.25))(inputs)
change = keras.layers.Dense(1, kernel_initializer="zeros")(state)
model = keras.Model(inputs, keras.layers.Add()([inputs[:, -1, -1:], change]), name="transformer")
model.compile(keras.optimizers.Adam(0.002), "mse", jit_compile=True)
stop = keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)
model.fit(
    x,
    y,
    batch_size=64,
    epochs=1 if QUICK else 20,
    validation_data=data["validation"],
    callbacks=[stop],
    verbose=2,
)

# %%
degrees = etth1.scaling()[1][-1]
error = degrees * np.sqrt(np.mean((model.predict(test_x, verbose=0) - test_y) ** 2))
naive = degrees * np.sqrt(np.mean((test_x[:, -1, -1:] - test_y) ** 2))
print(f"RMSE {error:.2f} degrees; the present temperature as the forecast: {naive:.2f}")

# %% [markdown]
# The file keeps its state between hours. It is compared with Keras before it is written.

# %%
report = export.to_tflite(
    model, "build/transformer", target="phone", recipe="float32", evaluation=test_x[:64]
)
report.print()
