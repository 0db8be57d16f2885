"""Counts the arithmetic of ops, by listing the scalar code that their kernels are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from symgraph.compiler.codegen.listing import ListedValue, ListingBuilder
from symgraph.dims import Extent, product
from symgraph.node import Node
from symgraph.op import Elementwise, Op, Reduce
from symgraph.types import FLOATS

Listed = tuple[ListedValue, ...]


@dataclass
class CountingBuilder(ListingBuilder):
    """Counts the additions, subtractions, multiplications, divisions and roots of floats.

    A fused multiply-add counts twice. Paths that are rarely taken do not count.
    """

    operations: int = 0
    weight: int = 1

    def _counted(self, value: ListedValue, operations: int = 1) -> ListedValue:
        if value.dtype in FLOATS:
            self.operations += operations * self.weight
        return value

    def add(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Add."""
        return self._counted(super().add(x, y))

    def sub(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Subtract."""
        return self._counted(super().sub(x, y))

    def mul(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Multiply."""
        return self._counted(super().mul(x, y))

    def div(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Divide."""
        return self._counted(super().div(x, y))

    def sqrt(self, x: ListedValue) -> ListedValue:
        """Take the square root."""
        return self._counted(super().sqrt(x))

    def fma(self, x: ListedValue, y: ListedValue, z: ListedValue) -> ListedValue:
        """Multiply and add."""
        return self._counted(super().fma(x, y, z), 2)

    def select_rare(
        self, condition: ListedValue, rare: Callable[[], Listed], usual: Listed
    ) -> Listed:
        """Leave the rare path out."""
        before = self.operations
        result = super().select_rare(condition, rare, usual)
        self.operations = before
        return result

    def repeat(self, count: int, step: Callable[[Listed], Listed], state: Listed) -> Listed:
        """Count a loop as often as it runs."""
        self.weight *= count
        result = super().repeat(count, step, state)
        self.weight //= count
        return result


def operations_per_element(node: Node) -> int:
    """Return the float operations that an elementwise node takes for one element."""
    dtypes = tuple(child.type.element for child in node.inputs)
    attrs = tuple(sorted(node.attrs.items()))
    try:
        return _cached_count(node.op, dtypes, attrs)
    except TypeError:  # an attr that does not hash
        return _count(node.op, dtypes, attrs)


def _count(op: Op, dtypes: tuple[str, ...], attrs: tuple[tuple[str, object], ...]) -> int:
    assert isinstance(op.kind, Elementwise), f"{op.name} has no scalar code"
    builder = CountingBuilder()
    operands = [builder.operand(dtype, "operand") for dtype in dtypes]
    op.kind.scalar(builder, *operands, **dict(attrs))
    return builder.operations


_cached_count = cache(_count)


def float_operations(node: Node) -> Extent:
    """Return the float operations of a node of the canonical graph, as a formula of extents."""
    kind = node.op.kind
    if isinstance(kind, Elementwise):
        return operations_per_element(node) * product(node.type.dims)
    if isinstance(kind, Reduce) or node.op.name in ("cumsum", "scatter_add"):
        operand = node.inputs[0].type
        return product(operand.dims) if operand.element in FLOATS else 0
    if node.op.name == "batch_matmul" and node.type.element in FLOATS:
        depth: Extent = node.inputs[0].type.dims[-1]
        return 2 * product(node.type.dims) * depth
    if node.op.name in _CONVOLUTIONS and node.type.element in FLOATS:
        return _convolution_operations(node)
    return 0


_CONVOLUTIONS = ("convolution", "convolution_input", "convolution_weight")


def _convolution_operations(node: Node) -> Extent:
    """Return one multiplication and addition for each element of a result and of its filter."""
    first, second = node.inputs
    if node.op.name == "convolution":
        results, weight = node, second
    elif node.op.name == "convolution_input":
        results, weight = first, second
    else:
        results, weight = second, node
    return 2 * product(results.type.dims) * product(weight.type.dims[1:])
