"""Common subexpressions: equal nodes become one."""

from __future__ import annotations

from symgraph.compiler.passes.fixpoint import rewrite_to_fixpoint
from symgraph.compiler.passes.interning import COMMUTATIVE
from symgraph.compiler.passes.rules.sums import constant_second
from symgraph.node import Graph


def cse(graph: Graph) -> Graph:
    """Return `graph` with one node in place of all that compute the same thing.

    Equal are nodes of one op with the same inputs (in any order, where the op is commutative) and
    equal attrs. The first in order, with its location, stays.

    Example:
        add(exp(x), exp(x))  with two exp nodes  ->  add(n, n)  with n = exp(x)
    """
    return rewrite_to_fixpoint(
        graph, lambda node: (constant_second,) if node.op.name in COMMUTATIVE else ()
    )
