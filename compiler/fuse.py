"""Fusion: decides which ops run in one kernel, and rewrites the graph into fused regions.

A region is a set of elementwise ops and reductions over one domain of loops. Every kernel has a
level, one more than the highest level it reads from; an op joins a region of level L only if all it
reads from outside lies below L, so no cycle can arise. Greedy, in topological order, linear in the
size of the graph.
"""

from __future__ import annotations

from dataclasses import replace

from symgraph.compiler.codegen.nest import build_nest
from symgraph.compiler.grouping import Group, assign_groups
from symgraph.compiler.materialise import materialise
from symgraph.compiler.region import FUSED, Access, Region, accumulator_dtype
from symgraph.compiler.rewrite import map_subgraphs, with_inputs
from symgraph.compiler.views import ViewResolver, row_major
from symgraph.dims import Extent, floor_divide, maximum, product
from symgraph.leaves import ARGUMENT, CONSTANT, Constant
from symgraph.location import located_at
from symgraph.node import Graph, Node
from symgraph.op import Reduce
from symgraph.ops.control import PROJECT
from symgraph.ops.elementwise import cast
from symgraph.ops.layout import reshape
from symgraph.types import Shape, TensorType, TupleType

CHUNK_ELEMENTS = 8192
"""Elements that one partial result of a full reduction covers; fixed, so results never depend on
the number of threads."""


def fuse(graph: Graph) -> Graph:
    """Return `graph` with its elementwise ops and reductions gathered in fused nodes."""
    return _fused(graph, within=False)


def _fuse_body(graph: Graph) -> Graph:
    return _fused(graph, within=True)


def _fused(graph: Graph, *, within: bool) -> Graph:
    """Return a graph with fused nodes; `within` says that it is a branch or a body."""
    graph = materialise(graph)
    views = ViewResolver()
    groups = assign_groups(graph, views, gather_copies=within)
    return _Builder(views, groups).build(graph)


class _Builder:
    """Rewrites a graph, replacing the members of each group by projections of a fused node."""

    def __init__(self, views: ViewResolver, groups: dict[Node, Group]) -> None:
        self.views = views
        self.groups = groups
        self.replaced: dict[Node, Node] = {}

    def build(self, graph: Graph) -> Graph:
        """Return the rewritten graph."""
        used = self._used_outside(graph)
        for node in self._schedule(graph):
            group = self.groups.get(node)
            if group is not None:
                self._emit_group(group, used)
            else:
                inputs = tuple(self.replaced[child] for child in node.inputs)
                self.replaced[node] = with_inputs(node, inputs, map_subgraphs(node, _fuse_body))
        return Graph(
            tuple(self.replaced.get(leaf, leaf) for leaf in graph.inputs),
            tuple(self.replaced[node] for node in graph.outputs),
        )

    def _schedule(self, graph: Graph) -> list[Node]:
        """Return one node for each group and all others, each after what it reads."""
        order: list[Node] = []
        done: set[Node] = set()
        stack: list[tuple[Node, bool]] = [(node, False) for node in reversed(graph.outputs)]
        while stack:
            node, ready = stack.pop()
            group = self.groups.get(node)
            members = (node,) if group is None else tuple(group.members)
            if ready:
                order.append(node)
                continue
            if node in done:
                continue
            done.update(members)
            stack.append((node, True))
            own = set(members)
            outside = [c for m in members for c in m.inputs if c not in own]
            stack.extend((child, False) for child in reversed(outside) if child not in done)
        return order

    def _used_outside(self, graph: Graph) -> set[Node]:
        used = set(graph.outputs)
        for node in graph:
            group = self.groups.get(node)
            for child in node.inputs:
                if group is None or self.groups.get(child) is not group:
                    used.add(child)
        return used

    def _emit_group(self, group: Group, used: set[Node]) -> None:
        kept = [member for member in group.members if member in used]
        arguments = _Arguments(self.views, self.replaced, len(group.domain))
        inner: dict[Node, Node] = {}
        for member in group.members:
            inputs = tuple(
                inner[child] if child in inner else arguments.read(child) for child in member.inputs
            )
            inner[member] = with_inputs(member, inputs)
        body = Graph(tuple(arguments.leaves), tuple(inner[member] for member in kept))
        region = Region(
            body,
            group.domain,
            group.reduced or (),
            tuple(arguments.reads),
            None,
            tuple(group.members),
        )
        outer, chunk = _chunks(group, region)
        region = replace(region, chunk=chunk)
        types = tuple(_output_type(member, outer, chunk) for member in kept)
        attrs = {"region": region, "type": TupleType(types)}
        fused = Node(FUSED, tuple(arguments.bases), attrs, TupleType(types), group.members[-1].loc)
        for index, member in enumerate(kept):
            with located_at(member.loc):
                self.replaced[member] = PROJECT(fused, index=index)
        if chunk is not None:
            self._combine([m for m in kept if isinstance(m.op.kind, Reduce)])

    def _combine(self, reductions: list[Node]) -> None:
        """Reduce the arrays of partial results of a chunked region to the final scalars."""
        if not reductions:
            return
        partials = [self.replaced[node] for node in reductions]
        domain: Shape = partials[0].type.dims
        leaves, outputs = [], []
        for node, partial in zip(reductions, partials, strict=True):
            with located_at(node.loc):
                leaf = Node(ARGUMENT, (), {"type": partial.type}, partial.type, node.loc)
                total = node.op(leaf, axis=(0,), keepdims=True)
                leaves.append(leaf)
                outputs.append(
                    total
                    if total.type.dtype == node.type.dtype
                    else cast(total, dtype=node.type.element)
                )
        access = Access(0, row_major(domain))
        region = Region(
            Graph(tuple(leaves), tuple(outputs)),
            domain,
            (0,),
            (access,) * len(leaves),
            None,
            tuple(reductions),
        )
        type_ = TupleType(tuple(output.type for output in outputs))
        attrs = {"region": region, "type": type_}
        fused = Node(FUSED, tuple(partials), attrs, type_, reductions[0].loc)
        for index, node in enumerate(reductions):
            with located_at(node.loc):
                self.replaced[node] = reshape(PROJECT(fused, index=index), node.type.dims)


