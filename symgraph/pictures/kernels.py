"""Compiled functions as pictures: each kernel a frame around the ops that were fused in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgraph.leaves import ARGUMENT, is_constant
from symgraph.node import Graph, Node
from symgraph.op import Leaf
from symgraph.op import View as ViewKind
from symgraph.ops.loop import LOOP
from symgraph.pictures.model import (
    Arrow,
    Box,
    Group,
    Picture,
    Titled,
    all_nodes,
    argument_titles,
    frame_title,
    label_lines,
    operands_of,
)
from symgraph.printer import brief_attrs, constant_text, shortened

Keys = dict[tuple[Node, int], str]
_WRITTEN_IN = ("affine_index", "extent", "call_index")
"""Leaves that stand in the labels of the ops that use them."""


def paint_kernels(compiled: Titled, verbose: bool) -> Picture:
    """Return the picture of the last stage of a compiled function.

    Numbers and indices stand in the labels of the ops that use them, and what is handed back or
    written has a box of its own.
    """
    graph = list(compiled.stages.values())[-1]
    painter = _Painter(compiled.kernel_titles(), verbose)
    keys = painter.paint(graph, {}, None)
    painter.results(graph.outputs, compiled.output_titles(), keys)
    return painter.picture


class _Painter:
    """Draws fused graphs, those of branches inside their frames."""

    def __init__(self, titles: Mapping[Node, str], verbose: bool) -> None:
        self.picture = Picture()
        self._titles = titles
        self._verbose = verbose

    def paint(self, graph: Graph, keys: Keys, around: int | None) -> Keys:
        """Draw a graph; return the box of each value: keys of (node, item)."""
        for node in all_nodes(graph):
            if (node, 0) in keys or _written_in(node) is not None:
                continue
            if node.op.name == "project":
                keys[node, 0] = keys[node.inputs[0], node.attrs["index"]]
            elif node.op.name == "fused":
                self._fused(node, keys, around)
            else:
                self._plain(node, keys, around)
        return keys

    def results(self, outputs: Sequence[Node], titles: Sequence[str], keys: Keys) -> None:
        """Draw what the function hands back and the new values of its parameters."""
        for output, title in zip(outputs, titles, strict=True):
            if (output, 0) not in keys:
                continue
            key = self._box(output, (title,), None, is_leaf=True, is_result=True)
            self._arrow(keys[output, 0], key, 0)

    def _plain(self, node: Node, keys: Keys, around: int | None) -> None:
        group = around
        branches = [(k, v) for k, v in node.attrs.items() if isinstance(v, Graph)]
        if not isinstance(node.op.kind, Leaf | ViewKind) and not branches:
            group = self._frame(self._titles.get(node, node.op.name), around, "library")
        lines = label_lines(node, self._verbose or group != around)
        key = self._box(node, lines, group, is_leaf=isinstance(node.op.kind, Leaf))
        keys[node, 0] = key
        for item in range(1, len(getattr(node.type, "items", ()))):
            keys[node, item] = key
        self._arrows(node.inputs, keys, key)
        for name, branch in branches:
            self._branch(node, name, branch, keys, around)

    def _branch(self, owner: Node, name: str, graph: Graph, keys: Keys, around: int | None) -> None:
        """Draw a branch or body; its arguments are the values of the owner's operands."""
        frame = self._frame(frame_title(owner, name), around, "branch")
        operands = operands_of(owner, name)
        inside: Keys = {
            (argument, 0): keys[operand, 0]
            for argument, operand in zip(graph.inputs, operands, strict=True)
            if (operand, 0) in keys
        }
        carries = graph.inputs[: owner.attrs["carries"]] if owner.op is LOOP else ()
        titles = argument_titles(owner, name)
        for position, leaf in enumerate(carries):
            box = self._box(leaf, (titles[leaf],), frame, is_leaf=True)
            if (leaf, 0) in inside:
                self._arrow(inside[leaf, 0], box, position)
            inside[leaf, 0] = box
        self.paint(graph, inside, frame)
        for position, output in enumerate(graph.outputs):
            if (output, 0) in inside:
                self._arrow(inside[output, 0], keys[owner, 0], position, "result")
                if name == "body" and position < len(carries):
                    self._arrow(inside[output, 0], inside[carries[position], 0], 0, "next")

    def _fused(self, node: Node, keys: Keys, around: int | None) -> None:
        """Draw the body of a fused region in a frame."""
        body: Graph = node.attrs["region"].graph
        frame = self._frame(self._titles.get(node, "fused"), around, "kernel")
        outside = dict(zip(body.inputs, node.inputs, strict=True))
        inner: Keys = {
            (leaf, 0): keys[base, 0] for leaf, base in outside.items() if (base, 0) in keys
        }
        for member in body:
            if member.op is ARGUMENT or _written_in(member) is not None:
                continue
            label = _label(member, outside, self._verbose)
            key = inner[member, 0] = self._box(member, label, frame)
            self._arrows(member.inputs, inner, key)
        for index, output in enumerate(body.outputs):
            keys[node, index] = inner[output, 0]

    def _arrows(self, operands: Sequence[Node], keys: Keys, target: str) -> None:
        for position, operand in enumerate(operands):
            if (operand, 0) in keys:
                self._arrow(keys[operand, 0], target, position)

    def _arrow(self, source: str, target: str, position: int, kind: str = "operand") -> None:
        self.picture.arrows.append(Arrow(source, target, position, kind))

    def _frame(self, label: str, around: int | None, kind: str) -> int:
        self.picture.groups.append(Group(label, around, kind))
        return len(self.picture.groups) - 1

    def _box(
        self,
        node: Node,
        lines: tuple[str, ...],
        group: int | None,
        *,
        is_leaf: bool = False,
        is_result: bool = False,
    ) -> str:
        key = f"n{len(self.picture.boxes)}"
        self.picture.boxes.append(Box(key, node, is_leaf, lines, group, is_result))
        return key


def _label(member: Node, outside: Mapping[Node, Node], verbose: bool) -> tuple[str, ...]:
    """Return a label in which numbers and indices stand as operands: `multiply(_, 0.5)`."""
    first = member.op.name
    texts = [_written_in(outside.get(operand, operand)) for operand in member.inputs]
    if any(text is not None for text in texts):
        first = f"{first}({', '.join(text or '_' for text in texts)})"
    # Reductions inside kernels always keep their axes.
    shown = [f"{k}={v}" for k, v in brief_attrs(member).items() if k != "keepdims"]
    attrs = (shortened(", ".join(shown)),) if shown else ()
    return (first, *attrs, *((str(member.type),) if verbose else ()))


def _written_in(node: Node) -> str | None:
    """Return the text of a leaf that has no box of its own, None for other nodes."""
    if is_constant(node) and node.value.size == 1:
        return constant_text(node).strip("[]")
    if node.op.name == "extent":
        return str(node.attrs["value"])
    return node.op.name.partition("_")[2] if node.op.name in _WRITTEN_IN else None
