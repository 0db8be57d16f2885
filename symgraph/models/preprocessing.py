"""Pictures as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import DataError, MissingPackageError
from symgraph.location import user_location

Array = np.ndarray[Any, Any]
Size = tuple[int, int]


def rgb_pixels(image: Any, size: Size | None, dtype: str) -> Array:
    """Return a picture as an array (H, W, 3) of red, green and blue.

    Args:
        image: of Pillow, or an array (H, W, 3).
        size: width and height that it is resized to; None to leave it as it is.
        dtype: of the result.

    Raises:
        DataError: `image` is no picture.
        MissingPackageError: an array is to be resized and Pillow is not installed.
    """
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3:
            raise DataError(
                f"a picture has the axes (height, width, 3), not {image.shape}\n"
                f"  at {user_location()}"
            )
        if size is None or image.shape[:2] == size[::-1]:
            return image.astype(dtype)
        image = _picture(image)
    if not hasattr(image, "convert") or not hasattr(image, "resize"):
        raise DataError(
            f"a picture is an image of Pillow or an array, not {type(image).__name__}\n"
            f"  at {user_location()}"
        )
    image = image.convert("RGB")
    return np.asarray(image if size is None else image.resize(size)).astype(dtype)


def _picture(pixels: Array) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingPackageError(
            "resizing a picture needs Pillow: pip install 'symgraph[examples]'\n"
            f"  at {user_location()}"
        ) from None
    if pixels.dtype != np.uint8:
        raise DataError(
            f"only pixels of uint8 are resized, not {pixels.dtype}\n  at {user_location()}"
        )
    return Image.fromarray(pixels)
