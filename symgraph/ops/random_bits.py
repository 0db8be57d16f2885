"""The core ops behind random numbers: bits from a counter, and distributions from bits.

Element i of call c of a random node with key k is a function of (i, c, k) alone, by threefry2x32
(Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", 2011). So results do not
depend on how the work is cut, and nothing is stored between calls but the number of the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.op import NO_GRADIENT, Attrs, Elementwise, Op, Sample
from symgraph.ops.arguments import Array
from symgraph.scalar import random_bits as scalar_random
from symgraph.types import TensorType, broadcast_shapes

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def threefry2x32(key: tuple[Array, Array], counter: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return two random uint32 words for a key and a counter of two uint32 words (20 rounds)."""
    parity = key[0] ^ key[1] ^ np.uint32(scalar_random.KEY_PARITY)
    keys = (key[0], key[1], parity)
    x, y = counter[0] + keys[0], counter[1] + keys[1]
    for block in range(5):
        for rotation in scalar_random.ROTATIONS[block % 2]:
            x = x + y
            y = ((y << np.uint32(rotation)) | (y >> np.uint32(32 - rotation))) ^ x
        x = x + keys[(block + 1) % 3]
        y = y + keys[(block + 2) % 3] + np.uint32(block + 1)
    return x, y


def _words(x: Array) -> tuple[Array, Array]:
    """Return the low and the high word of 64-bit integers."""
    wide = x.astype(np.uint64)
    return (wide & _LOW).astype(np.uint32), (wide >> _HALF).astype(np.uint32)


def _bits(index: Array, call: Array, key: Array) -> Array:
    operands = np.broadcast_arrays(*(np.asarray(x, np.int64) for x in (index, call, key)))
    # Flat, because NumPy warns of a wrapping sum of 0-d arrays.
    (i_low, i_high), (c_low, c_high), (k_low, k_high) = (_words(x.reshape(-1)) for x in operands)
    x, y = threefry2x32((k_low ^ c_high, k_high ^ i_high), (i_low, c_low))
    joined = (x.astype(np.uint64) << _HALF) | y.astype(np.uint64)
    return joined.view(np.int64).reshape(operands[0].shape)


def _bits_scalar(s: Any, index: Any, call: Any, key: Any) -> Any:  # opaque handles
    def low(x: Any) -> Any:
        return s.convert(x, "int32")

    def high(x: Any) -> Any:
        return s.convert(s.shift_right(x, 32), "int32")

    keys = (s.bit_xor(low(key), high(call)), s.bit_xor(high(key), high(index)))
    words = scalar_random.threefry2x32(s, keys, (low(index), low(call)))
    return scalar_random.join_words(s, *words)


def _integers(types: Sequence[TensorType], attrs: Attrs) -> tuple[str, ...]:
    return ("int64",) * len(types)


def _any_bits(rng: np.random.Generator) -> Array:
    return rng.integers(-(2**63), 2**63 - 1, (3, 4))


RANDOM_BITS = Op(
    name="random_bits",
    kind=Elementwise(_bits_scalar, _integers),
    infer=lambda types, attrs: TensorType("int64", broadcast_shapes(t.dims for t in types)),
    numpy=_bits,
    grad=NO_GRADIENT,
    samples=(Sample(lambda rng: (_any_bits(rng), _any_bits(rng), _any_bits(rng)), {}, ()),),
    doc="64 random bits, as int64, for an element's index, the number of the call, and a key.",
)


def _infer_floats(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    return TensorType(attrs["dtype"], broadcast_shapes(entry.dims for entry in types))


def _uniform(bits: Array, dtype: str) -> Array:
    kept = 24 if dtype == "float32" else 53
    return np.asarray((bits.view(np.uint64) >> np.uint64(64 - kept)).astype(dtype) * 2.0**-kept)


def _uniform_scalar(s: Any, bits: Any, dtype: str) -> Any:  # opaque handles
    if dtype == "float32":
        bits = s.convert(s.shift_right(bits, 32), "int32")
    return scalar_random.uniform(s, bits)


UNIFORM_FROM_BITS = Op(
    name="uniform_from_bits",
    kind=Elementwise(_uniform_scalar, _integers),
    infer=_infer_floats,
    numpy=_uniform,
    grad=NO_GRADIENT,
    samples=tuple(
        Sample(lambda rng: (_any_bits(rng),), {"dtype": dtype}, ())
        for dtype in ("float32", "float64")
    ),
    doc="Uniform in [0, 1): a multiple of 2**-24 (float32) or 2**-53 (float64).",
)


def _normal(first: Array, second: Array, dtype: str) -> Array:
    first, second = np.broadcast_arrays(first.view(np.uint64), second.view(np.uint64))
    width = 32 if dtype == "float32" else 64
    one, other = (first >> _HALF, second << _HALF) if width == 32 else (first, second)
    magnitude = (one >> np.uint64(1)).astype(dtype)
    scale = np.dtype(dtype).type
    unit = (magnitude + scale(0.5)) * scale(2.0 ** (1 - width))
    turns = _uniform(other, dtype).astype(np.float64)
    # cos(2 pi t), written so that it is relatively exact next to its zeros.
    cosine = np.sin(2 * np.pi * (0.25 - np.abs(turns - np.rint(turns))))
    return np.asarray(np.sqrt(scale(-2) * np.log(unit)) * cosine.astype(dtype))


def _normal_scalar(s: Any, first: Any, second: Any, dtype: str) -> Any:  # handles
    if dtype == "float32":
        first = s.convert(s.shift_right(first, 32), "int32")
        second = s.convert(second, "int32")
    return scalar_random.normal(s, first, second)


NORMAL_FROM_BITS = Op(
    name="normal_from_bits",
    kind=Elementwise(_normal_scalar, _integers),
    infer=_infer_floats,
    numpy=_normal,
    grad=NO_GRADIENT,
    samples=tuple(
        Sample(lambda rng: (_any_bits(rng), _any_bits(rng)), {"dtype": dtype}, ())
        for dtype in ("float32", "float64")
    ),
    doc="Standard normal by Box-Muller; float32 takes the high word of the first operand and the "
    "low word of the second, float64 all bits of both.",
)
