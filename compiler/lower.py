"""Lowering: a graph of fused regions and library ops becomes the flat plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from symgraph.compiler.direct_writes import Destination, Place, direct_writes
from symgraph.compiler.extent_table import ExtentTable
from symgraph.compiler.lower_loop import lower_loop
from symgraph.compiler.lower_region import lower_region
from symgraph.compiler.region import FUSED
from symgraph.compiler.target import Target
from symgraph.compiler.views import View, ViewResolver
from symgraph.dims import Extent, product
from symgraph.errors import CompileError
from symgraph.leaves import CONSTANT, PARAMETER, PLACEHOLDER, Constant, Parameter
from symgraph.node import Graph, Node, shown
from symgraph.op import Leaf, Library
from symgraph.op import View as ViewKind
from symgraph.ops.control import PROJECT
from symgraph.ops.loop import LOOP
from symgraph.runtime.plan import (
    LEFT,
    RIGHT,
    Buffer,
    BufferKind,
    Check,
    FeedSpec,
    Instruction,
    Kernel,
    Loop,
    Number,
    Opcode,
    Plan,
    Pointer,
    Problem,
)
from symgraph.types import Shape, TensorType, TupleType


@dataclass(frozen=True, slots=True)
class Program:
    """What is lowered.

    Args:
        graph: the fused graph; its outputs are the user's, then the new values of `updated`.
        feeds: the placeholders in call order.
        parameters: all parameters that occur, in order.
        updated: the parameters that the last outputs replace.
        checks: relations between extents that a call must satisfy.
        sources: for each symbol the (feed, axis) that gives it.
        target: what the plan is to run on.
    """

    graph: Graph
    feeds: tuple[Node, ...]
    parameters: tuple[Parameter, ...]
    updated: tuple[Parameter, ...]
    checks: tuple[tuple[str, Extent, Extent, str], ...]
    sources: dict[str, tuple[int, int]]
    target: Target


@dataclass(frozen=True, slots=True)
class Lowered:
    """A plan, and which nodes each of its kernels computes."""

    plan: Plan
    members: tuple[tuple[str, tuple[Node, ...]], ...]


PROBLEM_TEXTS = {
    "bounds": "an index is out of range",
    "ratio": "a ratio to drop is not in [0, 1)",
    "non_finite": "a value is not finite",
    "negative_power": "an integer is raised to a negative power: cast the base to a float dtype",
}
"""What each kind of run-time problem says."""

BUFFER_OF_LEAF = {
    "placeholder": BufferKind.FEED,
    "parameter": BufferKind.PARAMETER,
    "constant": BufferKind.CONSTANT,
    "call_index": BufferKind.CALL_INDEX,
}


def lower(program: Program) -> Lowered:
    """Return the plan of a fused graph."""
    return Lowering(program).run()


class Lowering:
    """Builds a plan, one node at a time."""

    def __init__(self, program: Program) -> None:
        """Begin with the leaves that every plan has."""
        self.program = program
        self.target = program.target
        self.extents = ExtentTable(program.sources)
        self.buffers: list[Buffer] = []
        self.constants: list[np.ndarray] = []
        self.kernels: list[Kernel] = []
        self.instructions: list[Instruction] = []
        self.members: list[tuple[str, tuple[Node, ...]]] = []
        self.checks: list[Check] = []
        self.problems: list[Problem] = []
        self.loops: list[Loop] = []
        self.probes: dict[int, Callable[[], Kernel]] = {}
        self.views = ViewResolver()
        self.direct: dict[Place, Destination] = {}
        self._buffer_of: dict[tuple[Node, int], int] = {}
        self._kernel_numbers: dict[str, int] = {}

    # Entry points used by the kernels' lowering rules.

    def buffer(self, node: Node, item: int = 0) -> int:
        """Return the buffer that holds a node (or an item of a tuple-typed node)."""
        if node.op.name == "project":
            return self.buffer(node.inputs[0], node.attrs["index"])
        if node.op.name == "reshape":
            return self.buffer(node.inputs[0])
        key = (node, item)
        if key not in self._buffer_of:
            assert node.op.name in BUFFER_OF_LEAF, f"{node.op.name} has not been computed yet"
            self._buffer_of[key] = self._leaf(node)
        return self._buffer_of[key]

    def place(self, node: Node, item: int = 0) -> int:
        """Return the buffer a node will be written to, making one unless it has a destination."""
        key = (node, item)
        if key not in self._buffer_of:
            declared = node.type.items[item] if isinstance(node.type, TupleType) else node.type
            self._buffer_of[key] = self.arena(declared, node.op.name)
        return self._buffer_of[key]

    def window(self, buffer: int, loop: int, row: TensorType) -> int:
        """Return a buffer that is one row of another, the next one in each step of a loop."""
        label = self.buffers[buffer].label
        number = self._new_buffer(BufferKind.WINDOW, buffer, row, label)
        self.buffers[number] = self.buffers[number]._replace(loop=loop)
        return number

    def root(self, buffer: int) -> int:
        """Return the array of which a buffer is a row (of a row ...), itself if it is none."""
        while self.buffers[buffer].kind is BufferKind.WINDOW:
            buffer = self.buffers[buffer].number
        return buffer

    def renamed(self, row: Instruction, names: Mapping[int, int]) -> Instruction:
        """Return an instruction that works on other buffers."""
        arguments = tuple(
            argument._replace(buffer=names.get(argument.buffer, argument.buffer))
            if isinstance(argument, Pointer)
            else argument
            for argument in row.arguments
        )
        reads, writes = (
            tuple(names.get(buffer, buffer) for buffer in buffers)
            for buffers in (row.reads, row.writes)
        )
        return replace(row, arguments=arguments, reads=reads, writes=writes, in_place=())

    def writes_directly(self, node: Node) -> bool:
        """Tell whether a node is a part of an array that its region writes in its place."""
        return node.op is PROJECT and (node.inputs[0], node.attrs["index"]) in self.direct

    def assign(self, node: Node, buffer: int) -> None:
        """Say that a node's value is in `buffer`."""
        self._buffer_of[node, 0] = buffer

    def arena(self, declared: TensorType, label: str) -> int:
        """Return a new buffer in the arena."""
        return self._new_buffer(BufferKind.ARENA, 0, declared, label)

    def view(self, node: Node) -> View:
        """Return how a node reads its base array."""
        view = self.views.resolve(node)
        assert view is not None, "materialise() leaves no reshape that needs a copy"
        return view

    def kernel(self, source: Kernel) -> int:
        """Return the number of a kernel; equal kernels share one."""
        if source.key_text not in self._kernel_numbers:
            self._kernel_numbers[source.key_text] = len(self.kernels)
            self.kernels.append(source)
        return self._kernel_numbers[source.key_text]

    def number(self, extent: Extent) -> Number:
        """Return an argument that holds an extent."""
        return Number(self.extents.index(extent))

    def pointer(self, node: Node, offset: Extent = 0) -> Pointer:
        """Return an argument that holds the address of a node's array plus `offset` elements."""
        return Pointer(self.buffer(node), self.extents.index(offset) if offset != 0 else -1)

    def emit(self, instruction: Instruction, members: Sequence[Node] = ()) -> None:
        """Append an instruction; what reads or writes a row counts as using the whole array."""
        lines = tuple(dict.fromkeys(str(node.loc) for node in members))
        origin = len(self.members) if members else -1
        row = replace(instruction, lines=lines, origin=origin)
        if any(self.root(buffer) != buffer for buffer in (*row.reads, *row.writes)):
            row = replace(
                row,
                reads=tuple(dict.fromkeys(map(self.root, row.reads))),
                writes=tuple(dict.fromkeys(map(self.root, row.writes))),
                in_place=tuple(
                    pair for pair in row.in_place if all(self.root(end) == end for end in pair)
                ),
            )
        self.instructions.append(row)
        if members:
            self.members.append((instruction.label, tuple(members)))

    def require(self, relation: str, left: Extent, right: Extent, message: str) -> None:
        """Add a relation that the extents of every call must satisfy."""
        if isinstance(left, int) and isinstance(right, int):
            return
        self.checks.append(
            Check(relation, self.extents.index(left), self.extents.index(right), message)
        )

    # The plan.

    def run(self) -> Lowered:
        """Return the finished plan."""
        from symgraph.compiler.commit import commit_updates

        program = self.program
        for feed in program.feeds:
            self.buffer(feed)
        self._require_declared_extents()
        for relation, left, right, message in program.checks:
            self.require(relation, left, right, message)
        user_count = len(program.graph.outputs) - len(program.updated)
        outputs = []
        for index, node in enumerate(program.graph.outputs[:user_count]):
            base, item = _written(self.view(node).base)
            number = self._new_buffer(BufferKind.OUTPUT, index, node.type, "output")
            self._buffer_of[base, item] = number
            outputs.append(number)
        self.lower_graph(program.graph)
        updates = [
            (self.buffer(self.view(node).base), self.buffer(parameter))
            for node, parameter in zip(
                program.graph.outputs[user_count:], program.updated, strict=True
            )
        ]
        instructions = commit_updates(self, updates)
        plan = Plan(
            feeds=tuple(
                FeedSpec(node.name or "", node.type.element, node.type.rank)
                for node in program.feeds
            ),
            extents=tuple(self.extents.rules),
            checks=tuple(self.checks),
            buffers=tuple(self.buffers),
            outputs=tuple(outputs),
            constants=tuple(self.constants),
            kernels=tuple(self.kernels),
            instructions=tuple(instructions),
            problems=tuple(self.problems),
            loops=tuple(self.loops),
        )
        return Lowered(plan, tuple(self.members))

    def _require_declared_extents(self) -> None:
        """Demand that every axis of every feed has the extent that its placeholder declares."""
        for number, feed in enumerate(self.program.feeds):
            for axis, extent in enumerate(feed.type.dims):
                actual, wanted = self.extents.feed(number, axis), self.extents.index(extent)
                if actual != wanted:
                    message = (
                        f"placeholder {shown(feed.name)} has extent {LEFT} along axis {axis}, "
                        f"but {extent} = {RIGHT} is expected (made at {feed.loc})"
                    )
                    self.checks.append(Check("equal", actual, wanted, message))

    def lower_graph(self, graph: Graph) -> None:
        """Emit the instructions of a graph whose leaves have buffers."""
        self.direct |= direct_writes(graph)
        for node in graph:
            if node.op is FUSED:
                lower_region(self, node)
            elif node.op.name == "cond":
                self._cond(node)
            elif node.op is LOOP:
                lower_loop(self, node)
            elif isinstance(node.op.kind, Library):
                rule = self.target.library.get(node.op.kind.kernel)
                if rule is None:
                    raise CompileError(f"no kernel is known for library op {node.op.name}")
                rule(self, node)
            elif not isinstance(node.op.kind, Leaf | ViewKind) and node.op.name != "project":
                raise CompileError(f"op {node.op.name} was left over by fusion")

    def problem_code(self, kind: str, culprits: Sequence[Node]) -> int:
        """Return the status with which a kernel reports a problem of one of `culprits`."""
        places = ", ".join(dict.fromkeys(f"{node.loc}: {node.loc.code}" for node in culprits))
        self.problems.append(Problem(kind, f"{PROBLEM_TEXTS[kind]}, at {places}"))
        return len(self.problems)

    def lower_body(self, graph: Graph, results: Iterable[tuple[Node, int]]) -> None:
        """Emit the instructions of a sub-graph, once more if need be.

        Args:
            graph: its arguments have buffers.
            results: outputs that go to a given buffer.
        """
        for node in graph:
            if not isinstance(node.op.kind, Leaf):
                for item in range(len(node.type.items) if isinstance(node.type, TupleType) else 1):
                    self._buffer_of.pop((node, item), None)
        for output, buffer in results:
            self._buffer_of[_written(self.view(output).base)] = buffer
        self.lower_graph(graph)

    def capacity_code(self) -> int:
        """Return the status with which a loop says that it takes more steps than can be kept."""
        self.problems.append(Problem("capacity", "a loop takes more steps than can be kept"))
        return len(self.problems)

    def _cond(self, node: Node) -> None:
        predicate, *operands = node.inputs
        count = len(node.type.items) if isinstance(node.type, TupleType) else 1
        results = [self.place(node, item) for item in range(count)]
        branch = len(self.instructions)
        self.emit(
            Instruction(
                Opcode.JUMP_IF_FALSE,
                arguments=(self.pointer(predicate),),
                reads=(self.buffer(predicate),),
                label="cond",
            )
        )
        self._branch(node.attrs["then_graph"], operands, results)
        leave = len(self.instructions)
        self.emit(Instruction(Opcode.JUMP, label="end of the branch"))
        self.instructions[branch] = replace(
            self.instructions[branch], target=len(self.instructions)
        )
        self._branch(node.attrs["else_graph"], operands, results)
        self.instructions[leave] = replace(self.instructions[leave], target=len(self.instructions))

    def _branch(self, graph: Graph, operands: list[Node], results: list[int]) -> None:
        for leaf, operand in zip(graph.inputs, operands, strict=True):
            self._buffer_of[leaf, 0] = self.buffer(self.view(operand).base)
        self.lower_body(graph, zip(graph.outputs, results, strict=True))

    # Buffers.

    def _leaf(self, node: Node) -> int:
        kind = BUFFER_OF_LEAF[node.op.name]
        index = 0
        if node.op is PLACEHOLDER:
            names = [feed.name for feed in self.program.feeds]
            index = names.index(node.name)
        elif node.op is PARAMETER:
            assert isinstance(node, Parameter), "parameters carry storage"
            index = [id(parameter) for parameter in self.program.parameters].index(id(node))
        elif node.op is CONSTANT:
            assert isinstance(node, Constant), "constants carry values"
            index = len(self.constants)
            self.constants.append(node.value)
        return self._new_buffer(kind, index, node.type, node.name or node.op.name)

    def _new_buffer(self, kind: BufferKind, index: int, declared: TensorType, label: str) -> int:
        shape: Shape = declared.dims
        self.buffers.append(
            Buffer(
                kind,
                index,
                declared.element,
                tuple(self.extents.index(e) for e in shape),
                self.extents.index(product(shape)),
                label,
            )
        )
        return len(self.buffers) - 1


def _written(node: Node) -> tuple[Node, int]:
    """Return the node (and item) that computes an output."""
    if node.op.name == "reshape":  # around the total of a reduction in chunks: the same element
        return _written(node.inputs[0])
    if node.op.name == "project":
        return node.inputs[0], node.attrs["index"]
    return node, 0
