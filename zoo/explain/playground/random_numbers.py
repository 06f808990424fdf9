"""Random numbers that Python and the page compute alike, bit for bit."""

import numpy as np

NOISE_SEED, DROP_SEED = 1, 2
UNIFORMS_PER_NORMAL = 12


def uniform(seed: int, count: int) -> np.ndarray:
    """Numbers in [0, 1): the generator Mulberry32, as `page/random_numbers.js`.

    Args:
        seed: A 32-bit integer.
        count: How many numbers.

    Returns:
        float64 (count,), multiples of 2^-32.

    Example:
        >>> uniform(1, 2).round(4).tolist()
        [0.6271, 0.0027]
    """
    state = np.uint32(seed) + np.arange(1, count + 1, dtype="uint32") * np.uint32(0x6D2B79F5)
    mixed = (state ^ state >> np.uint32(15)) * (state | np.uint32(1))
    mixed ^= mixed + (mixed ^ mixed >> np.uint32(7)) * (mixed | np.uint32(61))
    return (mixed ^ mixed >> np.uint32(14)) / 2.0**32


def normal(seed: int, count: int) -> np.ndarray:
    """Nearly normal numbers of mean 0 and variance 1: the sum of 12 uniform numbers, minus 6.

    Sums of multiples of 2^-32 are exact, and need no logarithm, whose last digit differs between
    Python and browsers.

    Args:
        seed: A 32-bit integer.
        count: How many numbers.

    Returns:
        float64 (count,).
    """
    numbers = uniform(seed, count * UNIFORMS_PER_NORMAL)
    return numbers.reshape(count, UNIFORMS_PER_NORMAL).sum(axis=1) - UNIFORMS_PER_NORMAL / 2
