"""Lowering: a graph of fused regions and library ops becomes the flat plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from symgraph.compiler.codegen.nest import CHEAP, Nest, Operand, build_nest
from symgraph.compiler.codegen.region_kernel import region_source
from symgraph.compiler.codegen.signature import Kind, Signature
from symgraph.compiler.extent_table import ExtentTable
from symgraph.compiler.lower_library import LIBRARY
from symgraph.compiler.region import FUSED, Access, Region
from symgraph.compiler.views import View, ViewResolver
from symgraph.dims import Extent, floor_divide, product
from symgraph.errors import CompileError
from symgraph.leaves import ARGUMENT, CONSTANT, PARAMETER, PLACEHOLDER, Constant, Parameter
from symgraph.node import Graph, Node
from symgraph.op import Elementwise, Leaf, Library
from symgraph.op import View as ViewKind
from symgraph.runtime.plan import (
    Argument,
    Buffer,
    BufferKind,
    Check,
    ExtentRule,
    FeedSpec,
    Instruction,
    KernelSource,
    Number,
    Opcode,
    Plan,
    Pointer,
    Problem,
    StatusAddress,
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
    """

    graph: Graph
    feeds: tuple[Node, ...]
    parameters: tuple[Parameter, ...]
    updated: tuple[Parameter, ...]
    checks: tuple[tuple[str, Extent, Extent, str], ...]
    sources: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Lowered:
    """A plan, and which nodes each of its kernels computes."""

    plan: Plan
    members: tuple[tuple[str, tuple[Node, ...]], ...]


