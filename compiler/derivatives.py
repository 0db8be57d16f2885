"""Derivatives beyond the gradient: vjp, jvp, hvp, jacobian, hessian, all made of `grad`."""

from __future__ import annotations

from symgraph.compiler.autodiff import (
    check_floats,
    check_nodes,
    differentiate,
    disconnected,
    grad,
    taken_at,
)
from symgraph.compiler.rewrite import nodes_within, rebuild, with_inputs
from symgraph.errors import GradientError, ShapeError
from symgraph.leaves import ARGUMENT, Constant, lift
from symgraph.location import user_location
from symgraph.node import Graph, Node, Operand, describe
from symgraph.ops.elementwise import cast
from symgraph.ops.layout import broadcast_to, reshape, stack
from symgraph.types import TensorType


def vjp(output: Node, wrt: Node, vector: Operand, *, allow_unused: bool = False) -> Node:
    """Build vector^T J, the adjoint of `wrt` when the adjoint of `output` is `vector`.

    Args:
        output: a node of known type and float dtype.
        wrt: the node to differentiate by, of float dtype.
        vector: shaped like `output`.
        allow_unused: give zeros if no derivative flows, instead of raising.

    Returns:
        A node shaped like `wrt`.

    Raises:
        GradientError: no derivative flows, or a type is still open or no float.
        ShapeError: `vector` does not have the shape of `output`.

    Example:
        >>> x = Placeholder("x", shape=(2,), dtype="float64")
        >>> compile(vjp(x * x, x, [1.0, 10.0]))(x=[3.0, 4.0])
        array([ 6., 80.])
    """
    _check("vjp", output, wrt)
    vector = _direction(vector, output, "vector", "output")
    adjoint = differentiate([output], [wrt], [vector])[0]
    if adjoint is None and not allow_unused:
        raise disconnected(output, wrt)
    return taken_at(_zeros(wrt) if adjoint is None else adjoint, wrt)


def jvp(output: Node, wrt: Node, tangent: Operand, *, allow_unused: bool = False) -> Node:
    """Build J tangent, the change of `output` when `wrt` moves along `tangent`.

    It is the vjp of the vjp, which is linear in its vector, so that the vector drops out.

    Args:
        output: a node of known type and float dtype.
        wrt: the node to move, of float dtype.
        tangent: shaped like `wrt`.
        allow_unused: give zeros if no derivative flows, instead of raising.

    Returns:
        A node shaped like `output`.

    Raises:
        GradientError: no derivative flows, or a type is still open or no float.
        ShapeError: `tangent` does not have the shape of `wrt`.

    Example:
        >>> x = Placeholder("x", shape=(2,), dtype="float64")
        >>> compile(jvp(x * x, x, [1.0, 10.0]))(x=[3.0, 4.0])
        array([ 6., 80.])
    """
    _check("jvp", output, wrt)
    tangent = _direction(tangent, wrt, "tangent", "wrt")
    declared = TensorType(output.type.dtype, output.type.shape)
    dummy = Node(ARGUMENT, (), {"type": declared}, declared, user_location())
    adjoint = differentiate([output], [wrt], [dummy])[0]
    if adjoint is None and not allow_unused:
        raise disconnected(output, wrt)
    change = None if adjoint is None else differentiate([adjoint], [dummy], [tangent])[0]
    return taken_at(_zeros(output) if change is None else _without(dummy, change), wrt)


def _without(dummy: Node, change: Node) -> Node:
    """Return `change`, which does not depend on the value of `dummy`, with zeros in its place.

    Conditions still take it as an operand, for the adjoints in them that nobody uses.
    """
    zeros = _zeros(dummy)
    graph = rebuild(
        Graph((), (change,)),
        lambda node, inputs: zeros if node is dummy else with_inputs(node, inputs),
    )
    return graph.outputs[0]


