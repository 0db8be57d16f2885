"""Batch normalisation with its running statistics."""

from __future__ import annotations

from symgraph.errors import GraphError
from symgraph.leaves import State
from symgraph.location import user_location
from symgraph.modes import is_training
from symgraph.node import Node, Operand
from symgraph.ops.normalization import batch_norm_training, normalized
from symgraph.ops.state import track


def batch_norm(
    x: Operand,
    gamma: Operand,
    beta: Operand,
    mean: Operand,
    variance: Operand,
    *,
    decay: Operand = 0.9,
    eps: float = 2e-5,
) -> Node:
    """Normalise each channel: by the batch in training, by running statistics in use.

    Built for training, the mean and variance of each batch are used, derivatives flow through them,
    and a function that computes the result also moves `mean` and `variance` towards them. Built in
    `test_mode`, `mean` and `variance` are used as they are.

    Args:
        x: rows (N, C) or images (N, C, H, W).
        gamma: the scale (C,).
        beta: the offset (C,).
        mean: the running mean (C,); for training a State.
        variance: the running unbiased variance (C,); for training a State.
        decay: how much of the running values each call keeps; a number or a 0-d node.
        eps: is added to the variance, to keep its root away from zero.

    Returns:
        A node of the shape of `x`.

    Raises:
        GraphError: it is built for training and `mean` or `variance` is no State.
        ShapeError: `x` has other axes, or an operand has not one number for each channel.

    Example:
        >>> x, ones = Placeholder("x", ("N", 3), "float32"), np.ones(3, "float32")
        >>> mean, variance = State(0 * ones), State(ones)
        >>> f = compile(batch_norm(x, ones, 0 * ones, mean, variance))
        >>> f(x=np.full((4, 3), 2.0, "float32"))[0], mean.value
        (array([0., 0., 0.], dtype=float32), array([0.2, 0.2, 0.2], dtype=float32))
    """
    if not is_training():
        return normalized(x, gamma, beta, mean, variance, eps)
    for what, statistic in (("mean", mean), ("variance", variance)):
        if not isinstance(statistic, State):
            raise GraphError(
                f"the running {what} is a State for training, not {statistic!r}\n"
                f"  at {user_location()}\n  build in test_mode to use it as it is"
            )
    y, *moved = batch_norm_training(x, gamma, beta, mean, variance, decay, eps)
    assert isinstance(mean, State) and isinstance(variance, State), "checked above"
    return track(y, dict(zip((mean, variance), moved, strict=True)))
