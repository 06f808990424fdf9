"""Pruning: the smallest weights become zero while a model trains."""

import warnings
from collections.abc import Callable

import keras
import numpy as np

from export.compress.kernels import Kernel, kernels_of

# Of a number's schedule: zeros grow over this share of the training, in this many updates.
RAMP, UPDATES = 0.6, 50
PATTERNS = {"2:4": (2, 4)}


def prune(
    model: keras.Model,
    schedule: float | Callable,
    *,
    block: tuple[int, int] = (1, 1),
    pattern: str | None = None,
) -> keras.callbacks.Callback:
    """A callback that makes the smallest weights of each kernel zero, and keeps them so.

    Use it in `model.fit(..., callbacks=[prune(model, 0.75)])` on a trained model: the others
    learn to do without. Kernels alone are pruned; what a wiring leaves out does not count.

    Args:
        model: A built model.
        schedule: Share of the weights to make zero, reached in steps over the first 60 % of
            the training; or a schedule of TFMOT, `PolynomialDecay` or `ConstantSparsity`.
        block: Rows and columns that become zero together, in kernels that are matrices.
        pattern: "2:4": of four neighbouring weights of a unit, two are zero. The share is
            then one half, whatever the schedule says.

    Raises:
        ValueError: The model is not built or has no kernel; a share outside (0, 1), a
            block that is not two positive numbers, an unknown pattern, both at once, or no
            kernel that they divide. Some that they do not divide are a warning.

    Reference: Zhu and Gupta, To prune, or not to prune, 2017.
    """
    kernels = kernels_of(model)
    is_share = isinstance(schedule, (int, float)) and 0 < schedule < 1
    if not is_share and not callable(schedule):
        raise ValueError(
            "`schedule` must lie between 0 and 1, or be a schedule of TFMOT; "
            f"received {schedule!r}."
        )
    if not _is_pair(block):
        raise ValueError(f"`block` must be two positive numbers; received {block!r}.")
    if pattern is not None:
        if pattern not in PATTERNS:
            raise ValueError(f"Unknown pattern {pattern!r}; allowed: {', '.join(PATTERNS)}.")
        if tuple(block) != (1, 1):
            raise ValueError(f"`pattern` and `block` exclude each other; received {block!r} too.")
        kernels = _divisible(kernels, (PATTERNS[pattern][1], 1), 1, f"groups of {pattern}")
    elif tuple(block) != (1, 1):
        # TFMOT squeezes an axis of a single block away, and then misses it.
        kernels = _divisible(kernels, block, 2, f"blocks of {block}")
    return _Prune(kernels, schedule, tuple(block), PATTERNS.get(pattern))


def sparsity(model: keras.Model) -> float:
    """Share of the weights of a model's kernels that are zero, among those of its wirings."""
    kernels = kernels_of(model)
    weights = [kernel.variable.numpy()[kernel.live > 0] for kernel in kernels]
    return float(np.mean(np.concatenate(weights) == 0))


def _is_pair(block):
    return (
        isinstance(block, (tuple, list))
        and len(block) == 2
        and all(isinstance(n, int) and n > 0 for n in block)
    )


def _divisible(kernels, block, least, what):
    """The kernels that are whole blocks, at least so many along each axis."""
    left = [k for k in kernels if not _is_divisible(k.variable.shape, block, least)]
    named = ", ".join(f"{k.variable.path} {tuple(k.variable.shape)}" for k in left)
    if len(left) == len(kernels):
        raise ValueError(f"No kernel is made of {what}; received {named}.")
    if left:
        warnings.warn(f"Kernels that are not made of {what} stay dense: {named}.", stacklevel=3)
    return tuple(kernel for kernel in kernels if kernel not in left)


def _is_divisible(shape, block, least):
    return len(shape) == 2 and all(
        size % part == 0 and size // part >= least for size, part in zip(shape, block, strict=True)
    )


class _Prune(keras.callbacks.Callback):
    """One TFMOT `Pruning` for each kernel, asked before each batch, applied after it."""

    def __init__(self, kernels: tuple[Kernel, ...], schedule, block, pattern):
        super().__init__()
        self._kernels, self._schedule = kernels, schedule
        self._block, self._pattern = block, pattern

    def on_train_begin(self, logs=None):
        import tensorflow as tf

        schedule = self._schedule
        if not callable(schedule):
            schedule = _ramp(schedule, self.params["epochs"] * (self.params["steps"] or 1))
        self._step = tf.Variable(0, dtype=tf.int64)
        self._prunings = [self._pruning(kernel, schedule) for kernel in self._kernels]

    def on_train_batch_begin(self, batch, logs=None):
        self._step.assign_add(1)
        for pruning in self._prunings:
            pruning.conditional_mask_update()

    def on_train_batch_end(self, batch, logs=None):
        # The optimizer moves zeros as well.
        for pruning in self._prunings:
            pruning.weight_mask_op()

    def _pruning(self, kernel, schedule):
        import tensorflow as tf
        from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl

        # TFMOT counts every number of a kernel, also those that are no synapses: they are
        # zeros to begin with, and the mask that it makes leaves them zero.
        variable = kernel.variable
        variable.assign(variable * kernel.live)
        mask = tf.Variable(kernel.live)
        threshold = tf.Variable(0.0)
        return pruning_impl.Pruning(
            lambda: self._step,
            [(variable.value, mask, threshold)],
            _OfLive(schedule, kernel.live_share),
            self._block,
            "AVG",
            self._pattern,
        )


class _OfLive:
    """A schedule whose share is that of the weights, where TFMOT counts all numbers."""

    def __init__(self, schedule, live_share):
        self._schedule, self._live_share = schedule, live_share

    def __call__(self, step):
        update, share = self._schedule(step)
        return update, 1 - self._live_share * (1 - share)


def _ramp(share, steps):
    """TFMOT's polynomial from no zeros to a share of them, in `UPDATES` steps."""
    import tensorflow  # noqa: F401 - TFMOT, imported first, turns `tf.keras` into Keras 2
    from tensorflow_model_optimization.python.core.sparsity.keras import pruning_schedule

    end = max(2, int(RAMP * steps))
    return pruning_schedule.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=share,
        begin_step=1,
        end_step=end,
        frequency=max(1, end // UPDATES),
    )