def hvp(loss: Node, wrt: Node, vector: Operand) -> Node:
    """Build H vector, the Hessian of a scalar applied to `vector`, without forming H.

    Args:
        loss: a float scalar of known type.
        wrt: the node to differentiate by.
        vector: shaped like `wrt`.

    Returns:
        A node shaped like `wrt`.

    Raises:
        GradientError: as `grad`, or a type is still open.
        ShapeError: `vector` does not have the shape of `wrt`.

    Example:
        >>> x = Placeholder("x", shape=(2,), dtype="float64")
        >>> compile(hvp((x * x * x).sum(), x, [1.0, 10.0]))(x=[3.0, 4.0])
        array([ 18., 240.])
    """
    _check("hvp", loss, wrt)
    return vjp(grad(loss, wrt), wrt, vector, allow_unused=True)


def jacobian(output: Node, wrt: Node, *, allow_unused: bool = False) -> Node:
    """Build the Jacobian, shaped output.shape + wrt.shape.

    One gradient graph is built for each element of `output`, whose shape must be static.

    Args:
        output: a node of known type and float dtype.
        wrt: the node to differentiate by, of float dtype.
        allow_unused: give zeros if no derivative flows, instead of raising.

    Raises:
        GradientError: the shape of `output` is symbolic; or as `vjp`.

    Example:
        >>> x = Placeholder("x", shape=(2,), dtype="float64")
        >>> compile(jacobian(x * x, x))(x=[3.0, 4.0])
        array([[6., 0.],
               [0., 8.]])
    """
    _check("jacobian", output, wrt)
    size = output.size
    if not isinstance(size, int):
        raise GradientError(
            f"a Jacobian has one gradient graph for each element, so their number must be known "
            f"when the graph is built, not only when it is called: {describe(output)}\n"
            f"  at {user_location()}\n  give the placeholder numbers for its extents, as in "
            "Placeholder('x', (3,)), or use vjp, jvp or hvp, which work for all extents"
        )
    # One for all elements tells whether any derivative flows.
    vjp(output, wrt, _ones(output), allow_unused=allow_unused)
    flat = reshape(output, (size,))
    rows = [vjp(flat[i], wrt, _ones(flat[i]), allow_unused=True) for i in range(size)]
    shape = (*output.type.dims, *wrt.type.dims)
    if not rows:
        return taken_at(broadcast_to(Constant(0.0, wrt.dtype), shape), wrt)
    return reshape(stack(rows), shape)


def hessian(loss: Node, wrt: Node) -> Node:
    """Build the Hessian of a scalar, shaped wrt.shape + wrt.shape; the shape must be static.

    Args:
        loss: a float scalar of known type.
        wrt: the node to differentiate by.

    Raises:
        GradientError: as `grad`, or the shape of `wrt` is open or symbolic.

    Example:
        >>> x = Placeholder("x", shape=(2,), dtype="float64")
        >>> compile(hessian(x[0] * x[1], x))(x=[3.0, 4.0])
        array([[0., 1.],
               [1., 0.]])
    """
    _check("hessian", loss, wrt)
    return jacobian(grad(loss, wrt), wrt, allow_unused=True)


def _check(name: str, output: Node, wrt: Node) -> None:
    check_nodes(name, output, wrt)
    _require_known(output, wrt)
    check_floats(output, wrt)


def _direction(given: Operand, like: Node, name: str, like_name: str) -> Node:
    """Return `given` as a node of the type of `like`."""
    node = lift(given)
    _require_shape(node, like, name, like_name)
    return node if node.dtype == like.dtype else cast(node, like.dtype)


def _require_known(*nodes: Node) -> None:
    for node in nodes_within(Graph((), nodes)):
        if isinstance(node.type, TensorType) and not node.type.known:
            raise GradientError(
                f"this derivative needs known ranks and dtypes: {describe(node)} is open\n"
                f"  at {user_location()}\n  give its placeholders a shape and a dtype"
            )


def _require_shape(given: Node, like: Node, name: str, like_name: str) -> None:
    if given.type.shape != like.type.shape:
        raise ShapeError(
            f"{name} has shape {given.shape}, but {like_name} has {like.shape}: {describe(like)}"
            f"\n  at {user_location()}"
        )


def _ones(like: Node) -> Node:
    return broadcast_to(Constant(1.0, like.dtype), like.type.dims)


def _zeros(like: Node) -> Node:
    return broadcast_to(Constant(0.0, like.dtype), like.type.dims)
