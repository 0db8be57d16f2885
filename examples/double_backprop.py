"""Gradients inside of a loss: double backpropagation, and a penalty on the slope of a critic.

python examples/double_backprop.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg

Array = np.ndarray[Any, Any]


def gradient_in_a_formula() -> tuple[float, float]:
    """Return z = (dy/dx)^3 + y for y = x^2 at 2, and dz/dx = 24 x^2 + 2 x."""
    x = sg.Placeholder("x", shape=(), dtype="float64")
    y = x**2
    z = sg.grad(y, x) ** 3 + y
    value, slope = sg.compile([z, sg.grad(z, x)])(x=2.0)
    return float(value), float(slope)


def slope_penalty(critic: sg.Node, x: sg.Node) -> sg.Node:
    """Return the mean of (|slope of the critic| - 1)^2 over the rows of x, as in WGAN-GP.

    Args:
        critic: scores, shape (N, 1); each depends on its own row of x alone.
        x: where the slope is taken, shape (N, D).
    """
    slope = sg.grad(critic.sum(), x)
    length = sg.sqrt(sg.sum(slope**2, axis=1))
    return sg.mean((length - 1.0) ** 2)


def linear_critic() -> tuple[float, Array]:
    """Return the penalty of the critic w x for w = (3, 4), and its gradient by w."""
    x = sg.Placeholder("x", shape=("N", 2), dtype="float64")
    w = sg.Parameter(np.array([[3.0], [4.0]]), "w")
    penalty = slope_penalty(x @ w, x)
    value, by_w = sg.compile([penalty, sg.grad(penalty, w)])(x=np.zeros((5, 2)))
    return float(value), by_w


def train_critic(steps: int) -> tuple[list[float], list[float]]:
    """Train a small critic to tell two clouds of points apart, with the penalty.

    Returns:
        At each step how far apart the mean scores of the clouds are, and the mean slope.
    """
    rng = np.random.default_rng(0)
    real, fake = rng.normal((2, 0), 0.5, (64, 2)), rng.normal((0, 0), 0.5, (64, 2))
    x, z = (sg.Placeholder(name, ("N", 2), "float64") for name in ("real", "fake"))
    mixed = z + sg.Placeholder("share", ("N", 1), "float64") * (x - z)
    critic = sg.models.MLP((32, 1), activation=sg.tanh, dtype="float64", seed=0)
    apart = critic(x).mean() - critic(z).mean()
    score = critic(mixed)
    slope = sg.mean(sg.sqrt(sg.sum(sg.grad(score.sum(), mixed) ** 2, axis=1)))
    loss = 10 * slope_penalty(score, mixed) - apart
    updates = sg.optim.Adam(0.01).updates(loss, critic.parameters())
    step = sg.compile((apart, slope), updates=updates)
    shares = (rng.random((64, 1)) for _ in range(steps))
    results = np.array([step(real=real, fake=fake, share=share) for share in shares])
    return results[:, 0].tolist(), results[:, 1].tolist()


def main() -> None:
    """Print the results."""
    value, slope = gradient_in_a_formula()
    print(f"z = (dy/dx)^3 + y: {value:g}, slope {slope:g}")
    penalty, by_w = linear_critic()
    print(f"penalty of the critic 3 x + 4 y: {penalty:g}, gradient {by_w.ravel()}")
    apart, slopes = train_critic(300)
    print(f"critic before: clouds {apart[0]:.2f} apart, mean slope {slopes[0]:.2f}")
    print(f"critic after:  clouds {apart[-1]:.2f} apart, mean slope {slopes[-1]:.2f}")


if __name__ == "__main__":
    main()
