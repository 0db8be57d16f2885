"""Feeds that lie on a GPU: checked as those of the host are, and read where they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import DeviceError, FeedError
from symgraph.feeds import check_type, described
from symgraph.node import Node
from symgraph.runtime.cuda.arrays import DeviceArray, Found, device_index, found_array
from symgraph.runtime.cuda.device import Device, open_device
from symgraph.runtime.cuda.driver import cupy

_TO_HOST = {"cupy": ".get()", "torch": ".cpu()", "numba": ".copy_to_host()"}


def as_device_array(node: Node, value: Any, device: str) -> DeviceArray:
    """Return an array on a GPU that is fed to a placeholder; it is not copied.

    Args:
        node: the placeholder.
        value: an array of CuPy's, or whatever has `__dlpack__` or `__cuda_array_interface__`.
        device: where the function runs, "cpu" or "cuda:0" and so on.

    Raises:
        FeedError: it has another dtype or rank, is not dense, or does not let itself be read.
        DeviceError: it lies on another device.
    """
    if device == "cpu":
        raise DeviceError(
            f"{described(node)} was fed an array on a GPU, but the function runs on the CPU; copy "
            f"it with {_to_host(value)}, or compile with device='cuda'"
        )
    opened = open_device(device)
    if isinstance(value, cupy().ndarray):
        return _of_cupy(node, value, opened)
    _check_device(node, value, device_index(value, _index_of_address), opened)
    return _checked(node, _found(node, value, opened))


def _index_of_address(address: int) -> int | None:
    runtime = cupy().cuda.runtime
    attributes = runtime.pointerGetAttributes(address)
    return None if attributes.type == runtime.memoryTypeManaged else int(attributes.device)


def _of_cupy(node: Node, value: Any, device: Device) -> DeviceArray:
    """Return a view of an array of CuPy's, whose attributes are quicker than its protocols."""
    if value.data.device_id != device.index and value.size:
        _check_device(node, value, value.data.device_id, device)
    check_type(node, value.dtype, value.shape)
    if not value.flags.c_contiguous:
        raise _not_dense(node, "cupy.ascontiguousarray")
    return DeviceArray(value.data.ptr, value.shape, value.dtype, value)


def _check_device(node: Node, value: Any, index: int | None, device: Device) -> None:
    """Refuse an array of another device.

    Raises:
        DeviceError: it is one.
    """
    if index is None or index == device.index:
        return
    remedies = {
        "cupy": f"with cupy.cuda.Device({device.index}): cupy.array(...)",
        "torch": f".to('{device.name}')",
    }
    remedy = remedies.get(_library(value), "its own library, or feed it as a NumPy array")
    raise DeviceError(
        f"{described(node)} was fed an array on cuda:{index}, but the function runs on "
        f"{device.name}; copy it with {remedy}"
    )


def _found(node: Node, value: Any, device: Device) -> Found:
    try:
        # The maker puts the wait into our stream, which nobody may be recording meanwhile.
        with device.using():
            return found_array(value, device.stream.ptr)
    except (BufferError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, DeviceError):
            raise
        raise FeedError(f"{described(node)} got an array that cannot be read: {error}") from None


def _checked(node: Node, found: Found) -> DeviceArray:
    check_type(node, found.dtype, found.shape)
    if not found.dense:
        raise _not_dense(node, "its .copy() or .contiguous()")
    return DeviceArray(found.address, found.shape, np.dtype(found.dtype), found.owner, found.stream)


def _not_dense(node: Node, remedy: str) -> FeedError:
    return FeedError(
        f"{described(node)} was fed a strided array of a GPU; arrays that are not to be copied are "
        f"dense, in C order: make it so with {remedy}"
    )


def _to_host(value: Any) -> str:
    return _TO_HOST.get(_library(value), "numpy.asarray, or with what its library has for that")


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def on_host(array: np.ndarray[Any, Any] | DeviceArray, device: str) -> np.ndarray[Any, Any]:
    """Return what was fed as an array of the host.

    Args:
        array: a checked feed.
        device: where the function runs.
    """
    if isinstance(array, np.ndarray):
        return array
    opened = open_device(device)
    copied = np.empty(array.shape, array.dtype)
    current = opened.current_stream()
    with opened.using():
        opened.wait_for(current.ptr)
        if array.stream is not None:
            opened.wait_for(array.stream)
        opened.download(copied, array.address)
    return copied
