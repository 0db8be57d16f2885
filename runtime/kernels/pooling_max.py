"""Emits max pooling of one plane: the values, and what happens at the places they come from."""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from symgraph.runtime.kernels import emit
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


def emit_select(walk: Walk, values: ir.Value, x: ir.Value, out: ir.Value) -> None:
    """Emits out = values at the place of each window."""
    _for_each_place(walk, x, lambda access, window, place: access.copy(values, place, out, window))


def emit_places(walk: Walk, values: ir.Value, x: ir.Value, out: ir.Value) -> None:
    """Emits out = values at the place of each window."""
