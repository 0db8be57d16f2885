"""Names for the intermediate values of a graph, taken from the user's source where it has them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from symgraph.location import SourceLoc
from symgraph.node import Node
from symgraph.printer import shortened

_ASSIGNMENT = re.compile(r"([^\W\d]\w*)\s*(?::[^=]+)?=(?!=)")


def name_nodes(order: Sequence[Node], given: Mapping[Node, str]) -> dict[Node, str]:
    """Return a name of its own for each node.

    Placeholders and parameters keep theirs. If a line `h = relu(x @ w)` ends in one value, that is
    called h; all others are called by their op. Names that come again are numbered: `add`, `add_2`.

    Args:
        order: nodes, each after its inputs.
        given: names that are decided already.
    """
    assigned = _assigned_names(order)
    names: dict[Node, str] = {}
    taken: set[str] = set()
    counts: dict[str, int] = {}
    # The user's own names come first, so that no op can take one of them.
    for node in sorted(order, key=lambda node: node.name is None):
        wanted = shortened(node.name) if node.name else given.get(node, assigned.get(node))
        wanted = wanted or node.op.name
        name = wanted
        while name in taken:
            counts[wanted] = counts.get(wanted, 1) + 1
            name = f"{wanted}_{counts[wanted]}"
        taken.add(name)
        names[node] = name
    return names


def _assigned_names(order: Sequence[Node]) -> dict[Node, str]:
    """Return the variable that a line of the user assigns, for the one node that it ends in."""
    used_on_line: set[Node] = set()
    for node in order:
        used_on_line.update(child for child in node.inputs if child.loc == node.loc)
    ends: dict[SourceLoc, list[Node]] = {}
    for node in order:
        if node not in used_on_line and node.name is None and not node.loc.derived:
            ends.setdefault(node.loc, []).append(node)
    found: dict[Node, str] = {}
    for loc, nodes in ends.items():
        match = _ASSIGNMENT.match(loc.code) if len(nodes) == 1 else None
        if match and "compile(" not in loc.code:  # that variable is a function
            found[nodes[0]] = match[1]
    return found