PROBLEM_TEXTS = {
    "bounds": "an index is out of range",
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
        self.extents = ExtentTable(program.sources)
        self.buffers: list[Buffer] = []
        self.constants: list[np.ndarray] = []
        self.kernels: list[KernelSource] = []
        self.instructions: list[Instruction] = []
        self.members: list[tuple[str, tuple[Node, ...]]] = []
        self.checks: list[Check] = []
        self.problems: list[Problem] = []
        self.views = ViewResolver()
        self._buffer_of: dict[tuple[Node, int], int] = {}
        self._kernel_numbers: dict[str, int] = {}

    # Entry points used by the kernels' lowering rules.

    def buffer(self, node: Node, item: int = 0) -> int:
        """Return the buffer that holds a node (or an item of a tuple-typed node)."""
        if node.op.name == "project":
            return self.buffer(node.inputs[0], node.attrs["index"])
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

    def kernel(self, source: KernelSource) -> int:
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
        """Append an instruction."""
        lines = tuple(dict.fromkeys(str(node.loc) for node in members))
        self.instructions.append(replace(instruction, lines=lines))
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
            base, item = _written(node)
            number = self._new_buffer(BufferKind.OUTPUT, index, node.type, "output")
            self._buffer_of[base, item] = number
            outputs.append(number)
        self.lower_graph(program.graph)
        updates = [
            (self.buffer(node), self.buffer(parameter))
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
        )
        return Lowered(plan, tuple(self.members))

    def _require_declared_extents(self) -> None:
        """Demand that every axis of every feed has the extent that its placeholder declares."""
        for number, feed in enumerate(self.program.feeds):
            for axis, extent in enumerate(feed.type.dims):
                actual, wanted = self.extents.feed(number, axis), self.extents.index(extent)
                if actual != wanted:
                    message = (
                        f"placeholder {feed.name!r} has extent {{left}} along axis {axis}, but "
                        f"{extent} = {{right}} is expected (made at {feed.loc})"
                    )
                    self.checks.append(Check("equal", actual, wanted, message))

    def lower_graph(self, graph: Graph) -> None:
        """Emit the instructions of a graph whose leaves have buffers."""
        for node in graph:
            if node.op is FUSED:
                self.region(node, node.attrs["region"])
            elif node.op.name == "cond":
                self._cond(node)
            elif isinstance(node.op.kind, Library):
                rule = LIBRARY.get(node.op.kind.kernel)
                if rule is None:
                    raise CompileError(f"no kernel is known for library op {node.op.name}")
                rule(self, node)
            elif not isinstance(node.op.kind, Leaf | ViewKind) and node.op.name != "project":
                raise CompileError(f"op {node.op.name} was left over by fusion")

    def region(
        self,
        node: Node,
        region: Region,
        writes: tuple[Access, ...] | None = None,
        destinations: tuple[int, ...] | None = None,
    ) -> None:
        """Emit the kernel of a region.

        Args:
            node: the fused node (its inputs are the arrays read).
            region: what is computed.
            writes: where the outputs go within their buffers; dense by default.
            destinations: the buffers of the outputs; those of `node` by default.
        """
        nest = build_nest(region, writes)
        kinds: tuple[Kind, ...] = tuple(_kind(child) for child in node.inputs)
        source, signature = region_source(nest, kinds)
        if destinations is None:
            destinations = tuple(self.place(node, i) for i in range(len(region.graph.outputs)))
        arguments = self._arguments(node, nest, signature, destinations)
        reads = tuple(
            self.buffer(child) for child, kind in zip(node.inputs, kinds, strict=True)
            if kind == "memory"
        )
        self._require_elements(region)
        single_pass = len(nest.passes) == 1 and region.chunk is None and _has_long_rows(nest)
        self.emit(
            Instruction(
                opcode=Opcode.CALL,
                kernel=self.kernel(source),
                arguments=arguments,
                reads=tuple(dict.fromkeys(reads)),
                writes=destinations,
                extent=self.extents.index(parallel_extent(nest, source.key_text)),
                work=self.extents.index(product(region.domain) * _weight(nest)),
                label=f"{nest.mode} region",
                in_place=self._in_place(node, nest, kinds, destinations) if single_pass else (),
            ),
            region.members,
        )

    def _arguments(
        self, node: Node, nest: Nest, signature: Signature, destinations: tuple[int, ...]
    ) -> tuple[Argument, ...]:
        operands = (*nest.inputs, *nest.outputs)
        filled: list[Argument] = []
        for slot in signature.slots:
            name, which = slot[0], slot[1]
            if name == "extent":
                filled.append(self.number(nest.loops[which].extent))
            elif name == "chunk":
                filled.append(self.number(nest.region.chunk or 0))
            elif name == "status":
                filled.append(StatusAddress())
            elif name == "code":
                kind = signature.flags[which]
                filled.append(self.number(self.problem_code(kind, _may_report(nest, kind))))
            elif name == "stride":
                filled.append(self.number(operands[which].strides[slot[-1]]))
            elif which >= len(nest.inputs):
                offset = operands[which].offset
                number = self.extents.index(offset) if offset != 0 else -1
                filled.append(Pointer(destinations[which - len(nest.inputs)], number))
            elif signature.kinds[which] == "memory":
                filled.append(self.pointer(node.inputs[which], operands[which].offset))
            else:
                child, offset = node.inputs[which], operands[which].offset
                value = child.attrs["value"] if child.op.name == "extent" else offset
                filled.append(self.number(value))
        return tuple(filled)

    def problem_code(self, kind: str, culprits: Sequence[Node]) -> int:
        """Return the status with which a kernel reports a problem of one of `culprits`."""
        places = ", ".join(dict.fromkeys(f"{node.op.name} made at {node.loc}" for node in culprits))
        self.problems.append(Problem(kind, f"{PROBLEM_TEXTS[kind]} in {places}"))
        return len(self.problems)

    def _in_place(
        self, node: Node, nest: Nest, kinds: tuple[Kind, ...], destinations: tuple[int, ...]
    ) -> tuple[tuple[int, int], ...]:
        """Return (output, input) buffers of which the output may take the input's memory."""
        sources = [self.buffer(c) for c, k in zip(node.inputs, kinds, strict=True) if k == "memory"]
        pairs = []
        for output, destination in zip(nest.outputs, destinations, strict=True):
            for child, operand, kind in zip(node.inputs, nest.inputs, kinds, strict=True):
                if kind != "memory" or sources.count(self.buffer(child)) != 1:
                    continue
                if operand == output and _moves_everywhere(nest, output):
                    pairs.append((destination, self.buffer(child)))
        return tuple(pairs)

    def _require_elements(self, region: Region) -> None:
        """Maxima and minima of nothing do not exist: demand one element at each call."""
        for node in region.graph:
            if node.op.name in ("max", "min") and node.inputs[0].op is not ARGUMENT or (
                node.op.name in ("max", "min") and region.chunk is None
            ):
                extents = [node.inputs[0].type.dims[axis] for axis in node.attrs["axis"]]
                for extent in extents:
                    self.require(
                        "at least", extent, 1,
                        f"{node.op.name} of an empty axis has no value (made at {node.loc})",
                    )

    def _cond(self, node: Node) -> None:
        predicate, *operands = node.inputs
        count = len(node.type.items) if isinstance(node.type, TupleType) else 1
        results = [self.place(node, item) for item in range(count)]
        branch = len(self.instructions)
        self.emit(
            Instruction(
                Opcode.JUMP_IF_FALSE, arguments=(self.pointer(predicate),),
                reads=(self.buffer(predicate),), label="cond",
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
        for output, result in zip(graph.outputs, results, strict=True):
            base, item = _written(output)
            self._buffer_of[base, item] = result
        self.lower_graph(graph)

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

    def _new_buffer(
        self, kind: BufferKind, index: int, declared: TensorType, label: str
    ) -> int:
        shape: Shape = declared.dims
        self.buffers.append(
            Buffer(
                kind, index, declared.element, tuple(self.extents.index(e) for e in shape),
                self.extents.index(product(shape)), label,
            )
        )
        return len(self.buffers) - 1


def _has_long_rows(nest: Nest) -> bool:
    """Tell whether writing over an input is fast.

    At the end of a short row the masked store of one vector overlaps the next row's load, which then
    has to wait for it.
    """
    if len(nest.loops) <= 1:
        return True
    extent = nest.loops[nest.vector].extent
    return isinstance(extent, int) and extent >= 128


def _may_report(nest: Nest, kind: str) -> list[Node]:
    """Return the nodes of a region whose scalar code may report a kind of problem."""
    return [
        node
        for node in nest.region.graph
        if isinstance(node.op.kind, Elementwise)
        and kind in node.op.kind.flags(tuple(child.type.element for child in node.inputs))
    ]


def _moves_everywhere(nest: Nest, output: Operand) -> bool:
    """Tell whether every iteration writes an element of its own, starting with the first."""
    return output.offset == 0 and all(
        entry.extent == 1 or stride != 0
        for entry, stride in zip(nest.loops, output.strides, strict=True)
    )


def _written(node: Node) -> tuple[Node, int]:
    """Return the node (and item) that computes an output."""
    if node.op.name == "project":
        return node.inputs[0], node.attrs["index"]
    return node, 0


def _kind(node: Node) -> Kind:
    if node.op.name == "affine_index":
        return "index"
    return "extent" if node.op.name == "extent" else "memory"


def parallel_extent(nest: Nest, text: str) -> Extent:
    """Return the extent of the loop that threads may share."""
    if nest.mode == "scalar":
        return 1
    kept = [entry for entry in nest.loops if not entry.reduced]
    if nest.region.chunk is not None:
        return floor_divide(nest.loops[0].extent + nest.region.chunk - 1, nest.region.chunk)
    if not kept:
        return 1
    if nest.mode == "leading" and len(kept) == 1:
        lanes = int(text.split("lanes=")[1].split()[0])
        return floor_divide(kept[0].extent + lanes - 1, lanes)
    return kept[0].extent


def _weight(nest: Nest) -> int:
    """Estimate the cost of one element, in units of about 0.03 ns: traffic, simple and costly ops."""
    costly = sum(node.op.name not in CHEAP for node in nest.order)
    return 4 * (len(nest.inputs) + len(nest.outputs)) + len(nest.order) + 10 * costly


__all__ = ["ExtentRule", "Lowered", "Lowering", "Program", "lower"]
