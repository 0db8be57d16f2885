"""The one driver of all rewriting: rules are applied bottom-up until none fires."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from symgraph.compiler.passes.interning import Interner
from symgraph.compiler.rewrite import map_subgraphs, with_inputs
from symgraph.errors import CompileError
from symgraph.location import located_at
from symgraph.node import Graph, Node
from symgraph.op import REGISTRY, Elementwise, Leaf
from symgraph.ops.elementwise import operand_dtypes
from symgraph.types import TensorType

Rule = Callable[[Node], Node | None]
"""A rewrite of one node whose inputs are final; None means that it does not apply."""

RulesFor = Callable[[Node], Iterable[Rule]]
"""The rules to try on a node, in order."""

STEPS_PER_NODE = 100
"""Far above what any real graph takes: only rules that undo each other reach it."""


def rewrite_to_fixpoint(graph: Graph, rules_for: RulesFor) -> Graph:
    """Return `graph` with the first rule that applies to a node applied, until none applies.

    Equal nodes are merged on the way, so rules may compare operands by identity. Nodes that are not
    canonical (see `compiler.expand`) are left alone. A rule's result of another dtype is dropped,
    one that is smaller is broadcast. Sub-graphs in attrs are rewritten too.

    Args:
        graph: the graph to rewrite.
        rules_for: gives the rules for a node whose inputs are final.

    Returns:
        The new graph; `graph` itself if nothing changed.

    Raises:
        CompileError: the rules undo each other.
    """
    return _Rewriter(rules_for, {}).rewrite(graph)


class _Rewriter:
    """Rewrites one graph; sub-graphs get a rewriter each."""

    def __init__(self, rules_for: RulesFor, subgraphs: dict[int, Graph]) -> None:
        self._rules_for = rules_for
        self._subgraphs = subgraphs
        self._interner = Interner()
        self._final: dict[Node, Node] = {}
        self._successor: dict[Node, Node] = {}
        self._last_rule = ""

    def rewrite(self, graph: Graph) -> Graph:
        self._steps_left = STEPS_PER_NODE * (len(graph.nodes()) + 10)
        for node in graph.outputs:
            self._finish(node)
        outputs = tuple(self._final[node] for node in graph.outputs)
        if all(new is old for new, old in zip(outputs, graph.outputs, strict=True)):
            return graph
        return Graph(graph.inputs, outputs)

    def _finish(self, root: Node) -> None:
        """Find the final form of `root` and of all below it, with an explicit stack."""
        final = self._final
        stack = [root]
        while stack:
            node = stack[-1]
            if node in final:
                stack.pop()
                continue
            waiting = self._waits_for(node)
            if waiting:
                stack.extend(reversed(waiting))
                continue
            if node in self._successor:
                final[node] = final[self._successor[node]]
                continue
            current = self._with_final_inputs(node)
            if current in final:
                final[node] = final[current]
                continue
            successor = self._apply_rules(current)
            if successor is None:
                final[node] = final[current] = current
            else:
                self._successor[node] = successor

    def _waits_for(self, node: Node) -> list[Node]:
        """Return the nodes that must be final before `node` can go on."""
        successor = self._successor.get(node)
        if successor is None:
            return [operand for operand in node.inputs if operand not in self._final]
        if successor in self._final:
            return []
        self._count_step()
        return [successor]

    def _with_final_inputs(self, node: Node) -> Node:
        inputs = tuple([self._final[operand] for operand in node.inputs])
        rebuilt = with_inputs(node, inputs, self._final_attrs(node))
        return self._interner.intern(rebuilt)

    def _final_attrs(self, node: Node) -> Mapping[str, Any]:
        attrs = map_subgraphs(node, self._rewrite_subgraph)
        if attrs is node.attrs:
            return attrs
        unchanged = all(attrs[name] is value for name, value in node.attrs.items())
        return node.attrs if unchanged else attrs

    def _rewrite_subgraph(self, graph: Graph) -> Graph:
        """Rewrite a graph once, however many nodes hold it, so that they go on sharing it."""
        if id(graph) not in self._subgraphs:
            changed = _Rewriter(self._rules_for, self._subgraphs).rewrite(graph)
            self._subgraphs[id(graph)] = self._subgraphs[id(changed)] = changed
        return self._subgraphs[id(graph)]

    def _apply_rules(self, node: Node) -> Node | None:
        if not _is_canonical(node):
            return None
        with located_at(node.loc):
            for rule in self._rules_for(node):
                replacement = rule(node)
                if replacement is None or replacement is node:
                    continue
                fitted = _fit(replacement, node.type)
                if fitted is not None and fitted is not node:
                    self._last_rule = rule.__doc__ or rule.__name__
                    self._count_step()
                    return fitted
        return None

    def _count_step(self) -> None:
        self._steps_left -= 1
        if self._steps_left < 0:
            raise CompileError(
                "simplification does not come to an end; the last rule applied was "
                f"{self._last_rule!r}. This is a fault of symgraph: please report it"
            )


def _is_canonical(node: Node) -> bool:
    """Tell whether rules may look at `node`: types known, operands cast, no leaf but `extent`."""
    types = tuple([operand.type for operand in node.inputs])
    for entry in (node.type, *types):
        if not (isinstance(entry, TensorType) and entry.known):
            return False
    match node.op.kind:
        case Leaf():
            return node.op.name == "extent"
        case Elementwise():
            return operand_dtypes(node.op, types, node.attrs) == tuple(t.element for t in types)
    return True


def _fit(replacement: Node, wanted: TensorType) -> Node | None:
    """Return `replacement` as a node of type `wanted`, None if only its shape could be mended."""
    found = replacement.type
    if found == wanted:
        return replacement
    if not isinstance(found, TensorType) or found.shape is None or found.shape == wanted.shape:
        return None
    if (found.dtype, found.weak) != (wanted.dtype, wanted.weak):
        return None
    return REGISTRY["broadcast_to"](replacement, shape=wanted.dims)
