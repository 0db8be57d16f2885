"""The instructions of a plan with real words, extents and addresses, ready to be walked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from symgraph.runtime.arena import ITEM_BYTES
from symgraph.runtime.cuda.calls import CALLS
from symgraph.runtime.cuda.decisions import host_decisions
from symgraph.runtime.cuda.device import Device
from symgraph.runtime.cuda.source import CudaCall, CudaKernel
from symgraph.runtime.plan import Argument, Number, Opcode, Plan, Pointer

Starter = Callable[[Sequence[int], int], None]


@dataclass(slots=True)
class Row:
    """One instruction.

    Args:
        opcode: what it does.
        words: argument words; windows and feeds change them.
        start: starts the kernel on words and a guard; None where there is nothing to do.
        target: where it jumps.
        loop: which loop it begins or continues.
        counted: of LOOP, whether its word points to the number of steps.
    """

    opcode: Opcode
    words: list[int]
    start: Starter | None = None
    target: int = -1
    loop: int = -1
    counted: bool = False


@dataclass(slots=True)
class Cell:
    """A word that moves: it holds `words[index]`.

    Args:
        words: where it is.
        index: which.
    """

    words: list[int]
    index: int


@dataclass(slots=True)
class Move:
    """A window: what a loop writes to a word in each of its steps.

    Args:
        cell: the word.
        origin: holds the address of the first row.
        row: bytes of a row.
    """

    cell: Cell
    origin: Cell
    row: int


@dataclass(slots=True)
class LoopState:
    """A loop of the plan.

    Args:
        limit: the number of steps; None if only a jump ends it.
        reverse: whether its windows begin at the last row.
        status: what the run fails with when all steps were taken; 0 if that ends the loop.
        watched: whether the host decides on each step, and so can see that the run has failed.
        moves: its windows, outer ones first.
        step: which one it is in.
        steps: how many it takes this time.
    """

    limit: int | None
    reverse: bool
    status: int
    watched: bool = False
    moves: list[Move] = field(default_factory=list)
    step: int = 0
    steps: int = 0

    def place(self) -> None:
        """Put the windows where the present step sees them."""
        row = self.steps - 1 - self.step if self.reverse else self.step
        for move in self.moves:
            start = move.origin.words[move.origin.index]
            move.cell.words[move.cell.index] = start + row * move.row


class Rows:
    """All rows, the loops they refer to, and the words that change from call to call.

    Attributes:
        rows: the instructions.
        loops: the loops.
        patches: for each buffer that moves the cells that point into it, and how far behind its
            start.
        status: the address of the status word.
        may_fail: whether there is something that a kernel may report there; else nobody clears it.
        recordable: whether the device alone decides everything, so that a graph can hold the run.
        calls: how many calls a recordable run makes, those in each step of a loop counted.
    """

    def __init__(
        self,
        plan: Plan,
        device: Device,
        values: Sequence[int],
        addresses: Mapping[int, int],
        moving: Sequence[int],
    ) -> None:
        """Fill in words.

        Args:
            plan: whose instructions.
            device: what starts kernels.
            values: of the extent rules.
            addresses: of every buffer that is no window and does not move, by its number.
            moving: the buffers that lie elsewhere in each call, such as feeds.
        """
        self._plan = plan
        self._values = values
        self._addresses = addresses
        self.patches: dict[int, list[tuple[Cell, int]]] = {buffer: [] for buffer in moving}
        self.loops = [
            LoopState(None if loop.limit < 0 else values[loop.limit], loop.reverse, loop.status)
            for loop in plan.loops
        ]
        self.status = addresses[STATUS]
        self.may_fail = bool(plan.problems)
        self.rows = [self._row(number, device) for number in range(len(plan.instructions))]
        self._mark_watched()
        self.recordable = not host_decisions(plan)
        self.calls = self._calls() if self.recordable else 0

    def _row(self, number: int, device: Device) -> Row:
        instruction = self._plan.instructions[number]
        row = Row(instruction.opcode, [], target=instruction.target, loop=instruction.loop)
        for argument in instruction.arguments:
            row.words.append(0)
            row.words[-1] = self._fill(argument, Cell(row.words, len(row.words) - 1))
        row.counted = row.opcode is Opcode.LOOP and bool(instruction.arguments)
        if row.opcode is Opcode.CALL and self._values[instruction.extent] > 0:
            row.start = self._starter(self._plan.kernels[instruction.kernel], row.words, device)
        return row

    def _starter(self, kernel: object, words: list[int], device: Device) -> Starter:
        if isinstance(kernel, CudaKernel):
            # Only extents decide on the grid, and those stay.
            return device.starter(kernel, kernel.launch(words))
        assert isinstance(kernel, CudaCall), "a plan for a GPU has no kernels for the host"
        call = CALLS[kernel.name]

        def start(words: Sequence[int], guard: int) -> None:
            assert guard == 0, "behind the commit point there are kernels only"
            call(device, words, kernel)

        return start

    def _fill(self, argument: Argument, cell: Cell) -> int:
        if isinstance(argument, Number):
            return self._values[argument.extent]
        if not isinstance(argument, Pointer):
            return self.status
        buffer = self._plan.buffers[argument.buffer]
        shift = self._values[argument.offset] if argument.offset >= 0 else 0
        return self._pointer(argument.buffer, shift * ITEM_BYTES[buffer.dtype], cell)

    def _pointer(self, number: int, shift: int, cell: Cell) -> int:
        """Return the address `shift` bytes behind the start of a buffer, noting when it changes."""
        if number in self._addresses:
            return self._addresses[number] + shift
        buffer = self._plan.buffers[number]
        if number in self.patches:
            self.patches[number].append((cell, shift))
            return 0
        origin = Cell([0], 0)
        origin.words[0] = self._pointer(buffer.number, shift, origin)
        row = self._values[buffer.size] * ITEM_BYTES[buffer.dtype]
        self.loops[buffer.loop].moves.append(Move(cell, origin, row))
        return 0

    def _mark_watched(self) -> None:
        """Find the loops on whose steps the host decides: those with a jump out of them."""
        begun: list[int] = []
        for row in self.rows:
            if row.opcode is Opcode.LOOP:
                begun.append(row.loop)
            elif row.opcode is Opcode.NEXT:
                begun.remove(row.loop)
            elif row.opcode is Opcode.JUMP_IF_FALSE:
                for number in begun:
                    self.loops[number].watched = True
        for loop in self.loops:
            loop.watched = loop.watched or loop.limit is None

    def _calls(self) -> int:
        """Count the calls of a run in which all loops take as many steps as they may."""
        total, times = 0, [1]
        for row in self.rows:
            if row.opcode is Opcode.LOOP:
                times.append(times[-1] * (self.loops[row.loop].limit or 0))
            elif row.opcode is Opcode.NEXT:
                times.pop()
            elif row.start is not None:
                total += times[-1]
        return total

    def place(self, addresses: Sequence[int]) -> None:
        """Write the addresses of all buffers that move into the words that point into them."""
        for cells, address in zip(self.patches.values(), addresses, strict=True):
            for cell, shift in cells:
                cell.words[cell.index] = address + shift


STATUS = -1
"""The key of the status word among addresses."""
