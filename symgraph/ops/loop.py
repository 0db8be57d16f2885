"""The loop op: a body that is run again and again on carried values, over the rows of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from symgraph.dims import Extent, never_negative, symbol
from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.node import Graph, Node
from symgraph.op import Attrs, Control, Op
from symgraph.ops.assume import assume_equal
from symgraph.types import UNKNOWN, TensorType, TupleType, promote

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Parts(Generic[Entry]):
    """The operands of a loop, or what belongs to each of them.

    Args:
        count: how often to run the body, where data decide that; else empty.
        carries: the values before the first run.
        scanned: arrays of which each run sees one row.
        captured: outer values that every run sees.
    """

    count: tuple[Entry, ...]
    carries: tuple[Entry, ...]
    scanned: tuple[Entry, ...]
    captured: tuple[Entry, ...]


CAPACITY = symbol("? capacity")
"""How many steps of a loop can be kept whose number only data decide: the rows of what it fills.

All such loops share it, so that the arrays they fill fit each other. Whoever runs the graph chooses
it, and runs the graph once more with a larger one where it was too small.
"""


class CapacityExceeded(Exception):  # a signal between runs, never shown to users
    """Says that a loop took more steps than the arrays it fills have rows."""


def parts(entries: Sequence[Entry], attrs: Attrs) -> Parts[Entry]:
    """Return the operands of a loop by what they are for."""
    first = int(attrs["counted"])
    second = first + attrs["carries"]
    third = second + attrs["scanned"]
    row = tuple(entries)
    return Parts(row[:first], row[first:second], row[second:third], row[third:])


def is_open(declared: TensorType) -> bool:
    """Tell whether rank or dtype can only be known from fed arrays."""
    return declared.dtype is None or declared.shape is None


def row_type(declared: TensorType) -> TensorType:
    """Return the type of one row of a scanned array.

    Raises:
        ShapeError: it has no axis to scan over.
    """
    if is_open(declared):
        return TensorType(declared.dtype, None if declared.shape is None else declared.dims[1:])
    if not declared.rank:
        raise ShapeError(f"a 0-d array has no axis to scan over: {declared}")
    return TensorType(declared.dtype, declared.dims[1:], declared.weak)


def arguments(key: str, types: tuple[Any, ...], attrs: Attrs) -> tuple[TensorType, ...]:
    """Return the types of what the body, or the condition, is run on."""
    given = parts(types, attrs)
    rows = tuple(map(row_type, given.scanned)) if key == "body" else ()
    return (*given.carries, *rows, *given.captured)


def trips(types: tuple[Any, ...], attrs: Attrs) -> Extent | None:
    """Return how often the body runs at most, which is how many rows the results have.

    Raises:
        ShapeError: scanned arrays have different numbers of rows.
    """
    length: Extent | None = attrs["length"]
    for declared in parts(types, attrs).scanned:
        if is_open(declared):
            continue
        rows = declared.dims[0]
        if length is None:
            length = rows
        if length == rows:
            continue
        text = f"it scans {length} rows of one array, and {rows} of another: {declared}"
        if attrs["length"] is not None:
            text = f"its length is {length}, and it scans an array of {rows} rows: {declared}"
        assume_equal(length, rows, text)
    return length


def _infer_loop(types: tuple[Any, ...], attrs: Attrs) -> TupleType:
    given = parts(types, attrs)
    body: Graph = attrs["body"]
    length = trips(types, attrs)
    carries = [carried(k, start, body.outputs[k]) for k, start in enumerate(given.carries)]
    condition: Graph | None = attrs["condition"]
    if condition is not None:
        _check_condition(condition.outputs[0].type)
    rows = [_stacked(node.type, length) for node in body.outputs[len(carries) :]]
    return TupleType((*carries, *rows))


def carried(position: int, start: TensorType, end: Node) -> TensorType:
    """Return the type of a carried value, which every run must keep.

    Raises:
        DTypeError: the body returns another dtype.
        ShapeError: it returns another shape.
    """
    if is_open(start) or is_open(end.type):
        return UNKNOWN
    if start == end.type:
        return start
    text = (
        f"carry {position} changes its type: it starts as {start}, and the body returns "
        f"{end.type} (made at {end.loc})"
    )
    dtype = promote((start, end.type))
    if any(entry.element != dtype and not entry.weak for entry in (start, end.type)):
        raise DTypeError(f"{text}; cast one of them")
    if start.rank != end.type.rank:
        raise ShapeError(text)
    for one, other in zip(start.dims, end.type.dims, strict=True):
        # An extent that grows or shrinks with every step fits only where it is zero.
        if one != other and (never_negative(one - other) or never_negative(other - one)):
            raise ShapeError(text)
        assume_equal(one, other, text)
    return TensorType(dtype, start.dims, start.weak and end.type.weak)


def settled_carry(start: Node, end: Node) -> Node:
    """Return the start of a carry; a weak one in the dtype that the body gives it."""
    from symgraph.ops.elementwise import cast

    types = start.type, end.type
    if any(map(is_open, types)) or not start.type.weak or end.type.weak:
        return start
    return cast(start, end.type.element) if promote(types) == end.type.element else start


def settled_carries(inputs: tuple[Node, ...], attrs: Attrs) -> tuple[Node, ...]:
    """Return the operands of a loop with settled carries; `inputs` itself if nothing changes."""
    first = int(attrs["counted"])
    settled = list(inputs)
    for k, end in enumerate(attrs["body"].outputs[: attrs["carries"]], start=first):
        settled[k] = settled_carry(settled[k], end)
    same = all(new is old for new, old in zip(settled, inputs, strict=True))
    return inputs if same else tuple(settled)


def _check_condition(declared: TensorType) -> None:
    if declared.shape is not None and declared.rank != 0:
        raise ShapeError(f"the condition is one truth value, not {declared}; use any or all")
    if declared.dtype not in ("bool", None):
        raise DTypeError(f"the condition is a bool, not {declared.dtype}")


def _stacked(row: TensorType, length: Extent | None) -> TensorType:
    if is_open(row) or length is None:
        return UNKNOWN
    return TensorType(row.dtype, (length, *row.dims), row.weak)


def _unfit(*arrays: Any, **attrs: Any) -> NoReturn:
    raise GraphError("control ops are run by the interpreter, not by a NumPy function")


def _gradient(differentiate: Any, g: Any, y: Node, *inputs: Node, **attrs: Any) -> Any:
    from symgraph.ops.loop_gradient import loop_gradient

    return loop_gradient(differentiate, g, y, inputs, attrs)


LOOP = Op(
    name="loop",
    kind=Control(arguments),
    infer=_infer_loop,
    numpy=_unfit,
    grad=_gradient,
    samples=(),
    doc="Runs `body` on carried values, one row of each scanned array, and captured values, over "
    "and over: as often as there are rows (or, if `counted`, as the first operand says), and while "
    "`condition`, if there is one, holds of the carried values. Gives the last carried values, and "
    "what else the body returns as the rows of arrays. With `reverse` rows are taken last first.",
)
