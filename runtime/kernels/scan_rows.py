"""Emits the body of cumsum; `scan` describes it and its arguments."""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.vectors import ArgumentReader, Elements, elements, local

# Independent sums at a time, as one addition has to wait for the previous one of the same sum.
_CHAINS = 4
_ZERO, _ONE = emit.int64(0), emit.int64(1)


@dataclass(frozen=True)
class _Block:
    """The arguments of the kernel, or those of one `outer`."""

    builder: ir.IRBuilder
    x: ir.Value
    out: ir.Value
    length: ir.Value
    inner: ir.Value

    def at(self, access: Elements, outer: ir.Value) -> _Block:
        """Gives the part which belongs to one `outer`."""
        volume = self.builder.mul(self.length, self.inner)
        start = self.builder.mul(outer, volume)
        x, out = (access.place(pointer, start) for pointer in (self.x, self.out))
        return _Block(self.builder, x, out, self.length, self.inner)


def emit_cumsum(
    builder: ir.IRBuilder, dtype: str, args: ir.Value, lo: ir.Value, hi: ir.Value
) -> None:
    """Emits the running sums of `outer` in [lo, hi)."""
    reader = ArgumentReader(builder, args)
    x, out, _outer = reader.pointer(), reader.pointer(), reader.integer()
    block = _Block(builder, x, out, length=reader.integer(), inner=reader.integer())
    is_flat = builder.icmp_signed("==", block.inner, _ONE)
    with builder.if_else(is_flat) as (flat, wide):
        with flat:
            access = elements(builder, dtype, lanes=1)
            many = builder.and_(builder.sub(hi, lo), emit.int64(-_CHAINS))
            middle = builder.add(lo, many)
            for start, stop, chains in ((lo, middle, _CHAINS), (middle, hi, 1)):
                with emit.counted_loop(builder, start, stop, emit.int64(chains)) as outer:
                    _sum_contiguous(block, access, outer, chains)
        with wide:
            access = elements(builder, dtype)
            with emit.counted_loop(builder, lo, hi, _ONE) as outer:
                part = block.at(access, outer)
                whole = builder.and_(block.inner, emit.int64(-access.lanes))
                _sum_rows(part, access, whole)
                with builder.if_then(builder.icmp_signed("<", whole, block.inner)):
                    _sum_narrow(part, access, whole)


def _sum_contiguous(block: _Block, access: Elements, outer: ir.Value, chains: int) -> None:
    """Sums several `outer` side by side, where `inner` is 1."""
    builder = block.builder
    parts = [block.at(access, builder.add(outer, emit.int64(chain))) for chain in range(chains)]
    totals = [local(builder, _neutral(access)) for _ in parts]
    with emit.counted_loop(builder, _ZERO, block.length, _ONE) as step:
        for part, total in zip(parts, totals, strict=True):
            _advance(part, access, total, step, None)


def _sum_rows(block: _Block, access: Elements, whole: ir.Value) -> None:
    """Sums the first `whole` columns row by row: the previous row is still in the cache."""
    builder = block.builder
    lanes = emit.int64(access.lanes)
    first_end = emit.minimum(builder, block.length, _ONE)
    with (
        emit.counted_loop(builder, _ZERO, first_end, _ONE),
        emit.counted_loop(builder, _ZERO, whole, lanes) as column,
    ):
        access.store(access.load(access.place(block.x, column)), access.place(block.out, column))
    with emit.counted_loop(builder, _ONE, block.length, _ONE) as step:
        here = builder.mul(step, block.inner)
        x, out = access.place(block.x, here), access.place(block.out, here)
        previous = access.place(block.out, builder.sub(here, block.inner))
        with emit.counted_loop(builder, _ZERO, whole, lanes) as column:
            total, more = (access.load(access.place(row, column)) for row in (previous, x))
            access.store(emit.add(builder, total, more), access.place(out, column))


def _sum_narrow(block: _Block, access: Elements, first: ir.Value) -> None:
    """Sums the columns from `first`, fewer than a vector, in a register."""
    builder = block.builder
    mask = emit.first_lanes(builder, builder.sub(block.inner, first), access.lanes)
    total = local(builder, _neutral(access))
    with emit.counted_loop(builder, _ZERO, block.length, _ONE) as step:
        index = builder.add(builder.mul(step, block.inner), first)
        _advance(block, access, total, index, mask)


def _advance(
    block: _Block, access: Elements, total: ir.Value, index: ir.Value, mask: ir.Value | None
) -> None:
    """Adds the elements at an index to a total, and stores the total."""
    builder = block.builder
    more = access.load(access.place(block.x, index), mask)
    value = emit.add(builder, builder.load(total), more)
    builder.store(value, total)
    access.store(value, access.place(block.out, index), mask)


def _neutral(access: Elements) -> ir.Constant:
    """Gives what leaves every number as it is when added: -0.0, for 0.0 would change -0.0."""
    if isinstance(access.element, ir.IntType):
        return emit.zero(access.kind)
    value = -0.0 if access.lanes == 1 else [-0.0] * access.lanes
    return ir.Constant(access.kind, value)
