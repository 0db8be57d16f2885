"""An executable for a GPU: a plan with its kernels compiled, callable from any thread."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from symgraph.residence import Residence, Residents
from symgraph.runtime.arena import plan_slots
from symgraph.runtime.calls import CallCounter
from symgraph.runtime.cuda.arrays import DeviceArray
from symgraph.runtime.cuda.device import Block, Device
from symgraph.runtime.cuda.frame import CudaFrame, Feed
from symgraph.runtime.cuda.results import LateStatus, LateStatuses
from symgraph.runtime.cuda.source import CudaCall, CudaKernel
from symgraph.runtime.executable import (
    FIRST_CAPACITY,
    MAX_SHAPES,
    FailedCheckError,
    FeedMismatch,
    larger_capacity,
)
from symgraph.runtime.frame import Shapes
from symgraph.runtime.plan import BufferKind, Opcode, Plan
from symgraph.shared_lock import SharedLock, run_alone, run_shared

Array = np.ndarray[Any, Any]


class CudaExecutable:
    """Runs a plan on one device.

    Args:
        plan: what to run.
        parameters: the plan's parameters.
        locks: the lock of each.
        device: where.
        on_device: whether results stay there.

    Attributes:
        calls: numbers the calls, if the plan draws random numbers.
        capacity: how many steps of loops of unknown length can be kept.
        slots: lifetimes of the arena's buffers.
        threads: None; how many threads of the host might work.
    """

    threads: int | None = None

    def __init__(
        self,
        plan: Plan,
        parameters: Sequence[Residence],
        locks: Sequence[SharedLock],
        device: Device,
        *,
        on_device: bool,
    ) -> None:
        """Compile the kernels and bring the constants to the device."""
        self.plan = plan
        self.slots = plan_slots(plan)
        self.capacity = FIRST_CAPACITY
        self.calls = CallCounter()
        self.device = device
        self._on_device = on_device
        written = [parameters[number] for number in sorted(_written(plan))]
        self._parameters = Residents(parameters, written, device)
        self._locks = tuple(sorted(locks, key=id))
        self._writes = bool(written)
        self._frames: OrderedDict[Shapes, CudaFrame] = OrderedDict()
        self._settled: set[Shapes] = set()
        self._held: deque[tuple[Any, list[DeviceArray]]] = deque()
        self._late = LateStatuses(device)
        self._counts_calls = any(b.kind is BufferKind.CALL_INDEX for b in plan.buffers)
        with device.using():
            device.modules.load(k for k in plan.kernels if isinstance(k, CudaKernel | CudaCall))
            self._constants = [_uploaded(device, array) for array in plan.constants]

    def call(self, feeds: tuple[Feed, ...]) -> list[Any]:
        """Run the plan on dense arrays of the host or of the device.

        Returns:
            The outputs, fresh arrays.

        Raises:
            FeedMismatch: a feed has another dtype, rank or layout; the caller converts it.
            ExtentMismatchError: extents contradict each other.
            DeviceMemoryError: the plan does not fit; no parameter was changed.
            FailedCheckError: an index was out of range, say; no parameter was changed.
            KeyboardInterrupt: Ctrl-C; parameters are as before the call.
        """
        self._check(feeds)
        # One number for all attempts: it must not depend on which extents were fed before.
        number = self.calls.take() if self._counts_calls else 0
        return self._until_it_fits(lambda: self._run_locked(feeds, number))

    def _until_it_fits(self, run: Callable[[], list[Any]]) -> list[Any]:
        while True:
            try:
                return run()
            except FailedCheckError as error:
                if error.kind != "capacity":
                    raise
                if self.capacity <= error.capacity:
                    self.capacity = larger_capacity(error.capacity)
                    self._frames = OrderedDict()

    def _check(self, feeds: Sequence[Feed]) -> None:
        for feed, expected in zip(feeds, self.plan.feeds, strict=True):
            if feed.dtype != expected.dtype or len(feed.shape) != expected.rank:
                raise FeedMismatch
            if isinstance(feed, np.ndarray) and not feed.flags.c_contiguous:
                raise FeedMismatch

    def _run_locked(self, feeds: tuple[Feed, ...], number: int) -> list[Any]:
        """Run while holding the parameters' locks and the device."""
        if not self._locks:
            return self._run(feeds, number)
        run = run_alone if self._writes else run_shared
        return run(self._locks, self._run, feeds, number)

    def _run(self, feeds: tuple[Feed, ...], number: int) -> list[Any]:
        device = self.device
        given = [feed for feed in feeds if not isinstance(feed, np.ndarray)]
        streams = {feed.stream for feed in given if feed.stream is not None}
        shared = self._on_device or bool(given)
        current = device.current_stream() if shared else None
        parameters = self._parameters.bring()
        with device.using(current):
            if current is not None:
                # What the caller has enqueued on its stream may still read what we are to write.
                device.wait_for(current.ptr)
            for stream in streams:
                device.wait_for(stream)
            self._raise_late(self._late.failed())
            frame = self._frame_for(tuple(feed.shape for feed in feeds), parameters)
            try:
                status, outputs = self._started(frame, feeds, number)
            finally:
                # Also after Ctrl-C: what has been started still reads feeds and writes results.
                for stream in streams:
                    device.release_to(stream)
                if current is not None:
                    device.release_to(current.ptr)
                if given and self._on_device:
                    self._hold(given)
            if status:
                raise FailedCheckError(self.plan.problems[status - 1], frame)
        return outputs

    def _started(
        self, frame: CudaFrame, feeds: Sequence[Feed], number: int
    ) -> tuple[int, list[Any]]:
        """Run, and wait if the results go to the host; return the status, as far as it is known."""
        if not self._on_device:
            return frame.run(feeds, number)
        status, outputs = frame.start(feeds, number)
        if frame.rows.may_fail and not status:
            self._late.note(frame.rows.status, number, frame.capacity)
        return status, outputs

    def _raise_late(self, found: tuple[int, LateStatus, int] | None) -> None:
        if found is not None:
            status, late, failed = found
            raise FailedCheckError(self.plan.problems[status - 1], late, late=failed)

    def wait(self) -> None:
        """Wait for all calls.

        Raises:
            FailedCheckError: one has failed and nobody was told yet; it has changed no parameter.
        """
        with self.device.using():
            self.device.synchronize()
            self._raise_late(self._late.failed(wait=True))

    def _hold(self, feeds: list[DeviceArray]) -> None:
        """Keep the owners of what was fed until the device has read it; nobody waits for that."""
        while self._held and self._held[0][0].done:
            self._held.popleft()
        self._held.append((self.device.event(), feeds))

    def _frame_for(self, shapes: Shapes, parameters: tuple[int, ...]) -> CudaFrame:
        """Return the frame of these extents, bound to where the parameters are now.

        Raises:
            ExtentMismatchError: extents contradict each other.
            DeviceMemoryError: there is no room.
        """
        frame = self._frames.get(shapes)
        restless = frame is not None and frame.restless
        if frame is None or frame.lost or restless or frame.parameters != parameters:
            self._frames.pop(shapes, None)
            if restless:
                self._settled.add(shapes)
            while len(self._frames) >= MAX_SHAPES:
                self._frames.popitem(last=False)
            frame = self._frames[shapes] = CudaFrame(
                self.plan, self.slots, self.device, parameters, self._constants, shapes,
                self.capacity, on_device=self._on_device, settled=shapes in self._settled,
            )  # fmt: skip
        self._frames.move_to_end(shapes)
        return frame

    def profile(self, feeds: tuple[Feed, ...], repeats: int) -> Array:
        """Run the plan a number of times and measure each instruction on the device.

        Args:
            feeds: dense arrays of the right dtypes and ranks.
            repeats: how often to run, after one run that is not measured.

        Returns:
            For each instruction the nanoseconds spent in it and how often it ran.
        """
        records = np.zeros((len(self.plan.instructions), 2), np.int64)
        self.call(feeds)
        for number in range(1, repeats + 1):
            self._until_it_fits(partial(self._profile_once, feeds, number, records))
        return records

    def _profile_once(self, feeds: tuple[Feed, ...], number: int, records: Array) -> list[Any]:
        stamps: list[tuple[int, Any, Any]] = []
        device = self.device

        def observe(position: int, start: Callable[[], None]) -> None:
            first = device.event(timed=True)
            start()
            stamps.append((position, first, device.event(timed=True)))

        def run() -> list[Any]:
            parameters = self._parameters.bring()
            with device.using():
                frame = self._frame_for(tuple(feed.shape for feed in feeds), parameters)
                status = frame.observe(feeds, number, observe)
            if status:
                raise FailedCheckError(self.plan.problems[status - 1], frame)
            return []

        run_alone(self._locks, run)
        for position, first, last in stamps:
            records[position] += device.nanoseconds(first, last), 1
        return []


def _written(plan: Plan) -> set[int]:
    """Return the numbers of the parameters that a call changes."""
    places = [row.opcode for row in plan.instructions]
    if Opcode.COMMIT not in places:
        return set()
    late = plan.instructions[places.index(Opcode.COMMIT) :]
    return {
        plan.buffers[buffer].number
        for row in late
        for buffer in row.writes
        if plan.buffers[buffer].kind is BufferKind.PARAMETER
    }


def _uploaded(device: Device, array: Array) -> Block:
    block = device.allocate(array.nbytes)
    device.upload(block.address, np.ascontiguousarray(array))
    return block
