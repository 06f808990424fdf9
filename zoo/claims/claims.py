"""The claims, as data: the sentence that the field says, and the measures that decide about it."""

from dataclasses import dataclass

# A measure has a number for each group of test sequences, or for each run.
GROUPS, RUNS = "groups", "runs"


@dataclass(frozen=True)
class Measure:
    """A quantity of which less is better.

    Attributes:
        key: Measurement and quantity, separated by a dot, see `measurements.MEASUREMENTS`.
        title: Its name in tables, with the unit.
        pairs: `GROUPS`: a test per task pairs the groups of test sequences, averaged over seeds.
            `RUNS`: one test pairs the runs of all tasks and seeds.
        is_time: Whether it is a time of this computer, which differs from run to run.
    """

    key: str
    title: str
    pairs: str = RUNS
    is_time: bool = False


@dataclass(frozen=True)
class Claim:
    """A claim.

    Attributes:
        name: Its name.
        sentence: What the field says.
        method: How it is measured, in plain sentences.
        measures: The measures that decide.
    """

    name: str
    sentence: str
    method: str
    measures: tuple[Measure, ...]

    @property
    def measurements(self) -> tuple[str, ...]:
        """The measurements that it needs."""
        return tuple(dict.fromkeys(measure.key.partition(".")[0] for measure in self.measures))


CLAIMS = {
    claim.name: claim
    for claim in (
        Claim(
            "adaptability",
            "Liquid networks adapt better to changes while they run.",
            "Errors that a change of the test sequences adds to the error of the same model on "
            "unchanged ones: half the sampling rate, inputs times 1.5, inputs plus half a standard "
            "deviation. The targets do not change. Then each group is one stream with inputs times "
            "1.5, and the readout learns from the true outputs of its first half by recursive "
            "least squares (`lnn_keras.adapt`): the change of the error in the second half. On "
            "ecg-arrhythmia a group is a patient's record. A model with large errors has less to "
            "lose, see [Errors](#errors).",
            (
                Measure("streams.half the rate", "added error, half the rate", GROUPS),
                Measure("streams.gain 1.5", "added error, gain 1.5", GROUPS),
                Measure("streams.bias 0.5", "added error, bias 0.5", GROUPS),
                Measure("streams.readout learns", "change by a learning readout", GROUPS),
            ),
        ),
        Claim(
            "energy",
            "Liquid networks need less energy.",
            "A step as C source of recipe int16x8: multiply-accumulates, bytes of code and weights "
            "that it reads, and instructions on an emulated Cortex-M4. The energy of a step is "
            "about proportional to the instructions.",
            (
                Measure("device.multiply_accumulates", "multiply-accumulates"),
                Measure("device.flash", "code and weights, bytes"),
                Measure("device.instructions", "instructions"),
            ),
        ),
        Claim(
            "training-time",
            "Closed-form and fused liquid cells train faster.",
            "The median time of an epoch, and the epochs and seconds until the validation error "
            "first is at most {good}. A run that never gets there counts as one epoch more than it "
            "has.",
            (
                Measure("training.seconds of an epoch", "seconds of an epoch", is_time=True),
                Measure("training.epochs", "epochs to a fixed error"),
                Measure("training.seconds", "seconds to a fixed error", is_time=True),
            ),
        ),
        Claim(
            "memory",
            "Liquid networks need less memory.",
            "Bytes of flash, of RAM with stack, and of the state that a stream keeps, of the C "
            "source of models with equal numbers of parameters; and the error of models with a "
            "quarter of the parameters.",
            (
                Measure("device.flash", "flash, bytes"),
                Measure("device.ram", "RAM, bytes"),
                Measure("device.state", "state, bytes"),
                Measure("small.error", "error with a quarter of the parameters", GROUPS),
            ),
        ),
        Claim(
            "robustness",
            "Liquid networks resist noise and missing samples better.",
            "Errors that noise (0.25, 0.5 and 1 standard deviations of each input) and missing "
            "steps (25, 50 and 75 %) add to the error of the same model. Missing steps are left "
            "out, and the elapsed time of the next step says so. Models are trained on complete "
            "sequences; the last measure is of models that are trained with half of the steps "
            "missing. A model with large errors has less to lose, see [Errors](#errors).",
            (
                Measure("streams.noise 0.25", "added error, noise 0.25", GROUPS),
                Measure("streams.noise 0.5", "added error, noise 0.5", GROUPS),
                Measure("streams.noise 1", "added error, noise 1", GROUPS),
                Measure("streams.25 % missing", "added error, 25 % missing", GROUPS),
                Measure("streams.50 % missing", "added error, 50 % missing", GROUPS),
                Measure("streams.75 % missing", "added error, 75 % missing", GROUPS),
                Measure("gaps.trained with gaps", "75 % missing, trained with gaps", GROUPS),
            ),
        ),
        Claim(
            "real-time",
            "Liquid networks take less time per step.",
            "The median and the 99th percentile of the time of a step of the compiled C source on "
            "this computer, and the largest number of instructions of a step on the emulated "
            "Cortex-M4.",
            (
                Measure("device.p50", "p50, µs", is_time=True),
                Measure("device.p99", "p99, µs", is_time=True),
                Measure("device.most_instructions", "most instructions of a step"),
            ),
        ),
        Claim(
            "stability",
            "Liquid networks are more stable, in training and over time.",
            "The share of trainings with Adam at learning rates of 0.03, 0.1 and 0.3 without "
            "clipping that explode (an error that is not finite, or 10 times that of the best "
            "constant prediction) or that fail (not better than the best constant prediction). "
            "And how far gradients vanish or explode: the absolute decimal logarithm of the ratio "
            "between the gradient of the last outputs by the input 31 steps earlier (7 on "
            "icu-mortality) and by the last input.",
            (
                Measure("stability.explodes", "share of exploding runs"),
                Measure("stability.fails", "share of failing runs"),
                Measure("stability.gradients", "orders of magnitude of gradients", GROUPS),
            ),
        ),
    )
}
