"""Windows of pictures and sequences: the elements that a convolution or a pooling reads."""

from __future__ import annotations

import numpy as np

# Stands for elements outside of the picture.
OUTSIDE = -1


def windows(
    codes: np.ndarray,
    size: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    is_same: bool,
) -> np.ndarray:
    """Return the windows of a picture.

    Args:
        codes: The picture (height, width, channels).
        size: Height and width of a window.
        strides: Steps between windows.
        dilations: Steps between the elements of a window.
        is_same: Whether windows may extend beyond the picture, as with padding "same".

    Returns:
        (rows, columns, height, width, channels); `OUTSIDE` beyond the picture.
    """
    padded, counts = codes, []
    for axis in (0, 1):
        extent = (size[axis] - 1) * dilations[axis] + 1
        length = codes.shape[axis]
        count = -(-length // strides[axis]) if is_same else (length - extent) // strides[axis] + 1
        missing = max(0, (count - 1) * strides[axis] + extent - length) if is_same else 0
        widths = [(0, 0)] * 3
        widths[axis] = missing // 2, missing - missing // 2
        padded = np.pad(padded, widths, constant_values=OUTSIDE)
        counts.append(count)
    rows, columns = (
        np.arange(counts[axis])[:, np.newaxis] * strides[axis]
        + np.arange(size[axis]) * dilations[axis]
        for axis in (0, 1)
    )
    return padded[rows[:, np.newaxis, :, np.newaxis], columns[np.newaxis, :, np.newaxis, :]]
