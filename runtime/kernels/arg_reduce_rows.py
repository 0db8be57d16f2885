"""Emits the body of argmax and argmin; `arg_reduce` describes them and their arguments.

Every search starts with the worst value at position 0. If nothing is better than the worst value,
then all elements equal it, and position 0 is the right answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.vectors import ArgumentReader, Elements, elements, local

# Columns side by side.
_LANES = 16
# Bytes of a row side by side: comparisons wait for each other, so more than one register is needed.
_ROW_BYTES, _MOST_LANES = 128, 32
_ZERO, _ONE = emit.int64(0), emit.int64(1)


@dataclass(frozen=True)
class _Candidate:
    """Values and their positions, in each lane."""

    value: ir.Value
    position: ir.Value


@dataclass(frozen=True)
class _Search:
    """Emits comparisons for one dtype and direction.

    Attributes:
        builder: where the instructions go.
        dtype: dtype of the elements.
        is_max: whether the largest is wanted, not the smallest.
    """

    builder: ir.IRBuilder
    dtype: str
    is_max: bool

    @property
    def is_float(self) -> bool:
        """Tells whether there are NaNs."""
        return self.dtype.startswith("float")

    def worst(self, access: Elements) -> ir.Constant:
        """Gives the value that no element is worse than, in each lane."""
        if self.is_float:
            extreme: float = float("-inf") if self.is_max else float("inf")
        elif self.dtype == "bool":
            extreme = 0 if self.is_max else 1
        else:
            extreme = -(2 ** (8 * access.size - 1))
            extreme = extreme if self.is_max else -1 - extreme
        return ir.Constant(access.kind, [extreme] * access.lanes if access.lanes > 1 else extreme)

    def is_better(self, new: ir.Value, old: ir.Value) -> ir.Value:
        """Tells whether new values replace those found before them."""
        relation = ">" if self.is_max else "<"
        if not self.is_float:
            return self.builder.icmp_signed(relation, new, old)
        # Unordered comparison: a new NaN is better than anything but an old NaN.
        old_is_number = self.builder.fcmp_ordered("ord", old, old)
        return self.builder.and_(self.builder.fcmp_unordered(relation, new, old), old_is_number)

    def is_level(self, new: ir.Value, old: ir.Value) -> ir.Value:
        """Tells whether neither replaces the other."""
        builder = self.builder
        if not self.is_float:
            return builder.icmp_signed("==", new, old)
        both = builder.and_(
            builder.fcmp_unordered("uno", new, new), builder.fcmp_unordered("uno", old, old)
        )
        return builder.or_(builder.fcmp_ordered("==", new, old), both)

    def update(self, best: _Candidate, value: ir.Value, position: ir.Value) -> None:
        """Puts a later value into the variables of the best one where it is better."""
        builder = self.builder
        old_value, old_position = builder.load(best.value), builder.load(best.position)
        better = self.is_better(value, old_value)
        builder.store(builder.select(better, value, old_value), best.value)
        builder.store(builder.select(better, position, old_position), best.position)

    def fold(self, left: _Candidate, right: _Candidate) -> _Candidate:
        """Gives the better of two in each lane; of equal ones the first."""
        builder = self.builder
        is_earlier = builder.icmp_signed("<", right.position, left.position)
        is_first = builder.and_(self.is_level(right.value, left.value), is_earlier)
        better = builder.or_(self.is_better(right.value, left.value), is_first)
        return _Candidate(
            builder.select(better, right.value, left.value),
            builder.select(better, right.position, left.position),
        )


def emit_arg_reduce(
    builder: ir.IRBuilder, dtype: str, is_max: bool, args: ir.Value, lo: ir.Value, hi: ir.Value
) -> None:
    """Emits the searches of `outer` in [lo, hi)."""
    search = _Search(builder, dtype, is_max)
    reader = ArgumentReader(builder, args)
    x, out, _outer = reader.pointer(), reader.pointer(), reader.integer()
    length, inner = reader.integer(), reader.integer()
    access = elements(builder, dtype, _LANES)
    positions = elements(builder, "int64", _LANES)
    is_flat = builder.icmp_signed("==", inner, _ONE)
    with builder.if_else(is_flat) as (flat, wide):
        with flat, emit.counted_loop(builder, lo, hi, _ONE) as outer:
            row = access.place(x, builder.mul(outer, length))
            vectors = elements(builder, dtype, min(_ROW_BYTES // access.size, _MOST_LANES))
            found = _search_contiguous(search, vectors, row, length)
            emit.store(builder, found, positions.place(out, outer), positions.size)
        with wide, emit.counted_loop(builder, lo, hi, _ONE) as outer:
            first = builder.mul(outer, inner)
            block = access.place(x, builder.mul(first, length))
            target = positions.place(out, first)

            def search_columns(column: ir.Value, mask: ir.Value | None) -> None:
                start = access.place(block, column)
                found = _search_columns(search, access, start, length, inner, mask)
                positions.store(found, positions.place(target, column), mask)

            access.for_each_vector(inner, search_columns)


def _search_columns(
    search: _Search,
    access: Elements,
    start: ir.Value,
    length: ir.Value,
    inner: ir.Value,
    mask: ir.Value | None,
) -> ir.Value:
    """Emits the search down one vector of columns, and gives the positions."""
    builder = search.builder
    best = _begin(search, access)
    with emit.counted_loop(builder, _ZERO, length, _ONE) as step:
        value = access.load(access.place(start, builder.mul(step, inner)), mask)
        search.update(best, value, emit.splat(builder, step, access.lanes))
    return builder.load(best.position)


def _search_contiguous(
    search: _Search, access: Elements, row: ir.Value, length: ir.Value
) -> ir.Value:
    """Emits the search along contiguous elements: vectors first, then the rest one by one."""
    builder = search.builder
    single = elements(builder, search.dtype, lanes=1)
    best = _begin(search, single)
    whole = builder.and_(length, emit.int64(-access.lanes))
    with builder.if_then(builder.icmp_signed(">", whole, _ZERO)):
        found = _search_vectors(search, access, row, whole)
        builder.store(found.value, best.value)
        builder.store(found.position, best.position)
    with emit.counted_loop(builder, whole, length, _ONE) as index:
        search.update(best, single.load(single.place(row, index)), index)
    return builder.load(best.position)


def _search_vectors(
    search: _Search, access: Elements, row: ir.Value, whole: ir.Value
) -> _Candidate:
    """Emits the search in each lane, then folds the lanes."""
    builder = search.builder
    best = _begin(search, access)
    with emit.counted_loop(builder, _ZERO, whole, emit.int64(access.lanes)) as start:
        value = access.load(access.place(row, start))
        search.update(best, value, emit.splat(builder, start, access.lanes))
    lane_numbers = ir.Constant(ir.VectorType(emit.INT64, access.lanes), list(range(access.lanes)))
    position = builder.add(builder.load(best.position), lane_numbers)
    folded, lanes = _Candidate(builder.load(best.value), position), access.lanes
    while lanes > 1:
        lanes //= 2
        halves = (range(lanes), range(lanes, 2 * lanes))
        low, high = (
            _Candidate(
                emit.permute(builder, folded.value, folded.value, half),
                emit.permute(builder, folded.position, folded.position, half),
            )
            for half in halves
        )
        folded = search.fold(low, high)
    first = ir.Constant(emit.INT32, 0)
    return _Candidate(
        builder.extract_element(folded.value, first),
        builder.extract_element(folded.position, first),
    )


def _begin(search: _Search, access: Elements) -> _Candidate:
    """Makes the variables of a search."""
    positions = elements(search.builder, "int64", access.lanes)
    return _Candidate(
        local(search.builder, search.worst(access)),
        # Hidden, for without elements the loops do nothing but store it.
        local(search.builder, positions.hidden_zero()),
    )
