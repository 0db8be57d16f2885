"""Specialisation: gives every open rank, dtype and broadcast of a graph its concrete form.

Extents stay symbolic. Where two symbolic extents meet in a broadcast, the call's real extents
decide whether they are equal or one of them is 1; the decision becomes a guard of the compiled
variant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from symgraph.compiler.rewrite import nodes_within, rebuild, with_inputs
from symgraph.dims import Compound, Dim, Extent, Symbol, evaluate, substitute, symbol, symbols
from symgraph.dims import unresolved as undecided_broadcast
from symgraph.errors import ShapeError
from symgraph.leaves import ARGUMENT, CONSTANT, PARAMETER, PLACEHOLDER
from symgraph.node import Graph, Node, describe, topological
from symgraph.op import Composite, Control
from symgraph.ops.composite import argument
from symgraph.ops.loop import LOOP, settled_carries
from symgraph.types import TensorType, TupleType


@dataclass(frozen=True, slots=True)
class Fed:
    """The dtype and shape of one fed array."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Guard:
    """Two extents that must be equal for a compiled variant to apply."""

    left: Extent
    right: Extent

    def holds(self, extents: Mapping[str, int]) -> bool:
        """Tell whether the guard holds for these extents."""
        return evaluate(self.left, extents) == evaluate(self.right, extents)


@dataclass(frozen=True, slots=True)
class Specialised:
    """A graph whose types are all known, and the guards under which it is valid."""

    graph: Graph
    guards: tuple[Guard, ...]


def is_open(graph: Graph) -> bool:
    """Tell whether some type can only be known from fed arrays."""
    return any(
        not _known(node) or _undecided_inside(node) is not None for node in nodes_within(graph)
    )


def _known(node: Node) -> bool:
    if isinstance(node.type, TupleType):
        return all(item.known for item in node.type.items)
    return bool(node.type.known)


def placeholder_type(node: Node, fed: Fed | None) -> TensorType:
    """Return the declared type of a placeholder with its open parts filled in from `fed`."""
    declared: TensorType = node.attrs["type"]
    if fed is None:
        return declared
    shape = declared.shape
    if shape is None:
        shape = tuple(symbol(f"?{node.name}.{axis}") for axis in range(len(fed.shape)))
    return TensorType(declared.dtype or fed.dtype, shape)


def bind_extents(types: Mapping[str, TensorType], fed: Mapping[str, Fed]) -> dict[str, int]:
    """Return the value of each symbol, read from the first placeholder axis that is just it."""
    extents: dict[str, int] = {}
    for name, declared in types.items():
        for extent, actual in zip(declared.dims, fed[name].shape, strict=True):
            plain = as_symbol(extent)
            if plain is not None:
                extents.setdefault(plain.name, actual)
    return extents


def as_symbol(extent: Extent) -> Symbol | None:
    """Return the symbol that `extent` is, None if it is anything more."""
    if isinstance(extent, Dim) and len(extent.terms) == 1:
        monomial, coefficient = extent.terms[0]
        if coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], Symbol):
            return monomial[0]
    return None


def specialise(graph: Graph, fed: Mapping[str, Fed] | None = None) -> Specialised:
    """Return `graph` with all types known.

    Args:
        graph: the user's graph.
        fed: dtype and shape of each fed array; needed if a type is open.

    Returns:
        The graph, and the guards it depends on.

    Raises:
        SymGraphError: of the kind that the type rule of the offending node raises.
    """
    types = {
        node.name or "": placeholder_type(node, None if fed is None else fed[node.name or ""])
        for node in (*graph.inputs, *graph)
        if node.op is PLACEHOLDER
    }
    extents = {} if fed is None else bind_extents(types, fed)
    replaced: dict[str, Extent] = {}
    guards: list[Guard] = []
    while True:
        typed = _retype(graph, types, replaced)
        found = _first_undecided(typed)
        if found is None:
            return Specialised(typed, tuple(guards))
        node, broadcast = found
        for left, right in _decide(node, broadcast, extents):
            guards.append(Guard(left, right))
            plain = as_symbol(left)
            assert plain is not None, "decisions are about symbols"
            new = {plain.name: right}
            replaced = {key: _replace_extent(old, new) for key, old in replaced.items()} | new


def _retype(graph: Graph, types: Mapping[str, TensorType], replaced: Mapping[str, Extent]) -> Graph:
    retyper = _Retyper(types, replaced)
    # Inputs are typed also where no output needs them.
    return Graph(
        tuple(map(retyper.placeholder, graph.inputs)), rebuild(graph, retyper.transform).outputs
    )


