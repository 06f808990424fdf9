# %% [markdown]
# # Biosignals: normal and ventricular heartbeats
#
# A liquid network reads the samples around each heartbeat of patients that it has never seen, and
# becomes a file for a microcontroller. `python examples/biosignals.py` takes minutes, with
# `--quick` seconds. Not a medical device.

# %%
import os
import sys

import keras
import numpy as np

import export
import lnn_keras
from zoo.data import mitdb

QUICK = "--quick" in sys.argv or "QUICK" in os.environ
NORMAL, VENTRICULAR = mitdb.CLASSES.index("N"), mitdb.CLASSES.index("V")
keras.utils.set_random_seed(0)


# %% [markdown]
# Each beat is 0.2 s before and 0.4 s after its peak, at 90 Hz instead of 360: once relative to the
# deviation of the patient's signal, and once relative to the patient's median beat.


# %%
def beats(names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Beats (beats, time, 2) of these patients, and whether each is ventricular (beats, 1)."""
    samples, labels = [], []
    for record in mitdb.records(names):
        signal = record.signal[:, 0] / record.signal[:, 0].std()
        whole = (record.peaks >= 72) & (record.peaks < len(signal) - 144)
        chosen = whole & np.isin(record.classes, (NORMAL, VENTRICULAR))
        parts = signal[record.peaks[chosen, None] + np.arange(-72, 144, 4)]
        parts -= np.median(parts, axis=1, keepdims=True)
        samples.append(np.stack([parts, parts - np.median(parts, axis=0)], axis=-1))
        labels.append(record.classes[chosen, None] == VENTRICULAR)
    return np.concatenate(samples).astype("float32"), np.concatenate(labels).astype("float32")


x, y = beats(mitdb.DS1[2:8] if QUICK else mitdb.DS1)
test_x, test_y = beats(mitdb.DS2[8:11] if QUICK else mitdb.DS2)

# %%
model = keras.Sequential(
    [
        keras.Input((None, 2)),
        lnn_keras.LiquidRNN(lnn_keras.LiquidCell(24, unfolds=1, elapsed=0.25)),
        keras.layers.Dense(1, activation="sigmoid"),
    ],
    name="heartbeats",
)
model.compile(keras.optimizers.Adam(0.005), "binary_crossentropy", jit_compile=True)
model.fit(x, y, batch_size=256, epochs=6 if QUICK else 15, verbose=2)

# %%
found = model.predict(test_x, verbose=0) > 0.5
hits = (found & (test_y > 0)).sum()
print(f"of {int(test_y.sum()):,} ventricular beats, {hits / test_y.sum():.1%} were found")
print(f"of {int(found.sum()):,} reported beats, {hits / max(found.sum(), 1):.1%} are ventricular")

# %%
report = export.to_tflite(
    model,
    "build/heartbeats",
    target="micro",
    recipe="int16x8",
    calibration=x[::50],
    evaluation=(test_x[::10], test_y[::10]),
)
report.print()
