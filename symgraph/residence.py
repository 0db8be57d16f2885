"""Where the value of a parameter is: in host memory, on devices, and which of these are the newest.

Host memory never moves, and a copy on a device stays where it is until it is given back, because
compiled functions hold addresses. Whoever reads or writes brings the value to its place first, with
the parameter's lock held; what is there already is not copied again.

A place that has the newest value counts as the only one *before* it is written. So there is no
moment at which Ctrl-C leaves two places that differ and both count as the newest, and what a run
that fails has not written is still right.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain, repeat
from operator import setitem
from typing import Any, NamedTuple, Protocol

import numpy as np

from symgraph.errors import DeviceError, DeviceMemoryError
from symgraph.location import user_location
from symgraph.shared_lock import COMPILING, SharedLock, run_alone

Array = np.ndarray[Any, Any]

HOST = "cpu"
ONLY_HOST = (HOST,)

UNMOVED = object()
latest_change: object = UNMOVED
"""Another object whenever the places of any value have changed: who has seen to his values when it
was this one need not look again. An object, because a number would have to be counted under a lock.
"""

_exhaust: Callable[[Iterable[Any]], None] = deque[Any](maxlen=0).extend
_forks = 0
_abandoned: list[DeviceCopy] = []
"""Copies of the parent's, in a child: it must not give that memory back."""


class DeviceBlock(Protocol):
    """Memory on a device, given back when nothing refers to it any more.

    What has been enqueued before may still use it.
    """

    @property
    def address(self) -> int:
        """Return where it lies."""


class DeviceMemory(Protocol):
    """What is asked of a device."""

    @property
    def name(self) -> str:
        """Return what users call it, "cuda:0", say."""

    def using(self) -> AbstractContextManager[None]:
        """Return what is held while memory is allocated."""

    def allocate(self, size: int) -> DeviceBlock:
        """Return memory of so many bytes.

        Raises:
            DeviceError: there is not so much.
        """

    def upload(self, address: int, array: Array) -> None:
        """Copy from the host; whatever is enqueued from now on, by any thread, sees it."""

    def download(self, array: Array, address: int) -> None:
        """Copy to the host, behind everything that has been enqueued, and wait for it."""


class DeviceCopy(NamedTuple):
    """A copy of a value on a device.

    Args:
        device: where.
        block: its memory.
        forks: how often the process had been forked when it was made.
    """

    device: DeviceMemory
    block: DeviceBlock
    forks: int


OPENERS: dict[str, Callable[[str], DeviceMemory]] = {}
"""What opens a device, given its name, by kind: the runtime adds "cuda"."""


