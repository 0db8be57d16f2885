"""Sums that carries gather step by step, computed behind the loop: gradients of weights and biases.

A carry that every step adds something to, and that nothing else reads, is its start plus the sum of
all that. Products `(K, B) @ (B, N)` of all steps add up to one product over `T * B` rows; sums over
the `B` rows of a step to one sum over all of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from symgraph.compiler.passes.open_loop import (
    Finish,
    OpenLoop,
    Stack,
    is_product,
    matrix,
    values_of,
)
from symgraph.location import located_at
from symgraph.node import Node
from symgraph.op import REGISTRY
from symgraph.ops.linalg import BATCH_MATMUL
from symgraph.ops.views import TRANSPOSE, reshape, transpose
from symgraph.types import FLOATS


@dataclass(frozen=True)
class _Sum:
    """What the steps add to a carry.

    Args:
        place: which carry.
        terms: what one step adds.
    """

    place: int
    terms: tuple[Node, ...]


def sum_outside(opened: OpenLoop) -> bool:
    """Replace carries that are sums over all steps by one computation; tell whether there are any.

    Products are taken out wherever they are. Other sums only where the values of all steps are
    there anyway, so that they take no more memory; and only those of gradients, whose order of
    additions nobody has written down.
    """
    sums = _sums(opened)
    products = [entry for entry in sums if all(map(_is_outer_product, entry.terms))]
    finishes = {entry.place: _finish(opened, entry) for entry in products}
    for entry in sums:
        _, _, output = opened.carries[entry.place]
        at_hand = all(_is_at_hand(opened, term) for term in entry.terms)
        if entry.place not in finishes and at_hand and output.loc.derived:
            finishes[entry.place] = _finish(opened, entry)
    for place, finish in finishes.items():
        opened.later(place, finish)
    opened.carries = [carry for k, carry in enumerate(opened.carries) if k not in finishes]
    return bool(finishes)


def _sums(opened: OpenLoop) -> list[_Sum]:
    uses = opened.uses()
    found = []
    for place, (leaf, _, output) in enumerate(opened.carries):
        if uses[leaf] != 1 or leaf.type.element not in FLOATS:
            continue
        terms = _terms(output, uses)
        added = tuple(term for term in terms if term is not leaf)
        if added and len(added) == len(terms) - 1:
            found.append(_Sum(place, added))
    return found


def _terms(output: Node, uses: Counter[Node]) -> list[Node]:
    """Return what a tree of additions adds up, none of which anything else reads."""
    found: list[Node] = []
    stack = [output]
    while stack:
        node = stack.pop()
        if node.op.name == "add" and uses[node] == 1:
            stack.extend(reversed(node.inputs))
        else:
            found.append(node)
    return found


def _is_outer_product(term: Node) -> bool:
    """Tell whether a term is a product of (K, B), which is a transposed (B, K), with (B, N)."""
    if not is_product(term):
        return False
    left = term.inputs[0]
    return left.op is TRANSPOSE and left.attrs["axes"] in (None, (1, 0))


def _is_at_hand(opened: OpenLoop, term: Node) -> bool:
    if _is_outer_product(term):
        left, right = term.inputs[0].inputs[0], term.inputs[1]
        return opened.is_stacked(left) and opened.is_stacked(right)
    summed = _row_sum(term)
    return opened.is_stacked(term if summed is None else summed.inputs[0])


def _row_sum(term: Node) -> Node | None:
    """Return the sum over the rows of a matrix that a term is, maybe in another shape."""
    while term.op.name == "reshape":
        term = term.inputs[0]
    is_sum = term.op.name == "sum" and term.attrs["axis"] == (0,)
    return term if is_sum and term.inputs[0].type.rank == 2 else None


def _finish(opened: OpenLoop, entry: _Sum) -> Finish:
    _, start, output = opened.carries[entry.place]
    totals = [_total(opened, term) for term in entry.terms]

    def finish(stack: Stack) -> Node:
        with located_at(output.loc):
            result = start
            for total in totals:
                result = result + total(stack)
            return result

    return finish


def _total(opened: OpenLoop, term: Node) -> Finish:
    """Return what gives the sum of a term over all steps, once there are results."""
    summed = _row_sum(term)
    if _is_outer_product(term):
        one, other = term.inputs[0].inputs[0], term.inputs[1]
        left, right = values_of(opened, one), values_of(opened, other)

        def product(stack: Stack) -> Node:
            with located_at(term.loc):
                rows = transpose(matrix(left(stack), one))
                return BATCH_MATMUL(rows, matrix(right(stack), other))

        return product
    source = term if summed is None else summed.inputs[0]
    values = values_of(opened, source)

    def total(stack: Stack) -> Node:
        with located_at(term.loc):
            many = values(stack)
            many = many if summed is None else matrix(many, source)
            if many.type.dims[0] != 1:  # which leaves nothing to add up
                many = REGISTRY["sum"](many, axis=(0,), keepdims=True)
            return reshape(many, term.type.dims)

    return total
