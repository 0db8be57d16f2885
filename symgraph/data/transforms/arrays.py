"""Transforms of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.data.arrays import Array
from symgraph.data.transforms.base import ArrayTransform
from symgraph.errors import DataError

Statistic = float | Sequence[float]


class Normalize(ArrayTransform):
    """Subtracts a mean and divides by a standard deviation.

    Floats keep their dtype; integers become float32.

    Args:
        mean: a number, or one for each channel, the first axis of a sample.
        std: the same, none of them 0. One-element sequences count for all channels.

    Raises:
        DataError: a number is not finite, a deviation is 0, or there are as many numbers as the
            samples have not channels.

    Example:
        >>> Normalize(0, 255)(np.array([0, 255]))
        array([0., 1.], dtype=float32)
    """

    def __init__(self, mean: Statistic = 0.0, std: Statistic = 1.0) -> None:
        """Check and keep the numbers."""
        self.mean = _statistic("mean", mean)
        self.std = _statistic("std", std)
        if not self.std.all():
            raise DataError(f"a standard deviation is 0, by which nothing can be divided: {std!r}")

    def batch(self, samples: Array) -> Array:
        """Normalize samples (samples, channels, ...)."""
        dtype = samples.dtype if samples.dtype.kind == "f" else np.dtype("float32")
        results = np.subtract(samples, _along_channels(self.mean, samples, dtype), dtype=dtype)
        results /= _along_channels(self.std, samples, dtype)
        return results


def _statistic(name: str, value: Statistic) -> Array:
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        array = np.full((), np.nan)
    if array.ndim > 1 or array.size == 0 or not np.isfinite(array).all():
        raise DataError(f"{name} is a number, or one for each channel; got {value!r}")
    return array


def _along_channels(statistic: Array, samples: Array, dtype: np.dtype[Any]) -> Array:
    """Shape a mean or deviation so that it broadcasts against samples."""
    if statistic.size == 1:
        return statistic.reshape(()).astype(dtype)
    if samples.ndim < 2 or samples.shape[1] != statistic.size:
        raise DataError(
            f"there are {statistic.size} numbers for the channels of a sample of shape "
            f"{samples.shape[1:]}"
        )
    return statistic.astype(dtype).reshape(-1, *(1,) * (samples.ndim - 2))


class Flatten(ArrayTransform):
    """Makes each sample a vector.

    Example:
        >>> Flatten()(np.zeros((1, 28, 28))).shape
        (784,)
    """

    def batch(self, samples: Array) -> Array:
        """Return samples as rows (samples, size of one)."""
        return samples.reshape(len(samples), int(np.prod(samples.shape[1:])))


class AsType(ArrayTransform):
    """Converts to a dtype; floats that become integers are cut off towards 0.

    Args:
        dtype: the dtype, a name or what NumPy takes for one.

    Raises:
        DataError: there is no such dtype, or a NaN or something too large is to become an integer.

    Example:
        >>> AsType("float64")(np.array([1, 2]))
        array([1., 2.])
    """

    def __init__(self, dtype: Any = "float32") -> None:
        """Look the dtype up."""
        try:
            self.dtype = np.dtype(dtype)
        except TypeError:
            raise DataError(f"there is no dtype {dtype!r}") from None

    def batch(self, samples: Array) -> Array:
        """Convert samples of any shape."""
        try:
            with np.errstate(invalid="raise"):
                return samples.astype(self.dtype)
        except (FloatingPointError, ValueError, TypeError):
            raise DataError(f"some samples of {samples.dtype} are no {self.dtype}") from None


class ToFloat(AsType):
    """Converts to a float dtype.

    Args:
        dtype: which one.
    """

    def __init__(self, dtype: Any = "float32") -> None:
        """Look the dtype up."""
        super().__init__(dtype)


class ToInt(AsType):
    """Converts to an integer dtype, cutting floats off towards 0.

    Args:
        dtype: which one.

    Example:
        >>> int(ToInt()(1.7))
        1
    """

    def __init__(self, dtype: Any = "int64") -> None:
        """Look the dtype up."""
        super().__init__(dtype)
