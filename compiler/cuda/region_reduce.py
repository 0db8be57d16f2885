"""Regions with reductions: the threads of a row (or of a column) share its elements.

A thread takes every so manieth position and its totals are combined with those of the others in a
fixed tree, so the order of additions depends on extents alone. All passes use one map from threads
to elements: a thread reads back only what it has written itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from symgraph.compiler.codegen.nest import Pass
from symgraph.compiler.codegen.reducers import combiner, identity
from symgraph.compiler.cuda.region_code import RegionCode
from symgraph.compiler.cuda.region_flat import (
    decomposed,
    load_fixed,
    packs_of,
    positions_at_once,
    taken,
)
from symgraph.compiler.cuda.region_step import Step, Values, kept_name
from symgraph.compiler.cuda.region_walk import Walk
from symgraph.compiler.cuda.scalar import C_TYPE
from symgraph.compiler.region import accumulator_dtype
from symgraph.node import Node


class Reducing(ABC):
    """Writes the body of a region with reductions.

    In what it writes, `lane` is the thread's number among the `lanes` that share a row, and `there`
    tells whether the row exists: threads of rows that do not go along to every barrier.
    """

    def __init__(self, code: RegionCode) -> None:
        """Prepare for a kernel."""
        self.code = code
        self.builder = code.builder
        loops = range(len(code.nest.loops))
        self.kept = [loop for loop in loops if not code.nest.loops[loop].reduced]
        self.reduced = [loop for loop in loops if code.nest.loops[loop].reduced]
        self.starts: dict[int, str] = {}
        self.lengths = {loop: code.extent(loop) for loop in self.reduced}
        self._totals: dict[Node, str] = {}

    @abstractmethod
    def begin(self) -> None:
        """Write what defines `lane`, `lanes`, `there` and the index of each kept loop."""

    @abstractmethod
    def walk(self, step: Step, totals: dict[Node, str]) -> None:
        """Write the loop of a pass over the positions of this thread."""

    @abstractmethod
    def across(self, node: Node, total: str) -> None:
        """Write what combines the totals of all lanes, in each of them."""

    def emit(self) -> None:
        """Write the body."""
        nest = self.code.nest
        self.begin()
        indices = {loop: f"i{loop}" for loop in self.kept}
        self.fixed = load_fixed(self.code, self.reduced, indices)
        self.bases = self._bases(indices)
        values = Values(nest, self.builder)
        early = [n for n in nest.order if nest.is_kept(n) and nest.stages[n] == 0]
        self._keep(values, early)
        for step, current in zip(self.code.steps, nest.passes, strict=True):
            self._pass(step, current, values)
        self._store_kept(indices)

    def _pass(self, step: Step, current: Pass, values: Values) -> None:
        totals = {}
        for node in current.reductions:
            start = identity(self.builder, combiner(node), accumulator_dtype(node))
            totals[node] = self.builder.variable(start, "t").text
        self.walk(step, totals)
        chunked = self.code.nest.region.chunk is not None
        for node, total in totals.items():
            self.across(node, total)
            dtype = node.type.element if not chunked else accumulator_dtype(node)
            self._define(node, dtype, f"({C_TYPE[dtype]}){total}")
        self._keep(values, current.kept)

    def _keep(self, values: Values, nodes: list[Node]) -> None:
        for node in nodes:
            self._define(node, node.type.element, values.apply(node).text)
            # From here on it goes by the name that passes know it by.
            del values.known[node]

    def _define(self, node: Node, dtype: str, value: str) -> None:
        self.builder.note(f"const {C_TYPE[dtype]} {kept_name(self.code.nest, node)} = {value};")

    def _bases(self, indices: dict[int, str]) -> dict[int, str]:
        """Write the offset of each operand at this row."""
        bases, inputs = {}, len(self.code.nest.inputs)
        walked = {n for step in self.code.steps for n in step.reads}
        walked |= {inputs + output for step in self.code.steps for output in step.writes}
        for operand in sorted(walked - self.fixed.keys()):
            place = self.code.place(operand, indices)
            if place != "0":
                bases[operand] = f"row{operand}"
                self.builder.note(f"const Word row{operand} = {place};")
        return bases

    def _store_kept(self, indices: dict[int, str]) -> None:
        nest, chunked = self.code.nest, self.code.nest.region.chunk is not None
        kept = [n for n in enumerate(nest.region.graph.outputs) if nest.is_kept(n[1])]
        if not kept or not self.code.stores:
            return
        self.builder.open("if (there && lane == 0)")
        for output, node in kept:
            operand = len(nest.inputs) + output
            place = "(Word)blockIdx.x" if chunked else self.code.place(operand, indices)
            pointer = self.code.pointer(operand, place)
            self.builder.note(f"*({pointer}) = {kept_name(nest, node)};")
        self.builder.close()

    def loop(self, step: Step, totals: dict[Node, str], width: int, aligned: str) -> None:
        """Write a loop over the positions of this thread.

        Args:
            step: the pass.
            totals: the variables of its reductions.
            width: elements of a position.
            aligned: the condition under which packs are loaded whole.
        """
        builder, vector = self.builder, self.code.nest.vector
        inner = vector if vector in self.reduced else self.reduced[-1]
        order = [*(loop for loop in self.reduced if loop != inner), inner]
        length = self.lengths[inner]
        builder.note(f"const Word packs = {packs_of(length, width)};")
        count = " * ".join(["packs", *(self.lengths[loop] for loop in order[:-1])])
        builder.note(f"const Word count = there ? {count} : 0;")
        unroll = self.unrolled(step, width)
        builder.open(f"for (Word first = lane; first < count; first += {unroll} * lanes)")
        lines = [
            "const Word position = first + u * lanes;",
            *decomposed("position", order, [self.lengths[loop] for loop in order[:-1]] + ["packs"]),
            *taken(f"i{inner}", width, "position < count", length),
            *(f"i{loop} += {start};" for loop, start in self.starts.items()),
        ]
        indices = {loop: f"i{loop}" for loop in order}
        walk = Walk(
            self.code, step, width, unroll, aligned, indices, self.bases, self.fixed, totals
        )
        walk.emit("\n".join(lines))
        builder.close()

    def unrolled(self, step: Step, width: int) -> int:
        """Return how many positions a thread has under way."""
        return positions_at_once(self.code, step, width)
