"""Initial values: where random weights come from.

An initialiser is a function `initialiser(source, shape, dtype, fans)` that returns an array; layers
take one as `initial`. Normal numbers are not truncated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from symgraph.errors import GraphError
from symgraph.location import user_location
from symgraph.ops.streams import stream_key
from symgraph.types import check_dtype

Array = np.ndarray[Any, Any]
Generator = np.random.Generator | np.random.RandomState
Seed = int | tuple[int, ...] | np.random.Generator | np.random.RandomState | None

NUMBERS_AT_ONCE = 1 << 18
"""How many numbers are drawn at a time, in float64 whatever dtype they will have."""


class Fans(NamedTuple):
    """How many inputs one output is computed from, and how many outputs use one input."""

    inputs: int
    outputs: int


Initialiser = Callable[[Generator, tuple[int, ...], str, Fans], Array]


def settled(seed: Seed) -> tuple[int, ...] | Generator:
    """Return a seed as ints that stand for the same numbers every time, or the generator itself.

    Args:
        seed: a non-negative int or a tuple of them, a generator, or None for the next stream of the
            process.

    Raises:
        GraphError: it is none of these.
    """
    if isinstance(seed, np.random.Generator | np.random.RandomState):
        return seed
    if seed is None:
        return (int(stream_key(None, None).value) % 2**64,)
    numbers = seed if isinstance(seed, tuple) else (seed,)
    if numbers and all(map(_is_count, numbers)):
        return tuple(int(number) for number in numbers)
    raise GraphError(
        f"a seed is a non-negative int, a NumPy generator or None, not {seed!r}\n"
        f"  at {user_location()}"
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= 0


def part_of(seed: Seed, *parts: int) -> Seed:
    """Return the seed of one of several layers that share `seed`; generators simply go on."""
    if seed is None or isinstance(seed, np.random.Generator | np.random.RandomState):
        return seed
    numbers = settled(seed)
    return (*numbers, *parts) if isinstance(numbers, tuple) else numbers


def generator(seed: Seed) -> Generator:
    """Return the generator that a seed stands for.

    Raises:
        GraphError: it is none.
    """
    numbers = settled(seed)
    return np.random.default_rng(list(numbers)) if isinstance(numbers, tuple) else numbers


def draw(
    initialiser: Initialiser,
    shape: tuple[int, ...],
    dtype: Any = "float32",
    seed: Seed = None,
    fans: Fans | None = None,
) -> Array:
    """Return an array of initial values.

    Args:
        initialiser: draws them.
        shape: of the array.
        dtype: float32 or float64.
        seed: as for layers.
        fans: what the scale depends on; None for those of a matrix (inputs, outputs).

    Raises:
        GraphError: the initialiser gives an array of another shape or dtype, or there are no fans.

    Example:
        >>> draw(he_normal, (64, 10), seed=0).shape
        (64, 10)
    """
    if fans is None:
        if len(shape) != 2:
            raise GraphError(f"the fans of an array {shape} are not known\n  at {user_location()}")
        fans = Fans(*shape)
    return drawn(initialiser, generator(seed), shape, check_dtype(dtype), fans)


def drawn(
    initialiser: Initialiser, source: Generator, shape: tuple[int, ...], dtype: str, fans: Fans
) -> Array:
    """Return what an initialiser gives, after checking it.

    Raises:
        GraphError: it is no array of this shape and dtype.
    """
    values = initialiser(source, shape, dtype, fans)
    if not isinstance(values, np.ndarray) or (values.shape, values.dtype) != (shape, dtype):
        found = f"{values.dtype}{list(values.shape)}" if isinstance(values, np.ndarray) else values
        raise GraphError(
            f"the initialiser {initialiser!r} gives {found}, not {dtype}{list(shape)}\n"
            f"  at {user_location()}"
        )
    return values


def _filled(shape: tuple[int, ...], dtype: str, numbers: Callable[[int], Array]) -> Array:
    """Return an array filled piece by piece, so that little memory is needed beside it.

    The pieces are float64, so that both dtypes start from one point.
    """
    result = np.empty(shape, dtype)
    flat = result.reshape(-1)
    for start in range(0, flat.size, NUMBERS_AT_ONCE):
        piece = flat[start : start + NUMBERS_AT_ONCE]
        piece[...] = numbers(piece.size)
    return result


def _normal(source: Generator, shape: tuple[int, ...], dtype: str, variance: float) -> Array:
    values = _filled(shape, dtype, source.standard_normal)
    values *= values.dtype.type(np.sqrt(variance))
    return values


def _uniform(
    source: Generator, shape: tuple[int, ...], dtype: str, low: float, high: float
) -> Array:
    return _filled(shape, dtype, lambda count: source.uniform(low, high, count))


def lecun_normal(source: Generator, shape: tuple[int, ...], dtype: str, fans: Fans) -> Array:
    """Draw normal numbers of variance 1 / inputs, which keeps that of what they multiply.

    LeCun, Bottou, Orr and Müller, "Efficient BackProp" (1998).
    """
    return _normal(source, shape, dtype, 1 / fans.inputs)


def lecun_uniform(source: Generator, shape: tuple[int, ...], dtype: str, fans: Fans) -> Array:
    """Draw uniform numbers of variance 1 / inputs; see `lecun_normal`."""
    limit = float(np.sqrt(3 / fans.inputs))
    return _uniform(source, shape, dtype, -limit, limit)


def he_normal(source: Generator, shape: tuple[int, ...], dtype: str, fans: Fans) -> Array:
    """Draw normal numbers of variance 2 / inputs, which keeps the variance through a relu.

    He, Zhang, Ren and Sun, "Delving deep into rectifiers" (2015).
    """
    return _normal(source, shape, dtype, 2 / fans.inputs)


def he_uniform(source: Generator, shape: tuple[int, ...], dtype: str, fans: Fans) -> Array:
    """Draw uniform numbers of variance 2 / inputs; see `he_normal`."""
    limit = float(np.sqrt(6 / fans.inputs))
    return _uniform(source, shape, dtype, -limit, limit)


def xavier_normal(source: Generator, shape: tuple[int, ...], dtype: str, fans: Fans) -> Array:
    """Draw normal numbers of variance 2 / (inputs + outputs), fit for both directions.

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks"
    (2010).
    """
    return _normal(source, shape, dtype, 2 / (fans.inputs + fans.outputs))


def xavier_uniform(source: Generator, shape: tuple[int, ...], dtype: str, fans: Fans) -> Array:
    """Draw uniform numbers of variance 2 / (inputs + outputs); see `xavier_normal`."""
    limit = float(np.sqrt(6 / (fans.inputs + fans.outputs)))
    return _uniform(source, shape, dtype, -limit, limit)


def normal(scale: float = 1.0) -> Initialiser:
    """Return an initialiser that draws normal numbers of this standard deviation."""
    return lambda source, shape, dtype, fans: _normal(source, shape, dtype, scale**2)


def uniform(low: float = -1.0, high: float = 1.0) -> Initialiser:
    """Return an initialiser that draws evenly from [low, high)."""
    return lambda source, shape, dtype, fans: _uniform(source, shape, dtype, low, high)


def constant(value: float) -> Initialiser:
    """Return an initialiser that draws nothing and gives one value everywhere."""
    return lambda source, shape, dtype, fans: np.full(shape, value, dtype)


def orthogonal(gain: float = 1.0) -> Initialiser:
    """Return an initialiser whose matrices have orthogonal rows or columns, whichever are fewer.

    Arrays of more axes are matrices whose rows belong to the first one. Saxe, McClelland and
    Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks"
    (2014); the signs make the distribution uniform (Mezzadri, 2007).
    """

    def initialise(source: Generator, shape: tuple[int, ...], dtype: str, _fans: Fans) -> Array:
        rows, columns = shape[0], int(np.prod(shape[1:], dtype=np.int64))
        tall = source.standard_normal((max(rows, columns), min(rows, columns)))
        basis, triangle = np.linalg.qr(tall)
        basis *= gain * np.where(np.diagonal(triangle) < 0, -1.0, 1.0)
        matrix = basis if rows >= columns else basis.T
        return np.ascontiguousarray(matrix, dtype).reshape(shape)

    return initialise
