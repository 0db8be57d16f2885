"""Emits max pooling of one plane: the values, and what happens at the places they come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.pooling_tiles import clear_around_tiles, store_tiles
from symgraph.runtime.kernels.pooling_walk import Block, Tap, Walk
from symgraph.runtime.kernels.vectors import elements, local

_ZERO, _ONE = emit.int64(0), emit.int64(1)


def lowest(walk: Walk) -> ir.Constant:
    """Gives the value that nothing is less than, in each lane."""
    access = walk.access
    element = access.element
    if not isinstance(element, ir.IntType):
        value: float = float("-inf")
    else:
        value = 0 if element.width == 8 else -(2 ** (element.width - 1))
    return ir.Constant(access.kind, value if walk.lanes == 1 else [value] * walk.lanes)


def is_better(walk: Walk, new: ir.Value, old: ir.Value) -> ir.Value:
    """Tells whether later elements replace earlier ones: larger, or the first NaN."""
    builder = walk.builder
    if isinstance(walk.access.element, ir.IntType):
        return builder.icmp_signed(">", new, old)
    # Unordered comparison: a new NaN is better than anything but an old NaN.
    old_is_number = builder.fcmp_ordered("ord", old, old)
    return builder.and_(builder.fcmp_unordered(">", new, old), old_is_number)


@dataclass(frozen=True)
class _Search:
    """The best elements so far, and where they are, as variables."""

    walk: Walk
    value: ir.Value
    place: ir.Value | None

    def take(self, tap: Tap) -> None:
        """Puts the elements of a tap into the variables where they are better."""
        walk, builder = self.walk, self.walk.builder
        old = builder.load(self.value)
        better = is_better(walk, tap.value, old)
        if tap.valid is not None:
            better = builder.and_(better, tap.valid)
        builder.store(builder.select(better, tap.value, old), self.value)
        if self.place is not None:
            positions = walk.positions(tap.position)
            chosen = builder.select(better, positions, builder.load(self.place))
            builder.store(chosen, self.place)


def _first_places(walk: Walk, block: Block) -> ir.Value:
    """Gives the position of the first element of each window that is no padding."""
    builder = walk.builder
    row = builder.mul(block.rows[0], walk.width)
    columns = walk.positions(block.column)
    columns = builder.select(
        builder.icmp_signed("<", columns, emit.zero(columns.type)), emit.zero(columns.type), columns
    )
    return builder.add(columns, walk.spread(builder.trunc(row, emit.INT32)))


def _search(walk: Walk, x: ir.Value, block: Block, with_places: bool) -> _Search:
    # Nothing is better than the lowest value; if all are that, the first one is the right one.
    place = local(walk.builder, _first_places(walk, block)) if with_places else None
    search = _Search(walk, local(walk.builder, lowest(walk)), place)
    walk.for_each_tap(x, block, search.take)
    return search


def emit_largest(walk: Walk, x: ir.Value, out: ir.Value) -> None:
    """Emits out = the first largest element of each window."""

    def pool(block: Block) -> None:
        best = walk.builder.load(_search(walk, x, block, with_places=False).value)
        walk.access.store(best, walk.access.place(out, block.index), walk.present(block))

    walk.for_each_block(pool)


def _for_each_place(walk: Walk, x: ir.Value, body: Callable[[ir.Value, ir.Value], None]) -> None:
    """Emits a body for the number and the place of each window."""
    builder = walk.builder
    with builder.goto_entry_block():
        slots = builder.alloca(ir.ArrayType(emit.INT32, walk.lanes))
    memory = builder.inttoptr(builder.ptrtoint(slots, emit.INT64), emit.BYTE_POINTER)
    integers = elements(builder, "int32", 1)

    def visit(block: Block) -> None:
        places = builder.load(_search(walk, x, block, with_places=True).place)
        if walk.lanes == 1:
            body(block.index, builder.sext(places, emit.INT64))
            return
        emit.store(builder, places, memory, integers.size)
        count = emit.int64(walk.lanes) if block.count is None else block.count
        with emit.counted_loop(builder, _ZERO, count, _ONE) as lane:
            place = integers.load(integers.place(memory, lane))
            body(builder.add(block.index, lane), builder.sext(place, emit.INT64))

    walk.for_each_block(visit)


def emit_select(walk: Walk, values: ir.Value, x: ir.Value, out: ir.Value) -> None:
    """Emits out = values at the place of each window."""
    single = walk.single

    def copy(window: ir.Value, place: ir.Value) -> None:
        single.store(single.load(single.place(values, place)), single.place(out, window))

    _for_each_place(walk, x, copy)


def emit_scatter(walk: Walk, g: ir.Value, x: ir.Value, out: ir.Value) -> None:
    """Emits out = 0; out += g at the place of each window."""
    single = walk.single
    walk.clear(out, _ZERO, walk.size)

    def add(window: ir.Value, place: ir.Value) -> None:
        target = single.place(out, place)
        update = single.load(single.place(g, window))
        single.store(emit.add(walk.builder, single.load(target), update), target)

    _for_each_place(walk, x, add)


def emit_tiles(walk: Walk, g: ir.Value, x: ir.Value, out: ir.Value) -> None:
    """Emits what `emit_scatter` does where windows are tiles of two columns, all in registers."""
    builder, access = walk.builder, walk.access

    def visit(block: Block) -> None:
        value: ir.Value = lowest(walk)
        number: ir.Value = walk.integers(step=0)
        taps: list[Tap] = []

        def take(tap: Tap) -> None:
            nonlocal value, number
            better = is_better(walk, tap.value, value)
            value = builder.select(better, tap.value, value)
            number = builder.select(better, walk.integers(len(taps), step=0), number)
            taps.append(tap)

        walk.for_each_tap(x, block, take)
        given = access.load(access.place(g, block.index), walk.present(block))
        pieces = [
            builder.select(
                builder.icmp_signed("==", number, walk.integers(k, step=0)),
                given,
                emit.zero(given.type),
            )
            for k in range(len(taps))
        ]
        store_tiles(walk, out, block, list(zip(pieces[::2], pieces[1::2], strict=True)))

    walk.for_each_block(visit)
    clear_around_tiles(walk, out)
