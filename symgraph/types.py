"""Types of nodes: dtype, symbolic shape, and whether a value is a weak Python number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from symgraph.dims import Extent, broadcast, product, unresolved
from symgraph.errors import DTypeError, ShapeError
from symgraph.location import user_location

DTYPES = ("bool", "int32", "int64", "float32", "float64")
FLOATS = ("float32", "float64")
INTEGERS = ("int32", "int64")
Shape = tuple[Extent, ...]


@dataclass(frozen=True, slots=True)
class TensorType:
    """The type of one array.

    Args:
        dtype: one of `DTYPES`, or None while it is open.
        shape: extents, or None while the rank is open.
        weak: True for a Python number, which adapts to the other operands' dtype (NEP 50).
    """

    dtype: str | None
    shape: Shape | None
    weak: bool = False

    @property
    def known(self) -> bool:
        """Tell whether rank and dtype are known and no broadcast is undecided."""
        return self.dtype is not None and self.shape is not None and not self.undecided

    @property
    def undecided(self) -> bool:
        """Tell whether some extent still holds an undecided broadcast."""
        for extent in self.shape or ():
            if not isinstance(extent, int) and unresolved(extent) is not None:
                return True
        return False

    @property
    def rank(self) -> int:
        """Return the number of axes; the rank must be known."""
        return len(self.dims)

    @property
    def dims(self) -> Shape:
        """Return the shape; the rank must be known."""
        assert self.shape is not None, "this type has an open rank"
        return self.shape

    @property
    def size(self) -> Extent:
        """Return the number of elements; the rank must be known."""
        return product(self.dims)

    @property
    def element(self) -> str:
        """Return the dtype; it must be known."""
        assert self.dtype is not None, "this type has an open dtype"
        return self.dtype

    def with_shape(self, shape: Shape) -> TensorType:
        """Return this type with another shape."""
        return replace(self, shape=shape)

    def __str__(self) -> str:
        dtype = self.dtype or "?"
        if self.shape is None:
            return f"{dtype}[...]"
        return f"{dtype}[{', '.join(str(extent) for extent in self.shape)}]"


@dataclass(frozen=True, slots=True)
class TupleType:
    """The type of a control node that yields several arrays; `project` picks one."""

    items: tuple[TensorType, ...]

    def __str__(self) -> str:
        return f"({', '.join(str(item) for item in self.items)})"


Type = TensorType | TupleType
UNKNOWN = TensorType(None, None)


def check_dtype(dtype: object) -> str:
    """Return the canonical name of `dtype`.

    Raises:
        DTypeError: it is not one of the five supported dtypes.
    """
    try:
        name = str(np.dtype(dtype).name)  # type: ignore[call-overload]  # any user object is tried
    except TypeError:
        name = str(dtype)
    if name not in DTYPES:
        raise DTypeError(
            f"dtype {name!r} is not supported; use one of {', '.join(DTYPES)}\n"
            f"  at {user_location()}"
        )
    return name


def weak_kind(dtype: str) -> int | float | bool:
    """Return a Python number that NumPy promotes as a weak value of this dtype."""
    return 0.0 if dtype in FLOATS else 0


def promote(types: Iterable[TensorType]) -> str:
    """Return the dtype NumPy gives to an operation on these types, weak numbers included."""
    samples = [
        weak_kind(entry.element) if entry.weak else np.dtype(entry.element) for entry in types
    ]
    return str(np.result_type(*samples))


def broadcast_shapes(shapes: Iterable[Shape]) -> Shape:
    """Return the shape that NumPy broadcasting gives.

    Raises:
        ShapeError: two known extents clash.
    """
    shapes = list(shapes)
    if shapes and shapes.count(shapes[0]) == len(shapes):
        return tuple(shapes[0])
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[Extent] = [1] * rank
    for shape in shapes:
        for position, extent in enumerate(shape, start=rank - len(shape)):
            merged = broadcast(result[position], extent)
            if merged is None:
                raise ShapeError(
                    f"axis {position} has extents {result[position]} and {extent}, "
                    "which do not broadcast"
                )
            result[position] = merged
    return tuple(result)


def normalise_axis(axis: int, rank: int) -> int:
    """Return `axis` counted from the front.

    Raises:
        ShapeError: it lies outside the rank.
    """
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} is out of range for an array of rank {rank}")
    return axis % rank


def normalise_axes(axis: int | tuple[int, ...] | None, rank: int) -> tuple[int, ...]:
    """Return the sorted axes that `axis` names; None names all.

    Raises:
        ShapeError: an axis is out of range or named twice.
    """
    if axis is None:
        return tuple(range(rank))
    axes = [normalise_axis(int(a), rank) for a in (axis if isinstance(axis, tuple) else (axis,))]
    if len(set(axes)) != len(axes):
        raise ShapeError(f"axis {axis} names the same axis twice")
    return tuple(sorted(axes))
