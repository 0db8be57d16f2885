"""Rules that cancel: x / p * p -> x, where p is positive by construction.

Derivatives of logarithms divide by what they then multiply with. Where p overflows or underflows
that makes NaN of a finite number. These rules change values as those of `stable` do, for the
better: the result is what the formula means. They work on products of any association.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from symgraph.compiler.passes.rules.factors import (
    Factor,
    Product,
    complement,
    is_softmax,
    plain,
    product_of,
    rebuilt,
)
from symgraph.compiler.passes.rules.matching import (
    RuleTable,
    build,
    is_float,
    one_plus,
    only_input,
    padded_dims,
    through_views,
    uniform,
)
from symgraph.dims import never_negative
from symgraph.node import Node

_DEPTH = 6
"""How deep sums are searched for terms that cancel, and nodes for being positive."""


def cancel(node: Node) -> Node | None:
    """Cancel: x / p * p -> x; exp(x) / sum(exp(x)) and exp(x) / (1 + exp(x)) in any product."""
    if not is_float(node) or is_softmax(node):
        return None
    found = _step(product_of(node), node.type.rank, _DEPTH)
    return None if found is None else rebuilt(found, node)


def _step(product: Product, rank: int, depth: int) -> Product | None:
    """Return the product with two factors cancelled or merged, None if none do."""
    if len(product.factors) < 2 or not any(map(_may_cancel, product.factors)):
        return None
    for one, other in combinations(product.factors, 2):
        merged = _merged(one, other, rank)
        if merged is not None:
            return Product((*merged, *product.without(one, other)), product.negated)
    if depth == 0:
        return None
    return _into_sums(product, rank, depth) or _over_terms(product, rank, depth)


def _may_cancel(factor: Factor) -> bool:
    return uniform(factor.node) is None and positive(factor.node)


# Two factors.


def _merged(one: Factor, other: Factor, rank: int) -> tuple[Factor, ...] | None:
    """Return what two factors are together where that is less than two, None if it is not."""
    guard = one.guard or other.guard
    for left, right in ((one, other), (other, one)):
        node = _joined(left, right, rank)
        if node is not None:
            return (Factor(node, guard=guard),)
    if one.divides == other.divides or not _equal(one.node, other.node, rank):
        return None
    return () if _may_cancel(one) else None


def _joined(left: Factor, right: Factor, rank: int) -> Node | None:
    z = only_input(left.node, "exp")
    if z is None or left.divides:
        return None
    if right.divides:
        total = plain(right.node)
        fits = padded_dims(right.node.type.dims, rank) == padded_dims(total.type.dims, rank)
        if fits and only_input(total, "sum") is left.node:
            return build("divide", left.node, total)
        return build("sigmoid", z) if one_plus(right.node) is left.node else None
    argument = _logistic(right.node)
    opposite = argument is not None and argument == (_signed(z)[0], not _signed(z)[1])
    return build("sigmoid", z) if opposite else None


def _equal(one: Node, other: Node, rank: int) -> bool:
    if padded_dims(one.type.dims, rank) != padded_dims(other.type.dims, rank):
        return False
    if plain(one) is plain(other):
        return True
    argument = _logistic(one)
    return argument is not None and argument == _logistic(other)


def _logistic(node: Node) -> tuple[int, bool] | None:
    """Return z and whether it is negated, if `node` is sigmoid(z) or 1 - sigmoid(-z)."""
    z = only_input(node, "sigmoid")
    if z is not None:
        return _signed(z)
    z = complement(node)
    if z is None:
        return None
    base, negated = _signed(z)
    return base, not negated


def _signed(z: Node) -> tuple[int, bool]:
    inner = only_input(z, "negative")
    return (id(z), False) if inner is None else (id(inner), True)


# Factors and sums along axes.


def _into_sums(product: Product, rank: int, depth: int) -> Product | None:
    """sum(x) * f -> sum(x * f), where f is constant along the axes and something cancels there."""
    for total, factor in _pairs(product, "sum"):
        node = plain(total.node)
        if node.op.name != "sum" or total.divides or node.type.rank != rank:
            continue
        if node.type.dims != padded_dims(total.node.type.dims, rank) or not is_float(node):
            continue
        found = _summed(node, factor, depth)
        if found is None:
            continue
        inner, outside = found
        terms = rebuilt(inner, node)
        if terms.type.dims != node.inputs[0].type.dims:
            terms = build("broadcast_to", terms, shape=node.inputs[0].type.dims)
        again = build("sum", terms, axis=node.attrs["axis"], keepdims=True)
        factors = (replace(total, node=again), *outside, *product.without(total, factor))
        return Product(factors, product.negated)
    return None


def _summed(total: Node, factor: Factor, depth: int) -> tuple[Product, tuple[Factor, ...]] | None:
    """Return what is summed and what is left outside of a sum that a factor meets."""
    rank, axes = total.type.rank, total.attrs["axis"]
    inner = product_of(total.inputs[0])
    if _constant_along(factor, axes, rank):
        with_factor = Product((*inner.factors, replace(factor, guard=False)), inner.negated)
        found = _step(with_factor, rank, depth - 1)
        if found is not None and all(f.node is not factor.node for f in found.factors):
            return found, ()
    for own in inner.factors:
        merged = _merged(own, factor, rank) if _constant_along(own, axes, rank) else None
        if merged is not None:
            return Product(inner.without(own), inner.negated), merged
    return None


def _constant_along(factor: Factor, axes: tuple[int, ...], rank: int) -> bool:
    dims = padded_dims(factor.node.type.dims, rank)
    return all(dims[axis] == 1 for axis in axes)


# Factors and sums of terms.


def _over_terms(product: Product, rank: int, depth: int) -> Product | None:
    """(a + b) * f -> a * f + b * f, where f cancels in one of the terms."""
    for total, factor in _pairs(product, "add", "subtract"):
        if total.divides or total.node.op.name == "reshape" or complement(total.node) is not None:
            continue
        if not _gains(total.node, factor, rank, depth - 1):
            continue
        terms = (
            rebuilt(Product((Factor(term, guard=total.guard), factor)), total.node)
            for term in total.node.inputs
        )
        spread = build(total.node.op.name, *terms)
        factors = (Factor(spread), *product.without(total, factor))
        return Product(factors, product.negated)
    return None


def _gains(node: Node, factor: Factor, rank: int, depth: int) -> bool:
    """Tell whether a sum, times a factor, has a term in which this factor cancels."""
    if depth == 0:
        return False
    for term in node.inputs:
        own = product_of(term)
        if any(_merged(f, factor, rank) is not None for f in own.factors):
            return True
        for f in own.factors:
            if f.divides:
                continue
            if f.node.op.name in ("add", "subtract") and _gains(f.node, factor, rank, depth - 1):
                return True
            if f.node.op.name == "sum" and f.node.type.rank == rank:
                if _summed(f.node, factor, depth - 1) is not None:
                    return True
    return False


def _pairs(product: Product, *names: str) -> Iterator[tuple[Factor, Factor]]:
    """Give each factor of a kind of op with each of the others that may cancel."""
    for total in product.factors:
        if plain(total.node).op.name in names:
            for factor in product.factors:
                if factor is not total and _may_cancel(factor):
                    yield total, factor


# Signs.


def positive(node: Node, depth: int = _DEPTH) -> bool:
    """Tell whether every element is more than 0 in exact arithmetic, or NaN."""
    node = through_views(node)
    if not is_float(node) or depth == 0:
        return False
    value = uniform(node)
    if value is not None:
        return bool(value > 0)
    if complement(node) is not None:
        return True
    match node.op.name:
        case "exp" | "sigmoid" | "softplus":
            return True
        case "add" | "multiply" | "divide" | "reciprocal":
            # The elements of a softmax are there only if its axis is not empty.
            return is_softmax(node) or all(positive(x, depth - 1) for x in node.inputs)
        case "sum":
            dims = node.inputs[0].type.dims
            filled = all(never_negative(dims[axis] - 1) for axis in node.attrs["axis"])
            return filled and positive(node.inputs[0], depth - 1)
    return False


RULES: RuleTable = {name: (cancel,) for name in ("multiply", "divide", "scale_adjoint")}
