"""The same saliency by other libraries, captum and time_interpret, in another environment."""

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.markdown import table_header, table_row
from benchmarks.saliency_models import sum_of_logits
from benchmarks.saliency_scores import Scores, scores
from lnn_keras import inspect

SCRIPT = Path(__file__).parent / "saliency_peer.py"
# Those of the script.
INTEGRATION_STEPS, THRESHOLD = 64, 0.5
SAME_OUTPUTS = 1e-5
# The weights of an LSTM and its readout, in the order of Keras.
WEIGHTS = ("kernel", "recurrent_kernel", "bias", "readout_kernel", "readout_bias")
OWN: dict[str, dict[str, Any]] = {
    "gradients": {},
    "integrated_gradients": {"steps": INTEGRATION_STEPS},
    "occlusion": {},
    "temporal_saliency_rescaling": {"method": inspect.gradients, "threshold": THRESHOLD},
}
TITLES = {"temporal_saliency_rescaling": "rescaled gradients"}


def peer_rows(
    lstm: keras.Model | None, inputs: np.ndarray, salient: np.ndarray, python: Path | None
) -> list[str]:
    """The table of methods of both sides; one row "not installed" without the interpreter.

    Args:
        lstm: The Keras model of an LSTM whose output is the mean of its logits, or None.
        inputs: Sequences to explain (batch, time, features).
        salient: Their truly salient values.
        python: The interpreter with torch, captum and time_interpret, or None.
    """
    titles = ("average precision", "AUP", "AUR")
    pairs = [f"{title}, {side}" for title in titles for side in ("here", "there")]
    rows = table_header("method", "difference", *pairs)
    if lstm is None or python is None:
        return [*rows, table_row("not installed", *[""] * (1 + len(pairs)))]
    found = peer_results(lstm, inputs, salient, python)
    for name, options in OWN.items():
        own = getattr(inspect, name)(lstm, inputs, sum_of_logits, **options)
        difference = np.abs(own - found[name]).max() / np.abs(own).max()
        here, there = scores(np.abs(own), salient), Scores(*found[f"{name} scores"].tolist())
        both = [
            f"{getattr(side, field):.4f}"
            for field in ("average_precision", "precision", "recall")
            for side in (here, there)
        ]
        rows.append(table_row(TITLES.get(name, name.replace("_", " ")), f"{difference:.1e}", *both))
    return rows


def peer_results(
    lstm: keras.Model, inputs: np.ndarray, salient: np.ndarray, python: Path
) -> dict[str, np.ndarray]:
    """Logits, attributions and scores of the same LSTM in PyTorch.

    Raises:
        RuntimeError: The interpreter fails, or its LSTM has other outputs.
    """
    weights = dict(zip(WEIGHTS, lstm.get_weights(), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "input.npz", Path(folder) / "output.npz"
        np.savez(source, inputs=inputs, salient=salient, **weights)
        command = [str(python), str(SCRIPT), str(source), str(target)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{result.stderr}")
        found = dict(np.load(target))
    own: Any = lstm.predict(inputs, verbose=0)  # pyright: ignore[reportArgumentType] # stub: verbose is a str
    difference = np.abs(own - found["logits"]).max()
    if not difference < SAME_OUTPUTS:
        raise RuntimeError(
            f"The LSTM in PyTorch differs by {difference:.1e} from the one in Keras; at most "
            f"{SAME_OUTPUTS:g} is allowed. Its gates or biases have another order."
        )
    return found