class Residence:
    """The places of one value. The caller of a method holds the value's lock.

    Reading takes the lock shared at least, writing takes it alone. Nobody may hold a device
    meanwhile (`DeviceMemory.using`): a value may have to come from another one.

    Args:
        value: an array that nobody else holds, or what returns one when it is first needed.
        label: what the value is called in messages.
    """

    __slots__ = ("_array", "_copies", "_guard", "_initial", "_newest", "label")
    _array: Array | None
    _initial: Callable[[], Array] | None

    def __init__(self, value: Array | Callable[[], Array], label: str) -> None:
        """Begin on the host."""
        self._array, self._initial = (None, value) if callable(value) else (value, None)
        self._copies: dict[str, DeviceCopy] = {}
        self._newest: tuple[str, ...] = ONLY_HOST
        # Readers share the value's lock; only one of them is to bring it.
        self._guard = SharedLock()
        self.label = label

    @property
    def array(self) -> Array:
        """Return the host memory, whose contents may be out of date; no lock is needed."""
        if self._initial is not None:
            # No lock of its own: that one is held by some who ask, and a fork waits for this one.
            with COMPILING:
                if self._initial is not None:
                    self._array = self._initial()
                    self._initial = None
        assert self._array is not None, "filled above"
        return self._array

    @property
    def device(self) -> str:
        """Return where the newest value is; if it is on the host too, the device."""
        return next((place for place in self._newest if place != HOST), HOST)

    def on_host(self, *, write: bool = False) -> Array:
        """Return the host memory, brought up to date.

        Args:
            write: whether the caller is going to change it; copies on devices are out of date then.

        Raises:
            DeviceError: the value is on a device that cannot be read.
        """
        array = self.array
        if self._newest is not ONLY_HOST:
            if HOST not in self._newest:
                run_alone((self._guard,), self._download, array)
            if write:
                self._change(ONLY_HOST)
        return array

    def on_device(self, device: DeviceMemory) -> int:
        """Return the address of the copy on a device, brought up to date.

        Raises:
            DeviceError: there is no room, or the value is on another device that cannot be read.
        """
        copy = self._copies.get(device.name)
        if copy is None or device.name not in self._newest or copy.forks != _forks:
            # Drawn before the guard is taken: whoever compiles may ask for values.
            copy = run_alone((self._guard,), self._upload, device, self.array)
        return copy.block.address

    def written_on(self, device: DeviceMemory) -> None:
        """Take note that the copy on a device, which is up to date, is about to be changed."""
        assert device.name in self._newest, "who writes has brought the value"
        if self._newest != (device.name,):
            self._change((device.name,))

    def move(self, device: DeviceMemory | None) -> None:
        """Bring the value to a device, or to the host, and give all other device memory back.

        The caller holds the value's lock alone.

        Raises:
            DeviceError: as for `on_device` and `on_host`; the value stays where it is.
        """
        if device is None:
            self.on_host()
        else:
            self.on_device(device)
        kept = HOST if device is None else device.name
        for name in [name for name in self._copies if name != kept]:
            self._change(tuple(place for place in self._newest if place != name))
            copy = self._copies.pop(name)
            if copy.forks != _forks:
                _abandoned.append(copy)

    def _download(self, array: Array) -> None:
        if HOST in self._newest:
            return  # another thread was faster
        copies = [self._copies[name] for name in self._newest]
        copy = next((copy for copy in copies if copy.forks == _forks), None)
        if copy is None:
            raise DeviceError(
                f"the newest value of {self.label} is on {self.device} alone, and a process that "
                "was made by fork cannot read it there; move it with .to('cpu') before the fork, "
                f"or start processes with multiprocessing's 'spawn'\n  at {user_location()}"
            )
        copy.device.download(array, copy.block.address)
        self._add(HOST)

    def _upload(self, device: DeviceMemory, array: Array) -> DeviceCopy:
        name = device.name
        copy = self._copies.get(name)
        lost = copy is not None and copy.forks != _forks
        if copy is not None and not lost and name in self._newest:
            return copy  # another thread was faster
        self._download(array)
        if copy is None or lost:
            if copy is not None:
                _abandoned.append(copy)
                self._change(tuple(place for place in self._newest if place != name))
            block = self._allocated(device, array.nbytes)
            copy = self._copies[name] = DeviceCopy(device, block, _forks)
        device.upload(copy.block.address, array)
        self._add(name)
        return copy

    def _allocated(self, device: DeviceMemory, size: int) -> DeviceBlock:
        try:
            with device.using():
                return device.allocate(size)
        except DeviceMemoryError as error:
            raise DeviceMemoryError(
                f"there is no room for {self.label}: {error}; no parameter was changed\n"
                f"  at {user_location()}"
            ) from None

    def _add(self, place: str) -> None:
        self._change((*self._newest, place))

    def _change(self, newest: tuple[str, ...]) -> None:
        global latest_change
        if newest != self._newest:
            # Both under the value's lock. The order does not matter to those who take it later.
            latest_change = object()
            self._newest = ONLY_HOST if newest == ONLY_HOST else newest


