"""Activation functions, element by element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symgraph.errors import GraphError
from symgraph.location import user_location
from symgraph.node import Node, Operand
from symgraph.op import BY_EXPANSION, Composite, Op
from symgraph.ops.adjoint import scaled
from symgraph.ops.arithmetic import NONZERO, REAL
from symgraph.ops.comparison import where
from symgraph.ops.elementwise import Array, cast, dtype_key, elementwise, like, samples_of
from symgraph.ops.transcendental import erf, tanh
from symgraph.scalar import exponential, logarithm
from symgraph.types import TensorType

ROOT_HALF = math.sqrt(0.5)
ROOT_TWO_OVER_PI = math.sqrt(2.0 / math.pi)
GELU_CUBIC = 0.044715
_FLOAT = like(np.sqrt)


def _sigmoid_reference(x: Array) -> Array:
    wide = x.astype(np.float64)
    decay = np.exp(-np.abs(wide))
    return np.asarray(np.where(wide < 0, decay, 1.0) / (1.0 + decay)).astype(x.dtype)


sigmoid = elementwise(
    "sigmoid",
    numpy=_sigmoid_reference,
    scalar=exponential.sigmoid,
    grad=lambda g, y, x: (scaled(g, y * (1.0 - y)),),
    domain=(REAL,),
    dtypes=_FLOAT,
    doc="1 / (1 + exp(-x)), without overflow.",
)
softplus = elementwise(
    "softplus",
    numpy=lambda x: np.logaddexp(0.0, x.astype(np.float64)).astype(x.dtype),
    scalar=logarithm.softplus,
    grad=lambda g, y, x: (scaled(g, sigmoid(x)),),
    domain=(REAL,),
    dtypes=_FLOAT,
    doc="log(1 + exp(x)), without overflow.",
)
relu = elementwise(
    "relu",
    numpy=lambda x: np.maximum(x, x.dtype.type(0)),
    scalar=lambda s, x: s.maximum(x, s.like(0, x)),
    grad=lambda g, y, x: (where(x > 0, g, 0),),
    domain=(NONZERO,),
    dtypes=like(np.maximum, int),
    doc="max(x, 0); NaN stays NaN, and the gradient at 0 is 0.",
)


def _leaky_relu_scalar(s: Any, x: Any, slope: float) -> Any:  # handles are opaque
    return s.select(s.lt(s.like(0, x), x), x, s.mul(x, s.like(slope, x)))


LEAKY_RELU = elementwise(
    "leaky_relu",
    numpy=lambda x, slope: np.where(x > 0, x, x * x.dtype.type(slope)),
    scalar=_leaky_relu_scalar,
    grad=lambda g, y, x, slope: (where(x > 0, g, slope * g),),
    domain=(NONZERO,),
    dtypes=like(np.multiply, float),
    attrs=({"slope": 0.2},),
    doc="x above 0, slope * x elsewhere; the gradient at 0 is the slope.",
)


def leaky_relu(x: Operand, slope: float = 0.2) -> Node:
    """Give x where it is positive and slope * x elsewhere.

    Args:
        x: any shape; integers become float64.
        slope: the factor below 0, and the derivative at 0.

    Returns:
        A float node of the shape of x.

    Example:
        >>> leaky_relu(Placeholder("x", shape=(3,), dtype="float32"), 0.1)
        <leaky_relu: float32[3]>
    """
    return LEAKY_RELU(x, slope=float(slope))


def _expand_gelu(x: Node, approximate: str) -> Node:
    x = cast(x, _FLOAT((dtype_key(x.type),))[-1])
    if approximate == "none":
        return 0.5 * x * (1.0 + erf(ROOT_HALF * x))
    return 0.5 * x * (1.0 + tanh(ROOT_TWO_OVER_PI * (x + GELU_CUBIC * x * x * x)))


def _gelu_reference(x: Array, approximate: str) -> Array:
    dtype = _FLOAT((x.dtype.name,))[-1]
    wide = x.astype(np.float64)
    if approximate == "none":
        inner = np.vectorize(math.erf, otypes=["float64"])(ROOT_HALF * wide)
    else:
        inner = np.tanh(ROOT_TWO_OVER_PI * (wide + GELU_CUBIC * wide * wide * wide))
    return np.asarray(0.5 * wide * (1.0 + inner)).astype(dtype)


def _infer_gelu(types: tuple[Any, ...], _attrs: Any) -> TensorType:
    entry: TensorType = types[0]
    return TensorType(_FLOAT((dtype_key(entry),))[-1], entry.dims, entry.weak)


GELU = Op(
    name="gelu",
    kind=Composite(_expand_gelu),
    infer=_infer_gelu,
    numpy=_gelu_reference,
    grad=BY_EXPANSION,
    samples=samples_of((REAL,), (0,), [{"approximate": "none"}, {"approximate": "tanh"}]),
    doc="x times the probability that a normal variable is below x.",
)


def gelu(x: Operand, approximate: str = "none") -> Node:
    """Give x times the probability that a standard normal variable is below x.

    Args:
        x: any shape; integers become float64.
        approximate: "none" for the exact form by erf, "tanh" for the usual approximation.

    Returns:
        A float node of the shape of x.

    Raises:
        GraphError: `approximate` is neither.

    Example:
        >>> gelu(Placeholder("x", shape=(3,), dtype="float32"))
        <gelu: float32[3]>
    """
    if approximate not in ("none", "tanh"):
        raise GraphError(
            f"gelu: approximate is 'none' or 'tanh', not {approximate!r}\n  at {user_location()}"
        )
    return GELU(x, approximate=approximate)
