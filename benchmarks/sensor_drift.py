"""A frozen model behind drifted sensors, with and without running normalization of its inputs.

    python -m benchmarks.sensor_drift

prints the squared error of the preset half-cheetah-micro on the test traces, laid end to end as one
stream of 10,000 steps, and from the trained statistics in each of the ten traces. All gains become
1.5, or all sensors get a bias of half a deviation, from the first step on. No target is used.

The body has not changed, only its sensors. So the first table compares predictions with the truth:
the observation that sound sensors would give one step later. The second one compares with the
reading that the drifted sensors give; the outputs of the running normalization are then mapped
back by its own mean and deviation. There an error of the true model is multiplied by the square of
the gain.
"""

from collections.abc import Callable

import keras
import numpy as np

import zoo
from benchmarks.arguments import argument_parser
from lnn_keras.adapt import RunningNormalization
from zoo.data import half_cheetah

PRESET = "half-cheetah-micro"
MEMORIES = (300.0, 1000.0, 3000.0)
LIMIT = 5.0
GAIN, BIAS = 1.5, 0.5
# Steps from which the running statistics have left the trained ones.
SETTLED = 3000

Predict = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def statistics(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the training data (17,), from the model's normalization layer."""
    layer = model.get_layer("normalize")
    mean, variance = (
        keras.ops.convert_to_numpy(v).reshape(-1) for v in (layer.mean, layer.variance)
    )
    return mean, np.sqrt(variance)


def frozen(model: keras.Model, limit: float = np.inf) -> Predict:
    """Predictions of the model, with inputs limited to some deviations: the same in both units."""
    mean, deviation = statistics(model)

    def predict(inputs):
        limited = np.clip(inputs, mean - limit * deviation, mean + limit * deviation)
        predicted = model.predict(limited.astype("float32"), verbose=0)
        return predicted, predicted

    return predict


def running(model: keras.Model, memory: float) -> Predict:
    """Predictions behind running normalization: in trained units, and in those of the sensors."""
    mean, deviation = statistics(model)
    inputs = keras.Input((None, half_cheetah.FEATURES))
    layer = RunningNormalization(
        half_cheetah.FEATURES, mean, deviation**2, memory, limit=LIMIT, statistics=True
    )
    normalized, running_mean, running_deviation = keras.ops.split(layer(inputs), 3, axis=-1)
    behind = keras.Model(model.get_layer("normalize").output, model.get_layer("readout").output)
    forecast = behind(normalized)
    outputs = [
        forecast * deviation.astype("float32") + mean.astype("float32"),
        forecast * running_deviation + running_mean,
    ]
    adapting = keras.Model(inputs, outputs)
    return lambda values: tuple(adapting.predict(values.astype("float32"), verbose=0))


def drifts(model: keras.Model) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """By name, a function from true observations to readings of the sensors."""
    _, deviation = statistics(model)
    return {
        "none": lambda x: x,
        f"gains x {GAIN:g}": lambda x: GAIN * x,
        f"bias {BIAS:g} deviation": lambda x: x + BIAS * deviation,
    }


def errors(predict: Predict, true: np.ndarray, readings: np.ndarray, first: int) -> list[float]:
    """Mean squared errors from a step on, against the truth and against the readings."""
    return [
        float(np.mean(np.square(predicted[:, first:-1] - wanted[:, first + 1 :])))
        for predicted, wanted in zip(predict(readings), (true, readings), strict=True)
    ]


def table(model: keras.Model, true: np.ndarray, first: int) -> str:
    """Errors of each way under each drift, as text."""
    ways = {
        "frozen": frozen(model),
        f"frozen, inputs within {LIMIT:g} deviations": frozen(model, LIMIT),
        **{f"running normalization, memory {m:g}": running(model, m) for m in MEMORIES},
    }
    results = {
        way: [errors(predict, true, drift(true), first) for drift in drifts(model).values()]
        for way, predict in ways.items()
    }
    lines = []
    for index, against in enumerate(("the truth", "the reading of the drifted sensors")):
        titles = "".join(f"{name:>20}" for name in drifts(model))
        lines.append(f"{'error against ' + against:<50}{titles}")
        for way, by_drift in results.items():
            lines.append(f"  {way:<48}" + "".join(f"{pair[index]:20.3f}" for pair in by_drift))
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    argument_parser(__doc__).parse_args()
    model, traces = zoo.load(PRESET), half_cheetah.traces("test")
    stream = traces.reshape(1, -1, half_cheetah.FEATURES)
    print(f"{PRESET}: mean squared error of the next observation\n")
    print(f"One stream of {stream.shape[1]:,} steps, all steps\n{table(model, stream, 0)}\n")
    print(f"The same from step {SETTLED:,} on\n{table(model, stream, SETTLED)}\n")
    print(f"{len(traces)} traces of {traces.shape[1]:,} steps\n{table(model, traces, 0)}")


if __name__ == "__main__":
    main()
