"""Reverse-mode differentiation: a graph in, the graph of its gradient out, closed under itself.

Each op says how its own adjoints look (`Op.grad`); this engine alone sums over uses, undoes
broadcasting, and finds what depends on what. The method is reverse accumulation (Griewank and
Walther, "Evaluating Derivatives", chapter 3) on symbols instead of numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from symgraph.compiler.rewrite import nodes_within
from symgraph.errors import GradientError
from symgraph.leaves import PARAMETER, PLACEHOLDER, Constant
from symgraph.location import SourceLoc, located_at, user_location
from symgraph.node import Graph, Node, describe, shown, topological
from symgraph.op import BY_EXPANSION, NO_GRADIENT, Composite, Control, Op
from symgraph.ops.layout import broadcast_to, sum_to
from symgraph.types import FLOATS, UNKNOWN, TensorType, TupleType

Adjoint = Node | None


@overload
def grad(loss: Node, wrt: Node, *, allow_unused: bool = False) -> Node: ...


@overload
def grad(loss: Node, wrt: Sequence[Node], *, allow_unused: bool = False) -> list[Node]: ...


def grad(
    loss: Node, wrt: Node | Sequence[Node], *, allow_unused: bool = False
) -> Node | list[Node]:
    """Build the gradient of a scalar with respect to one node or several.

    Args:
        loss: a node of one element and float dtype.
        wrt: a node, or a sequence of nodes, of float dtype.
        allow_unused: give zeros for a node that `loss` does not depend on, instead of raising.

    Returns:
        A node shaped like `wrt`, or a list of nodes; these may be differentiated again.

    Raises:
        GradientError: `loss` is no float scalar, or does not depend on an entry of `wrt`.

    Example:
        >>> x = Placeholder("x", shape=(), dtype="float64")
        >>> f = compile(grad(x * x, x))
        >>> f(x=3.0)
        array(6.)
    """
    targets = [wrt] if isinstance(wrt, Node) else list(wrt)
    check_nodes("grad", loss, *targets)
    _check_connected(loss, targets, allow_unused)
    if all(_known(node) for node in nodes_within(Graph((), (loss, *targets)))):
        gradients = gradients_of(loss, targets, allow_unused)
    else:
        gradients = [
            Node(
                GRADIENT,
                (loss, *targets),
                {"index": index, "allow_unused": allow_unused},
                targets[index].type,
                user_location(),
            )
            for index in range(len(targets))
        ]
    return gradients[0] if isinstance(wrt, Node) else gradients


def _known(node: Node) -> bool:
    if isinstance(node.type, TupleType):
        return all(item.known for item in node.type.items)
    return bool(node.type.known)


def gradients_of(loss: Node, targets: Sequence[Node], allow_unused: bool) -> list[Node]:
    """Build the gradients of a scalar whose types are all known.

    Raises:
        GradientError: as `grad`.
    """
    if any(extent != 1 for extent in loss.type.dims):
        raise GradientError(
            f"the gradient is defined for a scalar, and this has shape {loss.shape}: "
            f"{describe(loss)}\n  at {user_location()}\n  reduce it first, for example by .sum(), "
            "or use jacobian or vjp"
        )
    check_floats(loss, *targets)
    seed = broadcast_to(Constant(1.0, loss.type.element), loss.type.dims)
    adjoints = differentiate([loss], targets, [seed])
    found = []
    for target, adjoint in zip(targets, adjoints, strict=True):
        if adjoint is None:
            if not allow_unused:
                raise disconnected(loss, target)
            adjoint = broadcast_to(Constant(0.0, target.type.element), target.type.dims)
        found.append(taken_at(adjoint, target))
    return found


def taken_at(derivative: Node, point: Node) -> Node:
    """Return `derivative` such that it depends on `point`, as a function of the user's feeds does.

    The derivative of a linear function holds no trace of where it is taken, not even of extents.
    """
    if point.op is PARAMETER or point in set(topological([derivative])):
        return derivative
    return TAKEN_AT(derivative, point)


TAKEN_AT = Op(
    name="taken_at",
    kind=Composite(lambda derivative, point: derivative),
    infer=lambda types, attrs: types[0],
    numpy=lambda derivative, point: derivative,
    grad=lambda g, y, derivative, point: (g, None),
    samples=(),
    doc="The first operand, a derivative that does not depend on the second, where it is taken.",
)


def _expand_gradient(*inputs: Node, index: int, allow_unused: bool) -> Node:
    return gradients_of(inputs[0], inputs[1:], allow_unused)[index]


GRADIENT = Op(
    name="gradient",
    kind=Composite(_expand_gradient),
    infer=lambda types, attrs: types[1 + attrs["index"]],
    numpy=lambda *arrays, **attrs: _not_interpreted(),
    grad=BY_EXPANSION,
    samples=(),
    doc="The gradient of inputs[0] by inputs[1 + index], built once ranks and dtypes are known.",
)


def _not_interpreted() -> None:
    raise GradientError("a deferred gradient is expanded before anything is evaluated")


def differentiate(
    outputs: Sequence[Node],
    wrt: Sequence[Node],
    output_adjoints: Sequence[Adjoint],
    *,
    cut: bool = False,
) -> list[Adjoint]:
    """Build the adjoints of `wrt` from those of `outputs`.

    Args:
        outputs: nodes of known type.
        wrt: nodes whose adjoints are wanted.
        output_adjoints: one for each output, None for zero.
        cut: treat `wrt` as independent leaves, so that nothing flows from one into another.

    Returns:
        One adjoint for each entry of `wrt`, None where none flows.
    """
    order = _order(outputs, set(wrt) if cut else set())
    active = _active(order, wrt, cut)
    pending: dict[Node, list[tuple[int, Node]]] = {}
    for output, adjoint in zip(outputs, output_adjoints, strict=True):
        if adjoint is not None and output in active:
            pending.setdefault(output, []).append((0, adjoint))
    stops = set(wrt) if cut else set()
    results: dict[Node, Node] = {}
    wanted = set(wrt)
    for node in reversed(order):
        contributions = pending.pop(node, None)
        if not contributions:
            continue
        with located_at(_gradient_location(node)):
            total = _total(node, contributions)
            if node in wanted and isinstance(total, Node):
                results[node] = total
            if node not in stops:
                _propagate(node, total, active, pending)
    return [results.get(node) for node in wrt]


def _order(outputs: Sequence[Node], stops: set[Node]) -> list[Node]:
    """Return the nodes behind `outputs`, each after its inputs, not looking behind `stops`."""
    if not stops:
        return topological(outputs)
    order: list[Node] = []
    seen: set[Node] = set()
    stack = [(node, False) for node in reversed(outputs)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            if node not in stops:
                stack.extend((child, False) for child in node.inputs if child not in seen)
    return order


def _active(order: list[Node], wrt: Sequence[Node], cut: bool) -> set[Node]:
    """Return the nodes that a derivative can flow through on its way to `wrt`."""
    active = set(wrt)
    for node in order:
        if node in active or node.op.grad is NO_GRADIENT:
            continue
        if any(child in active for child in node.inputs) and _carries_floats(node):
            active.add(node)
    return active


def _carries_floats(node: Node) -> bool:
    if isinstance(node.type, TupleType):
        return any(item.element in FLOATS for item in node.type.items)
    return node.type.element in FLOATS


def _total(node: Node, contributions: list[tuple[int, Node]]) -> Node | tuple[Adjoint, ...]:
    """Return the sum of the uses: one adjoint, or one for each item of a tuple-typed node."""
    count = len(node.type.items) if isinstance(node.type, TupleType) else 1
    totals: list[Adjoint] = [None] * count
    for index, adjoint in contributions:
        previous = totals[index]
        totals[index] = adjoint if previous is None else previous + adjoint
    if isinstance(node.type, TupleType):
        return tuple(totals)
    total = totals[0]
    assert total is not None, "a node is visited only when an adjoint has arrived"
    return total


def _propagate(
    node: Node,
    total: Node | tuple[Adjoint, ...],
    active: set[Node],
    pending: dict[Node, list[tuple[int, Node]]],
) -> None:
    if not any(child in active for child in node.inputs):
        return
    if node.op.name == "project":
        assert isinstance(total, Node), "a projection is a single array"
        pending.setdefault(node.inputs[0], []).append((node.attrs["index"], total))
        return
    adjoints = _input_adjoints(node, total)
    for child, adjoint in zip(node.inputs, adjoints, strict=True):
        if adjoint is not None and child in active:
            pending.setdefault(child, []).append((0, _undo_broadcast(adjoint, child.type)))


def _input_adjoints(node: Node, total: Node | tuple[Adjoint, ...]) -> Sequence[Adjoint]:
    rule, kind = node.op.grad, node.op.kind
    if isinstance(kind, Control):
        assert callable(rule), "a control op has a gradient rule"
        return rule(differentiate, total, node, *node.inputs, **node.attrs)
    assert isinstance(total, Node), "only control nodes have tuple types"
    if rule is BY_EXPANSION:
        assert isinstance(kind, Composite), "only composites are differentiated by expansion"
        expanded = kind.expand(*node.inputs, **node.attrs)
        unique = list(dict.fromkeys(node.inputs))
        found = dict(zip(unique, differentiate([expanded], unique, [total], cut=True), strict=True))
        # An input that occurs twice has its whole adjoint at its first position.
        return [found.pop(child, None) for child in node.inputs]
    assert callable(rule), f"op {node.op.name} is active without a gradient rule"
    return rule(total, node, *node.inputs, **node.attrs)


def _undo_broadcast(adjoint: Node, target: TensorType) -> Node:
    """Return `adjoint` summed over the axes along which `target` was broadcast, in its dtype."""
    if adjoint.type.shape != target.shape:
        if adjoint.type.rank < target.rank or any(
            extent == 1 and wanted != 1
            for extent, wanted in zip(adjoint.type.dims[::-1], target.dims[::-1], strict=False)
        ):
            adjoint = broadcast_to(adjoint, target.dims)
        else:
            adjoint = sum_to(adjoint, target.dims)
    if adjoint.type.element != target.element:
        from symgraph.ops.elementwise import cast

        adjoint = cast(adjoint, dtype=target.element)
    return adjoint


def _gradient_location(node: Node) -> SourceLoc:
    loc = node.loc
    return loc if loc.derived else SourceLoc(loc.file, loc.line, f"gradient of {node.op.name}")


def _check_connected(loss: Node, targets: Sequence[Node], allow_unused: bool) -> None:
    reachable = set(topological([loss]))
    for target in targets:
        if target not in reachable and not allow_unused:
            raise disconnected(loss, target)


def check_nodes(name: str, *operands: object) -> None:
    """Refuse operands of the function called `name` that are no nodes."""
    for operand in operands:
        if not isinstance(operand, Node):
            raise GradientError(
                f"{name} works on nodes, not on {type(operand).__name__}\n  at {user_location()}"
            )


def check_floats(*nodes: Node) -> None:
    """Refuse nodes, of known dtype, that have no derivatives."""
    for node in nodes:
        if node.type.element not in FLOATS:
            raise GradientError(
                f"only floats have gradients, and this is {node.type.element}: {describe(node)}\n"
                f"  at {user_location()}\n  cast it to a float dtype first"
            )


def disconnected(loss: Node, target: Node) -> GradientError:
    """Return the error that says which path is missing between `loss` and `target`."""
    reached: set[Node] = {target}
    blockers: list[Node] = []
    for node in topological([loss]):
        if any(child in reached for child in node.inputs):
            if node.op.grad is NO_GRADIENT or not _may_carry_floats(node):
                blockers.append(node)
            else:
                reached.add(node)
    lines = [f"no derivative flows from {describe(loss)} to {describe(target)}"]
    if blockers:
        lines.append("  every path is cut, at:")
        lines += [f"    {describe(node)}" for node in blockers[:3]]
    else:
        leaves = [node for node in topological([loss]) if node.op in (PLACEHOLDER, PARAMETER)]
        names = [shown(leaf.name) if leaf.name else f"a {describe(leaf)}" for leaf in leaves[:6]]
        more = f" and {len(leaves) - 6} more" if len(leaves) > 6 else ""
        lines.append(f"  it is computed from {', '.join(names) or 'constants only'}{more}")
    lines.append(f"  at {user_location()}\n  pass allow_unused=True for zeros")
    return GradientError("\n".join(lines))


def _may_carry_floats(node: Node) -> bool:
    return node.type is UNKNOWN or isinstance(node.type, TupleType) or node.dtype in (*FLOATS, None)
