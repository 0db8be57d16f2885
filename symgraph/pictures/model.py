"""What a picture shows, whatever draws it: boxes with labels, arrows, and nested groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from symgraph.errors import GraphError
from symgraph.leaves import is_constant
from symgraph.location import user_location
from symgraph.node import Graph, Node, topological
from symgraph.op import Leaf
from symgraph.ops.loop import LOOP, parts, trips
from symgraph.printer import brief_attrs, constant_text, shortened
from symgraph.types import TensorType, TupleType


@runtime_checkable
class Compiled(Protocol):
    """A compiled function, as far as pictures go."""

    @property
    def stages(self) -> Mapping[str, Graph]:
        """Return the graph after each pass, by the pass's name."""

    @property
    def kernels(self) -> Sequence[tuple[str, Sequence[Node]]]:
        """Return each kernel's name and the nodes of one stage that it computes."""


@runtime_checkable
class Titled(Compiled, Protocol):
    """A compiled function whose kernels and outputs have titles; its last stage is drawn."""

    def kernel_titles(self) -> Mapping[Node, str]:
        """Return the title of each fused or library node of the last stage."""

    def output_titles(self) -> Sequence[str]:
        """Return the title of each output of the last stage."""


@dataclass(frozen=True)
class Box:
    """One node of the picture.

    Args:
        key: unique and harmless: n0, n1, ...
        node: what is drawn.
        is_leaf: draw it as data and not as an operation.
        lines: the label, as the user's plain text.
        group: index of the group it lies in, None for the top level.
        is_result: draw it as something that the function hands back or changes.
    """

    key: str
    node: Node
    is_leaf: bool
    lines: tuple[str, ...]
    group: int | None
    is_result: bool = False


@dataclass(frozen=True)
class Arrow:
    """From one box to another.

    Args:
        source: the box that it leaves.
        target: the box that it enters.
        position: which operand or result it is.
        kind: "operand"; "capture" or "result" for a value that enters or leaves a sub-graph; "next"
            for a carry on its way to the next step of a loop.
    """

    source: str
    target: str
    position: int
    kind: str


@dataclass(frozen=True)
class Group:
    """A frame around boxes: a kernel or a branch.

    Args:
        label: the user's plain text.
        parent: the index of the frame around it, None if there is none.
        kind: "branch", "kernel" for a fused one, or "library".
    """

    label: str
    parent: int | None
    kind: str = "branch"


@dataclass
class Picture:
    """Everything a drawing holds."""

    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)


Drawable = Node | Iterable[Node] | Graph | Compiled | Titled


def picture_of(obj: Drawable, *, verbose: bool = False) -> Picture:
    """Return what to draw for a node, several nodes, a graph, or a compiled function.

    Raises:
        GraphError: `obj` is none of these.
    """
    if isinstance(obj, Node):
        return _Painter(verbose).paint(topological((obj,)), {})
    if isinstance(obj, Graph):
        return _Painter(verbose).paint(all_nodes(obj), {})
    if isinstance(obj, Titled):
        from symgraph.pictures.kernels import paint_kernels

        return paint_kernels(obj, verbose)
    if isinstance(obj, Compiled):
        graph, kernels = _drawn_stage(obj)
        return _Painter(verbose).paint(all_nodes(graph), kernels)
    outputs = tuple(obj) if isinstance(obj, Iterable) else (obj,)
    if not all(isinstance(node, Node) for node in outputs):
        raise GraphError(
            f"only nodes, graphs and compiled functions have a picture, not "
            f"{type(obj).__name__}\n  at {user_location()}"
        )
    return _Painter(verbose).paint(topological(outputs), {})


def all_nodes(graph: Graph) -> list[Node]:
    """Return the graph's nodes, unused inputs included."""
    reached = topological(graph.outputs)
    known = set(reached)
    return [leaf for leaf in graph.inputs if leaf not in known] + reached


def _drawn_stage(compiled: Compiled) -> tuple[Graph, dict[str, Sequence[Node]]]:
    """Return the last stage that all kernels' nodes belong to, and those kernels."""
    kernels = {f"{index}: {name}": nodes for index, (name, nodes) in enumerate(compiled.kernels)}
    wanted = {node for nodes in kernels.values() for node in nodes}
    stages = list(compiled.stages.values())
    if not stages:
        raise GraphError(f"this compiled function keeps no stages\n  at {user_location()}")
    for graph in reversed(stages):
        if wanted <= set(graph.nodes()):
            return graph, kernels
    return stages[-1], {}


