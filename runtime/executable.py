"""An executable: a plan with its kernels loaded, callable from any thread."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from symgraph import residence
from symgraph.residence import Residence, Residents
from symgraph.runtime import native as at
from symgraph.runtime import pool
from symgraph.runtime.arena import plan_slots
from symgraph.runtime.calls import CallCounter
from symgraph.runtime.executor import (
    bind_in_python,
    executor,
    failed_check,
    mismatched_feed,
)
from symgraph.runtime.frame import Frame, Shapes
from symgraph.runtime.jit import KernelSource, get_kernel
from symgraph.runtime.plan import BufferKind, Plan, Problem
from symgraph.shared_lock import SharedLock, run_alone, run_shared

Array = np.ndarray[Any, Any]
FIRST_CAPACITY = 64
"""Steps of a loop of unknown length that are kept at first; then four times as many, and so on."""
MOST_STEPS = 1 << 40
MAX_SHAPES = 8
"""Sets of extents whose frames are kept for the next call."""


class Bound(Protocol):
    """What a run was bound to: extents, and the number of its call."""

    @property
    def call_index(self) -> Array:
        """Return one word: the number of the call."""

    @property
    def capacity(self) -> int:
        """Return how many steps its loops of unknown length can keep."""


class FailedCheckError(Exception):
    """Says which of the plan's run-time checks failed; nothing was updated."""

    def __init__(self, problem: Problem, frame: Bound, *, late: int = 0) -> None:
        """Keep what is known.

        Args:
            problem: the kind of problem, and the plan's description.
            frame: what the run was bound to.
            late: how many earlier calls have failed, which did not wait to find out; 0 if it is the
                present one.
        """
        super().__init__(problem.message)
        self.late = late
        self.kind = problem.kind
        self.call_index = int(frame.call_index[0])
        self.capacity = frame.capacity


class FeedMismatch(Exception):  # a signal to take the slow path, never shown to users
    """Says that a feed is not what a frame expects: dtype, rank, layout or extents."""


