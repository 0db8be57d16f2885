"""Leaves of a graph: placeholders, constants and parameters."""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np

from symgraph.dims import Dim, Extent, anonymous_symbol, symbol
from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.location import user_location
from symgraph.node import Node, Operand, shown
from symgraph.op import NO_GRADIENT, REGISTRY, Attrs, Leaf, Op
from symgraph.shared_lock import SharedLock, run_alone, run_shared
from symgraph.types import DTYPES, TensorType, check_dtype

Array = np.ndarray[Any, Any]


def _declared(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    declared: TensorType = attrs["type"]
    return declared


def _leaf(name: str, doc: str) -> Op:
    def unfed(**attrs: Any) -> Array:
        raise GraphError(f"{name} has no value of its own")

    return Op(
        name=name, kind=Leaf(), infer=_declared, numpy=unfed, grad=NO_GRADIENT, samples=(), doc=doc
    )


PLACEHOLDER = _leaf("placeholder", "An array that the caller feeds.")
CONSTANT = _leaf("constant", "An array known when the graph is built.")
PARAMETER = _leaf("parameter", "Trainable state that outlives calls.")
ARGUMENT = _leaf("argument", "An operand of a sub-graph: of a branch, a loop body or a kernel.")


def is_constant(node: Node) -> TypeGuard[Constant]:
    """Tell whether `node` is a constant."""
    return node.op is CONSTANT


class Placeholder(Node):
    """An array the caller feeds by keyword.

    Args:
        name: the keyword.
        shape: one entry for each axis: an int, a str (a symbolic extent, unified by name) or None
            (open). None leaves even the rank open until the first call.
        dtype: one of bool, int32, int64, float32, float64, or None for open.

    Example:
        >>> Placeholder("x", shape=("N", 784), dtype="float32")
        <placeholder 'x': float32[N, 784]>
    """

    __slots__ = ()

    def __init__(
        self,
        name: str,
        shape: tuple[int | str | Dim | None, ...] | None = None,
        dtype: Any = None,
    ) -> None:
        """Make the leaf; nothing is computed or allocated."""
        if not isinstance(name, str) or not name:
            raise GraphError(f"a placeholder needs a non-empty name, not {name!r}")
        entries = shape if shape is None or isinstance(shape, tuple | list) else (shape,)
        dims = None if entries is None else tuple(_extent(name, entry) for entry in entries)
        declared = TensorType(None if dtype is None else check_dtype(dtype), dims)
        super().__init__(
            PLACEHOLDER, (), {"name": name, "type": declared}, declared, user_location()
        )


def _extent(name: str, entry: object) -> Extent:
    if entry is None:
        return anonymous_symbol()
    if isinstance(entry, str) and entry.isidentifier():
        return symbol(entry)
    if isinstance(entry, Dim):
        return entry
    if isinstance(entry, int | np.integer) and not isinstance(entry, bool) and entry >= 0:
        return int(entry)
    raise ShapeError(
        f"placeholder {shown(name)}: an extent is a non-negative int, a name such as 'N', or None, "
        f"not {entry!r}\n  at {user_location()}"
    )


class Constant(Node):
    """An array known now. A Python number stays weak: it takes the dtype of what it meets.

    Args:
        value: a number, array or nested list.
        dtype: forces a dtype, which makes a number strong.
    """

    __slots__ = ("_value",)
    _value: Array

    def __init__(self, value: Any, dtype: Any = None) -> None:
        """Copy `value`, which later changes to the array therefore do not reach."""
        if isinstance(value, Node):
            raise GraphError(f"a node cannot be a constant: {value!r}\n  at {user_location()}")
        weak = dtype is None and type(value) in (int, float)
        array = _as_array(value, dtype)
        array.flags.writeable = False
        object.__setattr__(self, "_value", array)
        declared = TensorType(check_dtype(array.dtype), array.shape, weak)
        super().__init__(CONSTANT, (), {"type": declared}, declared, user_location())

    @property
    def value(self) -> Array:
        """Return the array, read-only."""
        return self._value

    def __repr__(self) -> str:
        text = np.array2string(self._value, threshold=4, edgeitems=1).replace("\n", "")
        return f"<constant {text}: {self.type}>"


def _as_array(value: Any, dtype: Any) -> Array:
    try:
        array = np.array(value, dtype=None if dtype is None else check_dtype(dtype))
    except (ValueError, TypeError, OverflowError) as error:
        raise DTypeError(f"not an array: {error}\n  at {user_location()}") from None
    if array.dtype.name not in DTYPES:
        raise DTypeError(
            f"dtype {array.dtype.name!r} is not supported; use one of {', '.join(DTYPES)}, "
            f"for example by .astype('float32')\n  at {user_location()}"
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return np.ascontiguousarray(array).reshape(array.shape)


class Parameter(Node):
    """Trainable state, shared by every function compiled from it.

    Args:
        value: the initial array; copied. Python numbers become float64.
        name: used in messages, printing and saved files.
    """

    __slots__ = ("_lock", "_storage")
    _storage: Array
    _lock: SharedLock

    def __init__(self, value: Any, name: str | None = None) -> None:
        """Copy `value` into storage of its own."""
        if name is not None and not isinstance(name, str):
            raise GraphError(f"a parameter's name is a str, not {name!r}")
        array = _as_array(float(value) if type(value) is int else value, None)
        object.__setattr__(self, "_storage", array)
        object.__setattr__(self, "_lock", SharedLock())
        declared = TensorType(check_dtype(array.dtype), array.shape)
        attrs = {"type": declared, "name": name}
        super().__init__(PARAMETER, (), attrs, declared, user_location())

    @property
    def value(self) -> Array:
        """Return a copy of the present value; assigning checks shape and dtype first."""
        return run_shared((self._lock,), self._storage.copy)

    @value.setter
    def value(self, new: Any) -> None:
        """Overwrite the value in place.

        Raises:
            ShapeError: the shapes differ.
            DTypeError: the dtype cannot be cast without loss of kind (float into int, say).
        """
        try:
            array = np.asarray(new)
        except ValueError as error:
            raise ShapeError(f"the new value of {self!r} is no array: {error}") from None
        if array.shape != self._storage.shape:
            raise ShapeError(
                f"parameter {shown(self.name)} has shape {self._storage.shape}, "
                f"the new value {array.shape} (parameter made at {self.loc})"
            )
        if not np.can_cast(array.dtype, self._storage.dtype, casting="same_kind"):
            raise DTypeError(
                f"parameter {shown(self.name)} holds {self._storage.dtype}, the new value "
                f"{array.dtype}; cast it first (parameter made at {self.loc})"
            )
        run_alone((self._lock,), np.copyto, self._storage, array, casting="same_kind")

    @property
    def storage(self) -> Array:
        """Return the live array that compiled functions read and update in place."""
        return self._storage

    @property
    def lock(self) -> SharedLock:
        """Return the lock that calls hold while they read or update the value."""
        return self._lock

    def __setattr__(self, name: str, value: object) -> None:
        if name == "value":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)


def lift(value: Operand) -> Node:
    """Return `value` as a node; numbers, arrays and lists become constants.

    Raises:
        DTypeError: it is no array.
    """
    if isinstance(value, Node):
        return value
    if isinstance(value, Dim):
        return REGISTRY["extent"](value=value)
    return Constant(value)
