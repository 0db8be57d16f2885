"""Random programs for the fuzz tests, each built with symgraph and, if there is one, PyTorch."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

import symgraph as sg
from symgraph.dims import evaluate
from symgraph.node import Node

DIMS = (1, 2, 3, 5, "N", "M", 0)
LONGEST = 4000
"""Elements of the largest array in a program."""


@dataclass(frozen=True)
class Step:
    """One op of a program: `symbolic(*nodes)`, and `torch(library, *tensors)` for the same."""

    symbolic: Callable[..., Node]
    torch: Callable[..., Any]
    operands: tuple[int, ...]
    label: str


@dataclass
class Program:
    """A random graph.

    Args:
        dtype: of the placeholders.
        extents: what N and M are.
        leaves: the declared shape of each placeholder.
    """

    dtype: str
    extents: dict[str, int]
    leaves: list[tuple[int | str, ...]]
    steps: list[Step] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes = [
            sg.Placeholder(f"x{number}", shape, self.dtype)
            for number, shape in enumerate(self.leaves)
        ]

    @property
    def placeholders(self) -> list[Node]:
        return self.nodes[: len(self.leaves)]

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(evaluate(extent, self.extents) for extent in self.nodes[index].shape)

    def append(self, step: Step) -> None:
        self.steps.append(step)
        self.nodes.append(step.symbolic(*(self.nodes[i] for i in step.operands)))

    def opened(self) -> list[Node]:
        """Build the program again on placeholders of open shape and dtype."""
        nodes: list[Node] = [sg.Placeholder(node.name) for node in self.placeholders]
        for step in self.steps:
            nodes.append(step.symbolic(*(nodes[i] for i in step.operands)))
        return nodes

    def feeds(self, seed: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        shapes = [self.shape(index) for index in range(len(self.leaves))]
        return {
            f"x{number}": np.asarray(rng.standard_normal(shape), self.dtype)
            for number, shape in enumerate(shapes)
        }

    def tensors(self, torch: Any, feeds: dict[str, np.ndarray]) -> list[Any]:
        """Compute all values with PyTorch in float64; the leaves ask for gradients."""
        found = [
            torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in feeds.values()
        ]
        for step in self.steps:
            found.append(step.torch(torch, *(found[i] for i in step.operands)))
        return found

    def __repr__(self) -> str:
        lines = [f"{self.dtype} {self.extents}"]
        lines += [f"  {i} = leaf {shape}" for i, shape in enumerate(self.leaves)]
        lines += [
            f"  {i} = {step.label} {step.operands} -> {self.nodes[i].type}"
            for i, step in enumerate(self.steps, start=len(self.leaves))
        ]
        return "\n".join(lines)


UNARY: dict[str, tuple[Callable[[Node], Node], Callable[[Any, Any], Any]]] = {
    "tanh": (sg.tanh, lambda t, x: t.tanh(x)),
    "sin": (sg.sin, lambda t, x: t.sin(x)),
    "sigmoid": (sg.sigmoid, lambda t, x: t.sigmoid(x)),
    "softplus": (sg.softplus, lambda t, x: t.logaddexp(x, t.zeros((), dtype=x.dtype))),
    "relu": (sg.relu, lambda t, x: t.relu(x)),
    "leaky_relu": (sg.leaky_relu, lambda t, x: t.nn.functional.leaky_relu(x, 0.2)),
    "abs": (abs, lambda t, x: t.abs(x)),
    "negative": (lambda x: -x, lambda t, x: -x),
    "square of tanh": (lambda x: sg.square(sg.tanh(x)), lambda t, x: t.tanh(x) ** 2),
    "exp of tanh": (lambda x: sg.exp(sg.tanh(x)), lambda t, x: t.exp(t.tanh(x))),
    "log": (lambda x: sg.log(x * x + 0.5), lambda t, x: t.log(x * x + 0.5)),
    "sqrt": (lambda x: sg.sqrt(x * x + 0.5), lambda t, x: t.sqrt(x * x + 0.5)),
    "erf": (sg.erf, lambda t, x: t.erf(x)),
    "reflected": (lambda x: 2 - 0.5 * x, lambda t, x: 2 - 0.5 * x),
    "cube of sine": (lambda x: sg.sin(x) ** 3, lambda t, x: t.sin(x) ** 3),
    "clip": (lambda x: sg.clip(x, -0.7, 0.9), lambda t, x: t.clip(x, -0.7, 0.9)),
    "stop": (sg.stop_gradient, lambda t, x: x.detach()),
    "twice": (lambda x: x + x, lambda t, x: x + x),
    "self product": (lambda x: sg.tanh(x) * x, lambda t, x: t.tanh(x) * x),
}
BINARY: dict[str, tuple[Callable[..., Node], Callable[..., Any]]] = {
    "add": (lambda x, y: x + y, lambda t, x, y: x + y),
    "subtract": (lambda x, y: x - y, lambda t, x, y: x - y),
    "multiply": (lambda x, y: sg.tanh(x) * y, lambda t, x, y: t.tanh(x) * y),
    "divide": (lambda x, y: x / (y * y + 1), lambda t, x, y: x / (y * y + 1)),
    "maximum": (sg.maximum, lambda t, x, y: t.maximum(x, y)),
    "minimum": (sg.minimum, lambda t, x, y: t.minimum(x, y)),
    "arctan2": (lambda x, y: sg.arctan2(x, y * y + 1), lambda t, x, y: t.atan2(x, y * y + 1)),
    "power": (
        lambda x, y: sg.power(x * x + 0.5, sg.tanh(y)),
        lambda t, x, y: t.pow(x * x + 0.5, t.tanh(y)),
    ),
    "where": (
        lambda x, y: sg.where(x > y, sg.sin(x), 0.5 * y),
        lambda t, x, y: t.where(x > y, t.sin(x), 0.5 * y),
    ),
    "cond": (
        lambda x, y: sg.cond(x.sum() > y.sum(), lambda: (x - y) * 0.5, lambda: sg.tanh(x + y)),
        lambda t, x, y: (x - y) * 0.5 if x.sum() > y.sum() else t.tanh(x + y),
    ),
}
REDUCTIONS: dict[str, tuple[Callable[..., Node], Callable[..., Any]]] = {
    "sum": (
        lambda x, axis, keep: sg.sum(sg.tanh(x), axis=axis, keepdims=keep),
        lambda t, x, axes, keep: t.sum(t.tanh(x), dim=axes, keepdim=keep) if axes else t.tanh(x),
    ),
    "mean": (
        lambda x, axis, keep: sg.mean(x, axis=axis, keepdims=keep),
        lambda t, x, axes, keep: t.mean(x, dim=axes, keepdim=keep) if axes else x,
    ),
    "max": (
        lambda x, axis, keep: sg.max(x, axis=axis, keepdims=keep),
        lambda t, x, axes, keep: t.amax(x, dim=axes, keepdim=keep) if axes else x,
    ),
    "min": (
        lambda x, axis, keep: sg.min(x, axis=axis, keepdims=keep),
        lambda t, x, axes, keep: t.amin(x, dim=axes, keepdim=keep) if axes else x,
    ),
    "logsumexp": (
        lambda x, axis, keep: sg.logsumexp(x, axis=axis, keepdims=keep),
        lambda t, x, axes, keep: t.logsumexp(x, dim=axes, keepdim=keep) if axes else x,
    ),
    "var": (
        lambda x, axis, keep: sg.var(x, axis=axis, keepdims=keep),
        lambda t, x, axes, keep: (
            t.mean((x - t.mean(x, dim=axes, keepdim=True)) ** 2, dim=axes, keepdim=keep)
            if axes
            else (x - x) * x
        ),
    ),
}


def _unary(draw: Any, program: Program) -> Step:
    name = draw(st.sampled_from(sorted(UNARY)))
    return Step(*UNARY[name], (_pick(draw, program),), name)


def _binary(draw: Any, program: Program) -> Step | None:
    name = draw(st.sampled_from(sorted(BINARY)))
    first, second = _pick(draw, program), _pick(draw, program)
    try:
        shape = np.broadcast_shapes(program.shape(first), program.shape(second))
    except ValueError:
        return None
    return Step(*BINARY[name], (first, second), name) if np.prod(shape) <= LONGEST else None


def _reduction(draw: Any, program: Program) -> Step | None:
    name = draw(st.sampled_from(sorted(REDUCTIONS)))
    index = _pick(draw, program)
    rank = len(program.shape(index))
    axes = tuple(axis for axis in range(rank) if draw(st.booleans()))
    keep = draw(st.booleans())
    axis: Any = axes
    if len(axes) == rank and draw(st.booleans()):
        axis = None
    elif len(axes) == 1 and draw(st.booleans()):
        axis = axes[0] - rank
    if name != "sum" and any(program.shape(index)[a] == 0 for a in axes):
        return None
    symbolic, torch = REDUCTIONS[name]
    return Step(
        lambda x: symbolic(x, axis, keep),
        lambda t, x: torch(t, x, axes, keep),
        (index,),
        f"{name} axis={axis} keepdims={keep}",
    )


def _transpose(draw: Any, program: Program) -> Step:
    index = _pick(draw, program)
    axes = draw(st.permutations(range(len(program.shape(index)))))
    return Step(
        lambda x: sg.transpose(x, tuple(axes)),
        lambda t, x: t.permute(x, tuple(axes)),
        (index,),
        f"transpose {axes}",
    )


def _slice(draw: Any, program: Program) -> Step | None:
    index = _pick(draw, program)
    shape = program.shape(index)
    if not shape:
        return None
    bound = st.none() | st.integers(-4, 4)
    steps = st.sampled_from((None, 1, 2, -1, -2))
    key = tuple(slice(draw(bound), draw(bound), draw(steps)) for _ in shape)

    def torch(t: Any, x: Any) -> Any:
        for axis, (part, extent) in enumerate(zip(key, shape, strict=True)):
            x = t.index_select(x, axis, t.tensor(range(extent)[part], dtype=t.int64))
        return x

    return Step(lambda x: x[key], torch, (index,), f"slice {key}")


def _reshape(draw: Any, program: Program) -> Step:
    index = _pick(draw, program)
    rank = len(program.shape(index))
    kind = draw(st.sampled_from(("ravel", "column", "rows", "insert")))
    if kind == "rows" and rank:
        last = program.shape(index)[-1]
        if last:
            return Step(
                lambda x: x.reshape(-1, last), lambda t, x: x.reshape(-1, last), (index,), "rows"
            )
    if kind == "insert":
        axis = draw(st.integers(-rank - 1, rank))
        return Step(
            lambda x: sg.expand_dims(x, axis),
            lambda t, x: x.unsqueeze(axis),
            (index,),
            f"expand_dims {axis}",
        )
    if kind == "column" and program.shape(index) and 0 not in program.shape(index):
        return Step(lambda x: x.reshape(-1, 1), lambda t, x: x.reshape(-1, 1), (index,), "column")
    return Step(lambda x: x.ravel(), lambda t, x: x.reshape(-1), (index,), "ravel")


def _join(draw: Any, program: Program) -> Step | None:
    index = _pick(draw, program)
    shape = program.shape(index)
    if not shape or 2 * np.prod(shape) > LONGEST:
        return None
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    kind = draw(st.sampled_from(("concatenate", "stack", "pad", "cumsum", "softmax", "flip")))
    table: dict[str, tuple[Callable[[Node], Node], Callable[[Any, Any], Any]]] = {
        "concatenate": (
            lambda x: sg.concatenate([x, sg.sin(x)], axis=axis),
            lambda t, x: t.cat([x, t.sin(x)], dim=axis),
        ),
        "stack": (
            lambda x: sg.stack([x * 2, x], axis=axis),
            lambda t, x: t.stack([x * 2, x], dim=axis),
        ),
        "pad": (
            lambda x: sg.pad(x, [(1, 2)] + [(0, 0)] * (len(shape) - 1)),
            lambda t, x: t.nn.functional.pad(x, (0, 0) * (len(shape) - 1) + (1, 2)),
        ),
        "cumsum": (
            lambda x: sg.cumsum(sg.tanh(x), axis=axis),
            lambda t, x: t.cumsum(t.tanh(x), dim=axis),
        ),
        "softmax": (
            lambda x: sg.softmax(x, axis=axis),
            lambda t, x: t.softmax(x, dim=axis),
        ),
        "flip": (lambda x: sg.flip(x, axis), lambda t, x: t.flip(x, (axis % len(shape),))),
    }
    if kind == "softmax" and shape[axis] == 0:
        return None
    return Step(*table[kind], (index,), f"{kind} axis={axis}")


def _matmul(draw: Any, program: Program) -> Step | None:
    first, second = _pick(draw, program), _pick(draw, program)
    left, right = program.shape(first), program.shape(second)
    if not left or not right:
        return None
    turned = draw(st.booleans()) and len(right) > 1
    right = (*right[:-2], *right[-2:][::-1]) if turned else right
    if left[-1] != right[-2 if len(right) > 1 else 0] or len(left) + len(right) > 6:
        return None
    try:
        np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError:
        return None

    def symbolic(x: Node, y: Node) -> Node:
        return sg.tanh(x) @ (sg.swapaxes(y, -1, -2) if turned else y)

    return Step(
        symbolic,
        lambda t, x, y: t.tanh(x) @ (y.transpose(-1, -2) if turned else y),
        (first, second),
        f"matmul turned={turned}",
    )


def _take(draw: Any, program: Program) -> Step | None:
    index = _pick(draw, program)
    shape = program.shape(index)
    if not shape or shape[0] == 0 or 3 * np.prod(shape) > LONGEST:
        return None
    where = draw(st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=3))
    positive = [entry % shape[0] for entry in where]
    return Step(lambda x: x[np.array(where)], lambda t, x: x[positive], (index,), f"take {where}")


def _pick(draw: Any, program: Program) -> int:
    """Choose an operand, mostly a recent one."""
    last = len(program.nodes) - 1
    return (
        last - draw(st.integers(0, min(last, 3)))
        if draw(st.booleans())
        else draw(st.integers(0, last))
    )


MAKERS = (
    (_unary, 6), (_binary, 6), (_reduction, 4), (_transpose, 2), (_slice, 2), (_reshape, 2),
    (_join, 3), (_matmul, 2), (_take, 1),
)  # fmt: skip
_CHOICES = list(itertools.chain.from_iterable([maker] * weight for maker, weight in MAKERS))


@st.composite
def programs(draw: Any) -> Program:
    """Draw a program of 3 to 25 ops."""
    extent = st.sampled_from((1, 2, 3, 4, 7, 17, 0))
    program = Program(
        draw(st.sampled_from(("float64", "float64", "float32"))),
        {"N": draw(extent), "M": draw(extent)},
        draw(
            st.lists(st.lists(st.sampled_from(DIMS), max_size=4).map(tuple), min_size=1, max_size=3)
        ),
    )
    for _ in range(draw(st.integers(3, 25))):
        step = draw(st.sampled_from(_CHOICES))(draw, program)
        if step is not None:
            program.append(step)
    return program