class _Retyper:
    """Infers the types of a graph once more, from given types of placeholders."""

    def __init__(self, types: Mapping[str, TensorType], replaced: Mapping[str, Extent]) -> None:
        self.types = types
        self.replaced = replaced
        self.placeholders: dict[Node, Node] = {}
        self.undecided: set[Node] = set()
        self.gradients: dict[tuple[int, ...], list[Node]] = {}

    def placeholder(self, node: Node) -> Node:
        declared = _replace(self.types[node.name or ""], self.replaced)
        if declared != node.type and node not in self.placeholders:
            attrs = {"name": node.name, "type": declared}
            self.placeholders[node] = Node(node.op, (), attrs, declared, node.loc)
        return self.placeholders.get(node, node)

    def transform(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        new = self._retyped(node, inputs)
        if not _known(new) or _rests_on(new, self.undecided):
            self.undecided.add(new)
        return new

    def _retyped(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is PLACEHOLDER:
            return self.placeholder(node)
        if node.op in (CONSTANT, PARAMETER, ARGUMENT):
            return node
        attrs = self._with_graphs(node, inputs)
        while node.op is LOOP:
            settled = settled_carries(inputs, attrs)
            if settled is inputs:
                break
            inputs = settled
            attrs = self._with_graphs(node, inputs)
        if self.replaced:
            attrs = {key: _replace(value, self.replaced) for key, value in attrs.items()}
        # The rules of gradients want decided types, so it waits for the next round else.
        if node.op.name == "gradient" and not any(child in self.undecided for child in inputs):
            return _expand_gradient(node, inputs, self.gradients)
        return with_inputs(node, inputs, attrs)

    def _with_graphs(self, node: Node, inputs: tuple[Node, ...]) -> Mapping[str, Any]:
        """Return the attrs of a node with its sub-graphs retyped for these inputs."""
        kind = node.op.kind
        if not isinstance(kind, Control):
            return node.attrs
        types = tuple(child.type for child in inputs)
        return {
            key: self._graph(value, kind.arguments(key, types, node.attrs))
            if isinstance(value, Graph)
            else value
            for key, value in node.attrs.items()
        }

    def _graph(self, sub: Graph, types: tuple[TensorType, ...]) -> Graph:
        arguments = {
            leaf: Node(ARGUMENT, (), {"type": declared}, declared, leaf.loc)
            if leaf.type != declared
            else leaf
            for leaf, declared in zip(sub.inputs, types, strict=True)
        }

        def inner(node: Node, inputs: tuple[Node, ...]) -> Node:
            return arguments[node] if node in arguments else self.transform(node, inputs)

        changed = rebuild(sub, inner)
        same = all(a is b for a, b in zip(changed.outputs, sub.outputs, strict=True))
        inputs = tuple(arguments[leaf] for leaf in sub.inputs)
        same = same and all(a is b for a, b in zip(inputs, sub.inputs, strict=True))
        return sub if same else Graph(inputs, changed.outputs)


def _rests_on(node: Node, undecided: set[Node]) -> bool:
    """Tell whether `node` has one of `undecided` among its inputs or the results of its graphs."""
    graphs = (value for value in node.attrs.values() if isinstance(value, Graph))
    used = (*node.inputs, *(output for graph in graphs for output in graph.outputs))
    return any(child in undecided for child in used)


def _expand_gradient(
    node: Node, inputs: tuple[Node, ...], memo: dict[tuple[int, ...], list[Node]]
) -> Node:
    from symgraph.compiler.autodiff import gradients_of

    key = tuple(map(id, inputs))
    if key not in memo:
        memo[key] = gradients_of(inputs[0], inputs[1:], node.attrs["allow_unused"])
    index: int = node.attrs["index"]
    return memo[key][index]


def _first_undecided(graph: Graph) -> tuple[Node, Compound] | None:
    for node in nodes_within(graph):
        found = _undecided(node.type)
        if found is None and _known(node):
            found = _undecided_inside(node)
        if found is not None:
            return node, found
    return None


def _undecided(declared: TensorType | TupleType) -> Compound | None:
    """Return a broadcast in a type that nothing has decided yet."""
    items = declared.items if isinstance(declared, TupleType) else (declared,)
    extents = (extent for item in items for extent in item.shape or ())
    return next((b for b in map(undecided_broadcast, extents) if b is not None), None)


def _undecided_inside(node: Node) -> Compound | None:
    """Return an undecided broadcast that a composite hides in its expansion.

    Only where operands of several symbolic shapes meet can there be one.
    """
    if not isinstance(node.op.kind, Composite) or len(node.inputs) < 2:
        return None
    if not all(_known(child) for child in node.inputs) or node.op.name == "gradient":
        return None
    expanded = node.op.kind.expand(*(argument(child.type) for child in node.inputs), **node.attrs)
    for inner in topological([expanded]):
        found = _undecided(inner.type)
        found = _undecided_inside(inner) if found is None else found
        if found is not None:
            return found
    return None


def _decide(
    node: Node, broadcast: Compound, extents: Mapping[str, int]
) -> list[tuple[Extent, Extent]]:
    """Return (symbol, replacement) pairs that settle `broadcast` for these extents."""
    left, right = evaluate(broadcast.left, extents), evaluate(broadcast.right, extents)
    if left != right and 1 not in (left, right):
        raise ShapeError(
            f"extents {broadcast.left} = {left} and {broadcast.right} = {right} do not broadcast "
            f"in {describe(node)}" + (f": {node.loc.code}" if node.loc.code else "")
        )
    if left == right:
        for one, other in ((broadcast.left, broadcast.right), (broadcast.right, broadcast.left)):
            plain = as_symbol(one)
            if plain is not None and plain.name not in set(symbols(other)):
                return [(one, other)]
    pinned = broadcast.left if left == 1 and left != right else broadcast.right
    if left == right:
        names = sorted({*symbols(broadcast.left), *symbols(broadcast.right)})
    else:
        names = sorted(set(symbols(pinned)))
    return [(symbol(name), extents[name]) for name in names]


def _replace_extent(extent: Extent, replaced: Mapping[str, Extent]) -> Extent:
    return substitute(
        extent,
        lambda plain: replaced[plain.name] if plain.name in replaced else symbol(plain.name),
    )


def _replace(value: Any, replaced: Mapping[str, Extent]) -> Any:
    """Return an attr with the symbols in it replaced, looking into tuples and types."""
    if isinstance(value, Dim):
        return _replace_extent(value, replaced)
    if isinstance(value, TensorType):
        return value if value.shape is None else value.with_shape(_replace(value.shape, replaced))
    if type(value) is tuple:
        return tuple(_replace(item, replaced) for item in value)
    return value
