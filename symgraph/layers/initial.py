"""Initial values: where random weights come from."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import GraphError
from symgraph.location import user_location
from symgraph.ops.streams import stream_key

Array = np.ndarray[Any, Any]
Seed = int | np.random.Generator | np.random.RandomState | None
Generator = np.random.Generator | np.random.RandomState


def generator(seed: Seed, *parts: int) -> Generator:
    """Return the generator that a seed stands for.

    Args:
        seed: an int, a generator, which is returned, or None for the next stream of the process.
        parts: tell apart what shares one int.

    Raises:
        GraphError: it is none of these.
    """
    if isinstance(seed, np.random.Generator | np.random.RandomState):
        return seed
    if seed is None:
        return np.random.default_rng(int(stream_key(None, None).value) % 2**64)
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool) and seed >= 0:
        return np.random.default_rng([int(seed), *parts])
    raise GraphError(
        f"a seed is a non-negative int, a NumPy generator or None, not {seed!r}\n"
        f"  at {user_location()}"
    )


def scaled_normal(source: Generator, shape: tuple[int, int], dtype: str) -> Array:
    """Draw weights (inputs, outputs) that keep the variance of what they are multiplied with.

    They are drawn in float64 whatever `dtype` is, so that both dtypes start from one point.
    """
    numbers: Array = source.standard_normal(shape).astype(dtype)
    numbers *= numbers.dtype.type(np.sqrt(1.0 / shape[0]))
    return numbers
