"""The workloads in JAX: the whole step in one jitted function whose state is donated."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.cuda.problem import SGD, Adam
from benchmarks.cuda.with_jax import JaxFunctions
from benchmarks.suite.workload import (
    EPSILON,
    KEPT,
    Build,
    Built,
    Data,
    Gradients,
    HessianVector,
    Momentum,
    RMSProp,
    Rule,
    Train,
    Workload,
)

_DECAYS = (0.9, 0.999)


class _Functions(JaxFunctions):
    def __init__(self) -> None:
        super().__init__(jax)
        self.sin, self.mean = jnp.sin, jnp.mean

    def conv2d(self, x: Any, weight: Any, bias: Any) -> Any:
        # Channels last, and a maximum over a reshaped array: the CPU is faster with both.
        axes = ("NHWC", "HWIO", "NHWC")
        convolved = jax.lax.conv_general_dilated
        return convolved(x, weight, (1, 1), "SAME", dimension_numbers=axes) + bias

    def max_pool2d(self, x: Any) -> Any:
        batch, height, width, channels = x.shape
        return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))

    def flatten(self, x: Any) -> Any:
        return x.transpose(0, 3, 1, 2).reshape(len(x), -1)

    def gelu(self, x: Any) -> Any:
        return jax.nn.gelu(x, approximate=True)

    def branching_loop(self, x: Any, steps: int) -> Any:
        def step(carry: Any) -> Any:
            count, vector = carry
            moved = jax.lax.cond(
                vector.sum() > 0, lambda v: v * 0.5 - 1.0, lambda v: v * 0.9 + 0.3, vector
            )
            return count + 1, moved

        return jax.lax.while_loop(lambda carry: carry[0] < steps, step, (0, x))[1].sum()


class _State:
    """What a step takes and gives back; the last loss too, to wait for."""

    def __init__(self, *values: Any) -> None:
        self.values = values
        self.last: Any = None


def _build(workload: Workload, data: Data, threads: int) -> Built:
    functions, task = _Functions(), workload.task
    feeds = {
        name: jax.device_put(_laid_out(_narrow(array), (0, 2, 3, 1)))
        for name, array in data.feeds.items()
    }
    leaves = {
        name: jax.device_put(_laid_out(array, (2, 3, 1, 0)))
        for name, array in data.parameters.items()
    }

    def loss_of(leaves: Any, feeds: Any) -> Any:
        return workload.network.build(functions, leaves, feeds)

    if isinstance(task, Train):
        return _training(loss_of, task.rule, leaves, feeds)
    if isinstance(task, HessianVector):
        vectors = {name: jax.device_put(array) for name, array in data.vectors.items()}

        def along(leaves: Any, feeds: Any, vectors: Any) -> Any:
            slopes = jax.value_and_grad(lambda leaves: loss_of(leaves, feeds))
            (loss, _), (_, curved) = jax.jvp(slopes, (leaves,), (vectors,))
            return [loss, *(curved[name] for name in data.parameters)]

        return _calling(jax.jit(along), leaves, feeds, vectors)
    if isinstance(task, Gradients):

        def differentiated(given: Any, others: Any) -> Any:
            def merged(given: Any) -> Any:
                every = {**others, **given}
                return loss_of(every, every)

            loss, slopes = jax.value_and_grad(merged)(given)
            return [loss, *(slopes[name] for name in task.names)]

        every = {**feeds, **leaves}
        given = {name: every.pop(name) for name in task.names}
        return _calling(jax.jit(differentiated), given, every)
    return _calling(jax.jit(lambda leaves, feeds: [loss_of(leaves, feeds)]), leaves, feeds)


build: Build = _build


def _calling(function: Any, *arguments: Any) -> Built:
    state = _State()

    def step() -> Any:
        state.last = function(*arguments)
        return state.last

    return Built(step, _arrays, lambda: _wait(state.last))


def _training(loss_of: Any, rule: Rule, leaves: Any, feeds: Any) -> Built:
    slots = [jax.tree.map(jnp.zeros_like, leaves) for _ in range(_slots(rule))]

    def train(leaves: Any, slots: Any, count: Any, feeds: Any) -> Any:
        loss, slopes = jax.value_and_grad(loss_of)(leaves, feeds)
        moved, slots = _moved(rule, leaves, slopes, slots, count + 1)
        return loss, moved, slots, count + 1

    jitted = jax.jit(train, donate_argnums=(0, 1, 2))
    state = _State(leaves, slots, jnp.zeros((), jnp.float32))

    def step() -> Any:
        loss, *state.values = jitted(*state.values, feeds)
        return [loss]

    return Built(step, _arrays, lambda: _wait(state.values))


def _slots(rule: Rule) -> int:
    return {SGD: 0, Momentum: 1, RMSProp: 1, Adam: 2}[type(rule)]


def _moved(rule: Rule, leaves: Any, slopes: Any, slots: Any, count: Any) -> tuple[Any, list[Any]]:
    """Return the parameters and the slots behind a step."""
    over = jax.tree.map
    if isinstance(rule, SGD):
        return over(lambda p, g: p - rule.rate * g, leaves, slopes), []
    if isinstance(rule, Momentum):
        velocity = over(lambda v, g: KEPT * v - rule.rate * g, slots[0], slopes)
        return over(jnp.add, leaves, velocity), [velocity]
    if isinstance(rule, RMSProp):
        square = over(lambda s, g: KEPT * s + (1 - KEPT) * g * g, slots[0], slopes)
        small = EPSILON[RMSProp]
        return over(
            lambda p, g, s: p - rule.rate * g / (jnp.sqrt(s) + small), leaves, slopes, square
        ), [square]
    first, second = _DECAYS
    mean = over(lambda m, g: first * m + (1 - first) * g, slots[0], slopes)
    square = over(lambda s, g: second * s + (1 - second) * g * g, slots[1], slopes)
    scale = rule.rate / (1 - first**count)
    root = 1 / (1 - second**count)
    small = EPSILON[Adam]
    moved = over(lambda p, m, s: p - scale * m / (jnp.sqrt(s * root) + small), leaves, mean, square)
    return moved, [mean, square]


def _narrow(array: Any) -> Any:
    """Return labels as the integers that JAX has by default."""
    return array.astype(np.int32) if array.dtype == np.int64 else array


def _laid_out(array: Any, order: tuple[int, ...]) -> Any:
    """Return images or filters with their axes in another order, and other arrays as they are."""
    return np.ascontiguousarray(array.transpose(order)) if array.ndim == 4 else array


def _arrays(result: Any) -> list[Any]:
    return [np.asarray(one) for one in result]


def _wait(values: Any) -> None:
    jax.block_until_ready(values)
