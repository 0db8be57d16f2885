"""Gradient checks: what the differentiator built, against central differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from symgraph.compilation import compile
from symgraph.compiler.autodiff import grad
from symgraph.errors import DTypeError, FeedError, GradientError
from symgraph.leaves import Parameter
from symgraph.location import user_location
from symgraph.node import Node, describe

Array = np.ndarray[Any, Any]

EPS = 1e-5
TOLERANCE = 1e-7


def numerical_gradient(f: Callable[[Array], Any], at: Any, eps: float = EPS) -> Array:
    """Return the gradient of a function of one array by central differences.

    Args:
        f: takes a float64 array, returns a number.
        at: where; integers become float64, so that a small step is not lost.
        eps: the step.

    Returns:
        A float64 array of the shape of `at`: (f(x + eps) - f(x - eps)) / (2 eps), element by
        element.

    Raises:
        DTypeError: `at` holds no real numbers.

    Example:
        >>> numerical_gradient(lambda x: (x * x).sum(), [3, 4]).round(6)
        array([6., 8.])
    """
    given = np.asarray(at)
    if given.dtype.kind not in "iuf":
        raise DTypeError(
            f"differences need numbers, not an array of {given.dtype}\n  at {user_location()}"
        )
    point = given.astype(np.float64)
    found = np.zeros_like(point)
    for index in np.ndindex(point.shape):
        value = point[index]
        point[index] = value + eps
        above = float(f(point.copy()))
        point[index] = value - eps
        below = float(f(point.copy()))
        point[index] = value
        found[index] = (above - below) / (2 * eps)
    return found


def relative_error(one: Any, other: Any) -> float:
    """Return the distance of two arrays in terms of their lengths, |a - b| / (|a| + |b|).

    Example:
        >>> relative_error([3.0, 4.0], [3.0, 4.0])
        0.0
    """
    one, other = np.asarray(one), np.asarray(other)
    size = np.linalg.norm(one) + np.linalg.norm(other)
    return float(np.linalg.norm(one - other) / (size + 1e-8))


def gradient_check(
    loss: Node,
    feeds: Mapping[str, Any] | None = None,
    wrt: Iterable[Node] | None = None,
    *,
    tolerance: float = TOLERANCE,
    eps: float = EPS,
) -> dict[str, float]:
    """Compare the gradients of a loss with central differences.

    Args:
        loss: a float64 scalar, without kinks near the point and without random numbers.
        feeds: the point, by the names of the placeholders.
        wrt: the placeholders and parameters to check; all placeholders of float64 by default.
        tolerance: the relative error to allow. Differences of float64 agree with a right gradient
            to about 1e-10; 1e-7 leaves room, and finds every mistake.
        eps: the step of the differences.

    Returns:
        The relative error |a - n| / (|a| + |n|) for each name.

    Raises:
        GradientError: an error is above the tolerance; the message shows the worst element.
        DTypeError: something to check is no float64.
        FeedError: the feeds do not fit.

    Example:
        >>> x = Placeholder("x", shape=(3,), dtype="float64")
        >>> gradient_check((x * x).sum(), {"x": [1.0, 2.0, 3.0]})["x"] < 1e-9
        True
    """
    feeds = dict(feeds or {})
    f = compile(loss)
    leaves = list(wrt) if wrt is not None else _all_floats(f.inputs, feeds)
    for leaf in leaves:
        _check_leaf(leaf, feeds)
    slopes = compile([grad(loss, leaf) for leaf in leaves], inputs=f.inputs)(**feeds)
    errors = {}
    for leaf, slope in zip(leaves, slopes, strict=True):
        differences = _differences(f, leaf, feeds, eps)
        errors[leaf.name or ""] = error = relative_error(slope, differences)
        if not error <= tolerance:
            raise _wrong(leaf, slope, differences, error, tolerance)
    return errors


def _all_floats(inputs: Iterable[Node], feeds: Mapping[str, Any]) -> list[Node]:
    """Return the placeholders that are float64, by declaration or by what is fed."""
    return [
        node
        for node in inputs
        if (node.dtype or np.asarray(feeds.get(node.name or "", 0)).dtype.name) == "float64"
    ]


def _check_leaf(leaf: Node, feeds: Mapping[str, Any]) -> None:
    if not isinstance(leaf, Parameter) and leaf.name not in feeds:
        raise FeedError(f"there is no feed for {describe(leaf)}\n  at {user_location()}")
    fed = None if isinstance(leaf, Parameter) else np.asarray(feeds[leaf.name or ""]).dtype.name
    found = leaf.dtype or fed
    if found != "float64":
        raise DTypeError(
            f"a gradient check needs float64, because of its small differences: {describe(leaf)} "
            f"is {found}\n  at {user_location()}"
        )


def _differences(f: Callable[..., Any], leaf: Node, feeds: Mapping[str, Any], eps: float) -> Array:
    if not isinstance(leaf, Parameter):
        name = leaf.name or ""
        return numerical_gradient(lambda at: f(**{**feeds, name: at}), feeds[name], eps)

    def of_parameter(at: Array) -> Any:
        leaf.value = at
        return f(**feeds)

    with _restored(leaf):
        return numerical_gradient(of_parameter, leaf.value, eps)


@contextmanager
def _restored(parameter: Parameter) -> Iterator[None]:
    """Give the parameter its value back at the end."""
    before = parameter.value
    try:
        yield
    finally:
        parameter.value = before


def _wrong(
    leaf: Node, slope: Array, differences: Array, error: float, tolerance: float
) -> GradientError:
    worst = np.unravel_index(int(np.argmax(np.abs(slope - differences))), slope.shape)
    place = f"element {tuple(map(int, worst))}" if slope.ndim else "its only element"
    return GradientError(
        f"the gradient by {describe(leaf)} is off by {error:.2g} (at most {tolerance:g} is right): "
        f"{place} is {float(slope[worst]):.10g}, differences say {float(differences[worst]):.10g}"
        f"\n  at {user_location()}"
    )