class _Painter:
    """Builds the picture of one object."""

    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose
        self._picture = Picture()

    def paint(self, nodes: Sequence[Node], kernels: Mapping[str, Sequence[Node]]) -> Picture:
        group_of: dict[Node, int] = {}
        for label, members in kernels.items():
            group_of.update(dict.fromkeys(members, len(self._picture.groups)))
            self._picture.groups.append(Group(f"kernel {label}", None, "kernel"))
        self._paint_nodes(nodes, group_of, None)
        return self._picture

    def _paint_nodes(
        self,
        nodes: Sequence[Node],
        group_of: Mapping[Node, int],
        around: int | None,
        titles: Mapping[Node, str] = MappingProxyType({}),
    ) -> dict[Node, str]:
        keys: dict[Node, str] = {}
        for node in nodes:
            key = keys[node] = f"n{len(self._picture.boxes)}"
            group = group_of.get(node, around)
            is_leaf = isinstance(node.op.kind, Leaf)
            lines = label_lines(node, self._verbose)
            lines = (titles.get(node, lines[0]), *lines[1:])
            self._picture.boxes.append(Box(key, node, is_leaf, lines, group))
            for position, operand in enumerate(node.inputs):
                self._picture.arrows.append(Arrow(keys[operand], key, position, "operand"))
            for name, value in node.attrs.items():
                if isinstance(value, Graph):
                    self._paint_subgraph(name, value, node, keys, group)
        return keys

    def _paint_subgraph(
        self, name: str, graph: Graph, owner: Node, outer: Mapping[Node, str], around: int | None
    ) -> None:
        """Draw a branch in a frame, its arguments fed from outside and its outputs fed back."""
        self._picture.groups.append(Group(frame_title(owner, name), around))
        frame = len(self._picture.groups) - 1
        titles = argument_titles(owner, name)
        inner = self._paint_nodes(all_nodes(graph), {}, frame, titles)
        arrows = self._picture.arrows
        for position, (argument, operand) in enumerate(
            zip(graph.inputs, operands_of(owner, name), strict=True)
        ):
            arrows.append(Arrow(outer[operand], inner[argument], position, "capture"))
        for position, output in enumerate(graph.outputs):
            arrows.append(Arrow(inner[output], outer[owner], position, "result"))
            if owner.op is LOOP and name == "body" and position < owner.attrs["carries"]:
                arrows.append(Arrow(inner[output], inner[graph.inputs[position]], 0, "next"))


def operands_of(owner: Node, name: str) -> tuple[Node, ...]:
    """Return the operands that the arguments of a branch, body or condition stand for."""
    if owner.op is not LOOP:
        return owner.inputs[len(owner.inputs) - len(owner.attrs[name].inputs) :]
    given = parts(owner.inputs, owner.attrs)
    return (*given.carries, *(given.scanned if name == "body" else ()), *given.captured)


def argument_titles(owner: Node, name: str) -> dict[Node, str]:
    """Return what pictures call the arguments of the body or condition of a loop."""
    if owner.op is not LOOP:
        return {}
    carries = owner.attrs["carries"]
    scanned = owner.attrs["scanned"] if name == "body" else 0
    titles: dict[Node, str] = {}
    pairs = zip(owner.attrs[name].inputs, operands_of(owner, name), strict=True)
    for position, (leaf, operand) in enumerate(pairs):
        outer = operand.name and shortened(operand.name)
        if position < carries:
            titles[leaf] = f"carry {position}"
        elif position < carries + scanned:
            titles[leaf] = f"row of {outer}" if outer else f"row {position - carries}"
        else:
            titles[leaf] = outer or "captured"
    return titles


def frame_title(owner: Node, name: str) -> str:
    """Return what the frame around a branch, a body or a condition is called."""
    return f"loop {name}: {steps_of(owner)}" if _is_body(owner, name) else f"{owner.op.name} {name}"


def _is_body(owner: Node, name: str) -> bool:
    return owner.op is LOOP and name == "body"


def steps_of(loop: Node) -> str:
    """Return how many steps a loop takes, and in which order."""
    if loop.attrs["condition"] is not None:
        return "while the condition holds"
    order = ", the last row first" if loop.attrs["reverse"] else ""
    if loop.attrs["counted"]:
        return f"as many steps as operand 0 says{order}"
    steps = trips(tuple(child.type for child in loop.inputs), loop.attrs)
    return f"{'?' if steps is None else steps} steps{order}"


def label_lines(node: Node, verbose: bool) -> tuple[str, ...]:
    """Return the lines of a node's label: what it is, its attrs, and its type if `verbose`."""
    lines = [node.op.name if node.name is None else shortened(node.name)]
    if is_constant(node):
        lines = [constant_text(node)]
    attrs = "" if is_constant(node) else _attrs_text(node)
    if attrs:
        lines.append(shortened(attrs))
    if verbose:
        lines += _type_lines(node.type)
    return tuple(lines)


def _attrs_text(node: Node) -> str:
    if node.op is LOOP:
        kept = ", checkpoint" if node.attrs["checkpoint"] else ""
        return f"{steps_of(node)}{kept}"
    return ", ".join(f"{key}={value}" for key, value in brief_attrs(node).items())


def _type_lines(declared: Any) -> list[str]:
    if isinstance(declared, TensorType | TupleType):
        return [shortened(str(declared))]
    return []
