"""Recipes: the dtypes of a file's activations and weights, and its tolerances."""

from dataclasses import dataclass, replace

from lnn_keras.argument_checks import require_choice

ACTIVATIONS = ("float32", "int8", "int16")
WEIGHTS = ("float32", "float16", "int8", "int16")


@dataclass(frozen=True)
class MinimumRuntime:
    """The earliest runtime on phones that returns the numbers of the present one.

    Attributes:
        name: Name and version.
        version: The TensorFlow release of that time, as `min_runtime_version` in files counts.
        reason: What earlier ones do, in one or two sentences.
    """

    name: str
    version: str
    reason: str


# Measured on the releases of TensorFlow and LiteRT.
_TFLITE_2_14 = MinimumRuntime(
    "TensorFlow Lite 2.14", "2.14.0", "Earlier releases were not found to run such files."
)
_LITERT_1_1_2 = MinimumRuntime(
    "LiteRT 1.1.2",
    "2.19.0",
    "TensorFlow Lite 2.17 and 2.18 and LiteRT 1.0.1 run such files with XNNPACK and return wrong "
    "numbers without an error.",
)
_LITERT_1_4 = MinimumRuntime(
    "LiteRT 1.4",
    "2.20.0",
    "Earlier releases were not found to run int8 files with the operation DIV.",
)


@dataclass(frozen=True)
class Recipe:
    """The dtypes of a file, and the largest accepted deviation from Keras.

    Attributes:
        name: The name that users pass.
        description: Description in one line.
        activations: Dtype of inputs, outputs, states and intermediate tensors.
        weights: Dtype of the kernels; biases and factors may be wider.
        tolerance: Largest accepted RMS error of the outputs over a closed-loop rollout, relative
            to their standard deviation.
        agreement: Largest accepted RMS difference between two runtimes on the same file,
            relative to the same.
        metric_tolerance: Largest accepted relative loss of the task metric.
        runtime: The earliest runtime on phones.
    """

    name: str
    description: str
    activations: str
    weights: str
    tolerance: float
    agreement: float
    metric_tolerance: float
    runtime: MinimumRuntime = _LITERT_1_4

    def __post_init__(self):
        require_choice("recipe activations", self.activations, ACTIVATIONS)
        require_choice("recipe weights", self.weights, WEIGHTS)
        for field in ("tolerance", "agreement", "metric_tolerance"):
            if not 0 < getattr(self, field) < 1:
                raise ValueError(
                    f"`{field}` must lie between 0 and 1; received {getattr(self, field)!r}."
                )

    @property
    def is_integer(self) -> bool:
        """Whether activations are integers, which need calibration data."""
        return self.activations != "float32"


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="float32",
            description="32-bit floats throughout; the file equals the model",
            activations="float32",
            weights="float32",
            tolerance=1e-5,
            agreement=1e-5,
            metric_tolerance=1e-4,
            runtime=_TFLITE_2_14,
        ),
        Recipe(
            name="float16",
            description="16-bit weights, 32-bit arithmetic; weights take half of the bytes",
            activations="float32",
            weights="float16",
            tolerance=0.01,
            agreement=0.005,
            metric_tolerance=0.005,
            runtime=_LITERT_1_1_2,
        ),
        Recipe(
            name="dynamic",
            description="8-bit weights, 32-bit arithmetic; needs no data",
            activations="float32",
            weights="int8",
            tolerance=0.05,
            agreement=0.05,
            metric_tolerance=0.03,
            runtime=_LITERT_1_1_2,
        ),
        Recipe(
            name="int8",
            description="8-bit integers throughout, ranges from calibration data",
            activations="int8",
            weights="int8",
            tolerance=0.05,
            # One quantization step of an 8-bit output is about 2 % of its deviation.
            agreement=0.03,
            metric_tolerance=0.03,
        ),
        Recipe(
            name="int16x8",
            description="16-bit activations, 8-bit weights, ranges from calibration data",
            activations="int16",
            weights="int8",
            tolerance=0.02,
            agreement=0.005,
            metric_tolerance=0.01,
            runtime=_TFLITE_2_14,
        ),
        Recipe(
            name="int16",
            description="16-bit activations and weights, for C; ranges from calibration data",
            activations="int16",
            weights="int16",
            tolerance=0.015,
            agreement=0.005,
            metric_tolerance=0.01,
        ),
    )
}


def get(recipe: str | Recipe) -> Recipe:
    """Return the recipe with that name, or the recipe itself.

    Raises:
        ValueError: No recipe has that name.
    """
    if isinstance(recipe, Recipe):
        return recipe
    return RECIPES[require_choice("recipe", recipe, RECIPES)]


def with_tolerances(
    recipe: Recipe, tolerance: float | None = None, metric_tolerance: float | None = None
) -> Recipe:
    """Return a recipe with other tolerances; None keeps the recipe's.

    Raises:
        ValueError: A tolerance is not between 0 and 1.
    """
    changes = {"tolerance": tolerance, "metric_tolerance": metric_tolerance}
    return replace(recipe, **{name: v for name, v in changes.items() if v is not None})


def of_types(activations: str, weights: str) -> Recipe:
    """Return the recipe of a file with these dtypes.

    Raises:
        ValueError: No recipe has these activations.
    """
    for recipe in RECIPES.values():
        if (recipe.activations, recipe.weights) == (activations, weights):
            return recipe
    # The converter keeps small matrices as floats, so a file may have no 8-bit weight.
    for recipe in RECIPES.values():
        if recipe.activations == activations:
            return recipe
    raise ValueError(f"No recipe has activations of {activations}; allowed: {ACTIVATIONS}.")
