"""Feeds: what a caller passes, checked and turned into dense arrays before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from symgraph.compiler.specialise import as_symbol
from symgraph.errors import FeedError
from symgraph.node import Node, shown
from symgraph.runtime.cuda.arrays import DeviceArray, on_gpu
from symgraph.types import DTYPES, TensorType

Array = np.ndarray[Any, Any]
Feed: TypeAlias = Array | DeviceArray

_ITEMS = {name: np.dtype(name) for name in DTYPES}


def named(names: Sequence[str], args: Sequence[Any], feeds: Mapping[str, Any]) -> dict[str, Any]:
    """Return all feeds by name.

    Args:
        names: the placeholders' names, in the order of positional feeds.
        args: the positional feeds.
        feeds: the feeds that were given by name.

    Raises:
        FeedError: there are too many, or one is given twice.
    """
    if len(args) > len(names):
        raise FeedError(
            f"{len(args)} positional feeds were given, but this function takes {_listed(names)}"
        )
    given = dict(zip(names, args, strict=False))
    for name in given.keys() & feeds.keys():
        raise FeedError(f"placeholder {shown(name)} was fed twice: by position and by name")
    return given | dict(feeds)


def wrong_names(inputs: Sequence[Node], feeds: Mapping[str, Any]) -> FeedError:
    """Return the error that says which names are unknown and which are missing."""
    names = [node.name or "" for node in inputs]
    lines = [f"there is no placeholder {shown(name)}" for name in feeds if name not in names]
    lines += [
        f"placeholder {shown(node.name)} was not fed ({node.type}, made at {node.loc})"
        for node in inputs
        if node.name not in feeds
    ]
    return FeedError("; ".join([*lines, f"this function takes {_listed(names)}"]))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(shown, names)) or "no feeds"


def as_feed(node: Node, value: Any, device: str = "cpu") -> Feed:
    """Return what is fed to a placeholder, ready for the device on which the function runs.

    Args:
        node: the placeholder.
        value: as for `as_array`; or an array on that device.
        device: "cpu", or "cuda:0" and so on.

    Raises:
        FeedError: it is no array, or has another dtype, rank or, on a device, layout.
        DeviceError: it lies on another device.
    """
    if not on_gpu(value):
        return as_array(node, value)
    from symgraph.device_feeds import as_device_array

    return as_device_array(node, value, device)


def as_array(node: Node, value: Any) -> Array:
    """Return what is fed to a placeholder as a dense array of its dtype and rank.

    Numbers and lists are converted to the declared dtype if no information is lost; arrays must
    have it already.

    Raises:
        FeedError: it is no array, or has another dtype or rank.
    """
    array = _converted(node, value)
    check_type(node, array.dtype, array.shape)
    return np.require(array, dtype=_ITEMS[array.dtype.name], requirements=("C", "A"))


def check_type(node: Node, dtype: np.dtype[Any] | str, shape: tuple[int, ...]) -> None:
    """Compare dtype and rank of what is fed with those of the placeholder.

    Args:
        node: the placeholder.
        dtype: NumPy's, or a name where NumPy has none.
        shape: the extents.

    Raises:
        FeedError: one is another.
    """
    declared: TensorType = node.attrs["type"]
    name = dtype if isinstance(dtype, str) else dtype.name
    wanted = declared.dtype or name
    if name != wanted or wanted not in _ITEMS:
        remedy = wanted if wanted in _ITEMS else "float32"
        raise FeedError(f"{described(node)} got dtype {dtype}; convert it with .astype({remedy!r})")
    if declared.shape is not None and len(shape) != len(declared.shape):
        raise FeedError(
            f"{described(node)} has {len(declared.shape)} axes, "
            f"but was fed an array of shape {shape}"
        )


def described(node: Node) -> str:
    """Return what messages call a placeholder: its name, its type and its line."""
    return f"placeholder {shown(node.name)} ({node.attrs['type']}, made at {node.loc})"


def _converted(node: Node, value: Any) -> Array:
    """Return `value` as an array; what has no dtype of its own takes the declared one."""
    if isinstance(value, Node):
        raise FeedError(f"{described(node)} is fed arrays, not nodes; got {value!r}")
    if isinstance(value, np.ma.MaskedArray):
        raise FeedError(f"{described(node)} got a masked array; fill it first with .filled()")
    wanted: str | None = node.attrs["type"].dtype
    try:
        array = np.asarray(value)
        if wanted is None or hasattr(value, "dtype"):
            return array
        if array.size and not np.can_cast(array.dtype, wanted, casting="same_kind"):
            raise FeedError(
                f"{described(node)} got values of dtype {array.dtype}, which do not fit {wanted}"
            )
        with np.errstate(over="raise"):
            return np.asarray(value, dtype=wanted)
    except (TypeError, ValueError, RuntimeError, OverflowError, FloatingPointError) as error:
        if isinstance(error, FeedError):
            raise
        raise FeedError(f"{described(node)} got no array: {error}") from None


def check_extents(inputs: Sequence[Node], arrays: Sequence[Array | DeviceArray]) -> None:
    """Check declared extents against those of the arrays.

    Raises:
        FeedError: an extent is not as declared, or one name stands for two extents.
    """
    extents: dict[str, tuple[int, str]] = {}
    for node, array in zip(inputs, arrays, strict=True):
        for axis, extent in enumerate(node.attrs["type"].shape or ()):
            actual = array.shape[axis]
            plain = as_symbol(extent)
            if plain is not None and not plain.name.startswith("?"):
                known, where = extents.setdefault(plain.name, (actual, node.name or ""))
                if known != actual:
                    raise FeedError(
                        f"placeholder {shown(node.name)} has extent {actual} along axis {axis}, "
                        f"but {plain} is {known} in {shown(where)} (made at {node.loc})"
                    )
            elif isinstance(extent, int) and extent != actual:
                raise FeedError(
                    f"placeholder {shown(node.name)} has extent {actual} along axis {axis}, but "
                    f"{extent} is declared (made at {node.loc})"
                )
