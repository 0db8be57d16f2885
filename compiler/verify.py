"""Checks of a graph between passes: a broken one is found at once, not by a wrong number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from symgraph.errors import CompileError, SymGraphError
from symgraph.leaves import ARGUMENT, PARAMETER, PLACEHOLDER
from symgraph.node import Graph, Node, infer_type
from symgraph.op import Composite, Control, Elementwise, Reduce
from symgraph.ops.elementwise import operand_dtypes
from symgraph.printer import format_graph
from symgraph.types import TensorType, TupleType, Type

Check = Callable[[Node], str | None]
"""Returns what is wrong with a node, None if nothing is."""


def verify(graph: Graph, stage: str = "built", sound: dict[Node, str] | None = None) -> Graph:
    """Check `graph`, and the graphs inside it, as it must be after `stage`.

    Args:
        graph: the graph to check.
        stage: a key of `CHECKS`; `built` for what holds everywhere.
        sound: the stage that a node was found to be right for before; what is found now is added.
            A node never changes, so passes that keep it need not have it checked again.

    Returns:
        `graph`, so that calls chain.

    Raises:
        CompileError: a pass went wrong; a note holds the printed graph with the culprit marked.
    """
    checks, known = CHECKS[stage], {} if sound is None else sound
    for inner in _all_graphs(graph):
        for node in inner:
            reason = _unbound(node, inner, inner is not graph)
            if reason is None and known.get(node) not in (stage, _STRICTEST):
                reason = _first_fault(node, checks)
            if reason is not None:
                raise _failure(graph, node, stage, reason)
            if known.get(node) != _STRICTEST:
                known[node] = stage
    return graph


def _all_graphs(graph: Graph) -> Iterator[Graph]:
    """Yield `graph` and all graphs inside it, each once."""
    seen: set[int] = set()
    stack = [graph]
    while stack:
        inner = stack.pop()
        if id(inner) in seen:
            continue
        seen.add(id(inner))
        yield inner
        for node in inner:
            stack += [value for value in node.attrs.values() if isinstance(value, Graph)]


def _first_fault(node: Node, checks: tuple[Check, ...]) -> str | None:
    for check in checks:
        reason = check(node)
        if reason is not None:
            return reason
    return None


def _failure(graph: Graph, culprit: Node, stage: str, reason: str) -> CompileError:
    error = CompileError(
        f"after {stage!r} the graph is broken at {culprit.op.name} (made at {culprit.loc}): "
        f"{reason}. This is a fault of symgraph: please report it"
    )
    error.add_note(format_graph(graph, mark=culprit))
    return error


def _has_node_inputs(node: Node) -> str | None:
    for position, operand in enumerate(node.inputs):
        if not isinstance(operand, Node):
            return f"input {position} is no node but {type(operand).__name__}"
    return None


def _has_type(node: Node) -> str | None:
    if isinstance(node.type, TensorType | TupleType):
        return None
    return f"its type is {node.type!r}"


def _has_inferred_type(node: Node) -> str | None:
    try:
        inferred = infer_type(node.op, node.inputs, node.attrs)
    except SymGraphError as error:
        return f"its type cannot be inferred: {error}"
    if _strong(inferred) == _strong(node.type):
        return None
    return f"its type is {node.type}, but its inputs and attrs give {inferred}"


def _strong(declared: Type) -> Type:
    """Return a type without weakness, which matters to promotion only: before there are casts."""
    if isinstance(declared, TupleType):
        if any(item.weak for item in declared.items):
            return TupleType(tuple(replace(item, weak=False) for item in declared.items))
        return declared
    return replace(declared, weak=False) if declared.weak else declared


def _has_sound_branches(node: Node) -> str | None:
    if not isinstance(node.op.kind, Control):
        return None
    types = tuple(operand.type for operand in node.inputs)
    for key, graph in node.attrs.items():
        if not isinstance(graph, Graph):
            continue
        given = node.op.kind.arguments(key, types, node.attrs)
        if len(graph.inputs) != len(given):
            return f"{key} takes {len(graph.inputs)} operands, {len(given)} are given"
        for argument, declared in zip(graph.inputs, given, strict=True):
            if _strong(argument.type) != _strong(declared):
                return f"{key} expects {argument.type} where it is given {declared}"
    return None


def _is_known(node: Node) -> str | None:
    items = node.type.items if isinstance(node.type, TupleType) else (node.type,)
    return None if all(item.known for item in items) else f"its type {node.type} is still open"


def _is_core(node: Node) -> str | None:
    return "it is not expanded" if isinstance(node.op.kind, Composite) else None


def _has_cast_operands(node: Node) -> str | None:
    if not isinstance(node.op.kind, Elementwise):
        return None
    types = tuple(operand.type for operand in node.inputs)
    wanted = operand_dtypes(node.op, types, node.attrs)
    found = tuple(entry.element for entry in types)
    return None if found == wanted else f"its operands are {found}, without casts to {wanted}"


def _keeps_reduced_axes(node: Node) -> str | None:
    if not isinstance(node.op.kind, Reduce):
        return None
    axes, rank = node.attrs["axis"], node.inputs[0].type.rank
    if not isinstance(axes, tuple) or list(axes) != sorted({a for a in axes if 0 <= a < rank}):
        return f"its axes {axes!r} are no sorted tuple of axes counted from the front"
    return None if node.attrs["keepdims"] is True else "it drops the reduced axes"


def _unbound(node: Node, graph: Graph, inside: bool) -> str | None:
    """Tell if a leaf is bound nowhere: a free argument, or an outer leaf inside a sub-graph."""
    outer = (ARGUMENT, PLACEHOLDER, PARAMETER) if inside else (ARGUMENT,)
    if node.op not in outer or any(leaf is node for leaf in graph.inputs):
        return None
    return "it is used but is no input of its graph"


_ALWAYS: tuple[Check, ...] = (
    _has_node_inputs,
    _has_type,
    _has_inferred_type,
    _has_sound_branches,
)

CHECKS: Mapping[str, tuple[Check, ...]] = {
    "built": _ALWAYS,
    "specialised": (*_ALWAYS, _is_known),
    "canonical": (*_ALWAYS, _is_known, _is_core, _has_cast_operands, _keeps_reduced_axes),
}
"""What must hold after each stage."""

_STRICTEST = "canonical"  # its checks contain those of every other stage
