"""What pruning, clustering and quantization-aware training do to files of half-cheetah models.

python -m benchmarks.compress          the tables; writes docs/compress.md
"""

import tempfile
from pathlib import Path

import keras

import export
import zoo
from benchmarks.half_cheetah import EPOCHS, UNITS, calibration, fit, test_error, trace, trained
from export.compress import cluster, prune, quantize_aware, sparsity, strip
from export.verification.report import percent
from zoo import registry

PRESET = "half-cheetah-micro"
CELLS = ("LiquidCell", "LTCCell", "CfCCell", "NODECell", "GRU")
PRUNING_EPOCHS, CLUSTERING_EPOCHS, AWARE_EPOCHS = 120, 20, 12
AWARE_DECAY = 0.5
STEPS = 1000
PAGE = Path(__file__).parent.parent / "docs/compress.md"


def report_of(model: keras.Model, recipe: str) -> export.Report:
    """The report of a file for micro, also of one outside tolerance."""
    with tempfile.TemporaryDirectory() as parent:
        try:
            return export.to_tflite(
                model,
                Path(parent) / "out",
                recipe=recipe,
                calibration=calibration(),
                evaluation=trace(),
                steps=STEPS,
            )
        except export.VerificationError as error:
            return error.report


def sizes() -> str:
    """The table of pruned and clustered files."""
    rows = [
        "| model | zeros | test MSE | float32, gzipped | int8, gzipped |",
        "|---|---|---|---|---|",
    ]
    dense = None

    def measure(name, model):
        nonlocal dense
        error = test_error(model)
        packed = [report_of(model, recipe).gzip_bytes for recipe in ("float32", "int8")]
        dense = dense or (error, packed)
        shares = [
            f"{size:,} ({size / whole:.0%})" for size, whole in zip(packed, dense[1], strict=True)
        ]
        row = [name, percent(sparsity(model)), f"{error:.3f} ({error / dense[0] - 1:+.1%})"]
        rows.append(f"| {' | '.join([*row, *shares])} |")
        print(rows[-1], flush=True)

    measure("dense", zoo.load(PRESET))
    halved, clustered, pruned = (zoo.load(PRESET) for _ in range(3))
    _tune(halved, PRUNING_EPOCHS, prune(halved, 0.5, pattern="2:4"))
    measure("2:4 pruned", halved)
    _tune(clustered, CLUSTERING_EPOCHS, cluster(clustered, 16))
    measure("16 clusters", clustered)
    _tune(pruned, PRUNING_EPOCHS, prune(pruned, 0.75))
    measure("75 % pruned", pruned)
    _tune(pruned, CLUSTERING_EPOCHS, cluster(pruned, 16))
    measure("75 % pruned, then 16 clusters", pruned)
    return "\n".join(rows)


def _tune(model, epochs, callback):
    """Train on as the preset was trained: with its noise and decay of weights."""
    recipe = registry.get(PRESET).recipe
    fit(
        model,
        epochs,
        recipe.learning_rate,
        [callback],
        noise=recipe.noise,
        weight_decay=recipe.weight_decay,
        stride=2,
    )


def drifts() -> str:
    """The table of int8 files, of training alone and of quantization-aware training."""
    rows = [
        "| cell | test MSE | drift | test MSE, aware | drift, aware |",
        "|---|---|---|---|---|",
    ]
    for name in CELLS:
        model = trained(name)
        cells = [name, *_error_and_drift(model)]
        aware = quantize_aware(model)
        fit(aware, AWARE_EPOCHS, 0.01, weight_decay=AWARE_DECAY)
        cells += _error_and_drift(strip(aware))
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    return "\n".join(rows)


def _error_and_drift(model):
    worst = max(result.output_error for result in report_of(model, "int8").results)
    return f"{test_error(model):.3f}", percent(worst)


def main() -> None:
    """Print the tables and write the page."""
    PAGE.write_text(f"""\
# Compression, measured

Made by `python -m benchmarks.compress` (keras {keras.__version__}, two CPU cores).

## Pruning and clustering

The preset {PRESET}, trained on from its published weights for {PRUNING_EPOCHS}
epochs with `prune`, or {CLUSTERING_EPOCHS} with `cluster`. Zeros are counted in kernels; the error
is the preset's, in brackets against the dense model. A file holds every zero, so its size changes
only once it is packed, as app stores and firmware updates do: sizes are those of model.tflite
after gzip, in brackets as a share of the dense file's. 2:4 leaves kernels alone whose rows are no
multiple of 4, such as that of the 17 inputs.

{sizes()}

## Quantization-aware training

Models of {UNITS} units, trained for {EPOCHS} epochs, then for {AWARE_EPOCHS} more with
`quantize_aware` and a weight decay of {AWARE_DECAY}: smaller weights make flatter gates, in which
roundings do not grow from unfold to unfold; what that costs is in the errors. Drift is the RMS
difference of the int8 file's outputs from those of the float model over {STEPS:,} closed-loop
steps of a test trace, as a share of their standard deviation: the
largest of LiteRT with XNNPACK, with its built-in kernels, and TensorFlow Lite Micro.

{drifts()}
""")
    print(f"written to {PAGE}")


if __name__ == "__main__":
    main()
