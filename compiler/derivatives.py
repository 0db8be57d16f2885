"""Derivatives beyond the gradient: vjp, jvp, hvp, jacobian, hessian, all made of `grad`."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.compiler.autodiff import differentiate, grad, taken_at
from symgraph.errors import GradientError, ShapeError
from symgraph.leaves import ARGUMENT, Constant, lift
from symgraph.location import user_location
from symgraph.node import Node, Operand, describe, topological
from symgraph.ops.layout import broadcast_to, reshape, stack
from symgraph.types import TensorType


def vjp(output: Node, wrt: Node, vector: Operand) -> Node:
    """Build vector^T J, the adjoint of `wrt` when the adjoint of `output` is `vector`.

    Args:
        output: a node of known type.
        wrt: the node to differentiate by.
        vector: shaped like `output`.

    Returns:
        A node shaped like `wrt`.

    Raises:
        GradientError: no derivative flows, or a type is still open.
        ShapeError: `vector` does not have the shape of `output`.
    """
    _require_known(output, wrt)
    vector = lift(vector)
    _require_shape(vector, output, "vector", "output")
    adjoint = differentiate([output], [wrt], [vector])[0]
    return taken_at(_zeros(wrt) if adjoint is None else adjoint, wrt)


def jvp(output: Node, wrt: Node, tangent: Operand) -> Node:
    """Build J tangent, the change of `output` when `wrt` moves along `tangent`.

    It is the vjp of the vjp, which is linear in its vector, so that the vector drops out.

    Args:
        output: a node of known type.
        wrt: the node to move.
        tangent: shaped like `wrt`.

    Returns:
        A node shaped like `output`.

    Raises:
        GradientError: a type is still open.
        ShapeError: `tangent` does not have the shape of `wrt`.
    """
    _require_known(output, wrt)
    tangent = lift(tangent)
    _require_shape(tangent, wrt, "tangent", "wrt")
    declared = TensorType(output.type.dtype, output.type.shape)
    dummy = Node(ARGUMENT, (), {"type": declared}, declared, user_location())
    adjoint = differentiate([output], [wrt], [dummy])[0]
    change = None if adjoint is None else differentiate([adjoint], [dummy], [tangent])[0]
    return taken_at(_zeros(output) if change is None else change, wrt)


def hvp(loss: Node, wrt: Node, vector: Operand) -> Node:
    """Build H vector, the Hessian of a scalar applied to `vector`, without forming H.

    Args:
        loss: a float scalar.
        wrt: the node to differentiate by.
        vector: shaped like `wrt`.

    Returns:
        A node shaped like `wrt`.
    """
    first = grad(loss, wrt)
    assert isinstance(first, Node), "one node in, one gradient out"
    return vjp(first, wrt, vector)


def jacobian(output: Node, wrt: Node) -> Node:
    """Build the Jacobian, shaped output.shape + wrt.shape.

    One gradient graph is built for each element of `output`, whose shape must be static.

    Raises:
        GradientError: the shape of `output` is symbolic.
    """
    _require_known(output, wrt)
    size = output.size
    if not isinstance(size, int):
        raise GradientError(
            f"a Jacobian needs an output of static shape: {describe(output)}\n"
            f"  at {user_location()}\n  use vjp or jvp for symbolic shapes"
        )
    flat = reshape(output, (size,))
    rows: Sequence[Node] = [vjp(flat[i], wrt, Constant(1.0, wrt.dtype)) for i in range(size)]
    shape = (*output.type.dims, *wrt.type.dims)
    if not rows:
        return broadcast_to(Constant(0.0, wrt.dtype), shape)
    return reshape(stack(list(rows)), shape)


def hessian(loss: Node, wrt: Node) -> Node:
    """Build the Hessian of a scalar, shaped wrt.shape + wrt.shape; the shape must be static."""
    first = grad(loss, wrt)
    assert isinstance(first, Node), "one node in, one gradient out"
    return jacobian(first, wrt)


def _require_known(*nodes: Node) -> None:
    for node in topological(nodes):
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


def _zeros(like: Node) -> Node:
    return broadcast_to(Constant(0.0, like.dtype), like.type.dims)
