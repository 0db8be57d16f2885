"""Symbolic extents of a plan, and what they are for the extents that a user asks about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symgraph.compiler.specialise import as_symbol
from symgraph.dims import Extent, evaluate, floor_divide, maximum, symbols
from symgraph.errors import FeedError
from symgraph.location import user_location
from symgraph.ops.loop import CAPACITY
from symgraph.variant import Variant

KEPT_STEPS = "kept_steps"
"""How reports name the steps that there is room for, of loops whose number only data decide."""


def symbolic_extents(variant: Variant) -> list[Extent]:
    """Return each extent rule of the plan as a formula of the placeholders' extents."""
    found: list[Extent] = []
    for kind, operands in variant.plan.extents:
        if kind == "constant":
            found.append(operands[0])
        elif kind == "feed" and operands[0] == len(variant.feeds):
            found.append(CAPACITY)
        elif kind == "feed":
            found.append(variant.feeds[operands[0]].dims[operands[1]])
        elif kind == "sum":
            total: Extent = 0
            for coefficient, factors in operands:
                term: Extent = coefficient
                for factor in factors:
                    term = term * found[factor]
                total = total + term
            found.append(total)
        elif kind == "floordiv":
            left, right = found[operands[0]], found[operands[1]]
            found.append(0 if right == 0 else floor_divide(left, right))
        else:
            found.append(maximum(found[operands[0]], found[operands[1]]))
    return found


def extent_names(variant: Variant) -> dict[str, str]:
    """Return readable names of the extents that the user left open: `x.0` for axis 0 of x."""
    names: dict[str, str] = dict.fromkeys(symbols(CAPACITY), KEPT_STEPS)
    for name, declared in zip(variant.names, variant.feeds, strict=True):
        for axis, extent in enumerate(declared.dims):
            plain = as_symbol(extent)
            if plain is not None and plain.name.startswith("?"):
                names.setdefault(plain.name, f"{name}.{axis}")
    return names


def bind(variant: Variant, dims: Mapping[str, Any]) -> dict[str, int]:
    """Return the value of each symbol, and of the steps that there is room for.

    Args:
        variant: what is asked about.
        dims: the values of symbols by name; or, by the name of a placeholder, its shape (an array
            serves too), which is the only way to name extents that were left open.

    Raises:
        FeedError: a name is unknown, a value is no extent, or a shape does not fit.
    """
    known = {name for declared in variant.feeds for dim in declared.dims for name in symbols(dim)}
    found = dict.fromkeys(symbols(CAPACITY), variant.executable.capacity)
    for name, value in dims.items():
        if name in known:
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
                raise FeedError(f"extent {name!r} is a non-negative int, not {value!r}")
            found[name] = int(value)
        elif name in variant.names:
            found.update(_from_shape(variant, name, value))
        else:
            expected = [*sorted(n for n in known if not n.startswith("?")), *variant.names]
            raise FeedError(
                f"there is no extent or placeholder {name!r}; there are "
                f"{', '.join(map(repr, expected)) or 'none'}\n  at {user_location()}"
            )
    return found


def _from_shape(variant: Variant, name: str, value: Any) -> dict[str, int]:
    shape = tuple(getattr(value, "shape", value)) if not isinstance(value, int) else (value,)
    dims = variant.feeds[variant.names.index(name)].dims
    if len(shape) != len(dims):
        raise FeedError(f"placeholder {name!r} has {len(dims)} axes, not {len(shape)}")
    found: dict[str, int] = {}
    for extent, actual in zip(dims, shape, strict=True):
        plain = as_symbol(extent)
        if plain is not None:
            found[plain.name] = int(actual)
    return found


def missing_extents(variant: Variant, bound: Mapping[str, int]) -> list[str]:
    """Return readable names of the symbols that `bound` gives no value to."""
    names = extent_names(variant)
    every = dict.fromkeys(
        name for declared in variant.feeds for dim in declared.dims for name in symbols(dim)
    )
    return [names.get(name, name) for name in every if name not in bound]


def feed_shapes(variant: Variant, bound: Mapping[str, int]) -> tuple[tuple[int, ...], ...]:
    """Return the shape of each feed.

    Raises:
        FeedError: the value of a symbol is missing.
    """
    missing = missing_extents(variant, bound)
    if missing:
        raise FeedError(
            f"the extents {', '.join(missing)} are needed: pass them by name, or pass a "
            f"placeholder's shape, as in x=(128, 784)\n  at {user_location()}"
        )
    return tuple(tuple(evaluate(dim, bound) for dim in declared.dims) for declared in variant.feeds)


def value_of(extent: Extent, bound: Mapping[str, int]) -> int | None:
    """Return an extent's value, None if `bound` does not decide it."""
    if any(name not in bound for name in symbols(extent)):
        return None
    return evaluate(extent, bound)
