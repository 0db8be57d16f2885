"""The plan: the runtime's instruction set, and all that a compiled function needs to run.

A plan is data: extents as small rules over the extents of the feeds, buffers, constants, kernels,
and a flat table of instructions. Binding it to real extents fills in numbers and changes no code.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from symgraph.runtime.cuda.source import (
    CudaCall,
    CudaKernel,
    Launch,
    LaunchRule,
    blocks_for,
    cuda_kernel,
)
from symgraph.runtime.jit import KernelSource

__all__ = [
    "LEFT",
    "RIGHT",
    "Argument",
    "Buffer",
    "BufferKind",
    "Check",
    "CudaCall",
    "CudaKernel",
    "ExtentRule",
    "FeedSpec",
    "Instruction",
    "Kernel",
    "KernelSource",
    "Launch",
    "LaunchRule",
    "Loop",
    "Number",
    "Opcode",
    "Plan",
    "Pointer",
    "Problem",
    "StatusAddress",
    "blocks_for",
    "cuda_kernel",
    "evaluate_extents",
]

Kernel = KernelSource | CudaKernel | CudaCall
"""What an instruction calls: native code of the host, a device's code, or a call by the host."""


class ExtentRule(NamedTuple):
    """How one integer of the plan is found.

    Kinds: `constant` (value); `feed` (feed, axis; behind the feeds comes one more with one axis,
    the capacity of loops); `sum` (the terms: pairs of a coefficient and the indices of earlier
    extents to multiply); `floordiv` and `max` (two earlier extents).
    """

    kind: str
    operands: tuple[Any, ...]


LEFT, RIGHT = "\0left\0", "\0right\0"
"""What stands for the two values in a check's message; no user's name can hold them by accident."""


class Check(NamedTuple):
    """Two extents that must agree (`equal`), or whose first must not be smaller (`at least`).

    The message holds `LEFT` and `RIGHT` where the values belong.
    """

    relation: str
    left: int
    right: int
    message: str


class BufferKind(IntEnum):
    """Who owns a buffer: the caller, the program's state, the plan, one call, or another buffer."""

    FEED = 0
    PARAMETER = 1
    CONSTANT = 2
    OUTPUT = 3
    ARENA = 4
    CALL_INDEX = 5
    WINDOW = 6


class Buffer(NamedTuple):
    """One array in memory, row-major.

    Args:
        kind: who owns it.
        number: its position among the feeds, parameters, constants or outputs; of a window the
            buffer of which it is one row.
        dtype: its element type.
        shape: extents, as indices of rules.
        size: its number of elements, as the index of a rule.
        label: how explanations name it.
        loop: of a window, the loop whose steps move it.
    """

    kind: BufferKind
    number: int
    dtype: str
    shape: tuple[int, ...]
    size: int
    label: str
    loop: int = -1


class Pointer(NamedTuple):
    """An argument: the address of a buffer plus `offset` elements (the index of a rule, or -1)."""

    buffer: int
    offset: int = -1


class Number(NamedTuple):
    """An argument: the value of an extent rule."""

    extent: int


class StatusAddress(NamedTuple):
    """An argument: the address of the run's status word, where a kernel reports bad indices."""


Argument = Pointer | Number | StatusAddress


class Opcode(IntEnum):
    """What an instruction does."""

    CALL = 0
    JUMP = 1
    JUMP_IF_FALSE = 2
    COMMIT = 3
    HALT = 4
    LOOP = 5
    NEXT = 6


@dataclass(frozen=True, slots=True)
class Instruction:
    """One row of the instruction table.

    Args:
        opcode: what it does.
        kernel: index of the kernel to call.
        arguments: what fills the kernel's argument block; for a conditional jump the one pointer.
        reads: the buffers it reads.
        writes: the buffers it writes.
        extent: the rule of its parallel extent.
        work: the rule of the number of elements it touches, from which the grain follows.
        pieces: into how many chunks for each thread a large loop is cut: many keep all threads
            busy to the end, few where a kernel prepares something for each chunk.
        target: the row to jump to.
        label: how explanations name it.
        lines: the user's lines behind it.
        in_place: pairs (written, read) of buffers where the written one may take the read one's
            memory, if nothing reads that afterwards.
        origin: for explanations, which of the compiler's lists of nodes it computes, -1 for none.
        loop: of LOOP and NEXT, which loop; a LOOP may have one argument, which points to the number
            of steps, and jumps to its target if there are none; a NEXT jumps back.
    """

    opcode: Opcode
    kernel: int = -1
    arguments: tuple[Argument, ...] = ()
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    extent: int = 0
    work: int = 0
    pieces: int = 16
    target: int = -1
    label: str = ""
    lines: tuple[str, ...] = ()
    in_place: tuple[tuple[int, int], ...] = ()
    origin: int = -1
    loop: int = -1


class Loop(NamedTuple):
    """A loop of the plan.

    Args:
        limit: the rule of the number of steps, -1 if only a jump ends the loop.
        reverse: whether windows start at the last row.
        status: what a run fails with if all steps were taken and none has jumped out; 0 if that is
            how the loop ends.
    """

    limit: int
    reverse: bool
    status: int


class Problem(NamedTuple):
    """What a status of a failed run means: the kind of problem, and what to tell the user.

    The kind `capacity` tells the runtime to run once more with a larger capacity of loops.
    """

    kind: str
    message: str


class FeedSpec(NamedTuple):
    """What a feed must be: its name, dtype and rank."""

    name: str
    dtype: str
    rank: int


@dataclass(frozen=True, eq=False)
class Plan:
    """A compiled program.

    Args:
        feeds: what the caller passes, in order.
        extents: rules in evaluation order.
        checks: relations between extents, tested before anything runs.
        buffers: all arrays.
        outputs: the buffers to hand back, in order.
        constants: the values of constant buffers.
        kernels: the functions that are called, each once; all for the host or all for a device.
        instructions: the table.
        problems: what status 1, 2 ... of a failed run mean.
        loops: what the LOOP and NEXT instructions refer to.
    """

    feeds: tuple[FeedSpec, ...]
    extents: tuple[ExtentRule, ...]
    checks: tuple[Check, ...]
    buffers: tuple[Buffer, ...]
    outputs: tuple[int, ...]
    constants: tuple[np.ndarray[Any, Any], ...]
    kernels: tuple[Kernel, ...]
    instructions: tuple[Instruction, ...]
    problems: tuple[Problem, ...]
    loops: tuple[Loop, ...] = ()


def evaluate_extents(
    rules: tuple[ExtentRule, ...], shapes: tuple[tuple[int, ...], ...]
) -> list[int]:
    """Return the value of every rule for feeds of these shapes."""
    values: list[int] = []
    for kind, operands in rules:
        if kind == "constant":
            values.append(operands[0])
        elif kind == "feed":
            values.append(shapes[operands[0]][operands[1]])
        elif kind == "sum":
            total = 0
            for coefficient, factors in operands:
                for factor in factors:
                    coefficient *= values[factor]
                total += coefficient
            values.append(total)
        elif kind == "floordiv":
            divisor = values[operands[1]]
            values.append(values[operands[0]] // divisor if divisor else 0)
        else:
            values.append(max(values[operands[0]], values[operands[1]]))
    return values