class Executable:
    """Runs a plan.

    Args:
        plan: what to run.
        parameters: the plan's parameters, updated in place.
        locks: the lock of each parameter.
        written: those that the plan updates.
        threads: how many threads kernels may use; None for all.

    Attributes:
        calls: numbers the calls, if the plan draws random numbers.
        capacity: how many steps of loops of unknown length can be kept.
    """

    def __init__(
        self,
        plan: Plan,
        parameters: Sequence[Residence],
        locks: Sequence[SharedLock],
        written: Sequence[Residence],
        threads: int | None,
    ) -> None:
        """Load or compile the kernels."""
        self.plan = plan
        self.threads = threads
        self._parameters = tuple([parameter.array for parameter in parameters])
        self._residents = Residents(parameters, written)
        # A second time, for this is looked at in each call.
        self._seen = self._residents.seen
        self._locks = tuple(sorted(locks, key=id))
        self._writes = bool(written)
        self._addresses = [get_kernel(k) for k in plan.kernels if isinstance(k, KernelSource)]
        self._executor = executor()
        self._run = self._executor.run
        self._native_feeds = self._executor.reads_arrays
        self.slots = plan_slots(plan)
        self.capacity = FIRST_CAPACITY
        self._frames: OrderedDict[Shapes, list[Frame]] = OrderedDict()
        self._recent: list[Frame] = []
        self.calls = CallCounter()
        self._counts_calls = any(b.kind is BufferKind.CALL_INDEX for b in plan.buffers)

    def call(self, feeds: tuple[Array, ...]) -> list[Array]:
        """Run the plan on dense arrays of the right dtypes and ranks.

        Returns:
            The outputs, fresh arrays.

        Raises:
            FeedMismatch: a feed has another dtype or layout; the caller converts it.
            ExtentMismatchError: extents contradict each other.
            FailedCheckError: an index was out of range.
            KeyboardInterrupt: Ctrl-C; parameters are as before the call.
        """
        # One number for all attempts: it must not depend on which extents were fed before.
        number = self.calls.take() if self._counts_calls else 0
        while True:
            try:
                return self._call(feeds, number)
            except FailedCheckError as error:
                if error.kind != "capacity":
                    raise
                self._grow(error.capacity)

    def _call(self, feeds: tuple[Array, ...], number: int) -> list[Array]:
        try:
            frame = self._recent.pop()
        except IndexError:
            frame = self.frame_for(_shapes(feeds))
        outputs = self._attempt(frame, feeds, number)
        if outputs is None:
            shapes = _shapes(feeds)
            if shapes != frame.shapes:
                outputs = self._attempt(self.frame_for(shapes), feeds, number)
            if outputs is None:
                raise FeedMismatch
        return outputs

    def _grow(self, tried: int) -> None:
        """Make room for more steps of loops; the run that had too little has written nothing.

        Args:
            tried: how many steps it had room for; another thread may have made more since.

        Raises:
            MemoryError: the steps of a loop, which may never end, cannot be kept.
        """
        larger = larger_capacity(tried)
        if self.capacity > tried:
            return
        self.capacity = larger
        self._frames = OrderedDict()
        self._recent = []

    def frame_for(self, shapes: Shapes) -> Frame:
        """Take a free frame for these extents, or bind a new one.

        Raises:
            FeedMismatch: a feed has another rank.
            ExtentMismatchError: extents contradict each other.
        """
        free = self._frames.get(shapes)
        if free:
            try:
                return free.pop()
            except IndexError:
                pass  # another thread was faster
        if any(len(s) != feed.rank for s, feed in zip(shapes, self.plan.feeds, strict=True)):
            raise FeedMismatch
        return Frame(
            self.plan,
            self.slots,
            self._addresses,
            self.plan.constants,
            self._parameters,
            shapes,
            self.capacity,
            min(self.threads or pool.available_cpus(), pool.available_cpus()),
        )

    def _give_back(self, frame: Frame) -> None:
        if frame.capacity != self.capacity:
            return
        free = self._frames.get(frame.shapes)
        if free is None:
            while len(self._frames) >= MAX_SHAPES:
                self._frames.popitem(last=False)
            free = self._frames.setdefault(frame.shapes, [])
        free.append(frame)
        self._recent = free

    def _attempt(self, frame: Frame, feeds: tuple[Array, ...], number: int) -> list[Array] | None:
        """Run a frame and give it back; None if a feed is not what it expects."""
        try:
            return self._run_locked(frame, feeds, number)
        finally:
            self._give_back(frame)

    def _run_locked(
        self, frame: Frame, feeds: tuple[Array, ...], number: int
    ) -> list[Array] | None:
        """Run a frame while holding the parameters' locks."""
        if not self._locks:
            return self._execute(frame, feeds, number)
        run = run_alone if self._writes else run_shared
        return run(self._locks, self._execute, frame, feeds, number)

    def wait(self) -> None:
        """Return at once: calls on the CPU are over when they return."""

    def profile(self, feeds: tuple[Array, ...], repeats: int) -> Array:
        """Run the plan a number of times and measure each instruction.

        Args:
            feeds: dense arrays of the right dtypes and ranks.
            repeats: how often to run, after one run that is not measured.

        Returns:
            For each instruction the nanoseconds spent in it and how often it ran.

        Raises:
            ExtentMismatchError: extents contradict each other.
            FailedCheckError: an index was out of range.
        """
        while True:
            try:
                return self._profile(feeds, repeats)
            except FailedCheckError as error:
                if error.kind != "capacity":
                    raise
                self._grow(error.capacity)

    def _profile(self, feeds: tuple[Array, ...], repeats: int) -> Array:
        records = np.zeros((len(self.plan.instructions), 2), np.int64)
        frame = self.frame_for(_shapes(feeds))
        try:
            # Random numbers of later calls do not depend on having been watched.
            self._run_locked(frame, feeds, 0)
            frame.words[at.PROFILE] = records.ctypes.data
            for number in range(1, repeats + 1):
                self._run_locked(frame, feeds, number)
        finally:
            frame.words[at.PROFILE] = 0
            self._give_back(frame)
        return records

    def _execute(self, frame: Frame, feeds: tuple[Array, ...], number: int) -> list[Array] | None:
        if self._seen is not residence.latest_change:
            self._residents.bring()
            self._seen = self._residents.seen
        outputs = [output.array() for output in frame.outputs]
        objects = (*feeds, *outputs)
        if frame.parallel:
            frame.words[at.POOL] = pool.get(self.threads)
        if self._counts_calls:
            frame.call_index[0] = number
        if self._native_feeds:
            result = self._run(frame.address, 0, id(objects) + at.TUPLE_ITEMS)
        elif bind_in_python(frame.address, objects) >= 0:
            return None
        else:
            result = self._run(frame.address, 0, at.BOUND)
        while result >= 0:  # a time slice is over: Python handles signals here
            result = self._run(frame.address, result, at.RESUME)
        if result == at.HALTED:
            return outputs
        if mismatched_feed(result) >= 0:
            return None
        problem = self.plan.problems[failed_check(result) - 1]
        raise FailedCheckError(problem, frame)


def larger_capacity(tried: int) -> int:
    """Return for how many steps to make room, where room for `tried` was too little.

    Raises:
        MemoryError: the steps of a loop, which may never end, cannot be kept.
    """
    if tried > MOST_STEPS:
        raise MemoryError(f"a loop took {tried} steps, which are too many to keep")
    return 4 * tried


def _shapes(feeds: tuple[Array, ...]) -> Shapes:
    return tuple(array.shape for array in feeds)
