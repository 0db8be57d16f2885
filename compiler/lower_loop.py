"""Lowering of loops: rows of the plan that jump back, over windows that move."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from symgraph.compiler.lower_copy import lower_buffer_copy, lower_copy
from symgraph.node import Graph, Node
from symgraph.ops.loop import parts, trips
from symgraph.runtime.plan import Instruction, Loop, Opcode
from symgraph.types import TensorType

if TYPE_CHECKING:
    from symgraph.compiler.lower import Lowering


def lower_loop(lowering: Lowering, node: Node) -> None:
    """Emit a loop: the first carries, the condition, the body, and the jump back."""
    attrs, given = node.attrs, parts(node.inputs, node.attrs)
    body: Graph = attrs["body"]
    count = len(given.carries)
    results = [lowering.place(node, item) for item in range(len(node.type.items))]
    for start, declared, buffer in zip(given.carries, node.type.items, results, strict=False):
        label = "copy of a first carry"
        lower_copy(lowering, lowering.view(start), declared, buffer, node.loc, label)
    number = _new_loop(lowering, node)
    entry = _enter(lowering, node, number)
    top = len(lowering.instructions)
    leaves = parts(body.inputs, {**attrs, "counted": False})
    captured = [lowering.buffer(lowering.view(child).base) for child in given.captured]
    for leaf, buffer in zip(leaves.carries, results, strict=False):
        lowering.assign(leaf, buffer)
    for leaf, buffer in zip(leaves.captured, captured, strict=True):
        lowering.assign(leaf, buffer)
    for leaf, child in zip(leaves.scanned, given.scanned, strict=True):
        array = lowering.buffer(lowering.view(child).base)
        lowering.assign(leaf, lowering.window(array, number, leaf.type))
    exits = [entry]
    if attrs["condition"] is not None:
        exits.append(_test(lowering, attrs["condition"], results[:count], captured))
    rows = [
        (output, lowering.window(stack, number, output.type))
        for output, stack in zip(body.outputs[count:], results[count:], strict=True)
    ]
    lowering.lower_body(body, rows)
    _hand_on(lowering, node, body, results[:count], top)
    lowering.emit(Instruction(Opcode.NEXT, target=top, loop=number, label="next step"))
    for row in exits:
        target = len(lowering.instructions)
        lowering.instructions[row] = replace(lowering.instructions[row], target=target)


def _new_loop(lowering: Lowering, node: Node) -> int:
    """Return the number of a new loop of the plan."""
    attrs = node.attrs
    length = trips(tuple(child.type for child in node.inputs), attrs)
    status = 0
    if attrs["condition"] is not None and length is not None:
        status = lowering.capacity_code()
    limit = -1 if length is None else lowering.extents.index(length)
    lowering.loops.append(Loop(limit, attrs["reverse"], status))
    return len(lowering.loops) - 1


def _enter(lowering: Lowering, node: Node, number: int) -> int:
    """Emit the row that begins the loop, and return its position."""
    counts = [lowering.view(child).base for child in parts(node.inputs, node.attrs).count]
    lowering.emit(
        Instruction(
            Opcode.LOOP,
            arguments=tuple(lowering.pointer(base) for base in counts),
            reads=tuple(lowering.buffer(base) for base in counts),
            loop=number,
            label="loop",
        ),
    )
    place = len(lowering.instructions) - 1
    lowering.instructions[place] = replace(lowering.instructions[place], lines=(str(node.loc),))
    return place


def _test(lowering: Lowering, condition: Graph, carries: list[int], captured: list[int]) -> int:
    """Emit the condition and the jump out of the loop, and return the position of that."""
    for leaf, buffer in zip(condition.inputs, (*carries, *captured), strict=True):
        lowering.assign(leaf, buffer)
    lowering.lower_body(condition, [])
    truth = lowering.view(condition.outputs[0]).base
    lowering.emit(
        Instruction(
            Opcode.JUMP_IF_FALSE,
            arguments=(lowering.pointer(truth),),
            reads=(lowering.buffer(truth),),
            label="end of the loop",
        )
    )
    return len(lowering.instructions) - 1


def _hand_on(lowering: Lowering, node: Node, body: Graph, carries: list[int], top: int) -> None:
    """Emit the copies of new carries to where the next step reads them.

    A carry whose kernel may write it in place, and that nothing reads afterwards, needs none.
    """
    pairs: list[tuple[int, int, TensorType]] = []
    for output, carry in zip(body.outputs, carries, strict=False):
        new = lowering.buffer(lowering.view(output).base)
        if not _written_in_place(lowering, new, carry, top):
            pairs.append((new, carry, output.type))
    for new, carry, declared in pairs:
        label = "copy of a carry for the next step"
        lower_buffer_copy(lowering, new, declared, carry, node.loc, label)


def _written_in_place(lowering: Lowering, new: int, carry: int, top: int) -> bool:
    """Have the kernel that computes a new carry write it over the old one, if that is safe.

    It is where nothing reads the old one afterwards, and the kernel itself does not, or may write
    over what it reads.
    """
    rows = lowering.instructions
    numbers = range(top, len(rows))
    writers = [n for n in numbers if new in rows[n].writes]
    if len(writers) != 1 or any(rows[n].loop >= 0 or rows[n].target >= 0 for n in numbers):
        return False
    place = _behind_readers(rows, writers[0], carry)
    readers = [n for n in numbers if carry in rows[n].reads]
    last = readers[-1] if readers else top - 1
    if last > place or (last == place and (new, carry) not in rows[place].in_place):
        return False
    for n in numbers:
        if new in rows[n].reads or new in rows[n].writes:
            rows[n] = lowering.renamed(rows[n], {new: carry})
    return True


def _behind_readers(rows: list[Instruction], writer: int, buffer: int) -> int:
    """Move what reads a buffer before an instruction where it may run; its place then is returned.

    Such as the copy of an old carry that is kept for the gradient.
    """
    for number in range(writer + 1, len(rows)):
        row = rows[number]
        between = rows[writer:number]
        if buffer not in row.reads or any(
            not set(row.reads).isdisjoint(other.writes)
            or not set(row.writes).isdisjoint((*other.reads, *other.writes))
            for other in between
        ):
            continue
        del rows[number]
        rows.insert(writer, row)
        writer += 1
    return writer
