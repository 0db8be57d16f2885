"""Exponentials, logarithms, trigonometry and the error function, element by element."""

from __future__ import annotations

import math

import numpy as np

from symgraph.op import Op
from symgraph.ops.adjoint import scaled
from symgraph.ops.arithmetic import NONZERO, POSITIVE, REAL, rsqrt, square
from symgraph.ops.elementwise import Array, between, elementwise, like
from symgraph.scalar import (
    error_function,
    exponential,
    inverse_trigonometry,
    logarithm,
    trigonometry,
)

TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)
INSIDE_ONE = between(-0.9, 0.9)

exp = elementwise(
    "exp",
    numpy=np.exp,
    scalar=exponential.exp,
    grad=lambda g, y, x: (scaled(g, y),),
    domain=(REAL,),
    doc="e**x.",
)
expm1 = elementwise(
    "expm1",
    numpy=np.expm1,
    scalar=exponential.expm1,
    grad=lambda g, y, x: (scaled(g, exp(x)),),
    domain=(REAL,),
    doc="e**x - 1, accurate near 0.",
)
log = elementwise(
    "log",
    numpy=np.log,
    scalar=logarithm.log,
    grad=lambda g, y, x: (scaled(g, 1.0 / x),),
    domain=(POSITIVE,),
    doc="The natural logarithm; -inf at 0 and NaN below.",
)
log1p = elementwise(
    "log1p",
    numpy=np.log1p,
    scalar=logarithm.log1p,
    grad=lambda g, y, x: (scaled(g, 1.0 / (1.0 + x)),),
    domain=(between(-0.7, 3),),
    doc="log(1 + x), accurate near 0.",
)
sin = elementwise(
    "sin",
    numpy=np.sin,
    scalar=trigonometry.sin,
    grad=lambda g, y, x: (scaled(g, cos(x)),),
    domain=(REAL,),
    doc="The sine of x in radians.",
)
cos: Op = elementwise(
    "cos",
    numpy=np.cos,
    scalar=trigonometry.cos,
    grad=lambda g, y, x: (scaled(g, -sin(x)),),
    domain=(REAL,),
    doc="The cosine of x in radians.",
)
tan = elementwise(
    "tan",
    numpy=np.tan,
    scalar=trigonometry.tan,
    grad=lambda g, y, x: (scaled(g, 1.0 + square(y)),),
    domain=(between(-1.2, 1.2),),
    doc="The tangent of x in radians.",
)
arcsin = elementwise(
    "arcsin",
    numpy=np.arcsin,
    scalar=inverse_trigonometry.arcsin,
    grad=lambda g, y, x: (scaled(g, rsqrt((1.0 - x) * (1.0 + x))),),
    domain=(INSIDE_ONE,),
    doc="The angle in [-pi/2, pi/2] whose sine is x; NaN outside [-1, 1].",
)
arccos = elementwise(
    "arccos",
    numpy=np.arccos,
    scalar=inverse_trigonometry.arccos,
    grad=lambda g, y, x: (scaled(g, -rsqrt((1.0 - x) * (1.0 + x))),),
    domain=(INSIDE_ONE,),
    doc="The angle in [0, pi] whose cosine is x; NaN outside [-1, 1].",
)
arctan = elementwise(
    "arctan",
    numpy=np.arctan,
    scalar=inverse_trigonometry.arctan,
    grad=lambda g, y, x: (scaled(g, 1.0 / (1.0 + square(x))),),
    domain=(REAL,),
    doc="The angle in [-pi/2, pi/2] whose tangent is x.",
)
arctan2 = elementwise(
    "arctan2",
    numpy=np.arctan2,
    scalar=inverse_trigonometry.arctan2,
    grad=lambda g, z, y, x: (
        scaled(g, x / (square(x) + square(y))),
        scaled(g, -(y / (square(x) + square(y)))),
    ),
    domain=(NONZERO, NONZERO),
    doc="The angle of the point (x, y), given y first, in [-pi, pi].",
)
sinh = elementwise(
    "sinh",
    numpy=np.sinh,
    scalar=exponential.sinh,
    grad=lambda g, y, x: (scaled(g, cosh(x)),),
    domain=(REAL,),
    doc="The hyperbolic sine.",
)
cosh: Op = elementwise(
    "cosh",
    numpy=np.cosh,
    scalar=exponential.cosh,
    grad=lambda g, y, x: (scaled(g, sinh(x)),),
    domain=(REAL,),
    doc="The hyperbolic cosine.",
)
tanh = elementwise(
    "tanh",
    numpy=np.tanh,
    scalar=exponential.tanh,
    grad=lambda g, y, x: (scaled(g, 1.0 - square(y)),),
    domain=(between(-2, 2),),
    doc="The hyperbolic tangent.",
)


def _erf_reference(x: Array) -> Array:
    return np.asarray(np.vectorize(math.erf, otypes=["float64"])(x)).astype(x.dtype)


erf = elementwise(
    "erf",
    numpy=_erf_reference,
    scalar=error_function.erf,
    grad=lambda g, y, x: (scaled(g, TWO_OVER_ROOT_PI * exp(-square(x))),),
    domain=(between(-2, 2),),
    dtypes=like(np.sqrt),
    doc="The error function, 2 / sqrt(pi) times the integral of exp(-t**2) from 0 to x.",
)
