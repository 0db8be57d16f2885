"""Reading pictures between their pixels."""

from __future__ import annotations

import numpy as np

from symgraph.data.arrays import Array


def sample_affine(
    images: Array, matrices: Array, offsets: Array, size: tuple[int, int], fill: float = 0.0
) -> Array:
    """Look at pictures through turned, scaled or shifted frames, by bilinear interpolation.

    Rows and columns count from the middle of a picture. The pixel of the result at p shows what
    the picture has at `matrix @ p + offset`; outside of it everything has the value `fill`.

    Args:
        images: float array (samples, channels, height, width).
        matrices: float array (samples, 2, 2), which map (row, column).
        offsets: float array (samples, 2).
        size: height and width of the results.
        fill: what surrounds the pictures.

    Returns:
        Array (samples, channels, *size) of the images' dtype.
    """
    count, channels, height, width = images.shape
    # Two more at the end: the neighbour of what was clipped to the border is read as well.
    padded = np.pad(images, ((0, 0), (0, 0), (1, 2), (1, 2)), constant_values=fill)
    rows, columns = (np.arange(extent) - (extent - 1) / 2 for extent in size)
    m, o = matrices.reshape(-1, 4, 1, 1), offsets.reshape(-1, 2, 1, 1)
    row = m[:, 0] * rows[:, None] + m[:, 1] * columns + o[:, 0] + (height - 1) / 2
    column = m[:, 2] * rows[:, None] + m[:, 3] * columns + o[:, 1] + (width - 1) / 2
    # What lies farther out than one pixel is surrounded by `fill` alone.
    row, column = np.clip(row, -1, height) + 1, np.clip(column, -1, width) + 1
    top, left = row.astype(np.int64), column.astype(np.int64)
    down = (row - top).astype(images.dtype)[:, None]
    right = (column - left).astype(images.dtype)[:, None]
    planes = padded.reshape(count, channels, -1)
    stride = width + 3
    first = (top * stride + left).reshape(count, 1, -1)

    def corner(step: int) -> Array:
        found = np.take_along_axis(planes, first + step, axis=2)
        return found.reshape(count, channels, *size)

    upper = corner(0) * (1 - right) + corner(1) * right
    lower = corner(stride) * (1 - right) + corner(stride + 1) * right
    result: Array = upper * (1 - down) + lower * down
    return result
