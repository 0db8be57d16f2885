"""Random changes that leave the meaning of a picture as it is.

Each keeps its own generator: one that it is given, or seeds. Give every transform a seed of its
own, for then samples come out the same one by one, in batches, and with a prefetching loader.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.data.arrays import Array, Source, generator
from symgraph.data.transforms.base import ArrayTransform
from symgraph.data.transforms.images import is_image, pillow
from symgraph.data.transforms.sampling import sample_affine
from symgraph.errors import DataError


class _RandomFlip(ArrayTransform):
    """Mirrors a share of the pictures along an axis that subclasses name."""

    axis: int
    pillow_name: str

    def __init__(self, p: float = 0.5, rng: Source | None = None) -> None:
        """Check and keep the arguments."""
        if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
            raise DataError(f"p is a probability between 0 and 1, not {p!r}")
        self.p = p
        self.generator = np.random.default_rng() if rng is None else generator(rng)

    def __call__(self, sample: Any) -> Any:
        """Flip one picture, or leave it."""
        if not is_image(sample):
            return super().__call__(sample)
        if self.generator.random() >= self.p:
            return sample
        return sample.transpose(pillow().Transpose[self.pillow_name])

    def batch(self, samples: Array) -> Array:
        """Flip some of the pictures (samples, ..., height, width)."""
        _check_pictures(samples)
        chosen = self.generator.random(len(samples)) < self.p
        results = samples.copy()
        results[chosen] = np.flip(samples[chosen], self.axis)
        return results


class RandomHorizontalFlip(_RandomFlip):
    """Exchanges left and right in some of the pictures.

    Args:
        p: the share of them.
        rng: a seed or a generator; None for other flips in each run.

    It takes images of Pillow's, and arrays whose last axis is the width, such as (channels,
    height, width).

    Raises:
        DataError: p is no probability, or an array has less than 2 axes.

    Example:
        >>> RandomHorizontalFlip(p=1.0)(np.array([[1, 2, 3]]))
        array([[3, 2, 1]])
    """

    axis = -1
    pillow_name = "FLIP_LEFT_RIGHT"


class RandomVerticalFlip(_RandomFlip):
    """Exchanges top and bottom in some of the pictures; as `RandomHorizontalFlip` otherwise.

    Example:
        >>> RandomVerticalFlip(p=1.0)(np.array([[1], [2]])).tolist()
        [[2], [1]]
    """

    axis = -2
    pillow_name = "FLIP_TOP_BOTTOM"


class RandomRotation(ArrayTransform):
    """Turns each picture about its middle by a random angle.

    Pixels in between are interpolated bilinearly. It takes images of Pillow's, and arrays (...,
    height, width).

    Args:
        degrees: angles are uniform between `-degrees` and `degrees`; or (lowest, highest). Positive
            angles turn to the left.
        rng: a seed or a generator; None for other angles in each run.
        fill: the value of what was outside of the picture.

    Raises:
        DataError: the angles make no sense, or an array has less than 2 axes.

    Example:
        >>> RandomRotation((90, 90))(np.array([[1.0, 2.0], [3.0, 4.0]]))
        array([[2., 4.],
               [1., 3.]])
    """

    def __init__(
        self,
        degrees: float | tuple[float, float],
        rng: Source | None = None,
        fill: float = 0.0,
    ) -> None:
        """Check and keep the arguments."""
        self.degrees = _bounds(degrees)
        self.generator = np.random.default_rng() if rng is None else generator(rng)
        self.fill = fill

    def __call__(self, sample: Any) -> Any:
        """Turn one picture."""
        if not is_image(sample):
            return super().__call__(sample)
        angle = float(self.generator.uniform(*self.degrees))
        colour = tuple(int(self.fill) for _ in sample.getbands())
        return sample.rotate(
            angle,
            resample=pillow().Resampling.BILINEAR,
            fillcolor=colour if len(colour) > 1 else colour[0],
        )

    def batch(self, samples: Array) -> Array:
        """Turn the pictures (samples, ..., height, width), each by its own angle."""
        _check_pictures(samples)
        angles = np.radians(self.generator.uniform(*self.degrees, len(samples)))
        # Rounded, so that a quarter turn has no 6e-17 where 0 is meant.
        cos, sin = np.round(np.cos(angles), 15), np.round(np.sin(angles), 15)
        matrices = np.stack([cos, sin, -sin, cos], axis=1).reshape(-1, 2, 2)
        dtype = samples.dtype if samples.dtype.kind == "f" else np.dtype("float32")
        height, width = samples.shape[-2:]
        channels = int(np.prod(samples.shape[1:-2]))
        images = samples.astype(dtype).reshape(len(samples), channels, height, width)
        offsets = np.zeros((len(samples), 2))
        turned = sample_affine(images, matrices, offsets, (height, width), self.fill)
        if samples.dtype.kind in "iu":
            turned = np.rint(turned)
        return turned.astype(samples.dtype).reshape(samples.shape)


def _bounds(degrees: Any) -> tuple[float, float]:
    try:
        low, high = degrees if isinstance(degrees, tuple | list) else (-degrees, degrees)
        low, high = float(low), float(high)
    except (TypeError, ValueError):
        low, high = 0.0, float("nan")
    if not (np.isfinite([low, high]).all() and low <= high):
        raise DataError(f"degrees is a number, or (lowest, highest); got {degrees!r}")
    return low, high


def _check_pictures(samples: Array) -> None:
    if samples.ndim < 3:
        raise DataError(
            f"a picture has at least the axes (height, width); got shape {samples.shape[1:]}"
        )
