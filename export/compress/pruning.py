"""Magnitude pruning: the smallest weights become zero while a model trains."""

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from export import compat
from export.compress.kernels import Kernel, kernels_of, warn_of_other_matrices

# For a schedule given as a share: it is reached after this share of the training, in this many
# updates.
RAMP, UPDATES = 0.6, 50
PATTERNS = {"2:4": (2, 4)}


def prune(
    model: keras.Model,
    schedule: float | Callable[[Any], tuple[Any, Any]],
    *,
    block: tuple[int, int] = (1, 1),
    pattern: str | None = None,
) -> keras.callbacks.Callback:
    """Return a callback that sets the smallest weights of each kernel to zero and keeps them zero.

    Use it in `model.fit(..., callbacks=[prune(model, 0.75)])` on a trained model; the other
    weights adapt. Only kernels are pruned: the trainable variables that enter a matrix product or
    a convolution of the forward pass, whatever their names, and the conductances of an `LTCCell`.
    Elements without a synapse do not count.

    Args:
        model: A built model.
        schedule: Share of the weights to prune, reached gradually over the first 60 % of the
            training; or a TFMOT schedule, `PolynomialDecay` or `ConstantSparsity`.
        block: Rows and columns that are pruned together, in kernels that are matrices.
        pattern: "2:4" prunes two of every four consecutive weights of a unit. The share is then
            one half, whatever the schedule.

    Raises:
        ValueError: The model is not built or has no kernel; a share outside (0, 1); a block that
            is not two positive numbers; an unknown pattern; both a block and a pattern; or no
            kernel divisible by them. If only some kernels are divisible, a warning names the
            others.

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
        # TFMOT fails on an axis of one block, which it squeezes.
        kernels = _divisible(kernels, block, 2, f"blocks of {block}")
    warn_of_other_matrices(model)
    return _Prune(kernels, schedule, tuple(block), None if pattern is None else PATTERNS[pattern])


def sparsity(model: keras.Model) -> float:
    """Return the share of zeros among the weights of a model's kernels, those that `prune` prunes.

    It warns of matrices that do not count: of layers that are not trainable, and those that enter
    no matrix product, such as the table of an Embedding.

    Raises:
        ValueError: The model is not built or has no kernel.
    """
    kernels = kernels_of(model)
    warn_of_other_matrices(model)
    weights = [kernel.variable.numpy()[kernel.live > 0] for kernel in kernels]
    return float(np.mean(np.concatenate(weights) == 0))


def _is_pair(block):
    return (
        isinstance(block, (tuple, list))
        and len(block) == 2
        and all(isinstance(n, int) and n > 0 for n in block)
    )


def _divisible(kernels, block, least, parts):
    """The kernels that consist of whole blocks, at least `least` along each axis."""
    dense = [k for k in kernels if not _is_divisible(k.variable.shape, block, least)]
    named = ", ".join(f"{k.variable.path} {tuple(k.variable.shape)}" for k in dense)
    if len(dense) == len(kernels):
        raise ValueError(f"No kernel is made of {parts}; received {named}.")
    if dense:
        warnings.warn(f"Kernels that are not made of {parts} stay dense: {named}.", stacklevel=3)
    return tuple(kernel for kernel in kernels if kernel not in dense)


def _is_divisible(shape, block, least):
    return len(shape) == 2 and all(
        size % part == 0 and size // part >= least for size, part in zip(shape, block, strict=True)
    )


class _Prune(keras.callbacks.Callback):
    """One TFMOT `Pruning` per kernel: updates masks before each batch, applies them after it."""

    def __init__(
        self,
        kernels: tuple[Kernel, ...],
        schedule: float | Callable[[Any], tuple[Any, Any]],
        block: tuple[int, ...],
        pattern: tuple[int, int] | None,
    ):
        super().__init__()
        self._kernels, self._schedule = kernels, schedule
        self._block, self._pattern = block, pattern

    def on_train_begin(self, logs=None):
        import tensorflow as tf

        schedule = self._schedule
        if not callable(schedule):
            parameters: Any = self.params
            schedule = _ramp(schedule, parameters["epochs"] * (parameters["steps"] or 1))
        self._step = tf.Variable(tf.constant(0, dtype=tf.int64))
        self._prunings = [self._pruning(kernel, schedule) for kernel in self._kernels]

    def on_train_batch_begin(self, batch, logs=None):
        self._step.assign_add(1)
        for pruning in self._prunings:
            pruning.conditional_mask_update()

    def on_train_batch_end(self, batch, logs=None):
        # The optimizer also updates pruned weights.
        for pruning in self._prunings:
            pruning.weight_mask_op()

    def _pruning(self, kernel, schedule):
        import tensorflow as tf

        # TFMOT counts all elements, also those without a synapse. They start as zeros, and
        # TFMOT's mask keeps them zero.
        variable = kernel.variable
        variable.assign(variable * kernel.live)
        mask = tf.Variable(kernel.live)
        threshold = tf.Variable(tf.constant(0.0))
        return compat.tfmot_pruning()(
            lambda: self._step,
            [(variable.value, mask, threshold)],
            _ScheduleOfLive(schedule, kernel.live_share),
            self._block,
            "AVG",
            self._pattern,
        )


class _ScheduleOfLive:
    """A schedule of the share of weights, converted to the share of all elements for TFMOT."""

    def __init__(self, schedule, live_share):
        self._schedule, self._live_share = schedule, live_share

    def __call__(self, step):
        update, share = self._schedule(step)
        return update, 1 - self._live_share * (1 - share)


def _ramp(share, steps):
    """TFMOT's polynomial schedule from 0 to a share of zeros, in `UPDATES` updates."""
    end = max(2, int(RAMP * steps))
    return compat.tfmot_polynomial_decay()(
        initial_sparsity=0.0,
        final_sparsity=share,
        begin_step=1,
        end_step=end,
        frequency=max(1, end // UPDATES),
    )
