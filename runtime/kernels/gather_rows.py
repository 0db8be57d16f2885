"""Emits the bodies of gather and scatter_add; `gather` describes them and their arguments."""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.vectors import ArgumentReader, Elements, VectorBody, elements

_ZERO, _ONE = emit.int64(0), emit.int64(1)


@dataclass(frozen=True)
class _Rows:
    """The arguments of both kernels: which rows of one array belong to which of the other."""

    builder: ir.IRBuilder
    index_dtypes: tuple[str, ...]
    source: ir.Value
    out: ir.Value
    indices: list[ir.Value]
    count: ir.Value
    extents: list[ir.Value]
    width: ir.Value
    status: ir.Value
    code: ir.Value

    def find(self, number: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Gives the row that index tuple `number` selects, and whether it is in range."""
        builder = self.builder
        row: ir.Value = _ZERO
        valid: ir.Value = ir.Constant(emit.INT1, 1)
        for pointer, extent, dtype in zip(
            self.indices, self.extents, self.index_dtypes, strict=True
        ):
            access = elements(builder, dtype, lanes=1)
            index = access.load(access.place(pointer, number))
            if dtype == "int32":
                index = builder.sext(index, emit.INT64)
            is_negative = builder.icmp_signed("<", index, _ZERO)
            index = builder.select(is_negative, builder.add(index, extent), index)
            # What is still negative is huge when unsigned, so one comparison checks both ends.
            valid = builder.and_(valid, builder.icmp_unsigned("<", index, extent))
            row = builder.add(builder.mul(row, extent), index)
        return row, valid

    def report(self) -> None:
        """Stores the code for an index out of range."""
        emit.store(self.builder, self.code, self.status, 8)


def emit_gather(
    builder: ir.IRBuilder,
    dtype: str,
    index_dtypes: tuple[str, ...],
    args: ir.Value,
    lo: ir.Value,
    hi: ir.Value,
) -> None:
    """Emits the gather of index tuples [lo, hi)."""
    rows = _read(builder, index_dtypes, args)
    is_single = builder.icmp_signed("==", rows.width, _ONE)
    with builder.if_else(is_single) as (single, many):
        with single, emit.counted_loop(builder, lo, hi, _ONE) as number:
            _gather_element(rows, elements(builder, dtype, lanes=1), number)
        with many:
            access = elements(builder, dtype)
            nothing = access.hidden_zero()
            with emit.counted_loop(builder, lo, hi, _ONE) as number:
                _gather_row(rows, access, nothing, number)


def _gather_element(rows: _Rows, access: Elements, number: ir.Value) -> None:
    """Copies one element, for rows of a single one."""
    builder = rows.builder
    row, valid = rows.find(number)
    with builder.if_else(valid, likely=True) as (inside, outside):
        with inside:
            found = access.load(access.place(rows.source, row))
            found_block = builder.block
        with outside:
            rows.report()
            outside_block = builder.block
    value = builder.phi(access.kind)
    value.add_incoming(found, found_block)
    value.add_incoming(emit.zero(access.kind), outside_block)
    access.store(value, access.place(rows.out, number))


def _gather_row(rows: _Rows, access: Elements, nothing: ir.Value, number: ir.Value) -> None:
    """Copies one row, or sets it to zero when the index is out of range."""
    builder = rows.builder
    row, valid = rows.find(number)
    target = access.place(rows.out, builder.mul(number, rows.width))
    with builder.if_else(valid, likely=True) as (inside, outside):
        with inside:
            source = access.place(rows.source, builder.mul(row, rows.width))

            def copy(column: ir.Value, mask: ir.Value | None) -> None:
                value = access.load(access.place(source, column), mask)
                access.store(value, access.place(target, column), mask)

            access.for_each_vector(rows.width, copy)
        with outside:
            rows.report()
            access.for_each_vector(rows.width, _clearing(access, nothing, target))


def emit_scatter_add(
    builder: ir.IRBuilder,
    dtype: str,
    index_dtypes: tuple[str, ...],
    column_block: int,
    args: ir.Value,
    lo: ir.Value,
    hi: ir.Value,
) -> None:
    """Emits the sums of the column blocks [lo, hi)."""
    rows = _read(builder, index_dtypes, args)
    first = builder.mul(lo, emit.int64(column_block))
    end = emit.minimum(builder, builder.mul(hi, emit.int64(column_block)), rows.width)
    # An empty slice may begin after the last column.
    columns = emit.maximum(builder, builder.sub(end, first), _ZERO)
    access = elements(builder, dtype)
    _clear_columns(rows, access, first, columns)
    is_single = builder.icmp_signed("==", rows.width, _ONE)
    is_there = builder.icmp_signed(">", columns, _ZERO)
    with builder.if_else(builder.and_(is_single, is_there)) as (single, many):
        with single, emit.counted_loop(builder, _ZERO, rows.count, _ONE) as number:
            _add_element(rows, elements(builder, dtype, lanes=1), number)
        with many, emit.counted_loop(builder, _ZERO, rows.count, _ONE) as number:
            _add_row(rows, access, first, columns, number)


def _clear_columns(rows: _Rows, access: Elements, first: ir.Value, columns: ir.Value) -> None:
    """Sets columns of all of `out` to zero."""
    builder = rows.builder
    nothing = access.hidden_zero()
    height: ir.Value = _ONE
    for extent in rows.extents:
        height = builder.mul(height, extent)
    # All columns together are contiguous: one long row.
    is_whole = builder.icmp_signed("==", columns, rows.width)
    length = builder.select(is_whole, builder.mul(height, columns), columns)
    repeats = builder.select(is_whole, _ONE, height)
    with emit.counted_loop(builder, _ZERO, repeats, _ONE) as row:
        target = access.place(rows.out, builder.add(builder.mul(row, rows.width), first))
        access.for_each_vector(length, _clearing(access, nothing, target))


def _clearing(access: Elements, nothing: ir.Value, target: ir.Value) -> VectorBody:
    """Gives the body of a loop which sets elements from an address to zero."""

    def clear(index: ir.Value, mask: ir.Value | None) -> None:
        access.store(nothing, access.place(target, index), mask)

    return clear


def _add_element(rows: _Rows, access: Elements, number: ir.Value) -> None:
    """Adds one element, for rows of a single one."""
    builder = rows.builder
    row, valid = rows.find(number)
    with builder.if_else(valid, likely=True) as (inside, outside):
        with inside:
            target = access.place(rows.out, row)
            update = access.load(access.place(rows.source, number))
            access.store(emit.add(builder, access.load(target), update), target)
        with outside:
            rows.report()


def _add_row(
    rows: _Rows, access: Elements, first: ir.Value, columns: ir.Value, number: ir.Value
) -> None:
    """Adds some columns of one row."""
    builder = rows.builder
    row, valid = rows.find(number)
    with builder.if_else(valid, likely=True) as (inside, outside):
        with inside:
            source, target = (
                access.place(pointer, builder.add(builder.mul(index, rows.width), first))
                for pointer, index in ((rows.source, number), (rows.out, row))
            )

            def add(column: ir.Value, mask: ir.Value | None) -> None:
                place = access.place(target, column)
                update = access.load(access.place(source, column), mask)
                access.store(emit.add(builder, access.load(place, mask), update), place, mask)

            access.for_each_vector(columns, add)
        with outside:
            rows.report()


def _read(builder: ir.IRBuilder, index_dtypes: tuple[str, ...], args: ir.Value) -> _Rows:
    """Reads the argument block."""
    reader = ArgumentReader(builder, args)
    return _Rows(
        builder=builder,
        index_dtypes=index_dtypes,
        source=reader.pointer(),
        out=reader.pointer(),
        indices=[reader.pointer() for _ in index_dtypes],
        count=reader.integer(),
        extents=[reader.integer() for _ in index_dtypes],
        width=reader.integer(),
        status=reader.pointer(),
        code=reader.integer(),
    )
