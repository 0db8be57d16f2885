"""Products as lists of factors: what rules that cancel look at, and how they are built again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce

from symgraph.compiler.passes.rules.matching import (
    build,
    has_value,
    number,
    only_input,
    padded_dims,
)
from symgraph.dims import Extent
from symgraph.node import Node

MOST_OPENED = 24
"""Products are not taken apart further than into the operands of so many nodes."""


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """One factor of a product.

    Args:
        node: the factor, or what is divided by.
        divides: the product is divided by it.
        guard: where it is zero the product is, whatever the others are (see `scale_adjoint`).
    """

    node: Node
    divides: bool = False
    guard: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """A product of factors, perhaps negated."""

    factors: tuple[Factor, ...]
    negated: bool = False

    def without(self, *left_out: Factor) -> tuple[Factor, ...]:
        """Return the other factors, in their order."""
        return tuple(f for f in self.factors if all(f is not other for other in left_out))


def product_of(node: Node) -> Product:
    """Take a product apart: through quotients, signs, broadcasts, and axes of one element."""
    return _apart(node, iter(range(MOST_OPENED)))


def _apart(node: Node, left: Iterator[int]) -> Product:
    if node.op.name not in _OPENED or is_softmax(node) or next(left, None) is None:
        return Product((Factor(node),))
    if node.op.name in ("multiply", "divide", "scale_adjoint"):
        return _both(node, left)
    inner = _apart(node.inputs[0], left)
    match node.op.name:
        case "reciprocal":
            return _inverse(inner)
        case "negative":
            return Product(inner.factors, not inner.negated)
        case "square":
            return Product((*inner.factors, *map(replace, inner.factors)))
        case "broadcast_to":
            return inner
    dims = node.inputs[0].type.dims
    if not _same_but_ones(dims, node.type.dims):
        return Product((Factor(node),))
    viewed = (replace(f, node=_viewed(f.node, dims, node.type.dims)) for f in inner.factors)
    return Product(tuple(viewed), inner.negated)


_OPENED = frozenset(
    {
        *("multiply", "divide", "scale_adjoint", "reciprocal", "negative", "square"),
        *("broadcast_to", "reshape"),
    }
)


def _both(node: Node, budget: Iterator[int]) -> Product:
    left, right = (_apart(operand, budget) for operand in node.inputs)
    if node.op.name == "divide":
        right = _inverse(right)
    factors = left.factors
    if node.op.name == "scale_adjoint":
        factors = tuple(replace(f, guard=not f.divides) for f in factors)
    return Product((*factors, *right.factors), left.negated != right.negated)


def _inverse(product: Product) -> Product:
    # A guard that divides guards nothing.
    factors = (replace(f, divides=not f.divides, guard=False) for f in product.factors)
    return Product(tuple(factors), product.negated)


def is_softmax(node: Node) -> bool:
    """Tell whether `node` is exp(x) / sum(exp(x)), which is one factor."""
    if node.op.name != "divide" or node.inputs[0].op.name != "exp":
        return False
    return only_input(node.inputs[1], "sum") is node.inputs[0]


def rebuilt(product: Product, like: Node) -> Node:
    """Return the product as a node of the dtype of `like`, and of its shape or a smaller one."""
    guards = [f.node for f in product.factors if f.guard]
    others = [_exact(f.node) for f in product.factors if not (f.guard or f.divides)]
    divisors = [f.node for f in product.factors if f.divides]
    value = _multiplied(others)
    for divisor in divisors:
        value = build("reciprocal", divisor) if value is None else build("divide", value, divisor)
    guard = _multiplied(guards)
    if guard is not None:
        value = guard if value is None else build("scale_adjoint", guard, value)
    if value is None:
        value = number(1, like)
    return build("negative", value) if product.negated else value


def _multiplied(nodes: Iterable[Node]) -> Node | None:
    listed = list(nodes)
    return reduce(lambda one, other: build("multiply", one, other), listed) if listed else None


def _exact(node: Node) -> Node:
    """Return sigmoid(-z) for 1 - sigmoid(z), which cancels digits."""
    z = complement(node)
    return node if z is None else build("sigmoid", build("negative", z))


def complement(node: Node) -> Node | None:
    """Return z if `node` is 1 - sigmoid(z)."""
    if node.op.name != "subtract" or not has_value(node.inputs[0], 1):
        return None
    return only_input(node.inputs[1], "sigmoid")


def plain(node: Node) -> Node:
    """Return `node` without reshapes that only add or take axes of one element."""
    while node.op.name == "reshape" and _same_but_ones(node.inputs[0].type.dims, node.type.dims):
        node = node.inputs[0]
    return node


def _same_but_ones(one: tuple[Extent, ...], other: tuple[Extent, ...]) -> bool:
    return [d for d in one if d != 1] == [d for d in other if d != 1]


def _viewed(factor: Node, dims: tuple[Extent, ...], wanted: tuple[Extent, ...]) -> Node:
    """Return a factor of a product of shape `dims` as one of the product's reshape to `wanted`."""
    own = padded_dims(factor.type.dims, len(dims))
    extents = iter(extent for extent, whole in zip(own, dims, strict=True) if whole != 1)
    target = tuple(1 if extent == 1 else next(extents) for extent in wanted)
    base = plain(factor)
    return base if base.type.dims == target else build("reshape", base, shape=target)