class _Arguments:
    """Collects what a region reads: each distinct (array, access) once."""

    def __init__(self, views: ViewResolver, replaced: dict[Node, Node], rank: int) -> None:
        self.views = views
        self.replaced = replaced
        self.rank = rank
        self.leaves: list[Node] = []
        self.bases: list[Node] = []
        self.reads: list[Access] = []
        self._known: dict[object, Node] = {}

    def read(self, child: Node) -> Node:
        """Return the region's own leaf for an outside value."""
        view = self.views.resolve(child)
        assert view is not None, "materialise() leaves no reshape that needs a copy"
        # A constant spread over several elements must keep that shape: types follow from it.
        spread = any(extent != 1 for extent in child.type.dims)
        plain = view.base.op is CONSTANT and view.base.type.rank == 0 and _is_plain(view.base)
        if plain and not spread:
            return self._constant(view.base)
        strides = view.broadcast_strides(self.rank)
        key = (view.base, view.offset, strides, child.type)
        if key not in self._known:
            dims = (1,) * (self.rank - child.type.rank) + child.type.dims
            declared = TensorType(child.type.dtype, dims)
            leaf = Node(ARGUMENT, (), {"type": declared}, declared, child.loc)
            self._known[key] = leaf
            self.leaves.append(leaf)
            self.bases.append(self._array(view.base))
            self.reads.append(Access(view.offset, strides))
        return self._known[key]

    def _array(self, base: Node) -> Node:
        """Return the node of the new graph that holds `base`, behind a reshape that is none."""
        view = self.views.resolve(self.replaced.get(base, base))
        assert view is not None, "replacements are dense"
        return view.base

    def _constant(self, base: Node) -> Node:
        assert isinstance(base, Constant), "only constants carry values"
        if base not in self._known:
            value = base.value.reshape((1,) * self.rank)
            self._known[base] = Constant(value, base.dtype)
        return self._known[base]


def _is_plain(node: Node) -> bool:
    """Tell whether a scalar is so common that it is worth a kernel of its own: 0, 1, 2, 0.5 ..."""
    assert isinstance(node, Constant), "only constants carry values"
    value = float(node.value)
    return value in (0.5, 0.25, -0.5) or (value.is_integer() and abs(value) <= 16)


def _chunks(group: Group, region: Region) -> tuple[Extent, Extent | None]:
    """Return the outermost loop's extent and the rows of a chunk, None where nothing is cut.

    Small static reductions are not cut.
    """
    total = product(group.domain)
    small = isinstance(total, int) and total <= CHUNK_ELEMENTS
    if not group.single or small:
        return 1, None
    loops = [entry.extent for entry in build_nest(region).loops]
    inner = product(tuple(loops[1:]))
    return loops[0], maximum(floor_divide(CHUNK_ELEMENTS, maximum(inner, 1)), 1)


def _output_type(member: Node, outer: Extent, chunk: Extent | None) -> TensorType:
    declared: TensorType = member.type
    if chunk is None or not isinstance(member.op.kind, Reduce):
        return declared
    return TensorType(accumulator_dtype(member), (floor_divide(outer + chunk - 1, chunk),))
