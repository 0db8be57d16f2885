"""Transforms of many samples at once, without Python for each sample where that is possible."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.data.arrays import Array
from symgraph.data.collate import stack
from symgraph.errors import DataError


class ArrayTransform(ABC):
    """Base of transforms that treat a whole batch of arrays at once.

    A single sample is a batch of one, so the two ways give the same numbers.
    """

    @abstractmethod
    def batch(self, samples: Array) -> Array:
        """Transform samples, an array (samples, ...); return an array (samples, ...)."""

    def __call__(self, sample: Any) -> Any:
        """Transform one sample, an array or a number."""
        return self.batch(np.asarray(sample)[np.newaxis])[0]


class Compose:
    """Applies transforms one after the other.

    Args:
        transforms: functions of one sample; None or nothing leaves samples as they are.

    Raises:
        DataError: one is no function.

    Example:
        >>> Compose([Flatten(), ToFloat(), Normalize(0.0, 255.0)])([[0, 51], [102, 255]])
        array([0. , 0.2, 0.4, 1. ], dtype=float32)
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]] | None = None) -> None:
        """Check and keep the transforms."""
        self.transforms = tuple(transforms or ())
        for transform in self.transforms:
            if not callable(transform):
                raise DataError(f"a transform is a function of one sample, not {transform!r}")

    def __call__(self, sample: Any) -> Any:
        """Transform one sample."""
        for transform in self.transforms:
            sample = transform(sample)
        return sample


class Elementwise(ArrayTransform):
    """Promises that a function treats each number by itself, so that batches are one call.

    Args:
        function: from an array to an array of the same shape.

    Example:
        >>> halved = sg.data.Spiral(transform=Elementwise(lambda x: x / 2))
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        """Keep the function."""
        self.function = function

    def batch(self, samples: Array) -> Array:
        """Call the function once."""
        results = np.asarray(self.function(samples))
        if results.shape[:1] != samples.shape[:1]:
            raise DataError(
                f"a function was said to be elementwise, but it makes {results.shape} "
                f"of {samples.shape}"
            )
        return results


def apply_to_all(transform: Callable[[Any], Any] | None, samples: Any) -> Any:
    """Apply a transform to many samples.

    Args:
        transform: a function of one sample, None for nothing. Where it is an `ArrayTransform`, and
            the samples are arrays of one shape, it is called once.
        samples: an array (samples, ...), or a list of samples.

    Returns:
        An array (samples, ...), or a list of samples.
    """
    if transform is None:
        return samples
    if isinstance(transform, Compose):
        for part in transform.transforms:
            samples = apply_to_all(part, samples)
        return samples
    if isinstance(transform, ArrayTransform):
        together = _together(samples)
        if together is not None:
            return transform.batch(together)
    return [transform(sample) for sample in samples]


def _together(samples: Any) -> Array | None:
    """Return samples as one array if they are arrays alike."""
    if isinstance(samples, np.ndarray):
        return samples
    alike = {(s.shape, s.dtype) if isinstance(s, np.ndarray) else None for s in samples}
    if len(alike) != 1 or None in alike:
        return None
    return np.asarray(stack(samples, range(len(samples))))
