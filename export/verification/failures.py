"""Which errors of the runtimes fail a verification, and which are warnings."""

from collections.abc import Iterator, Sequence

from export.recipes import Recipe
from export.verification.report import RuntimeResult, percent

# Largest accepted error of learned weights in a file that equals the model.
LEARNED_TOLERANCE = 1e-4


def failures_and_warnings(
    results: Sequence[RuntimeResult], disagreement: float | None, recipe: Recipe
) -> tuple[list[str], list[str]]:
    """Return the errors out of tolerance: failures and warnings, one sentence each.

    Args:
        results: One per runtime, Keras first.
        disagreement: Largest difference between two runtimes.
        recipe: The tolerances.
    """
    reference, *others = results
    deviations, losses = [], []
    for result in others:
        if result.output_error is None:
            continue
        # `not <=` also catches NaN.
        if not result.output_error <= recipe.tolerance + result.rounding:
            deviations.append(
                f"{result.name}: the outputs' RMS error is {percent(result.output_error)} of their "
                f"standard deviation; allowed: {percent(recipe.tolerance)}."
            )
        if result.metric is not None:
            loss = result.metric / reference.metric - 1 if reference.metric else result.metric
            if not loss <= recipe.metric_tolerance:
                losses.append(
                    f"{result.name}: the mean squared error is {percent(loss)} worse than in "
                    f"Keras; allowed: {percent(recipe.metric_tolerance)}."
                )
    floor = max(result.rounding for result in others) if others else 0.0
    if disagreement is not None and not disagreement <= recipe.agreement + floor:
        deviations.append(
            f"The runtimes differ by {percent(disagreement)} of the outputs' standard deviation; "
            f"allowed: {percent(recipe.agreement)}."
        )
    if reference.metric is None:
        return deviations, []
    # True outputs are at hand: the task's error decides.
    return losses, deviations


def learned_failures(
    results: Sequence[RuntimeResult], floor: float, recipe: Recipe
) -> Iterator[str]:
    """Yield the errors of learned weights that are out of tolerance, one sentence each.

    Only files in float32 learn from the same features as the model.

    Args:
        results: One per runtime.
        floor: Error that float32 rounding explains.
        recipe: The recipe of the file.
    """
    if (recipe.activations, recipe.weights) != ("float32", "float32"):
        return
    for result in results:
        error = result.learned_error
        if error is not None and not error <= LEARNED_TOLERANCE + floor:
            yield (
                f"{result.name}: the learned weights differ from those in Keras by "
                f"{percent(error)} of their size; allowed: {percent(LEARNED_TOLERANCE)}."
            )
