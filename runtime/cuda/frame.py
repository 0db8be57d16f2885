"""A plan bound to extents on a device: one block of memory, the rows to walk, and the graphs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, TypeAlias
from weakref import ref

import numpy as np

from symgraph.errors import DeviceMemoryError
from symgraph.runtime.arena import Slot
from symgraph.runtime.cuda.arrays import DeviceArray
from symgraph.runtime.cuda.device import Block, Device
from symgraph.runtime.cuda.layout import STAGED_BYTES, Layout, lay_out
from symgraph.runtime.cuda.limits import MOST_RECORDED
from symgraph.runtime.cuda.results import Results, outputs_apart
from symgraph.runtime.cuda.rows import STATUS, Rows
from symgraph.runtime.cuda.walk import FailedRun, Observer, walk
from symgraph.runtime.frame import Shapes, bind_extents
from symgraph.runtime.plan import BufferKind, Plan

Array = np.ndarray[Any, Any]
Feed: TypeAlias = Array | DeviceArray

MAX_GRAPHS = 8
"""Sets of feed addresses whose graphs are kept: a loader hands out a few buffers in turn."""


class CudaFrame:
    """What a plan needs to run for one set of extents.

    Attributes:
        shapes: of the feeds.
        capacity: how many steps its loops of unknown length can keep.
        parameters: the addresses of the parameters.
        call_index: one word: the number of the call.
        layout: where things lie.
    """

    def __init__(
        self,
        plan: Plan,
        slots: Sequence[Slot],
        device: Device,
        parameters: tuple[int, ...],
        constants: Sequence[Block],
        shapes: Shapes,
        capacity: int,
        *,
        on_device: bool,
        settled: bool,
    ) -> None:
        """Take memory and fill in addresses; the caller holds the device.

        Args:
            plan: what to run.
            slots: lifetimes of its buffers.
            device: where.
            parameters: the addresses of the parameters.
            constants: the memory of the constants.
            shapes: of the feeds.
            capacity: how many steps its loops of unknown length can keep.
            on_device: whether results stay on the device.
            settled: whether all addresses are to stay the same, at the cost of copies on the
                device; see `restless`.

        Raises:
            ExtentMismatchError: a relation that the plan demands does not hold.
            DeviceMemoryError: the block does not fit.
        """
        self.shapes, self.capacity, self.parameters = shapes, capacity, parameters
        self._plan, self._device, self._constants = plan, device, constants
        self.values = bind_extents(plan, shapes, capacity)
        apart = outputs_apart(plan, self.values) if on_device and not settled else frozenset()
        self.layout = lay_out(plan, slots, self.values, apart)
        block = self._allocated()
        self._block = ref(block)
        self.call_index = np.zeros(1, np.int64)
        self._results_at = block.address + self.layout.results.start
        moving = [*range(len(plan.feeds)), *(b for b in plan.outputs if b in apart)]
        self.rows = Rows(plan, device, self.values, self._addresses(block.address, apart), moving)
        self._graphs: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._feeds = _Feeds(plan, device, block, self.layout, self.call_index, settled)
        self._settled, self._strangers = settled, 0
        self._results = Results(plan, device, self.values, self._results_at, self.layout, apart)

    def _allocated(self) -> Block:
        size = self.layout.bytes
        try:
            return self._device.shared_block(size)
        except DeviceMemoryError as error:
            fed = ", ".join(
                f"{feed.name!r} {shape}"
                for feed, shape in zip(self._plan.feeds, self.shapes, strict=True)
            )
            raise DeviceMemoryError(
                f"the plan needs {size:,} bytes of device memory for these feeds ({fed}), "
                f"{self.layout.arena_bytes:,} of them for intermediate arrays: {error}; "
                "no parameter was changed"
            ) from None

    @property
    def lost(self) -> bool:
        """Tell whether its memory was given back, because something larger took its place."""
        return self._block() is None

    @property
    def restless(self) -> bool:
        """Tell whether no graph is of use, because arrays of the device come from ever new places.

        Such as the rows of a large array, batch by batch. A copy of each then costs less than to
        start all kernels one by one.
        """
        return not self._settled and self._strangers > MAX_GRAPHS

    def _addresses(self, base: int, apart: frozenset[int]) -> dict[int, int]:
        """Return where each buffer is that stays, and the status word."""
        layout = self.layout
        fixed = {
            BufferKind.PARAMETER: self.parameters,
            BufferKind.CONSTANT: [block.address for block in self._constants],
            BufferKind.CALL_INDEX: [base + layout.inputs.start],
            BufferKind.OUTPUT: [self._results_at + o for o in layout.results.offsets[1:]],
        }
        found = {buffer: base + offset for buffer, offset in layout.arena.items()}
        for number, buffer in enumerate(self._plan.buffers):
            if buffer.kind in fixed and number not in apart:
                found[number] = fixed[buffer.kind][buffer.number]
        found[STATUS] = self._results_at
        return found

    def run(self, feeds: Sequence[Feed], number: int) -> tuple[int, list[Array]]:
        """Run once, and wait.

        Args:
            feeds: dense arrays of the right dtypes and of the frame's shapes.
            number: of the call.

        Returns:
            The status, 0 if all went well, and the results.
        """
        self.call_index[0] = number
        try:
            self._start(self._feeds.bring(feeds))
        except FailedRun as failed:
            self._device.synchronize()
            return failed.status, []
        return self._results.on_host()

    def start(self, feeds: Sequence[Feed], number: int) -> tuple[int, list[Any]]:
        """Start a run and wait for nothing; arguments as for `run`.

        Returns:
            The status as far as the host knows, and arrays of the device that will hold the
            results.
        """
        self.call_index[0] = number
        arrays = self._results.arrays()
        addresses = self._feeds.bring(feeds)
        self._feeds.mark()
        try:
            self._start((*addresses, *self._results.addresses(arrays)))
        except FailedRun as failed:
            return failed.status, []
        self._results.fill(arrays)
        return 0, arrays

    def _start(self, addresses: tuple[int, ...]) -> None:
        """Start all kernels: by a graph, where these addresses were fed before."""
        if not self.rows.recordable or self.rows.calls > MOST_RECORDED:
            self._walk(addresses)
            return
        graph = self._graphs.pop(addresses, None)
        known = graph is not None
        if not known:
            # The first run is not recorded: many functions run once for each set of extents.
            self._walk(addresses)
            self._strangers += 1
            graph = _SEEN
        elif graph is _SEEN:
            self.rows.place(addresses)
            graph = self._device.record(self._begin)
            if graph is None:
                self._begin()
                graph, known = _SEEN, False
        if known:
            self._device.replay(graph)
            self._strangers = 0
        while len(self._graphs) >= MAX_GRAPHS:
            self._graphs.popitem(last=False)
        self._graphs[addresses] = graph

    def _walk(self, addresses: tuple[int, ...]) -> None:
        self.rows.place(addresses)
        self._begin()

    def _begin(self) -> None:
        self._clear_status()
        walk(self.rows, self._device)

    def _clear_status(self) -> None:
        if self.rows.may_fail:
            self._device.fill(self.rows.status, 8)

    def observe(self, feeds: Sequence[Feed], number: int, observer: Observer) -> int:
        """Run once, step by step, and return the status."""
        self.call_index[0] = number
        arrays = self._results.arrays()
        self.rows.place((*self._feeds.bring(feeds), *self._results.addresses(arrays)))
        self._clear_status()
        try:
            walk(self.rows, self._device, observer)
        except FailedRun as failed:
            return failed.status
        self._device.synchronize()
        return self._device.read(self.rows.status, "int64") if self.rows.may_fail else 0


_SEEN = object()
"""Stands for the graph of addresses that were fed once."""


class _Feeds:
    """Brings what is fed to the device."""

    _pending: Any = None
    _staged = _borrowed = False

    def __init__(
        self,
        plan: Plan,
        device: Device,
        block: Block,
        layout: Layout,
        call_index: Array,
        copies: bool,
    ) -> None:
        self._copies = copies
        region = layout.inputs
        self._device = device
        self._call_index = call_index if _draws(plan) else None
        self._places = [block.address + region.start + offset for offset in region.offsets]
        self._offsets = region.offsets
        self._order = sorted(range(len(region.offsets)), key=region.offsets.__getitem__)
        self._start = self._places[0]
        self._staging = device.pinned(min(region.bytes, STAGED_BYTES))

    def bring(self, feeds: Sequence[Feed]) -> tuple[int, ...]:
        """Begin to copy what lies on the host, and return where each feed is on the device."""
        arrays = (self._call_index, *feeds)
        staged: list[tuple[int, Array]] = []
        borrowed: list[tuple[int, Array]] = []
        for position in self._order:
            array = arrays[position]
            if isinstance(array, np.ndarray):
                fits = self._offsets[position] + array.nbytes <= self._staging.nbytes
                (staged if fits else borrowed).append((position, array))
        self._staged, self._borrowed = bool(staged), bool(borrowed)
        if staged:
            self._stage(staged)
        for position, array in borrowed:
            self._device.enqueue_upload(self._places[position], array)
        return tuple(self._place_of(*entry) for entry in enumerate(feeds, start=1))

    def _place_of(self, position: int, feed: Feed) -> int:
        """Return where a run reads a feed."""
        if not isinstance(feed, DeviceArray):
            return self._places[position]
        if self._copies:
            self._device.copy(self._places[position], feed.address, feed.nbytes)
            return self._places[position]
        return feed.address

    def _stage(self, sources: Sequence[tuple[int, Array]]) -> None:
        """Copy arrays, in the order of their places, to pinned memory, and that to the device."""
        if self._pending is not None:
            self._pending.synchronize()
            self._pending = None
        last = 0
        for position, array in sources:
            offset = self._offsets[position]
            end = offset + array.nbytes
            # An empty array may have the place of another one.
            last = max(last, end)
            if end > offset:
                self._staging[offset:end] = array.reshape(-1).view(np.uint8)
        first = self._offsets[sources[0][0]]
        self._device.enqueue_upload(self._start + first, self._staging[first:last])

    def mark(self) -> None:
        """Note where the stream is: pinned memory is free again when it has come so far.

        A call that waits for its results need not. Arrays too large for pinned memory are read
        where they are, which may be later than the call that copies them returns: on machines whose
        GPUs read all memory of the host.
        """
        if self._borrowed:
            self._device.event().synchronize()
        elif self._staged:
            self._pending = self._device.event()

    def __del__(self) -> None:
        """See to it that copies which are under way find what they read."""
        if self._pending is not None:
            self._device.keep(self._staging, self._pending)


def _draws(plan: Plan) -> bool:
    return any(buffer.kind is BufferKind.CALL_INDEX for buffer in plan.buffers)
