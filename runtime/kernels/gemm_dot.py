"""The matrix-vector product with contiguous rows: vectors run along k instead of along columns.

Used when C has a single column and both A and B are contiguous along k. The order of the sum is
fixed: element k goes to partial sum k mod (4 * lanes), in ascending k by fused multiply-adds; the
partial sums are then added pairwise. So a row's bits do not depend on the number of rows or on
slicing, but differ from those of the same row in a product with more columns.
"""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.gemm_shape import Epilogue, TileShape

CHAINS = 4


class DotArguments(NamedTuple):
    """The arguments of the dot function, in order; strides are in bytes."""

    a: ir.Value
    a_row: ir.Value
    b: ir.Value
    c: ir.Value
    c_row: ir.Value
    rows: ir.Value
    depth: ir.Value
    bias: ir.Value
    accumulate: ir.Value


def define_dot(module: ir.Module, shape: TileShape, dtype: str, epilogue: Epilogue) -> ir.Function:
    """Define the internal function of `DotArguments`."""
    pointer, integer = emit.BYTE_POINTER, emit.INT64
    types = DotArguments(
        a=pointer, a_row=integer, b=pointer, c=pointer, c_row=integer, rows=integer,
        depth=integer, bias=pointer, accumulate=emit.INT1,
    )  # fmt: skip
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), list(types)), "gemm_dot")
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    args = DotArguments(*function.args)
    emitter = _DotEmitter(builder, shape, dtype, epilogue, args)
    with emit.counted_loop(builder, emit.int64(0), args.rows, emit.int64(1)) as row:
        emitter.emit_row(row)
    builder.ret_void()
    return function


class _DotEmitter:
    """Emits the dot product of one row."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        shape: TileShape,
        dtype: str,
        epilogue: Epilogue,
        args: DotArguments,
    ) -> None:
        self.builder = builder
        self.shape = shape
        self.element = emit.ELEMENT_TYPES[dtype]
        self.kind = ir.VectorType(self.element, shape.lanes)
        self.epilogue = epilogue
        self.args = args

    def emit_row(self, row: ir.Value) -> None:
        """Emit the product of one row of A with B, and store it."""
        builder, args = self.builder, self.args
        a = emit.offset(builder, args.a, builder.mul(row, args.a_row))
        step = CHAINS * self.shape.lanes
        whole = builder.and_(args.depth, emit.int64(-step))
        before = builder.block
        with emit.counted_loop(builder, emit.int64(0), whole, emit.int64(step)) as k:
            body = builder.block
            builder.position_after(k)
            chains = [builder.phi(self.kind) for _ in range(CHAINS)]
            builder.position_at_end(body)
            for chain, total in zip(chains, self._step(a, k, None, chains), strict=True):
                chain.add_incoming(emit.zero(self.kind), before)
                chain.add_incoming(total, body)
        left = builder.sub(args.depth, whole)
        total = self._total(self._step(a, whole, left, chains))
        self._finish(total, emit.offset(builder, args.c, builder.mul(row, args.c_row)))

    def _step(
        self, a: ir.Value, k: ir.Value, left: ir.Value | None, chains: list[ir.Value]
    ) -> list[ir.Value]:
        """Add one vector of products to each chain."""
        at = self.builder.mul(k, emit.int64(self.shape.item_bytes))
        operands = zip(self._read(a, at, left), self._read(self.args.b, at, left), strict=True)
        return [
            emit.multiply_add(self.builder, x, y, chain)
            for (x, y), chain in zip(operands, chains, strict=True)
        ]

    def _read(self, pointer: ir.Value, at: ir.Value, left: ir.Value | None) -> list[ir.Value]:
        """Load one vector per chain, masked to the elements that are left if given."""
        builder, shape = self.builder, self.shape
        start = emit.offset(builder, pointer, at)
        values = []
        for chain in range(CHAINS):
            place = emit.offset(builder, start, emit.int64(chain * shape.vector_bytes))
            if left is None:
                values.append(emit.load(builder, place, self.kind, shape.item_bytes))
                continue
            valid = builder.sub(left, emit.int64(chain * shape.lanes))
            mask = emit.first_lanes(builder, valid, shape.lanes)
            values.append(emit.masked_load(builder, place, mask, self.kind, shape.item_bytes))
        return values

    def _total(self, chains: list[ir.Value]) -> ir.Value:
        """Add the chains of one row pairwise, then the halves of the vector down to a scalar."""
        builder = self.builder
        while len(chains) > 1:
            pairs = zip(chains[::2], chains[1::2], strict=True)
            chains = [emit.add(builder, x, y) for x, y in pairs]
        value, lanes = chains[0], self.shape.lanes
        while lanes > 1:
            lanes //= 2
            low = emit.permute(builder, value, value, range(lanes))
            high = emit.permute(builder, value, value, range(lanes, 2 * lanes))
            value = emit.add(builder, low, high)
        return builder.extract_element(value, ir.Constant(emit.INT32, 0))

    def _finish(self, total: ir.Value, place: ir.Value) -> None:
        """Add what C holds if asked, apply the epilogue and store one element."""
        builder, args, size = self.builder, self.args, self.shape.item_bytes
        before = builder.block
        with builder.if_then(args.accumulate):
            summed = emit.add(builder, emit.load(builder, place, self.element, size), total)
            inside = builder.block
        value = builder.phi(self.element)
        value.add_incoming(total, before)
        value.add_incoming(summed, inside)
        if self.epilogue != "none":
            value = emit.add(builder, value, emit.load(builder, args.bias, self.element, size))
        if self.epilogue == "bias_relu":
            value = emit.zero_below(builder, value, emit.zero(self.element))
        emit.store(builder, value, place, size)
