"""Relations between extents that a compiled function demands of every call, and their messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from symgraph.compiler.specialise import Fed, as_symbol, placeholder_type
from symgraph.dims import Extent, symbols
from symgraph.node import Graph, Node, infer_type, shown
from symgraph.op import Elementwise, Leaf
from symgraph.ops.assume import Assumption, collect_assumptions
from symgraph.printer import printable
from symgraph.runtime.plan import LEFT, RIGHT
from symgraph.types import TensorType

Relation = tuple[str, Extent, Extent, str]
"""Kind, left and right extent, and what is wrong where it does not hold."""


def axes_of_symbols(types: Iterable[TensorType]) -> dict[str, tuple[int, int]]:
    """Return for each symbol the first feed, by number, and the axis whose extent it is."""
    found: dict[str, tuple[int, int]] = {}
    for number, declared in enumerate(types):
        for axis, extent in enumerate(declared.shape or ()):
            plain = as_symbol(extent)
            if plain is not None:
                found.setdefault(plain.name, (number, axis))
    return found


def open_names(inputs: Sequence[Node], fed: Mapping[str, Fed] | None) -> dict[str, str]:
    """Return what messages call extents that the user left open: `x.shape[1]` for axis 1 of x.

    Args:
        inputs: the placeholders.
        fed: the arrays, where a rank or dtype is open.
    """
    types = [
        placeholder_type(node, None if fed is None else fed[node.name or ""]) for node in inputs
    ]
    return {
        name: f"{printable(inputs[number].name or '')}.shape[{axis}]"
        for name, (number, axis) in axes_of_symbols(types).items()
        if name.startswith("?")
    }


def assumed_relations(feeds: Sequence[Node], *graphs: Graph) -> list[Relation]:
    """Return what type rules took for granted about symbolic extents, each relation once.

    That includes what holds only in a branch: no branch may be compiled to read out of bounds.
    """
    relations: dict[tuple[str, Extent, Extent], Relation] = {}
    stack = list(reversed(graphs))
    while stack:
        for node in stack.pop():
            stack.extend(value for value in node.attrs.values() if isinstance(value, Graph))
            if isinstance(node.op.kind, Leaf | Elementwise):
                continue
            with collect_assumptions() as found:
                infer_type(node.op, node.inputs, node.attrs)
            for entry in found:
                text = f"{node.op.name}: {entry.reason} (made at {node.loc})"
                relation = relation_of(entry, text, feeds)
                relations.setdefault(relation[:3], relation)
    return list(relations.values())


def relation_of(entry: Assumption, text: str, feeds: Sequence[Node]) -> Relation:
    """Return an assumption as a relation, whose message says which feeds it is about."""
    kind = "equal" if entry.relation == "==" else "at least"
    hint = _hint((*symbols(entry.left), *symbols(entry.right)), feeds)
    return kind, entry.left, entry.right, f"{text}, here {LEFT} and {RIGHT}{hint}"


def _hint(names: Iterable[str], feeds: Sequence[Node]) -> str:
    """Return lines that say where extents come from, and how to learn of a misfit earlier."""
    places = axes_of_symbols(feed.type for feed in feeds)
    lines = []
    for name in dict.fromkeys(names):
        if name not in places:
            continue
        number, axis = places[name]
        feed = feeds[number]
        is_open = name.startswith("?")
        label = f"{printable(feed.name or '')}.shape[{axis}]" if is_open else name
        line = f"\n  {label} is axis {axis} of the feed {shown(feed.name)} (made at {feed.loc})"
        if is_open:
            line += "; give it a number there, and what does not fit is found at building time"
        lines.append(line)
    return "".join(lines)
