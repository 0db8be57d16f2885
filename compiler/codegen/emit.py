"""Emits the native code of a fused region: a loop nest with explicit vectors.

Every loop is vectorised by construction: full vectors first, then one masked step for what is left.
A value is computed by the same operations in every lane, so results depend neither on the position
in a vector nor on how the parallel loop is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from symgraph.compiler.codegen.flagging import FlaggingBuilder
from symgraph.compiler.codegen.llvm_scalar import LLVMBuilder, LLVMValue, element_type
from symgraph.compiler.codegen.loops import integer, loop, smaller
from symgraph.compiler.codegen.nest import Nest, Operand, Pass
from symgraph.compiler.codegen.reducers import combine, identity
from symgraph.compiler.codegen.signature import Signature
from symgraph.compiler.region import accumulator_dtype
from symgraph.leaves import CONSTANT, Constant
from symgraph.node import Node
from symgraph.op import Elementwise

if TYPE_CHECKING:
    from llvmlite import ir

Offsets = list["ir.Value | None"]


class RegionEmitter:
    """Emits one region into a function body."""

    def __init__(
        self, nest: Nest, signature: Signature, lanes: int, builder: ir.IRBuilder, args: ir.Value
    ) -> None:
        """Load all arguments; nothing else is emitted yet."""
        self.nest = nest
        self.builder = builder
        self.lanes = lanes
        self.vector = FlaggingBuilder(builder, lanes)
        self.scalar = FlaggingBuilder(builder, 1)
        self.arguments = [
            builder.load(builder.gep(args, [integer(slot)])) for slot in range(len(signature.slots))
        ]
        self.signature = signature
        self.operands: list[Operand] = [*nest.inputs, *nest.outputs]
        self.classes = [operand.classes(nest.vector) for operand in self.operands]
        self.input_numbers = {leaf: n for n, leaf in enumerate(nest.region.graph.inputs)}
        self.kept_values: dict[Node, LLVMValue] = {}
        self.hoisted: dict[int, LLVMValue] = {}
        self.chunk_index: ir.Value | None = None

    # The loop structure of each mode.

    def emit(self, lo: ir.Value, hi: ir.Value) -> None:
        """Emit the whole body for the slice [lo, hi) of the parallel loop."""
        self._prepare_flags()
        start: Offsets = [None] * len(self.operands)
        mode = self.nest.mode
        if mode == "scalar":
            with loop(self.builder, lo, hi, 1):
                self._whole_point(start)
        elif mode == "elementwise":
            self._elementwise(start, lo, hi)
        elif mode == "trailing":
            self._trailing(start, lo, hi)
        else:
            self._leading(start, lo, hi)
        self._raise_flags()

    def _whole_point(self, offsets: Offsets) -> None:
        """Evaluate a region of one element, reductions being identities over one element."""
        values: dict[Node, LLVMValue] = {}
        for node in self.nest.order:
            if isinstance(node.op.kind, Elementwise):
                values[node] = self._apply(node, self.scalar, values, offsets, None, None)
            else:
                operand = self._operand(node.inputs[0], self.scalar, values, offsets, None, None)
                values[node] = self._as(self.scalar, operand, node.type.element)
        for index, node in enumerate(self.nest.region.graph.outputs):
            value = self._operand(node, self.scalar, values, offsets, None, None)
            self._store(self.scalar, value, index, offsets, None, None)

    def _elementwise(self, offsets: Offsets, lo: ir.Value, hi: ir.Value) -> None:
        outer = [i for i in range(len(self.nest.loops)) if i != self.nest.vector]
        bounds = {outer[0] if outer else self.nest.vector: (lo, hi)}
        with self._nested(outer, bounds, offsets) as inner:
            start, stop = bounds.get(self.nest.vector, (integer(0), self._loop_extent(self.nest.vector)))
            self._hoist(inner, self.nest.vector, self.vector, None, None)
            self._vector_loop(start, stop, lambda i, mask: self._point(inner, i, mask, 0))
            self.hoisted.clear()

    def _trailing(self, offsets: Offsets, lo: ir.Value, hi: ir.Value) -> None:
        kept = [i for i, entry in enumerate(self.nest.loops) if not entry.reduced]
        if self.nest.region.chunk is not None:
            with loop(self.builder, lo, hi, 1) as chunk:
                self.chunk_index = chunk
                rows = self._argument(("chunk", 0))
                first = self.builder.mul(chunk, rows)
                limit = smaller(self.builder, self.builder.add(first, rows), self._loop_extent(0))
                self._row(offsets, {0: (first, limit)})
        elif not kept:
            with loop(self.builder, lo, hi, 1):
                self._row(offsets, {})
        else:
            with self._nested(kept, {kept[0]: (lo, hi)}, offsets) as inner:
                self._row(inner, {})

    def _row(self, offsets: Offsets, bounds: dict[int, tuple[ir.Value, ir.Value]]) -> None:
        """Emit all passes over the reduced loops at one position of the kept loops."""
        middle = [
            i for i, entry in enumerate(self.nest.loops) if entry.reduced and i != self.nest.vector
        ]
        vector = self.nest.vector
        self.kept_values = {}
        self._kept_points(self._early_kept(), self.scalar, offsets, None, None)
        for number, current in enumerate(self.nest.passes):
            self._open_accumulators(current, self.vector)
            with self._nested(middle, bounds, offsets) as inner:
                start, stop = bounds.get(vector, (integer(0), self._loop_extent(vector)))
                self._hoist(inner, vector, self.vector, None, None)
                self._vector_loop(
                    start, stop, lambda i, mask, at=inner, n=number: self._point(at, i, mask, n)
                )
                self.hoisted.clear()
            for node in current.reductions:
                self.kept_values[node] = self._across_lanes(node)
            self._kept_points(current.kept, self.scalar, offsets, None, None)
        self._store_kept(self.scalar, offsets, None, None)

    def _leading(self, offsets: Offsets, lo: ir.Value, hi: ir.Value) -> None:
        vector = self.nest.vector
        outer = [
            i for i, entry in enumerate(self.nest.loops) if not entry.reduced and i != vector
        ]
        extent, width = self._loop_extent(vector), integer(self.lanes)

        def blocks(at: Offsets, start: ir.Value, stop: ir.Value) -> None:
            self._vector_loop(start, stop, lambda j, mask: self._column_block(at, j, mask))

        if outer:
            with self._nested(outer, {outer[0]: (lo, hi)}, offsets) as inner:
                blocks(inner, integer(0), extent)
        else:
            start = self.builder.mul(lo, width)
            blocks(offsets, start, smaller(self.builder, self.builder.mul(hi, width), extent))

    def _column_block(self, offsets: Offsets, j: ir.Value, mask: LLVMValue | None) -> None:
        """Emit all passes over the reduced loops for one vector of kept positions."""
        reduced = [i for i, entry in enumerate(self.nest.loops) if entry.reduced]
        self.kept_values = {}
        self._kept_points(self._early_kept(), self.vector, offsets, j, mask)
        for number, current in enumerate(self.nest.passes):
            self._open_accumulators(current, self.vector)
            with self._nested(reduced[:-1], {}, offsets) as outer:
                self._hoist(outer, reduced[-1], self.vector, j, mask)
                with self._nested(reduced[-1:], {}, outer) as inner:
                    self._point(inner, j, mask, number)
                self.hoisted.clear()
            for node in current.reductions:
                slot, dtype = self.accumulators[node]
                self.kept_values[node] = self._finished(
                    self.vector, LLVMValue(self.builder.load(slot), dtype), node
                )
            self._kept_points(current.kept, self.vector, offsets, j, mask)
        self._store_kept(self.vector, offsets, j, mask)

    # One position of the loops.

    def _point(self, offsets: Offsets, i: ir.Value, mask: LLVMValue | None, number: int) -> None:
        """Evaluate one pass at one vector of positions: compute, store, accumulate."""
        current = self.nest.passes[number]
        outputs = len(self.nest.inputs)
        values: dict[Node, LLVMValue] = {
            node: self._load(outputs + index, self.vector, offsets, i, mask)
            for node, index in current.reload.items()
        }
        for node in current.compute:
            values[node] = self._apply(node, self.vector, values, offsets, i, mask)
        for node in current.reductions:
            operand = self._operand(node.inputs[0], self.vector, values, offsets, i, mask)
            self._accumulate(node, operand, mask)
        for node, index in current.store:
            value = self._operand(node, self.vector, values, offsets, i, mask)
            self._store(self.vector, value, index, offsets, i, mask)

    def _apply(
        self,
        node: Node,
        scalar_builder: FlaggingBuilder,
        values: dict[Node, LLVMValue],
        offsets: Offsets,
        i: ir.Value | None,
        mask: LLVMValue | None,
    ) -> LLVMValue:
        operands = [
            self._operand(child, scalar_builder, values, offsets, i, mask) for child in node.inputs
        ]
        kind = node.op.kind
        assert isinstance(kind, Elementwise), f"{node.op.name} is not fusible"
        scalar_builder.mask = mask
        result: LLVMValue = kind.scalar(scalar_builder, *operands, **node.attrs)
        return result

    def _operand(
        self,
        node: Node,
        scalar_builder: LLVMBuilder,
        values: dict[Node, LLVMValue],
        offsets: Offsets,
        i: ir.Value | None,
        mask: LLVMValue | None,
    ) -> LLVMValue:
        if node in values:
            return values[node]
        if node in self.kept_values:
            kept = self.kept_values[node]
            wide = scalar_builder.lanes > 1 and self.nest.mode == "trailing"
            return scalar_builder.broadcast(kept.ir, kept.dtype) if wide else kept
        if node.op is CONSTANT:
            assert isinstance(node, Constant), "only constants carry values"
            return scalar_builder.constant(node.value.reshape(()).item(), node.type.element)
        index = self.input_numbers[node]
        if index in self.hoisted and scalar_builder is self.vector:
            return self.hoisted[index]
        values[node] = self._load(index, scalar_builder, offsets, i, mask)
        return values[node]

    def _early_kept(self) -> list[Node]:
        nest = self.nest
        return [n for n in nest.order if nest.is_kept(n) and nest.stages[n] == 0]

    def _kept_points(
        self,
        nodes: list[Node],
        scalar_builder: FlaggingBuilder,
        offsets: Offsets,
        i: ir.Value | None,
        mask: LLVMValue | None,
    ) -> None:
        values: dict[Node, LLVMValue] = {}
        for node in nodes:
            self.kept_values[node] = self._apply(node, scalar_builder, values, offsets, i, mask)

    def _store_kept(
        self,
        scalar_builder: LLVMBuilder,
        offsets: Offsets,
        i: ir.Value | None,
        mask: LLVMValue | None,
    ) -> None:
        for index, node in enumerate(self.nest.region.graph.outputs):
            if self.nest.is_kept(node):
                value = self.kept_values[node]
                self._store(scalar_builder, value, index, offsets, i, mask)

    # Reductions.

    def _open_accumulators(self, current: Pass, vector: LLVMBuilder) -> None:
        self.accumulators: dict[Node, tuple[ir.Value, str]] = {}
        for node in current.reductions:
            dtype = accumulator_dtype(node)
            with self.builder.goto_entry_block():
                slot = self.builder.alloca(vector.register_type(dtype))
            self.builder.store(identity(vector, node.op.kind.combine, dtype).ir, slot)  # type: ignore[union-attr]  # reductions only
            self.accumulators[node] = slot, dtype

    def _accumulate(self, node: Node, operand: LLVMValue, mask: LLVMValue | None) -> None:
        slot, dtype = self.accumulators[node]
        total = LLVMValue(self.builder.load(slot), dtype)
        operand = self._as(self.vector, operand, dtype)
        new = combine(self.vector, node.op.kind.combine, total, operand)  # type: ignore[union-attr]  # reductions only
        # In leading mode the masked lanes hold other columns, whose totals are never stored.
        if mask is not None and self.nest.mode == "trailing":
            new = self.vector.select(mask, new, total)
        self.builder.store(new.ir, slot)

    def _across_lanes(self, node: Node) -> LLVMValue:
        """Combine the lanes of an accumulator, as a balanced tree in a fixed order."""
        slot, dtype = self.accumulators[node]
        total = self.builder.load(slot)
        lanes = [
            LLVMValue(self._lane(total, lane), dtype) for lane in range(self.lanes)
        ]
        while len(lanes) > 1:
            lanes = [
                combine(self.scalar, node.op.kind.combine, left, right)  # type: ignore[union-attr]  # reductions only
                for left, right in zip(lanes[::2], lanes[1::2], strict=True)
            ]
        return self._finished(self.scalar, lanes[0], node)

    def _lane(self, vector: ir.Value, lane: int) -> ir.Value:
        return vector if self.lanes == 1 else self.builder.extract_element(vector, integer(lane))

    def _finished(self, builder: LLVMBuilder, total: LLVMValue, node: Node) -> LLVMValue:
        if self.nest.region.chunk is not None:
            return total
        return self._as(builder, total, node.type.element)

    def _as(self, builder: LLVMBuilder, value: LLVMValue, dtype: str) -> LLVMValue:
        return value if value.dtype == dtype else builder.convert(value, dtype)

    # Loops and addresses.

    def _argument(self, slot: Any) -> ir.Value:
        return self.arguments[self.signature.index(slot)]

    def _loop_extent(self, number: int) -> ir.Value:
        return self._argument(("extent", number))

    @contextmanager
    def _nested(
        self,
        loops: list[int],
        bounds: dict[int, tuple[ir.Value, ir.Value]],
        offsets: Offsets,
    ) -> Iterator[Offsets]:
        """Emit nested scalar loops; yield the operands' offsets inside."""
        if not loops:
            yield offsets
            return
        first, *rest = loops
        start, stop = bounds.get(first, (integer(0), self._loop_extent(first)))
        with loop(self.builder, start, stop, 1) as index:
            moved = [self._moved(o, offset, first, index) for o, offset in enumerate(offsets)]
            with self._nested(rest, bounds, moved) as inner:
                yield inner

    def _moved(
        self, operand: int, offset: ir.Value | None, number: int, index: ir.Value
    ) -> ir.Value | None:
        """Return an operand's offset advanced to `index` of loop `number`."""
        letter = self.classes[operand][number]
        if letter == "0":
            return offset
        step = index if letter == "1" else self.builder.mul(index, self._stride(operand, number))
        return step if offset is None else self.builder.add(offset, step)

    def _stride(self, operand: int, number: int) -> ir.Value:
        return self._argument(("stride", operand, number))

    def _vector_loop(
        self,
        start: ir.Value,
        stop: ir.Value,
        body: Callable[[ir.Value, LLVMValue | None], None],
    ) -> None:
        """Emit full vectors over [start, stop), then one masked vector for the rest."""
        width = integer(self.lanes)
        if self.lanes == 1:
            with loop(self.builder, start, stop, 1) as i:
                body(i, None)
            return
        length = self.builder.sub(stop, start)
        rest = self.builder.srem(length, width)
        full = self.builder.sub(stop, rest)
        with loop(self.builder, start, full, self.lanes) as i:
            body(i, None)
        some = self.builder.icmp_signed(">", rest, integer(0))
        with self.builder.if_then(some):
            body(full, self.vector.tail_mask(rest))

    def _hoist(
        self,
        offsets: Offsets,
        number: int,
        builder: LLVMBuilder,
        i: ir.Value | None,
        mask: LLVMValue | None,
    ) -> None:
        """Load the inputs that do not move along loop `number` before that loop begins."""
        needed = {
            child
            for current in self.nest.passes
            for node in (*current.compute, *current.reductions, *(n for n, _ in current.store))
            for child in (*node.inputs, node)
        }
        for index, leaf in enumerate(self.nest.region.graph.inputs):
            if self.classes[index][number] == "0" and leaf in needed:
                self.hoisted[index] = self._load(index, builder, offsets, i, mask)

    def _load(
        self,
        operand: int,
        builder: LLVMBuilder,
        offsets: Offsets,
        i: ir.Value | None,
        mask: LLVMValue | None,
    ) -> LLVMValue:
        """Return an operand's value(s) at vector position `i` (None: where it does not matter)."""
        offset, dtype = offsets[operand], self.operands[operand].dtype
        letter = "0" if i is None or self.nest.vector < 0 else self.classes[operand][self.nest.vector]
        kind = self.signature.kinds[operand] if operand < len(self.signature.kinds) else "memory"
        if kind != "memory":
            return self._computed(operand, builder, offset, i, letter)
        if letter == "1":
            assert i is not None, "a dense operand moves with the vector loop"
            return builder.load_value(self._address(operand, self._plus(offset, i)), dtype, mask)
        if letter == "0" or builder.lanes == 1:
            if letter == "s" and i is not None:
                offset = self._moved(operand, offset, self.nest.vector, i)
            element = self.scalar.load_value(self._address(operand, offset), dtype)
            return builder.broadcast(element.ir, dtype)
        return self._gather(operand, builder, offset, i, mask)

    def _computed(
        self, operand: int, builder: LLVMBuilder, offset: ir.Value | None, i: Any, letter: str
    ) -> LLVMValue:
        """Return an affine index or an extent, which live in arguments rather than memory."""
        start = self._argument(("pointer", operand))
        total = start if offset is None else self.builder.add(start, offset)
        value = builder.broadcast(total, "int64")
        if letter != "0":
            positions = builder.add(builder.broadcast(i, "int64"), builder.lane_numbers("int64"))
            if letter == "s":
                step = builder.broadcast(self._stride(operand, self.nest.vector), "int64")
                positions = builder.mul(positions, step)
            value = builder.add(value, positions)
        return self._as(builder, value, self.operands[operand].dtype)

    def _gather(
        self,
        operand: int,
        builder: LLVMBuilder,
        offset: ir.Value | None,
        i: Any,
        mask: LLVMValue | None,
    ) -> LLVMValue:
        """Load elements that lie a stride apart; masked lanes repeat the last valid element."""
        from llvmlite import ir

        dtype = self.operands[operand].dtype
        last = self.builder.sub(self._loop_extent(self.nest.vector), integer(1))
        result = ir.Constant(builder.register_type(dtype), ir.Undefined)
        for lane in range(builder.lanes):
            position = self.builder.add(i, integer(lane))
            if mask is not None:
                position = smaller(self.builder, position, last)
            moved = self._moved(operand, offset, self.nest.vector, position)
            element = self.scalar.load_value(self._address(operand, moved), dtype)
            result = self.builder.insert_element(result, element.ir, integer(lane))
        return LLVMValue(result, dtype)

    def _store(
        self,
        builder: LLVMBuilder,
        value: LLVMValue,
        output: int,
        offsets: Offsets,
        i: ir.Value | None,
        mask: LLVMValue | None,
    ) -> None:
        operand = len(self.nest.inputs) + output
        offset = offsets[operand]
        if self.chunk_index is not None and self.nest.is_kept(
            self.nest.region.graph.outputs[output]
        ):
            offset = self.chunk_index
        elif i is not None and self.nest.vector >= 0:
            offset = self._moved(operand, offset, self.nest.vector, i)
        builder.store_value(value, self._address(operand, offset), mask)

    def _plus(self, offset: ir.Value | None, i: ir.Value) -> ir.Value:
        return i if offset is None else self.builder.add(offset, i)

    def _address(self, operand: int, offset: ir.Value | None) -> ir.Value:
        base = self._argument(("pointer", operand))
        dtype = self.operands[operand].dtype
        pointer = self.builder.inttoptr(base, element_type(dtype, memory=True).as_pointer())
        return pointer if offset is None else self.builder.gep(pointer, [offset])

    # Bounds of indices.

    def _prepare_flags(self) -> None:
        with self.builder.goto_entry_block():
            slots = {kind: self.builder.alloca(integer(0).type) for kind in self.signature.flags}
        for slot in slots.values():
            self.builder.store(integer(0), slot)
        self.vector.flag_slots = self.scalar.flag_slots = slots

    def _raise_flags(self) -> None:
        for number, slot in enumerate(self.vector.flag_slots.values()):
            found = self.builder.load(slot)
            with self.builder.if_then(self.builder.icmp_signed("!=", found, integer(0))):
                address = self.builder.inttoptr(
                    self._argument(("status", 0)), integer(0).type.as_pointer()
                )
                self.builder.store(self._argument(("code", number)), address)
