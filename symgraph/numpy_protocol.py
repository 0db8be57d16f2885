"""NumPy's functions on nodes: `np.exp(node)`, `np.sum(node)`, `array + node` build graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from inspect import signature
from typing import Any, cast

import numpy as np

from symgraph.errors import GraphError
from symgraph.location import user_location
from symgraph.op import Op

# The public names, and what only operators and indexing lead to.
_MODULES = ("public", "comparison", "indexing")

NAMES = frozenset(
    """
    add subtract multiply divide floor_divide mod negative power square reciprocal sqrt rsqrt
    absolute sign floor ceil trunc rint round maximum minimum clip
    equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor
    logical_not bitwise_and bitwise_or bitwise_xor invert isnan isinf isfinite where
    exp expm1 log log1p sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh erf
    sigmoid softplus relu leaky_relu gelu stop_gradient check_index cast
    sum prod max min any all mean var std argmax argmin cumsum
    reshape transpose swapaxes moveaxis expand_dims squeeze broadcast_to ravel
    concatenate stack split pad flip tile repeat take take_along_axis index
    matmul dot outer zeros_like ones_like full_like
    """.split()
)
"""The functions that NumPy's functions and the array methods of nodes lead to."""

_RENAMED = {
    "remainder": "mod",
    "amax": "max",
    "amin": "min",
    "around": "round",
    "abs": "absolute",
    "true_divide": "divide",
    "bitwise_not": "invert",
}
_HARMLESS: Mapping[str, object] = {"order": "C", "casting": "same_kind", "subok": True}
"""Arguments that mean nothing for nodes, as long as they have these values (or None)."""

_ARGUMENT_NAMES: Mapping[str, Mapping[str, str]] = {
    "clip": {"a_min": "low", "a_max": "high", "min": "low", "max": "high"},
    "full_like": {"fill_value": "value"},
}
_REMEDIES = {
    "out": "a node is never written to: bind the result to a name, as in y = np.add(x, 1)",
    "where": "choose with np.where(condition, x, y) instead of the where= argument",
    "dtype": "cast with .astype(dtype) instead of the dtype= argument",
}
_TAKES_DTYPE = frozenset(("zeros_like", "ones_like", "full_like"))


@cache
def function(name: str) -> Callable[..., Any]:
    """Return the graph-building function called `name`, importing its module on first use.

    Raises:
        GraphError: there is none.
    """
    if name in NAMES:
        for module in _MODULES:
            found = getattr(import_module(f"symgraph.ops.{module}"), name, None)
            if callable(found):
                return cast("Callable[..., Any]", found)
    raise _refusal(name, _UNKNOWN)


def array_ufunc(ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """Build the node of a ufunc call that has a node among its operands.

    Args:
        ufunc: the NumPy function.
        method: `__call__`; nothing else can be built.
        inputs: operands: nodes, arrays, numbers.
        kwargs: what else the user passed.

    Returns:
        A node.

    Raises:
        GraphError: the function, the method or an argument has no graph form.
    """
    name = f"np.{ufunc.__name__}"
    if method != "__call__":
        raise _refusal(f"{name}.{method}", "use a reduction such as np.sum, or scan")
    return _build(ufunc.__name__, name, inputs, kwargs)


def array_function(called: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Build the node of a NumPy function call that has a node among its arguments.

    Raises:
        GraphError: the function or an argument has no graph form.
    """
    module = getattr(called, "__module__", "numpy") or "numpy"
    name = f"{module.replace('numpy', 'np', 1)}.{called.__name__}"
    if module != "numpy":
        raise _refusal(name, _UNKNOWN)
    attribute = _ATTRIBUTES.get(called.__name__)
    if attribute is not None and len(args) == 1 and not kwargs:
        return getattr(args[0], attribute)
    return _build(called.__name__, name, args, kwargs)


_ATTRIBUTES = {"shape": "shape", "ndim": "ndim", "size": "size"}
_UNKNOWN = (
    "it is not part of the graph language: write it with the functions of symgraph, or compute it "
    "with NumPy before the graph is built"
)


def _build(plain_name: str, name: str, args: Any, kwargs: Mapping[str, Any]) -> Any:
    plain_name = _RENAMED.get(plain_name, plain_name)
    if plain_name == "positive":
        return args[0]
    if plain_name not in NAMES:
        raise _refusal(name, _UNKNOWN)
    target = function(plain_name)
    passed = _arguments(plain_name, name, kwargs)
    if isinstance(target, Op):
        if passed:
            raise _refusal(f"{name} with {next(iter(passed))}=", "leave that argument out")
        return target(*args)
    try:
        signature(target).bind(*args, **passed)
    except TypeError as error:
        raise _refusal(f"this call of {name}", f"here it is {plain_name}: {error}") from None
    return target(*args, **passed)


def _arguments(plain_name: str, name: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments in our names, without those that mean nothing."""
    passed: dict[str, Any] = {}
    for key, value in kwargs.items():
        if value is None and key in ("out", "dtype", *_HARMLESS):
            continue
        if key in _HARMLESS and value is _HARMLESS[key]:
            continue
        if key in _REMEDIES and not (key == "dtype" and plain_name in _TAKES_DTYPE):
            raise _refusal(f"{name} with {key}=", _REMEDIES[key])
        passed[_ARGUMENT_NAMES.get(plain_name, {}).get(key, key)] = value
    return passed


def _refusal(what: str, remedy: str) -> GraphError:
    return GraphError(f"{what} cannot be built into a graph\n  at {user_location()}\n  {remedy}")
