"""Transforms of pictures: Pillow's images, and the way between them and arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.data.arrays import Array
from symgraph.errors import DataError, MissingPackageError

if TYPE_CHECKING:
    from PIL.Image import Image

BRIGHTEST = 255


def pillow() -> Any:
    """Return Pillow's module of images, loaded when the first picture is met.

    Raises:
        MissingPackageError: Pillow is not installed.
    """
    try:
        import PIL.Image
    except ImportError as error:
        raise MissingPackageError(
            "pictures need Pillow, which is not installed: pip install 'symgraph[examples]'"
        ) from error
    return PIL.Image


def is_image(value: Any) -> bool:
    """Return whether `value` is an image of Pillow's, without loading Pillow for other values."""
    return hasattr(value, "getbands") and isinstance(value, pillow().Image)


def _checked(value: Any) -> Image:
    if not is_image(value):
        raise DataError(f"an image of Pillow's is needed, not {type(value).__name__}")
    image: Image = value
    return image


class Convert:
    """Converts between colour modes.

    Args:
        mode: one of Pillow's, such as "RGB" or "L"; or "BGR", which is "RGB" with red and blue
            exchanged.

    Raises:
        DataError: there is no such mode, or it is not given an image.

    Example:
        >>> grey = Convert("L")(image)
    """

    def __init__(self, mode: str = "RGB") -> None:
        """Keep the mode."""
        if not isinstance(mode, str):
            raise DataError(f'a mode is a name such as "RGB" or "BGR", not {mode!r}')
        self.mode = mode

    def __call__(self, image: Any) -> Any:
        """Convert one image."""
        image = _checked(image)
        if self.mode == "BGR":
            red, green, blue = image.convert("RGB").split()
            return pillow().merge("RGB", (blue, green, red))
        try:
            return image.convert(self.mode)
        except (KeyError, ValueError) as error:
            raise DataError(f"{image.mode} cannot be made {self.mode}: {error}") from None


class Resize:
    """Scales an image.

    Args:
        size: (width, height), or one number for both.
        mode: how pixels in between are found: "nearest", "bilinear", "bicubic", "lanczos", "box"
            or "hamming".

    Raises:
        DataError: a size is not positive, or there is no such mode.

    Example:
        >>> Resize((2, 3))(image).size
        (2, 3)
    """

    def __init__(self, size: int | tuple[int, int], mode: str = "bilinear") -> None:
        """Check and keep the arguments."""
        self.size = size_pair(size)
        if mode not in {"nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"}:
            raise DataError(f"there is no mode {mode!r} of scaling; the usual one is 'bilinear'")
        self.mode = mode

    def __call__(self, image: Any) -> Any:
        """Scale one image."""
        return _checked(image).resize(self.size, pillow().Resampling[self.mode.upper()])


class CenterCrop:
    """Cuts the middle out of an image.

    Args:
        size: (width, height), or one number for both.

    Raises:
        DataError: a size is not positive, or the image is smaller.

    Example:
        >>> CenterCrop(2)(image).size
        (2, 2)
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        """Check and keep the size."""
        self.size = size_pair(size)

    def __call__(self, image: Any) -> Any:
        """Crop one image."""
        image = _checked(image)
        (width, height), (kept_width, kept_height) = image.size, self.size
        if kept_width > width or kept_height > height:
            raise DataError(
                f"{kept_width} x {kept_height} pixels cannot be cut out of {width} x {height}"
            )
        left, top = (width - kept_width) // 2, (height - kept_height) // 2
        return image.crop((left, top, left + kept_width, top + kept_height))


class ToArray:
    """Makes an image an array (channels, height, width), brightness from 0 to 255.

    An array passes as it is.

    Args:
        dtype: of the array.

    Raises:
        DataError: it is given neither an image nor an array.

    Example:
        >>> ToArray()(image).shape
        (3, 4, 5)
    """

    def __init__(self, dtype: Any = "float32") -> None:
        """Keep the dtype."""
        self.dtype = np.dtype(dtype)

    def __call__(self, image: Any) -> Array:
        """Convert one image."""
        if isinstance(image, np.ndarray):
            return image
        pixels = np.asarray(_checked(image))
        planes = pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        return np.array(planes, self.dtype, order="C")


class ToPIL:
    """Makes an array (1, 3 or 4 channels, height, width) an image; floats are rounded.

    Raises:
        DataError: the array has another shape, or brightness outside 0 to 255.

    Example:
        >>> ToPIL()(np.zeros((3, 4, 5), "uint8")).size
        (5, 4)
    """

    def __call__(self, array: Any) -> Any:
        """Convert one array."""
        planes = np.asarray(array)
        if planes.ndim != 3 or planes.shape[0] not in (1, 3, 4) or planes.size == 0:
            raise DataError(
                f"an image has shape (1, 3 or 4 channels, height, width), not {planes.shape}"
            )
        if planes.dtype != np.uint8:
            if not ((planes >= 0) & (planes <= BRIGHTEST)).all():
                raise DataError(f"the brightness of a pixel is between 0 and {BRIGHTEST}")
            planes = np.rint(planes).astype(np.uint8)
        pixels = planes[0] if len(planes) == 1 else planes.transpose(1, 2, 0)
        return pillow().fromarray(np.ascontiguousarray(pixels))


def size_pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return width and height.

    Raises:
        DataError: they are not one or two positive ints.
    """
    given = size if isinstance(size, tuple | list) else (size, size)
    if len(given) != 2 or any(type(extent) is not int or extent < 1 for extent in given):
        raise DataError(f"a size is a positive int, or two (width, height); got {size!r}")
    return given[0], given[1]
