"""Leaves of a graph: placeholders, constants, parameters and states."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Self, TypeGuard

import numpy as np

from symgraph.dims import Dim, Extent, anonymous_symbol, symbol
from symgraph.errors import DTypeError, GraphError, ShapeError, SymGraphError
from symgraph.location import user_location
from symgraph.node import Node, Operand, describe, shown
from symgraph.op import NO_GRADIENT, REGISTRY, Attrs, Leaf, Op
from symgraph.residence import Residence, device_name, open_device, overwrite_together
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

    Example:
        >>> Parameter(np.zeros((2, 3)), "w")
        <parameter 'w': float64[2, 3]>
    """

    __slots__ = ("_lock", "_residence", "_trainable")
    _lock: SharedLock
    _residence: Residence
    _trainable: bool

    def __init__(self, value: Any, name: str | None = None) -> None:
        """Copy `value` into storage of its own."""
        array = _as_array(float(value) if type(value) is int else value, None)
        self._declare(array.dtype.name, array.shape, name, array)

    @classmethod
    def deferred(
        cls,
        shape: tuple[int, ...],
        dtype: str,
        initial: Callable[[], Array],
        name: str | None = None,
    ) -> Self:
        """Make a parameter whose memory is taken when its value is first needed.

        Args:
            shape: of the value.
            dtype: of the value.
            initial: returns the initial array, which nobody else may hold. It is called at most
                once, or twice where an interrupt comes between, and not at all if a value is set.
            name: as for `Parameter`.
        """

        def drawn() -> Array:
            array = initial()
            assert array.shape == tuple(shape) and array.dtype == dtype, "as declared"
            return array

        made = cls.__new__(cls)
        made._declare(check_dtype(dtype), shape, name, drawn)
        return made

    def _declare(
        self,
        dtype: str,
        shape: tuple[int, ...],
        name: str | None,
        value: Array | Callable[[], Array],
    ) -> None:
        if name is not None and not isinstance(name, str):
            raise GraphError(f"a parameter's name is a str, not {name!r}")
        object.__setattr__(self, "_lock", SharedLock())
        object.__setattr__(self, "_trainable", True)
        declared = TensorType(check_dtype(dtype), shape)
        attrs = {"type": declared, "name": name}
        super().__init__(PARAMETER, (), attrs, declared, user_location())
        label = f"parameter {shown(name)} (made at {self.loc})"
        object.__setattr__(self, "_residence", Residence(value, label))

    @property
    def value(self) -> Array:
        """Return a copy of the present value; assigning checks shape and dtype first.

        Raises:
            DeviceError: the value is on a device that cannot be read.
        """
        return run_shared((self._lock,), lambda: self.storage.copy())

    @value.setter
    def value(self, new: Any) -> None:
        """Overwrite the value in place, on the host; calls on a device fetch it there.

        Raises:
            ShapeError: the shapes differ.
            DTypeError: the dtype cannot be cast without loss of kind (float into int, say).
        """
        array = np.asarray(self.checked(new), self.dtype)
        run_alone((self._lock,), overwrite_together, {self._residence: array})

    def checked(self, new: Any) -> Array:
        """Return a new value as an array that may be assigned to `value`; nothing is changed.

        Raises:
            ShapeError: the shapes differ.
            DTypeError: the dtype cannot be cast without loss of kind.
        """
        try:
            array = np.asarray(new)
        except SymGraphError:
            raise
        except (ValueError, TypeError, RuntimeError) as error:  # each library has its own
            raise ShapeError(f"the new value of {self!r} is no array: {error}") from None
        if array.shape != self.shape:
            raise ShapeError(
                f"parameter {shown(self.name)} has shape {self.shape}, "
                f"the new value {array.shape} (parameter made at {self.loc})"
            )
        if not np.can_cast(array.dtype, np.dtype(self.dtype), casting="same_kind"):
            raise DTypeError(
                f"parameter {shown(self.name)} holds {self.dtype}, the new value "
                f"{array.dtype}; cast it first (parameter made at {self.loc})"
            )
        return array

    @property
    def storage(self) -> Array:
        """Return the live array of the host, up to date; the caller holds the lock.

        Functions on the CPU read and update it in place.

        Raises:
            DeviceError: the value is on a device that cannot be read.
        """
        return self._residence.on_host()

    @property
    def residence(self) -> Residence:
        """Return what knows the places of the value."""
        return self._residence

    @property
    def device(self) -> str:
        """Return where the newest value is: "cpu", or "cuda:0" and so on.

        If both have it, it is the device. Calls move it: a compiled function fetches what is not
        where it runs.
        """
        return self._residence.device

    def to(self, device: str) -> Self:
        """Move the value to a device, or back, and return the parameter itself.

        Compiled functions fetch values by themselves. This does it now, and gives back the memory
        on all other devices.

        Args:
            device: "cpu", "cuda", or "cuda:1" and so on.

        Raises:
            DeviceError: there is no such device, it has no room, or the value is on one that cannot
                be read. The value stays where it is.

        Example:
            >>> w = Parameter(1.0, "w")
            >>> w.to("cpu").device
            'cpu'
        """
        move_all((self,), device)
        return self

    @property
    def trainable(self) -> bool:
        """Tell whether optimisers change the value; assigning False freezes it.

        Functions that are compiled already go on as they are.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, new: bool) -> None:
        if not isinstance(new, bool):
            raise GraphError(f"trainable is a bool, not {new!r}\n  at {user_location()}")
        object.__setattr__(self, "_trainable", new)

    @property
    def lock(self) -> SharedLock:
        """Return the lock that calls hold while they read or update the value."""
        return self._lock

    def __setattr__(self, name: str, value: object) -> None:
        if name in ("value", "trainable"):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)


class State(Parameter):
    """What compiled steps carry from call to call and no optimiser trains.

    Running statistics, the state of a recurrent layer, a step counter. `track` or `compile(...,
    updates=...)` says how a call changes it.

    Args:
        value: the initial array; copied. A Python int stays an integer.
        name: used in messages, printing and saved files.

    Example:
        >>> calls = State(0, "calls")
        >>> f = compile(calls, updates={calls: calls + 1})
        >>> f(), f()
        (array(0), array(1))
    """

    __slots__ = ()

    def __init__(self, value: Any, name: str | None = None) -> None:
        """Copy `value` into storage of its own."""
        super().__init__(np.asarray(value) if type(value) is int else value, name)

    @property
    def trainable(self) -> bool:
        """Return False: a state is never trained."""
        return False

    @trainable.setter
    def trainable(self, new: bool) -> None:
        if new is not False:
            raise GraphError(f"a state is never trained: {describe(self)}\n  at {user_location()}")


def move_all(parameters: Iterable[Parameter], device: str) -> None:
    """Move values to a device, one after the other, as `Parameter.to` does.

    Raises:
        DeviceError: as for `Parameter.to`; those that come later were not moved.
    """
    opened = open_device(device_name(device))
    for parameter in parameters:
        run_alone((parameter.lock,), parameter.residence.move, opened)


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
