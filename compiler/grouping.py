"""Which nodes share a kernel: the greedy assignment behind `fuse`."""

from __future__ import annotations

from dataclasses import dataclass, field

from symgraph.compiler.costs import cost_of
from symgraph.compiler.materialise import COPY
from symgraph.compiler.views import ViewResolver
from symgraph.node import Graph, Node
from symgraph.op import Elementwise, Leaf, Reduce
from symgraph.types import Shape

MAX_COST = 400
"""Primitives in one region: bounds the time to compile a kernel, and its use of registers."""


@dataclass(eq=False, slots=True)
class Group:
    """A region in the making.

    Args:
        domain: the loop extents.
        level: one more than the level of anything it reads.
        reduced: the axes its reductions run over, None while there is no reduction.
        members: its nodes, each after its inputs.
        cost: the primitives that they consist of.
    """

    domain: Shape
    level: int
    reduced: tuple[int, ...] | None = None
    members: list[Node] = field(default_factory=list)
    cost: int = 0

    @property
    def kept(self) -> Shape:
        """Return the domain with its reduced axes at extent 1."""
        reduced = self.reduced or ()
        return tuple(1 if axis in reduced else e for axis, e in enumerate(self.domain))

    @property
    def single(self) -> bool:
        """Tell whether the reductions leave one element, so that the region is cut in chunks."""
        return self.reduced is not None and all(extent == 1 for extent in self.kept)


def assign_groups(
    graph: Graph, views: ViewResolver, *, gather_copies: bool = False
) -> dict[Node, Group]:
    """Return the group of each fusible node of `graph`.

    Args:
        graph: a canonical graph without reshapes that need copies.
        views: resolves what each operand reads.
        gather_copies: whether copies that nobody waits for go along with other kernels. Where
            outputs are written to parameters, that would tie these writes to others.
    """
    grouper = _Grouper(views)
    groups = grouper.run(graph)
    if gather_copies:
        grouper.gather_copies(graph)
    return groups


