"""Conditions: `cond` runs one of two branches, and only that one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from symgraph.dims import Extent
from symgraph.errors import DTypeError, GradientError, GraphError, ShapeError
from symgraph.leaves import Constant, lift
from symgraph.location import user_location
from symgraph.node import Graph, Node, Operand, apply, describe
from symgraph.op import Attrs, Control, Op
from symgraph.ops.adjoint import stand_in
from symgraph.ops.assume import assume_equal
from symgraph.ops.branches import closed, outline, rebuilt, trace
from symgraph.ops.comparison import not_equal
from symgraph.ops.composite import argument
from symgraph.ops.views import broadcast_to, reshape
from symgraph.types import FLOATS, UNKNOWN, TensorType, TupleType, promote

Adjoint = Node | None
Differentiate = Callable[[Sequence[Node], Sequence[Node], Sequence[Adjoint]], list[Adjoint]]


def _is_open(declared: TensorType) -> bool:
    return declared.dtype is None or declared.shape is None


def _common_type(position: int, then: Node, other: Node) -> TensorType:
    """Return the type of an output of both branches; a weak number takes the other's dtype."""
    one, two = then.type, other.type
    if _is_open(one) or _is_open(two):
        return UNKNOWN
    text = f"output {position}: then gives {describe(then)}, else gives {describe(other)}"
    dtype = promote((one, two))
    if any(entry.element != dtype and not entry.weak for entry in (one, two)):
        raise DTypeError(f"{text}; cast one of them, the branches must agree")
    text += "; the branches must agree in their shapes"
    if one.rank != two.rank:
        raise ShapeError(text)
    dims = tuple(_common_extent(*pair, text) for pair in zip(one.dims, two.dims, strict=True))
    return TensorType(dtype, dims, one.weak and two.weak)


def _common_extent(one: Extent, two: Extent, text: str) -> Extent:
    """Return an extent of both branches, which are assumed to agree where they may."""
    assume_equal(one, two, text)
    return two if isinstance(two, int) else one


def _infer_cond(types: tuple[Any, ...], attrs: Attrs) -> TupleType:
    pred: TensorType = types[0]
    if pred.shape is not None and pred.rank != 0:
        raise ShapeError(f"the condition is one truth value, not {pred}; use where, or any or all")
    if pred.dtype not in ("bool", None):
        raise DTypeError(f"the condition is a bool, not {pred.dtype}")
    then_graph: Graph = attrs["then_graph"]
    else_graph: Graph = attrs["else_graph"]
    pairs = zip(then_graph.outputs, else_graph.outputs, strict=True)
    return TupleType(tuple(_common_type(i, *pair) for i, pair in enumerate(pairs)))


def _unfit(*arrays: Any, **attrs: Any) -> Any:  # never returns
    raise GraphError("control ops are run by the interpreter, not by a NumPy function")


def _cond_gradient(
    differentiate: Differentiate,
    g: Sequence[Adjoint],
    y: Node,
    pred: Node,
    *captured: Node,
    then_graph: Graph,
    else_graph: Graph,
) -> tuple[Adjoint, ...]:
    """Return the adjoints: a cond whose branches are the derivatives of the branches."""
    given = [adjoint for adjoint in g if adjoint is not None]
    seeds = [stand_in(argument(adjoint.type), adjoint) for adjoint in given]
    names = iter(seeds)
    adjoints = [None if adjoint is None else next(names) for adjoint in g]
    floats = [i for i, node in enumerate(captured) if node.type.element in FLOATS]
    found = [
        differentiate(
            graph.outputs,
            [graph.inputs[i] for i in floats],
            list(map(_shaped_like, adjoints, graph.outputs)),
        )
        for graph in (then_graph, else_graph)
    ]
    kept = [k for k in range(len(floats)) if any(side[k] is not None for side in found)]
    result: list[Adjoint] = [None] * (1 + len(captured))
    if not kept:
        return tuple(result)
    branches = [
        Graph(
            (*graph.inputs, *seeds),
            tuple(_or_zeros(side[k], captured[floats[k]].type) for k in kept),
        )
        for graph, side in zip((then_graph, else_graph), found, strict=True)
    ]
    both = COND(pred, *captured, *given, then_graph=branches[0], else_graph=branches[1])
    for index, k in enumerate(kept):
        result[1 + floats[k]] = PROJECT(both, index=index)
    return tuple(result)


