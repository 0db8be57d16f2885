"""The ops under their public names; `symgraph` re-exports exactly these."""

from __future__ import annotations

from symgraph.ops.activation import gelu, leaky_relu, relu, sigmoid, softplus
from symgraph.ops.arithmetic import (
    absolute,
    add,
    ceil,
    divide,
    floor,
    floor_divide,
    mod,
    multiply,
    negative,
    power,
    reciprocal,
    rint,
    round,
    rsqrt,
    sign,
    sqrt,
    square,
    subtract,
    trunc,
)
from symgraph.ops.axes import expand_dims, moveaxis, squeeze, swapaxes
from symgraph.ops.comparison import (
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    equal,
    greater,
    greater_equal,
    invert,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    not_equal,
    where,
)
from symgraph.ops.control import cond
from symgraph.ops.dropout import dropout
from symgraph.ops.elementwise import cast
from symgraph.ops.extremes import clip, maximum, minimum
from symgraph.ops.filled import (
    eye,
    full,
    full_like,
    one_hot,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from symgraph.ops.identity import check_index, stop_gradient
from symgraph.ops.index_leaves import arange
from symgraph.ops.indexing import take
from symgraph.ops.joining import concatenate, stack
from symgraph.ops.layout import ravel, sum_to
from symgraph.ops.linalg import dot, linear, matmul, outer
from symgraph.ops.partition import pad, split
from symgraph.ops.reduce import all, any, argmax, argmin, cumsum, max, min, prod, sum
from symgraph.ops.repetition import flip, repeat, tile
from symgraph.ops.softmax import log_softmax, logsumexp, softmax
from symgraph.ops.statistics import mean, std, var
from symgraph.ops.taking import scatter_add, take_along_axis
from symgraph.ops.transcendental import (
    arccos,
    arcsin,
    arctan,
    arctan2,
    cos,
    cosh,
    erf,
    exp,
    expm1,
    log,
    log1p,
    sin,
    sinh,
    tan,
    tanh,
)
from symgraph.ops.views import broadcast_to, reshape, transpose

abs = absolute

__all__ = [name for name in dir() if not name.startswith("_") and name != "annotations"]
