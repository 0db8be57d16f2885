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
    dtype = images.dtype
    rows, columns = (np.arange(extent, dtype=dtype) - (extent - 1) / 2 for extent in size)
    m = matrices.astype(dtype).reshape(-1, 4, 1, 1)
    o = offsets.astype(dtype).reshape(-1, 2, 1, 1)
    row = m[:, 0] * rows[:, None] + m[:, 1] * columns + o[:, 0] + (height - 1) / 2
    column = m[:, 2] * rows[:, None] + m[:, 3] * columns + o[:, 1] + (width - 1) / 2
    # What lies farther out than one pixel is surrounded by `fill` alone.
    row, column = np.clip(row, -1, height) + 1, np.clip(column, -1, width) + 1
    top, left = row.astype(np.int64), column.astype(np.int64)
    down = (row - top).astype(dtype)[:, None]
    right = (column - left).astype(dtype)[:, None]
    values, stride = padded.reshape(-1), width + 3
    planes = np.arange(count * channels).reshape(count, channels, 1, 1) * ((height + 3) * stride)
    first = (top * stride + left)[:, None] + planes

    def corner(step: int) -> Array:
        found: Array = values.take(first + step)
        return found

    upper = corner(0) * (1 - right) + corner(1) * right
    lower = corner(stride) * (1 - right) + corner(stride + 1) * right
    result: Array = upper * (1 - down) + lower * down
    return result
