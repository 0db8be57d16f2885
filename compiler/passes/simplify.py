"""Algebraic simplification, to a fixpoint."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from symgraph.compiler.passes.fixpoint import RulesFor, rewrite_to_fixpoint
from symgraph.compiler.passes.fold import fold_node
from symgraph.compiler.passes.rules import (
    assembling,
    casts,
    positive,
    powers,
    products,
    reductions,
    selection,
    stable,
    sums,
    views,
)
from symgraph.compiler.passes.rules.broadcasts import implicit_broadcast
from symgraph.compiler.passes.rules.matching import Rule, RuleTable
from symgraph.node import Graph

TABLES: tuple[RuleTable, ...] = (
    stable.RULES,
    positive.RULES,
    sums.RULES,
    products.RULES,
    powers.RULES,
    selection.RULES,
    casts.RULES,
    views.RULES,
    reductions.RULES,
    assembling.RULES,
)
"""All rules, tried in this order: stable forms first, before other rules take them apart."""


def _by_op(tables: Iterable[RuleTable]) -> RuleTable:
    merged: dict[str, tuple[Rule, ...]] = {}
    for name, rules in chain.from_iterable(table.items() for table in tables):
        merged[name] = (*merged.get(name, ()), *rules)
    return merged


_RULES = _by_op(TABLES)
_FINAL_RULES = _by_op((*TABLES, casts.FINAL_RULES))


def _rules_for(table: RuleTable) -> RulesFor:
    return lambda node: (fold_node, *table.get(node.op.name, ()), implicit_broadcast)


def simplify(graph: Graph) -> Graph:
    """Return `graph` with the rules, constant folding and merging applied until none applies.

    It takes the canonical graph (see `compiler.expand`) and keeps it canonical; nodes that are not
    canonical yet are left alone. Run it after every differentiation: unsimplified derivatives of
    derivatives grow several times faster.

    Example:
        add(negative(negative(x)), multiply(x, 1.0))  ->  add(x, x)
    """
    return rewrite_to_fixpoint(graph, _rules_for(_RULES))


def simplify_final(graph: Graph) -> Graph:
    """Simplify `graph` once nothing will be differentiated any more: `stop_gradient` goes too."""
    return rewrite_to_fixpoint(graph, _rules_for(_FINAL_RULES))
