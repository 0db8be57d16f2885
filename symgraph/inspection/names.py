"""Names for the intermediate values of a graph, taken from the user's source where it has them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from symgraph.leaves import is_constant
from symgraph.node import Node
from symgraph.printer import shortened

_ASSIGNMENT = re.compile(r"([^\W\d]\w*)\s*(?::[^=]+)?=(?!=)")


def name_nodes(order: Sequence[Node]) -> dict[Node, str]:
    """Return a name of its own for each node.

    Placeholders and parameters keep theirs. The last value of a line `h = relu(x @ w)` is called
    h, all others by their op; names that come again are numbered: `add`, `add_2`, ...

    Args:
        order: nodes, each after its inputs.
    """
    assigned = _assigned_names(order)
    names: dict[Node, str] = {}
    taken: set[str] = {node.name for node in order if node.name is not None}
    counts: dict[str, int] = {}
    for node in order:
        if node.name is not None:
            wanted, free = shortened(node.name), counts.get(node.name, 0) == 0
        else:
            wanted = assigned.get(node, "constant" if is_constant(node) else node.op.name)
            free = wanted not in taken
        name = wanted
        while not free:
            counts[wanted] = max(counts.get(wanted, 1), 1) + 1
            name = f"{wanted}_{counts[wanted]}"
            free = name not in taken
        counts.setdefault(wanted, 1)
        taken.add(name)
        names[node] = name
    return names


def _assigned_names(order: Sequence[Node]) -> dict[Node, str]:
    """Return the variable that a line of the user assigns, for the node that the line ends in."""
    used_on_line: set[Node] = set()
    for node in order:
        used_on_line.update(child for child in node.inputs if child.loc == node.loc)
    found: dict[Node, str] = {}
    for node in order:
        if node in used_on_line or node.name is not None or node.loc.derived:
            continue
        match = _ASSIGNMENT.match(node.loc.code)
        if match:
            found[node] = match[1]
    return found
