"""Graphs as text: one line for each node, stable enough for tests, errors and dumps."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.leaves import Constant, is_constant
from symgraph.node import Graph, Node, topological

LONGEST_TEXT = 60
"""Names and attrs longer than this are cut: some names hold a megabyte."""

_INDENT = "  "
_HIDDEN_ATTRS = frozenset({"name", "type"})


def format_graph(
    obj: Node | Iterable[Node] | Graph, *, mark: Node | None = None, locations: bool = True
) -> str:
    r"""Return the text of a graph, one line for each node, inputs first.

    Args:
        obj: a node, several nodes, or a graph.
        mark: a node whose line begins with `>>`, the culprit of an error.
        locations: end each line with the user's file and line.

    Returns:
        Lines joined by newlines, the last of which names the outputs.

    Example:
        >>> print(format_graph(x * x, locations=False))
        n0 = placeholder "x" : float32[N]
        n1 = multiply(n0, n0) : float32[N]
        return n1
    """
    if isinstance(obj, Graph):
        graph = obj
    else:
        graph = Graph((), (obj,) if isinstance(obj, Node) else tuple(obj))
    return "\n".join(_Printer(mark, locations).lines(graph))


@dataclass(frozen=True)
class _Printer:
    mark: Node | None
    locations: bool

    def lines(self, graph: Graph, prefix: str = "n", depth: int = 0) -> Iterator[str]:
        """Yield the lines of a graph and, indented, of those inside it."""
        order = [leaf for leaf in graph.inputs if leaf.op.name == "argument"]
        known = set(order)
        order += [node for node in topological(graph.outputs) if node not in known]
        names = {node: f"{prefix}{index}" for index, node in enumerate(order)}
        indent = _INDENT * depth
        for node in order:
            pointer = ">> " if node is self.mark else ""
            yield f"{indent}{pointer}{self._line(node, names)}"
            for key, value in node.attrs.items():
                inner = _graph_of(value)
                if inner is not None:
                    yield f"{indent}{_INDENT}{key}:"
                    yield from self.lines(inner, f"{names[node]}.", depth + 2)
        yield f"{indent}return {', '.join(names[node] for node in graph.outputs)}"

    def _line(self, node: Node, names: Mapping[Node, str]) -> str:
        operands = [names[operand] for operand in node.inputs]
        attrs = [f"{key}={value}" for key, value in brief_attrs(node).items()]
        call = f"({', '.join(operands + attrs)})" if operands or attrs else ""
        label = f" {quoted(node.name)}" if node.name is not None else ""
        value = f" {constant_text(node)}" if is_constant(node) else ""
        text = f"{names[node]} = {node.op.name}{label}{value}{call} : {node.type}"
        return f"{text}  # {printable(str(node.loc), None)}" if self.locations else text


def brief_attrs(node: Node) -> dict[str, str]:
    """Return the attrs worth showing as short text: no names, types or sub-graphs."""
    return {
        key: attr_text(value)
        for key, value in node.attrs.items()
        if key not in _HIDDEN_ATTRS and _graph_of(value) is None
    }


def _graph_of(value: Any) -> Graph | None:
    """Return the graph that an attr is or, like a fused region, holds."""
    inner = value if isinstance(value, Graph) else getattr(value, "graph", None)
    return inner if isinstance(inner, Graph) else None


def attr_text(value: Any) -> str:
    """Return an attr as short text on one line."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, tuple | list):
        inside = ", ".join(attr_text(entry) for entry in value)
        comma = "," if len(value) == 1 and isinstance(value, tuple) else ""
        text = f"({inside}{comma})" if isinstance(value, tuple) else f"[{inside}]"
        return shortened(text)
    if isinstance(value, np.ndarray):
        return f"array{list(value.shape)}"
    if repr(value) == object.__repr__(value):
        return f"<{type(value).__name__}>"  # an address would change from run to run
    return printable(str(value))


def constant_text(node: Constant) -> str:
    """Return the value of a constant, its middle left out where it is long."""
    flat = node.value.reshape(-1)
    if node.value.ndim == 0:
        return str(flat[0])
    shown = [str(value) for value in flat[:3]]
    if flat.size > 4:
        shown += ["...", str(flat[-1])]
    elif flat.size == 4:
        shown.append(str(flat[3]))
    return f"[{', '.join(shown)}]"


def quoted(name: str) -> str:
    """Return a user's name in double quotes, short and on one line, escaped as in JSON."""
    return printable(json.dumps(shortened(name), ensure_ascii=False), None)


def printable(text: str, longest: int | None = LONGEST_TEXT) -> str:
    r"""Return `text` with characters that would break or reorder a line written as \uXXXX."""
    if longest is not None:
        text = shortened(text, longest)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    # C: controls, directions, surrogates, unassigned. Z: separators; only the space is plain.
    hidden = unicodedata.category(character)[0] in "CZ" and character != " "
    return f"\\u{ord(character):04x}" if hidden else character


def shortened(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return `text`, its middle left out where it is too long."""
    if len(text) <= longest:
        return text
    half = (longest - 3) // 2
    return f"{text[:half]}...{text[-half:]}"
