"""Emits the native code of a fused region: a loop nest with explicit vectors.

Every loop is vectorised by construction: full vectors first, then one masked step for what is left.
A value is computed by the same operations in every lane, so results depend neither on the position
in a vector nor on how the parallel loop is cut.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from symgraph.compiler.codegen.accumulators import Accumulators
from symgraph.compiler.codegen.flagging import FlaggingBuilder
from symgraph.compiler.codegen.llvm_scalar import LLVMValue
from symgraph.compiler.codegen.loops import integer, loop, smaller
from symgraph.compiler.codegen.nest import Nest, Pass
from symgraph.compiler.codegen.operands import Offsets, Operands, as_dtype
from symgraph.compiler.codegen.signature import Signature
from symgraph.compiler.codegen.walk import Bounds, nested, vector_loop
from symgraph.leaves import CONSTANT, Constant
from symgraph.node import Node
from symgraph.op import Elementwise

if TYPE_CHECKING:
    from llvmlite import ir


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """One position of the loops: a vector of elements, or a single one.

    Args:
        builder: renders the code there.
        offsets: the operands' offsets.
        i: the position in the vector loop, None outside it.
        mask: the lanes that exist; all if None.
    """

    builder: FlaggingBuilder
    offsets: Offsets
    i: ir.Value | None = None
    mask: LLVMValue | None = None


Values = dict[Node, LLVMValue]


class RegionEmitter:
    """Emits one region into a function body."""

    def __init__(
        self,
        nest: Nest,
        signature: Signature,
        lanes: int,
        builder: ir.IRBuilder,
        args: ir.Value,
        *,
        stores: bool = True,
    ) -> None:
        """Load the arguments; nothing else is emitted yet."""
        self.nest = nest
        self.builder = builder
        self.operands = Operands(nest, signature, lanes, builder, args)
        self.signature = signature
        self._stores = stores
        self._input_numbers = {leaf: n for n, leaf in enumerate(nest.region.graph.inputs)}
        self._kept: Values = {}
        self._hoisted: dict[int, LLVMValue] = {}

    def emit(self, lo: ir.Value, hi: ir.Value) -> None:
        """Emit the whole body for the slice [lo, hi) of the parallel loop."""
        self._prepare_flags()
        modes = {
            "scalar": self._single,
            "elementwise": self._elementwise,
            "trailing": self._trailing,
            "leading": self._leading,
        }
        modes[self.nest.mode](lo, hi)
        self._raise_flags()

    # The loop structure of each mode.

    def _single(self, lo: ir.Value, hi: ir.Value) -> None:
        """Emit a region of one element, over which reductions are identities."""
        with loop(self.builder, lo, hi, 1):
            point, values = Point(self.operands.scalar, self.operands.start()), Values()
            for node in self.nest.order:
                if isinstance(node.op.kind, Elementwise):
                    values[node] = self._apply(node, point, values)
                else:
                    operand = self._operand(node.inputs[0], point, values)
                    values[node] = as_dtype(point.builder, operand, node.type.element)
            for output, node in enumerate(self.nest.region.graph.outputs):
                self._store(output, self._operand(node, point, values), point)

    def _elementwise(self, lo: ir.Value, hi: ir.Value) -> None:
        vector = self.nest.vector
        outer = [number for number in range(len(self.nest.loops)) if number != vector]
        bounds: Bounds = {outer[0] if outer else vector: (lo, hi)}
        with nested(self.operands, outer, bounds, self.operands.start()) as inner:
            self._along_vectors(inner, bounds, self.nest.passes[0], None)

    def _trailing(self, lo: ir.Value, hi: ir.Value) -> None:
        kept = [number for number, entry in enumerate(self.nest.loops) if not entry.reduced]
        start = self.operands.start()
        if self.nest.region.chunk is not None:
            with loop(self.builder, lo, hi, 1) as chunk:
                rows = self.operands.argument(("chunk", 0))
                first = self.builder.mul(chunk, rows)
                past = self.builder.add(first, rows)
                limit = smaller(self.builder, past, self.operands.loop_extent(0))
                self._row(start, {0: (first, limit)}, chunk)
        elif not kept:
            with loop(self.builder, lo, hi, 1):
                self._row(start, {}, None)
        else:
            with nested(self.operands, kept, {kept[0]: (lo, hi)}, start) as inner:
                self._row(inner, {}, None)

    def _row(self, offsets: Offsets, bounds: Bounds, chunk: ir.Value | None) -> None:
        """Emit all passes over the reduced loops at one position of the kept ones."""
        loops, vector = self.nest.loops, self.nest.vector
        middle = [n for n, entry in enumerate(loops) if entry.reduced and n != vector]
        point = Point(self.operands.scalar, offsets)
        self._kept = {}
        self._evaluate_kept(self._early_kept(), point)
        for current in self.nest.passes:
            totals = Accumulators(current.reductions, self.operands.vector)
            with nested(self.operands, middle, bounds, offsets) as inner:
                self._along_vectors(inner, bounds, current, totals)
            for node in current.reductions:
                total = totals.across_lanes(node, self.operands.scalar)
                dtype = node.type.element if chunk is None else total.dtype
                self._kept[node] = as_dtype(point.builder, total, dtype)
            self._evaluate_kept(current.kept, point)
        self._store_kept(point, chunk)

    def _along_vectors(
        self, offsets: Offsets, bounds: Bounds, current: Pass, totals: Accumulators | None
    ) -> None:
        """Emit one pass along the vector loop."""
        vector, builder = self.nest.vector, self.operands.vector
        start, stop = bounds.get(vector, (integer(0), self.operands.loop_extent(vector)))
        outside = Point(builder, offsets)
        self._hoist(outside, vector)
        vector_loop(
            builder,
            start,
            stop,
            lambda i, mask: self._pass(replace(outside, i=i, mask=mask), current, totals, mask),
        )
        self._hoisted.clear()

    def _leading(self, lo: ir.Value, hi: ir.Value) -> None:
        loops, vector = self.nest.loops, self.nest.vector
        outer = [n for n, entry in enumerate(loops) if not entry.reduced and n != vector]
        builder, extent = self.operands.vector, self.operands.loop_extent(vector)
        start, stop, at = integer(0), extent, self.operands.start()
        if not outer:
            width = integer(builder.lanes)
            start = self.builder.mul(lo, width)
            stop = smaller(self.builder, self.builder.mul(hi, width), extent)
        with nested(self.operands, outer, {outer[0]: (lo, hi)} if outer else {}, at) as inner:
            vector_loop(
                builder, start, stop, lambda j, mask: self._columns(Point(builder, inner, j, mask))
            )

    def _columns(self, point: Point) -> None:
        """Emit all passes over the reduced loops for one vector of kept positions."""
        reduced = [number for number, entry in enumerate(self.nest.loops) if entry.reduced]
        self._kept = {}
        self._evaluate_kept(self._early_kept(), point)
        for current in self.nest.passes:
            totals = Accumulators(current.reductions, point.builder)
            with nested(self.operands, reduced[:-1], {}, point.offsets) as outer:
                self._hoist(replace(point, offsets=outer), reduced[-1])
                with nested(self.operands, reduced[-1:], {}, outer) as inner:
                    self._look_ahead(replace(point, offsets=inner), reduced[-1])
                    # Masked lanes hold other columns, whose totals are never stored.
                    self._pass(replace(point, offsets=inner), current, totals, None)
                self._hoisted.clear()
            for node in current.reductions:
                total = totals.total(node)
                self._kept[node] = as_dtype(point.builder, total, node.type.element)
            self._evaluate_kept(current.kept, point)
        self._store_kept(point, None)

    def _look_ahead(self, point: Point, number: int) -> None:
        """Emit requests for what later steps of a loop will read."""
        assert point.i is not None, "columns have a position"
        for operand in range(len(self.nest.inputs)):
            offset = point.offsets[operand]
            self.operands.prefetch(operand, point.builder.lanes, offset, point.i, number)

    # One position of the loops.

    def _pass(
        self,
        point: Point,
        current: Pass,
        totals: Accumulators | None,
        accumulate: LLVMValue | None,
    ) -> None:
        """Evaluate one pass at one position: reload, compute, accumulate, store."""
        inputs = len(self.nest.inputs)
        values: Values = {
            node: self.operands.load(
                inputs + output, point.builder, point.offsets, point.i, point.mask
            )
            for node, output in current.reload.items()
        }
        for node in current.compute:
            values[node] = self._apply(node, point, values)
        for node in current.reductions:
            assert totals is not None, "elementwise regions have no reductions"
            totals.add(node, self._operand(node.inputs[0], point, values), accumulate)
        for node, output in current.store:
            self._store(output, self._operand(node, point, values), point)

    def _apply(self, node: Node, point: Point, values: Values) -> LLVMValue:
        kind = node.op.kind
        assert isinstance(kind, Elementwise), f"{node.op.name} is not elementwise"
        operands = [self._operand(child, point, values) for child in node.inputs]
        point.builder.mask = point.mask
        result: LLVMValue = kind.scalar(point.builder, *operands, **node.attrs)
        return result

    def _operand(self, node: Node, point: Point, values: Values) -> LLVMValue:
        """Return a value at a point: computed before, kept, constant, hoisted or loaded now."""
        builder = point.builder
        if node in values:
            return values[node]
        if node in self._kept:
            kept = self._kept[node]
            spread = builder.lanes > 1 and self.nest.mode == "trailing"
            return builder.broadcast(kept.ir, kept.dtype) if spread else kept
        if node.op is CONSTANT:
            assert isinstance(node, Constant), "only constants carry values"
            return builder.constant(node.value.reshape(()).item(), node.type.element)
        number = self._input_numbers[node]
        if number in self._hoisted and builder is self.operands.vector:
            return self._hoisted[number]
        values[node] = self.operands.load(number, builder, point.offsets, point.i, point.mask)
        return values[node]

    def _hoist(self, point: Point, number: int) -> None:
        """Load the inputs that do not move along loop `number` before that loop begins."""
        read: set[Node] = set()
        for current in self.nest.passes:
            stored = [node for node, _ in current.store]
            read.update(stored, *(n.inputs for n in (*current.compute, *current.reductions)))
        for operand, leaf in enumerate(self.nest.region.graph.inputs):
            if leaf in read and self.operands.stays(operand, number):
                self._hoisted[operand] = self.operands.load(
                    operand, point.builder, point.offsets, point.i, point.mask
                )

    def _early_kept(self) -> list[Node]:
        """Return the kept nodes that wait for no reduction."""
        nest = self.nest
        return [n for n in nest.order if nest.is_kept(n) and nest.stages[n] == 0]

    def _evaluate_kept(self, nodes: list[Node], point: Point) -> None:
        values: Values = {}
        for node in nodes:
            self._kept[node] = self._apply(node, point, values)

    def _store_kept(self, point: Point, chunk: ir.Value | None) -> None:
        for output, node in enumerate(self.nest.region.graph.outputs):
            if not self.nest.is_kept(node):
                continue
            if chunk is not None:
                self.operands.store_partial(output, self._kept[node], chunk)
            else:
                self._store(output, self._kept[node], point)

    def _store(self, output: int, value: LLVMValue, point: Point) -> None:
        if not self._stores:
            return
        self.operands.store(output, point.builder, value, point.offsets, point.i, point.mask)

    # Problems found at run time.

    def _prepare_flags(self) -> None:
        with self.builder.goto_entry_block():
            slots = {kind: self.builder.alloca(integer(0).type) for kind in self.signature.flags}
        for slot in slots.values():
            self.builder.store(integer(0), slot)
        self.operands.vector.flag_slots = self.operands.scalar.flag_slots = slots

    def _raise_flags(self) -> None:
        for number, slot in enumerate(self.operands.vector.flag_slots.values()):
            found = self.builder.load(slot)
            with self.builder.if_then(self.builder.icmp_signed("!=", found, integer(0))):
                address = self.builder.inttoptr(
                    self.operands.argument(("status", 0)), integer(0).type.as_pointer()
                )
                self.builder.store(self.operands.argument(("code", number)), address)
