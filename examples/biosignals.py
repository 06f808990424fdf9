# %% [markdown]
# # Biosignals: normal and ventricular heartbeats
#
# A liquid network reads the samples around each heartbeat of a patient it has never seen, and becomes
# an int8 file for a microcontroller. `python examples/biosignals.py` takes minutes, with `--quick`
# seconds. Not a medical device.

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
# Each beat is 0.2 s before and 0.4 s after its peak, at 90 Hz instead of 360, in millivolts.

# %%
def beats(names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The samples (beats, time, 1) of these patients, and whether each beat is ventricular."""
    found = []
    for record in mitdb.records(names):
        for peak, kind in zip(record.peaks, record.classes, strict=True):
            part = record.signal[max(peak - 72, 0) : peak + 144 : 4, :1]
            if kind in (NORMAL, VENTRICULAR) and len(part) == 54:
                found.append((part - np.median(part), kind == VENTRICULAR))
    samples, labels = zip(*found, strict=True)
    return np.stack(samples), np.array(labels, "float32")[:, None]


x, y = beats(mitdb.DS1[:4] if QUICK else mitdb.DS1)
test_x, test_y = beats(mitdb.DS2[:4] if QUICK else mitdb.DS2)

# %%
model = keras.Sequential(
    [
        keras.Input((None, 1)),
        lnn_keras.LiquidRNN(lnn_keras.LiquidCell(24, unfolds=1, elapsed=0.25)),
        keras.layers.Dense(1, activation="sigmoid"),
    ],
    name="heartbeats",
)
model.compile(keras.optimizers.Adam(0.005), "binary_crossentropy", jit_compile=True)
rare = {0: 1.0, 1: float(np.sqrt((1 - y.mean()) / y.mean()))}
model.fit(x, y, batch_size=256, epochs=2 if QUICK else 15, class_weight=rare, verbose=2)

# %%
found = model.predict(test_x, verbose=0) > 0.5
hits = (found & (test_y > 0)).sum()
print(f"of {int(test_y.sum()):,} ventricular beats, {hits / test_y.sum():.1%} were found")
print(f"of {int(found.sum()):,} reported beats, {hits / max(found.sum(), 1):.1%} are ventricular")

# %%
report = export.to_tflite(
    model, "build/heartbeats", target="micro", recipe="int8", calibration=x[::50], evaluation=test_x
)
report.print()