class _Grouper:
    def __init__(self, views: ViewResolver) -> None:
        self.views = views
        self.groups: dict[Node, Group] = {}
        self.levels: dict[Node, int] = {}
        self.readers: dict[Node, list[Group]] = {}

    def run(self, graph: Graph) -> dict[Node, Group]:
        for node in graph:
            if isinstance(node.op.kind, Elementwise | Reduce):
                self._place(node)
            elif not isinstance(node.op.kind, Leaf):
                view = self.views.resolve(node)
                if view is not None and view.base is node:
                    self.levels[node] = 1 + max(map(self._level, node.inputs), default=0)
        self._sink(graph)
        return self.groups

    def _sink(self, graph: Graph) -> None:
        """Move groups whose values only one other group uses into that group.

        Greedy placement gives an op the lowest level it can have, which is too early for one that
        waits for a later kernel anyway (`momentum * velocity`, needed where the gradient arrives).
        The later group has the higher level, so this makes no cycle.
        """
        outputs = {self.groups.get(node) for node in graph.outputs}
        users: dict[Group, set[object]] = {}
        for node in graph:
            own = self.groups.get(node, node)
            for child in node.inputs:
                group = self.groups.get(child)
                if group is not None and group is not own:
                    users.setdefault(group, set()).add(own)
        for group in sorted(users, key=lambda group: -group.level):
            (target, *others) = users[group]
            if others or not isinstance(target, Group) or not _absorbs(target, group):
                continue
            # An output may wait too, if what it waits for is no step on the way to something else:
            # updates of parameters then stay together behind all that can fail.
            if group not in outputs or target not in users:
                target.members[:0] = group.members
                target.cost += group.cost
                self.groups.update(dict.fromkeys(group.members, target))
                for used in users.values():
                    if group in used:
                        used.remove(group)
                        used.add(target)

    def gather_copies(self, graph: Graph) -> None:
        """Move copies that nothing in the graph reads into the last group over the same domain.

        Such as old carries that are kept for the gradient: a kernel of their own takes longer to
        start than to run. They read leaves, so they may run at any time.
        """
        last: dict[Shape, Group] = {}
        for group in dict.fromkeys(self.groups[node] for node in graph if node in self.groups):
            if group.reduced is None and not _copies_leaves(group):
                last[group.domain] = max(last.get(group.domain, group), group, key=_level_of)
        read = {child for node in graph for child in node.inputs}
        for node in graph.outputs:
            own = self.groups.get(node)
            if own is None or node in read or not _copies_leaves(own):
                continue
            target = last.get(own.domain)
            if target is not None and _absorbs(target, own):
                target.members[:0] = own.members
                target.cost += own.cost
                self.groups.update(dict.fromkeys(own.members, target))

    def _base(self, node: Node) -> Node:
        view = self.views.resolve(node)
        assert view is not None, "materialise() leaves no reshape that needs a copy"
        return view.base

    def _level(self, node: Node) -> int:
        base = self._base(node)
        group = self.groups.get(base)
        return self.levels.get(base, 0) if group is None else group.level

    def _place(self, node: Node) -> None:
        level = max(map(self._level, node.inputs), default=0)
        domain: Shape = node.inputs[0].type.dims if _reduces(node) else node.type.dims
        candidates = [
            group
            for group in self._producers(node)
            if group.level == level and self._fits(node, group)
        ]
        highest = {
            self.groups.get(self._base(child), self._base(child))
            for child in node.inputs
            if self._level(child) == level and level > 0
        }
        if candidates and highest <= set(candidates):
            target = self._unite(candidates)
            if target is not None and self._fits(node, target):
                self._join(node, target)
                return
        for group in self._siblings(node):
            if group.level == level + 1 and self._fits(node, group):
                self._join(node, group)
                return
        self._join(node, Group(domain, level + 1))

    def _producers(self, node: Node) -> list[Group]:
        found = [self.groups[child] for child in node.inputs if child in self.groups]
        return list(dict.fromkeys(found))

    def _siblings(self, node: Node) -> list[Group]:
        found = [
            group for child in node.inputs for group in self.readers.get(self._base(child), ())
        ]
        return list(dict.fromkeys(found))

    def _join(self, node: Node, group: Group) -> None:
        if _reduces(node):
            group.reduced = node.attrs["axis"]
        group.members.append(node)
        group.cost += cost_of(node)
        self.groups[node] = group
        for child in node.inputs:
            base = self._base(child)
            if self.groups.get(base) is not group:
                readers = self.readers.setdefault(base, [])
                if group not in readers[-4:]:
                    readers.append(group)

    def _unite(self, candidates: list[Group]) -> Group | None:
        """Return one group that holds all `candidates`, None if they do not fit together."""
        first, *others = candidates
        for other in others:
            if other.domain != first.domain or first.cost + other.cost > MAX_COST:
                return None
            if None not in (first.reduced, other.reduced) and first.reduced != other.reduced:
                return None
        for other in others:
            first.reduced = first.reduced or other.reduced
            first.members.extend(other.members)
            first.cost += other.cost
            for member in other.members:
                self.groups[member] = first
            for readers in (
                self.readers.get(self._base(c)) for m in other.members for c in m.inputs
            ):
                if readers is not None and other in readers:
                    readers[readers.index(other)] = first
        return first

    def _fits(self, node: Node, group: Group) -> bool:
        if group.members and group.cost + cost_of(node) > MAX_COST:
            return False
        inside = {child for child in node.inputs if self.groups.get(child) is group}
        for child in node.inputs:
            if child not in inside and self.groups.get(self._base(child)) is group:
                return False  # a view of a value that the same kernel would still be writing
        if _reduces(node):
            return self._reduction_fits(node, group)
        if node.type.dims == group.domain:
            return not (group.single and any(_stage_of(child, group) for child in inside))
        return (
            group.reduced is not None
            and not group.single
            and node.type.dims == group.kept
            and all(self._readable_at_kept(child, group, inside) for child in node.inputs)
        )

    def _reduction_fits(self, node: Node, group: Group) -> bool:
        operand = node.inputs[0]
        if operand.type.dims != group.domain or group.reduced not in (None, node.attrs["axis"]):
            return False
        single = all(
            extent == 1 for a, extent in enumerate(group.domain) if a not in node.attrs["axis"]
        )
        return not (single and any(_stage_of(m, group) for m in group.members if m is operand))

    def _readable_at_kept(self, child: Node, group: Group, inside: set[Node]) -> bool:
        return child not in inside or child.type.dims == group.kept


def _copies_leaves(group: Group) -> bool:
    (first, *others) = group.members
    return not others and first.op is COPY and isinstance(first.inputs[0].op.kind, Leaf)


def _level_of(group: Group) -> int:
    return group.level


def _absorbs(target: Group, group: Group) -> bool:
    """Tell whether the ops of `group` may run in the kernel of a later group instead."""
    return (
        group.reduced is None
        and group.domain == target.domain
        and group.cost + target.cost <= MAX_COST
    )


def _reduces(node: Node) -> bool:
    return isinstance(node.op.kind, Reduce)


def _stage_of(node: Node, group: Group) -> bool:
    """Tell whether `node` depends on a reduction of `group`."""
    return group.reduced is not None and node.type.dims == group.kept != group.domain
