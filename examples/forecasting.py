# %% [markdown]
# # Forecasting: the traffic of a highway in three hours
#
# A liquid network reads the traffic, the clouds and the clock of an interstate hour by hour, with
# the gaps of the recording as elapsed times, and becomes a file for a phone or a gateway.
# `python examples/forecasting.py` takes minutes, with `--quick` seconds.

# %%
import os
import sys

import keras
import numpy as np

import export
import lnn_keras
from zoo.data import metro_traffic

QUICK = "--quick" in sys.argv or "QUICK" in os.environ
HOURS, AHEAD = 48, 3
keras.utils.set_random_seed(0)

# %% [markdown]
# The table repeats some hours and lacks others. The first row of each hour counts.

# %%
table = metro_traffic.table()
hours = table["date_time"].astype("datetime64[h]").astype(int)
hours, first = np.unique(hours, return_index=True)
volume = (table["traffic_volume"][first] / 1000).astype("float32")
week = 2 * np.pi * np.outer(hours, [1 / 24, 1 / 168])
clock = np.concatenate([np.sin(week), np.cos(week)], axis=1)
rows = np.column_stack([volume, clock, table["clouds_all"][first] / 100]).astype("float32")

# %% [markdown]
# Windows of two days whose target, three hours later, was recorded. The last 15 % are for testing.

# %%
last = np.flatnonzero(np.isin(hours + AHEAD, hours))
last = last[last >= HOURS - 1]
target = volume[np.searchsorted(hours, hours[last] + AHEAD), None]
places = last[:, None] + np.arange(1 - HOURS, 1)
gaps = np.diff(hours, prepend=hours[0]).clip(0, 24).astype("float32")
x, elapsed = rows[places], gaps[places]
train, test = slice(0, int(0.85 * len(x)), 8 if QUICK else 1), slice(int(0.85 * len(x)), None, 4)

# %%
features = keras.Input((None, rows.shape[1]), name="hour")
time = keras.Input((None,), name="elapsed")
state = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(32, unfolds=2))(features, elapsed=0.25 * time)
change = keras.layers.Dense(1, kernel_initializer="zeros")(state)
outputs = keras.layers.Add()([features[:, -1, :1], change])
model = keras.Model([features, time], outputs, name="traffic")
model.compile(keras.optimizers.Adam(0.005), "mse", jit_compile=True)
model.fit(
    [x[train], elapsed[train]], target[train], batch_size=128, epochs=2 if QUICK else 10, verbose=2
)

# %%
predicted = model.predict([x[test], elapsed[test]], verbose=0)
error, naive = (
    1000 * np.sqrt(np.mean((value - target[test]) ** 2))
    for value in (predicted, x[test][:, -1, :1])
)
print(f"RMSE {error:.0f} vehicles per hour; the present traffic as the forecast: {naive:.0f}")

# %% [markdown]
# The file keeps its state between hours. It is compared with Keras before it is written.

# %%
report = export.to_tflite(
    model,
    "build/traffic",
    target="phone",
    recipe="float32",
    evaluation=({"hour": x[test], "elapsed": elapsed[test]}, target[test]),
)
report.print()