class Residents:
    """The values that a compiled function reads and writes, brought to where it runs.

    Args:
        values: in the order of the function's parameters.
        written: those that it changes.
        device: where it runs; None for the host.

    Attributes:
        seen: `latest_change` when all values were last found in place.
    """

    __slots__ = ("_addresses", "_device", "_values", "_written", "seen")

    def __init__(
        self,
        values: Sequence[Residence],
        written: Iterable[Residence],
        device: DeviceMemory | None = None,
    ) -> None:
        """Bring nothing yet."""
        self._values = tuple(values)
        self._written = frozenset(written)
        self._device = device
        self._addresses: tuple[int, ...] = ()
        # On the host is where values are at first.
        self.seen: object = UNMOVED if device is None else None

    def bring(self) -> tuple[int, ...]:
        """Bring all values to their place before a run; the caller holds their locks.

        While no value has been anywhere else this is one comparison, however many values there are.

        Returns:
            Their addresses on the device: the same tuple for as long as none has changed. On the
            host, where addresses never change, none.

        Raises:
            DeviceError: one has no room there, or cannot be read where it is.
        """
        before = latest_change
        if before is not self.seen:
            addresses = self._brought()
            if addresses != self._addresses:
                self._addresses = addresses
            self.seen = before
        return self._addresses

    def _brought(self) -> tuple[int, ...]:
        device = self._device
        if device is None:
            for value in self._values:
                value.on_host(write=value in self._written)
            return ()
        addresses = tuple([value.on_device(device) for value in self._values])
        for value in self._written:
            value.written_on(device)
        return addresses


def overwrite_together(values: Mapping[Residence, Array]) -> None:
    """Overwrite values in one go: Ctrl-C does not come between. The caller holds their locks alone.

    What has no memory yet gets some without drawing its initial numbers, and nothing is copied from
    devices.

    Args:
        values: arrays of the values' own shapes and dtypes.
    """
    global latest_change
    # The locks of the values come first, as in everything else that takes both. What has memory
    # keeps it, so that it need not wait for whoever compiles.
    drawn = any(value._initial is not None for value in values)
    with COMPILING if drawn else nullcontext():
        fresh = {v: np.array(new, order="C") for v, new in values.items() if v._initial is not None}
        ready = [(v._array, new) for v, new in values.items() if v._initial is None]
        arrays, news = zip(*ready, strict=True) if ready else ((), ())
        if any(value._newest is not ONLY_HOST for value in values):
            latest_change = object()
        # In a single call of a function written in C, during which nothing can be raised.
        _exhaust(
            chain(
                map(object.__setattr__, fresh, repeat("_array"), fresh.values()),
                map(object.__setattr__, fresh, repeat("_initial"), repeat(None)),
                map(setitem, arrays, repeat(...), news),
                map(object.__setattr__, values, repeat("_newest"), repeat(ONLY_HOST)),
            )
        )


def device_name(device: object) -> str:
    """Return "cpu" or "cuda:N" for what a user calls a device; "cuda" is the first one.

    Raises:
        DeviceError: it is no name of a device.
    """
    if isinstance(device, str) and device == HOST:
        return HOST
    found = re.fullmatch(r"cuda(?::([0-9]{1,4}))?", device) if isinstance(device, str) else None
    if found is None:
        raise DeviceError(
            f"a device is 'cpu', 'cuda', or 'cuda:1' and so on, not {device!r}\n"
            f"  at {user_location()}"
        )
    return f"cuda:{int(found[1] or 0)}"


def open_device(name: str) -> DeviceMemory | None:
    """Return a device by its name, as `device_name` gives it; None stands for the host.

    Raises:
        DeviceError: it is not there, or cannot be used.
    """
    return None if name == HOST else OPENERS[name.partition(":")[0]](name)


def _count_fork() -> None:
    global _forks, latest_change
    _forks += 1
    if latest_change is not UNMOVED:
        latest_change = object()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)
