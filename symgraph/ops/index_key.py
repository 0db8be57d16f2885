"""What stands between the brackets of `x[...]`, as plain tuples that fit into the attrs of a node.

An entry is ("at", i), ("slice", start, stop, step), ("new",), ("rest",) for the Ellipsis, or
("array", k) for the k-th index operand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.dims import Dim, Extent, floor_divide, maximum, minimum, never_negative
from symgraph.errors import BoundsError, GraphError, ShapeError
from symgraph.leaves import Constant
from symgraph.location import user_location
from symgraph.node import Node, describe
from symgraph.ops.assume import assume_at_least

Entry = tuple[Any, ...]
Span = tuple[Extent, int, Extent]
"""Start, step and length of what is taken of an axis."""


def parse(key: Any) -> tuple[tuple[Entry, ...], list[Node]]:
    """Return the entries of a key, and the index arrays in it as nodes.

    Raises:
        GraphError: a part of the key is no index, or a mask.
    """
    parts = key if isinstance(key, tuple) else (key,)
    arrays: list[Node] = []
    entries: list[Entry] = []
    for part in parts:
        if isinstance(part, Sequence | np.ndarray | Node) and not isinstance(part, str):
            entries.append(("array", len(arrays)))
            arrays.append(_index_array(part))
        else:
            entries.append(_plain(part))
    if entries.count(("rest",)) > 1:
        raise GraphError(f"an index can hold one Ellipsis only\n  at {user_location()}")
    return tuple(entries), arrays


def _plain(part: Any) -> Entry:
    if part is None:
        return ("new",)
    if part is Ellipsis:
        return ("rest",)
    if isinstance(part, slice):
        return ("slice", _bound(part.start), _bound(part.stop), _step(part.step))
    if isinstance(part, bool | np.bool_):
        raise GraphError(_mask_text(repr(part)))
    if isinstance(part, int | np.integer):
        return ("at", int(part))
    if isinstance(part, Dim):
        return ("at", part)
    raise GraphError(
        f"{part!r} is no index; use ints, slices, ..., None, or integer arrays and nodes\n"
        f"  at {user_location()}"
    )


def _bound(value: Any) -> Extent | None:
    if value is None:
        return None
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, Dim):
        # A symbolic bound is a position: it never counts from the end, whatever its sign.
        return value if never_negative(value) else maximum(value, 0)
    raise GraphError(
        f"a slice takes ints and symbolic extents such as x.shape[0], not {value!r}: the extent of "
        f"the result must not depend on data\n  at {user_location()}"
    )


def _step(value: Any) -> int:
    if value is None:
        return 1
    if isinstance(value, int | np.integer) and value != 0:
        return int(value)
    raise GraphError(f"a slice step is an int other than 0, not {value!r}\n  at {user_location()}")


def _index_array(part: Any) -> Node:
    if isinstance(part, Node):
        node = part
    else:
        array = np.asarray(part)
        node = Constant(array.astype(np.int64) if array.size == 0 else array)
    if node.type.dtype == "bool":
        raise GraphError(_mask_text(describe(node)))
    return node


def _mask_text(mask: str) -> str:
    return (
        f"a mask cannot be an index, for the extent of the result would depend on data: {mask}\n"
        f"  at {user_location()}\n  use where(mask, x, 0), which keeps the shape, and reduce that"
    )


def python_key(entries: tuple[Entry, ...], arrays: Sequence[Any]) -> tuple[Any, ...]:
    """Return the key that NumPy takes, with `arrays` as the index arrays."""
    convert: dict[str, Any] = {
        "at": lambda i: i,
        "slice": slice,
        "new": lambda: None,
        "rest": lambda: Ellipsis,
        "array": lambda k: arrays[k],
    }
    return tuple(convert[kind](*values) for kind, *values in entries)


def completed(entries: tuple[Entry, ...], rank: int) -> list[Entry]:
    """Return the entries with the Ellipsis spelled out, one for each axis besides the new ones.

    Raises:
        ShapeError: there are more than the rank.
    """
    used = sum(entry[0] in ("at", "slice", "array") for entry in entries)
    if used > rank:
        raise ShapeError(f"{used} indices are too many for an array of rank {rank}")
    rest = entries.index(("rest",)) if ("rest",) in entries else len(entries)
    whole: list[Entry] = [("slice", None, None, 1)] * (rank - used)
    return [*entries[:rest], *whole, *entries[rest + 1 :]]


def span(entry: Entry, extent: Extent, axis: int) -> Span:
    """Return what an entry takes of an axis.

    Raises:
        BoundsError: an int lies outside the axis.
    """
    if entry[0] == "array":
        return 0, 1, extent
    if entry[0] == "slice":
        return slice_span(entry[1], entry[2], entry[3], extent)
    position: Extent = entry[1]
    reason = f"index {position} is out of range for axis {axis} of extent {extent}"
    from_end = isinstance(position, int) and position < 0
    assume_at_least(extent, -position if from_end else position + 1, reason, BoundsError)
    if isinstance(position, Dim):
        assume_at_least(position, 0, reason, BoundsError)
    return (extent + position if from_end else position), 1, 1


def slice_span(start: Extent | None, stop: Extent | None, step: int, extent: Extent) -> Span:
    """Return what `start:stop:step` takes of an axis, exactly as Python's slices do."""
    if step > 0:
        low, high = _clamped(start, 0, extent, extent), _clamped(stop, extent, extent, extent)
        if start is not None and not _from_end(start):
            low = start  # Beyond the axis the length is 0, whatever the start; this is simpler.
        distance = high - low
    else:
        last = extent - 1
        low, high = _clamped(start, last, last, extent), _clamped(stop, -1, last, extent)
        distance = low - high
    if not _surely_ordered(start, stop, step):
        distance = maximum(distance, 0)
    return low, step, floor_divide(distance + abs(step) - 1, abs(step))


def _clamped(bound: Extent | None, default: Extent, top: Extent, extent: Extent) -> Extent:
    """Return a bound, counted from the front and limited to where the direction can go."""
    if bound is None:
        return default
    if _from_end(bound):
        # At least 0 going up and -1 going down; written so that no atom is ever negative.
        return maximum(extent + bound, 0) if top == extent else maximum(extent + bound + 1, 0) - 1
    return minimum(bound, top)


def _from_end(bound: Extent) -> bool:
    return isinstance(bound, int) and bound < 0


def _surely_ordered(start: Extent | None, stop: Extent | None, step: int) -> bool:
    """Tell whether the slice cannot end before it begins, so that its length needs no clamp."""
    if step > 0:
        return start in (None, 0) or (stop is None and start is not None and _from_end(start))
    return stop is None