def _shaped_like(adjoint: Adjoint, output: Node) -> Adjoint:
    """Return an adjoint in the shape of its output, however the other branch writes that."""
    if adjoint is None or adjoint.type.shape == output.type.shape:
        return adjoint
    return reshape(adjoint, output.type.dims)


def _or_zeros(adjoint: Adjoint, declared: TensorType) -> Node:
    if adjoint is not None:
        return adjoint
    return broadcast_to(Constant(0.0, declared.element), declared.dims)


def _passed_on(*operands: Any, **attrs: Any) -> NoReturn:  # never called
    raise GradientError("the differentiator itself takes adjoints through a projection")


COND = Op(
    name="cond",
    kind=Control(lambda key, types, attrs: types[1:]),
    infer=_infer_cond,
    numpy=_unfit,
    grad=_cond_gradient,
    samples=(),
    doc="The outputs of then_graph if the first operand holds, else those of else_graph, as a "
    "tuple. The other operands are what both graphs take; only the chosen graph is run.",
)
PROJECT = Op(
    name="project",
    kind=Control(lambda key, types, attrs: ()),
    infer=lambda types, attrs: types[0].items[attrs["index"]],
    numpy=_unfit,
    grad=_passed_on,
    samples=(),
    doc="One of the arrays of a node that has several.",
)


def cond(pred: Operand, then_fn: Callable[[], Any], else_fn: Callable[[], Any]) -> Any:
    """Compute one of two branches, decided when the compiled function is called.

    Args:
        pred: a 0-d bool, or a number, of which all but 0 hold.
        then_fn: builds what is computed if `pred` holds: a node, a number, or a (nested) tuple of
            them. It takes no arguments and uses outer nodes by name. It is called twice while the
            graph is built, to tell its own nodes from outer ones.
        else_fn: builds what is computed otherwise: as many arrays, of the same dtypes and shapes.

    Returns:
        A node, or a tuple of nodes, as the branches return.

    Raises:
        GraphError: a branch is no function, or the branches return different structures.
        DTypeError: dtypes differ between the branches.
        ShapeError: shapes differ between the branches, or `pred` is not 0-d.

    Example:
        >>> x = Placeholder("x", ("N",), "float32")
        >>> cond(x.sum() > 0, lambda: x, lambda: -x)
        <project: float32[N]>
    """
    then = trace(then_fn, "cond: the then branch")
    other = trace(else_fn, "cond: the else branch")
    if then.structure != other.structure:
        raise GraphError(
            f"cond: the branches return different structures: then {outline(then)}, "
            f"else {outline(other)}\n  at {user_location()}"
        )
    captured = list(dict.fromkeys([*then.captured, *other.captured]))
    types = [
        _checked(i, *pair) for i, pair in enumerate(zip(then.outputs, other.outputs, strict=True))
    ]
    node = apply(
        COND,
        _truth(pred),
        *captured,
        then_graph=closed(then, captured, types),
        else_graph=closed(other, captured, types),
    )
    results = [apply(PROJECT, node, index=index) for index in range(len(types))]
    return rebuilt(then.structure, iter(results))


def _checked(position: int, then: Node, other: Node) -> TensorType:
    try:
        return _common_type(position, then, other)
    except (DTypeError, ShapeError) as error:
        raise type(error)(f"cond: {error}\n  at {user_location()}") from None


def _truth(pred: Operand) -> Node:
    node = lift(pred)
    return node if node.type.dtype == "bool" else not_equal(node, 0)
