"""Random loops for the fuzz tests, each built as a loop and unrolled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

import symgraph as sg
from symgraph.node import Node

Shape = tuple[str, ...]
Operation = Callable[..., Node]

SHAPES: tuple[Shape, ...] = ((), ("N",), ("M",), ("M", "N"), ("N", "N"))


WAYS: dict[str, Callable[[Node, Node], Node]] = {
    "tanh": lambda carry, value: sg.tanh(value) * 1.5,
    "plain": lambda carry, value: value,
    "sum": lambda carry, value: carry + value,
}


@dataclass(frozen=True)
class Step:
    """One op of a loop's body: `build(*values)`, which gives an array of `shape`."""

    build: Operation
    operands: tuple[int, ...]
    shape: Shape
    label: str


@dataclass
class Body:
    """A random step of a loop.

    What it works on is numbered: carries, rows, captured values, the number of the step, and what
    its own ops compute.

    Args:
        carries: the shapes of the carries.
        rows: the shapes of the rows.
        captured: the shapes of the captured arrays.
        steps: its ops.
        ends: from which values the new carries follow.
        ways: how: `tanh` puts a bound on the value, `plain` takes it as it is, and `sum` adds it to
            the carry.
        results: what the rows of the results are.
    """

    carries: list[Shape]
    rows: list[Shape]
    captured: list[Shape]
    steps: list[Step] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    ways: list[str] = field(default_factory=list)
    results: list[int] = field(default_factory=list)

    @property
    def shapes(self) -> list[Shape]:
        return [
            *self.carries, *self.rows, *self.captured, (), *(step.shape for step in self.steps)
        ]  # fmt: skip

    @property
    def number(self) -> int:
        """Return where the number of the step stands among the values."""
        return len(self.carries) + len(self.rows) + len(self.captured)

    def run(
        self, carries: Sequence[Node], rows: Sequence[Node], captured: Sequence[Node], number: Node
    ) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
        """Return the new carries and the results of one step."""
        values = [*carries, *rows, *captured, number]
        for step in self.steps:
            values.append(step.build(*(values[i] for i in step.operands)))
        ends = [
            WAYS[way](carry, values[end])
            for way, carry, end in zip(self.ways, carries, self.ends, strict=True)
        ]
        return tuple(ends), tuple(values[k] for k in self.results)


@dataclass
class Program:
    """A random loop.

    Args:
        body: its step.
        kind: `scan`, `reverse`, `checkpoint` or `while`.
        dtype: of the arrays.
        extents: what N and M are, and T, the number of steps.
        known: what is known of the arrays when the graph is built: `extents`, `names` of extents,
            or `nothing`.
    """

    body: Body
    kind: str
    dtype: str
    extents: dict[str, int]
    known: str

    def __post_init__(self) -> None:
        body = self.body
        self.starts = [self._leaf(f"c{k}", shape) for k, shape in enumerate(body.carries)]
        # What a while loop indexes must not be empty, even if no step is taken.
        self.count = "R" if self.kind == "while" else "T"
        self.extents["R"] = self.extents["T"] + 1
        self.rows = [self._leaf(f"x{k}", (self.count, *row)) for k, row in enumerate(body.rows)]
        self.outer = [self._leaf(f"w{k}", shape) for k, shape in enumerate(body.captured)]

    def _leaf(self, name: str, shape: Shape) -> Node:
        if self.known == "nothing":
            return sg.Placeholder(name)
        dims = tuple(e if self.known == "names" else self.extents[e] for e in shape)
        return sg.Placeholder(name, dims, self.dtype)

    @property
    def leaves(self) -> list[Node]:
        return [*self.starts, *self.rows, *self.outer]

    def feeds(self, seed: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        body = self.body
        shapes = [*body.carries, *((self.count, *row) for row in body.rows), *body.captured]
        return {
            leaf.name or "": np.asarray(
                rng.standard_normal([self.extents[e] for e in shape]), self.dtype
            )
            for leaf, shape in zip(self.leaves, shapes, strict=True)
        }

    def looped(self) -> list[Node]:
        """Return the last carries and the stacked results, computed by a loop."""
        if self.kind == "while":
            return self._while()

        def step(carry: Any, rows: Any) -> Any:
            number, carries = carry
            ends, results = self.body.run(carries, rows or (), self.outer, number)
            return (number + 1, ends), results or None

        (_, carries), results = sg.scan(
            step,
            (0, tuple(self.starts)),
            tuple(self.rows) if self.rows else None,
            length=None if self.rows else self.extents["T"],
            reverse=self.kind == "reverse",
            checkpoint=self.kind == "checkpoint",
        )
        return [*carries, *(results or ())]

    def _while(self) -> list[Node]:
        def step(carry: Any) -> Any:
            number, carries = carry
            rows = [array[number] for array in self.rows]
            ends, _ = self.body.run(carries, rows, self.outer, number)
            return number + 1, ends

        start = (0, tuple(self.starts))
        _, carries = sg.while_loop(lambda carry: carry[0] < self.extents["T"], step, start)
        return list(carries)

    def unrolled(self) -> list[Node]:
        """Return the same, each step built by itself."""
        count = self.extents["T"]
        carries: tuple[Node, ...] = tuple(self.starts)
        stacks: list[tuple[Node, ...]] = []
        order = reversed(range(count)) if self.kind == "reverse" else range(count)
        for number, index in enumerate(order):
            rows = [array[index] for array in self.rows]
            carries, results = self.body.run(carries, rows, self.outer, sg.Constant(number))
            stacks.append(results)
        if self.kind == "reverse":
            stacks.reverse()
        if self.kind == "while" or not count:
            return list(carries)
        return [*carries, *(sg.stack(list(parts)) for parts in zip(*stacks, strict=True))]

    def __repr__(self) -> str:
        body = self.body
        lines = [f"{self.kind} {self.dtype} {self.extents} known={self.known}"]
        lines += [f"  carries {body.carries} rows {body.rows} captured {body.captured}"]
        lines += [
            f"  {k} = {step.label} {step.operands} -> {step.shape}"
            for k, step in enumerate(body.steps, start=body.number + 1)
        ]
        return "\n".join([*lines, f"  ends {body.ends} {body.ways} results {body.results}"])


def inner_scan(x: Node, factor: Node) -> Node:
    """Return the sums of what a scan over the rows of `x` stacks and carries."""
    start = sg.sum(x, axis=0) * 0.1
    carry, ys = sg.scan(lambda s, r: (sg.tanh(s * factor + r), s * r), start, x)
    return sg.sum(ys, axis=0) + carry


def inner_while(x: Node, number: Node) -> Node:
    """Return `x` after two or three steps, depending on the number of the outer step."""
    steps = 2 + number % 2
    return sg.while_loop(
        lambda c: c[1] < steps, lambda c: (sg.sin(c[0]) + x * 0.5, c[1] + 1), (x, 0)
    )[0]


UNARY: dict[str, Operation] = {
    "tanh": sg.tanh,
    "sin": sg.sin,
    "double": lambda x: x + x,
    "negative": lambda x: -x,
    "leaky": lambda x: sg.leaky_relu(x, 0.3),
    "stop": sg.stop_gradient,
    "constant": lambda x: sg.ones_like(x) * 0.3,
    "reset": lambda x: sg.where(sg.sum(x) > 2, x * 0.1, x),
}
BINARY: dict[str, Operation] = {
    "add": lambda x, y: x + y,
    "multiply": lambda x, y: sg.tanh(x) * y,
    "maximum": sg.maximum,
    "divide": lambda x, y: x / (y * y + 1),
    "where": lambda x, y: sg.where(x > y, sg.sin(x), 0.5 * y),
}
AXES: dict[str, Operation] = {
    "sum": lambda x: sg.sum(sg.tanh(x), axis=0),
    "mean": lambda x: sg.mean(x, axis=0),
    "max": lambda x: sg.max(x, axis=0),
}
SAME: dict[str, Operation] = {
    "flip": lambda x: sg.flip(x, 0),
    "roll": lambda x: sg.concatenate([x[1:], x[:1]]),
    "cumsum": lambda x: sg.cumsum(sg.tanh(x), axis=-1),
    "softmax": sg.softmax,
}


def _unary(draw: Any, body: Body) -> Step:
    name = draw(st.sampled_from(sorted(UNARY)))
    x = _pick(draw, body)
    return Step(UNARY[name], (x,), body.shapes[x], name)


def _binary(draw: Any, body: Body) -> Step | None:
    x, y = _pick(draw, body), _pick(draw, body)
    one, other = body.shapes[x], body.shapes[y]
    if len(one) < len(other):
        one, other = other, one
    if one[len(one) - len(other) :] != other:
        return None
    name = draw(st.sampled_from(sorted(BINARY)))
    return Step(BINARY[name], (x, y), one, name)


def _condition(draw: Any, body: Body) -> Step | None:
    x = _pick(draw, body)
    y = _like(draw, body, body.shapes[x])
    w = draw(st.integers(0, len(body.shapes) - 1))

    def build(x: Node, y: Node, w: Node) -> Node:
        return sg.cond(
            sg.sum(x) > sg.sum(y), lambda: (x - y) * 0.5, lambda: sg.tanh(x + y) + sg.sum(w) * 0.01
        )

    return Step(build, (x, y, w), body.shapes[x], "cond")


def _along(draw: Any, body: Body) -> Step | None:
    x = _pick(draw, body)
    shape = body.shapes[x]
    if not shape:
        return None
    if draw(st.booleans()):
        name = draw(st.sampled_from(sorted(AXES)))
        return Step(AXES[name], (x,), shape[1:], name)
    name = draw(st.sampled_from(sorted(SAME)))
    return Step(SAME[name], (x,), shape, name)


def _matmul(draw: Any, body: Body) -> Step | None:
    x, y = _pick(draw, body), _pick(draw, body)
    one, other = body.shapes[x], body.shapes[y]
    if not one or not other or one[-1] != other[0]:
        return None
    return Step(lambda x, y: sg.tanh(x) @ sg.tanh(y) * 0.5, (x, y), one[:-1] + other[1:], "matmul")


def _product(draw: Any, body: Body) -> Step | None:
    x, y = _pick(draw, body), _pick(draw, body)
    one, other = body.shapes[x], body.shapes[y]
    if len(one) != 2 or len(other) != 2:
        return None
    turned = one[0] == other[0] and (one[-1] != other[0] or draw(st.booleans()))
    if not turned and one[-1] != other[0]:
        return None
    if turned:
        return Step(
            lambda x, y: sg.transpose(x, (1, 0)) @ (y * 0.25), (x, y), (one[1], other[1]), "outer"
        )
    return Step(lambda x, y: x @ (y * 0.25), (x, y), (one[0], other[1]), "product")


def _index(draw: Any, body: Body) -> Step | None:
    x = _pick(draw, body)
    shape = body.shapes[x]
    if not shape:
        return None
    return Step(lambda x, n: x[n % 2], (x, body.number), shape[1:], "index")


def _turn(draw: Any, body: Body) -> Step | None:
    x = _pick(draw, body)
    shape = body.shapes[x]
    if len(shape) < 2:
        return None
    return Step(sg.transpose, (x,), shape[::-1], "transpose")


def _inner(draw: Any, body: Body) -> Step | None:
    x = _pick(draw, body)
    shape = body.shapes[x]
    if draw(st.booleans()):
        return Step(inner_while, (x, body.number), shape, "inner while")
    factor = _like(draw, body, shape[1:]) if shape else None
    return None if factor is None else Step(inner_scan, (x, factor), shape[1:], "inner scan")


def _pick(draw: Any, body: Body) -> int:
    return _among(draw, [k for k in range(len(body.shapes)) if k != body.number])


def _like(draw: Any, body: Body, shape: Shape) -> int | None:
    found = [k for k, other in enumerate(body.shapes) if other == shape and k != body.number]
    return _among(draw, found) if found else None


def _among(draw: Any, found: list[int]) -> int:
    return draw(st.sampled_from(found))


MAKERS = (
    *[_unary] * 3, *[_binary] * 4, *[_along] * 3, *[_matmul] * 2, *[_product] * 3,
    _condition, _index, _turn, _inner,
)  # fmt: skip


@st.composite
def programs(draw: Any) -> Program:
    """Draw a loop whose body has up to ten ops."""
    shape = st.sampled_from(SHAPES)
    body = Body(
        draw(st.lists(shape, min_size=1, max_size=3)),
        draw(st.lists(shape, max_size=2)),
        draw(st.lists(shape, max_size=2)),
    )
    for _ in range(draw(st.integers(1, 10))):
        step = draw(st.sampled_from(MAKERS))(draw, body)
        if step is not None and len(step.shape) < 3:
            body.steps.append(step)
    body.ends = [_like(draw, body, carry) for carry in body.carries]
    body.ways = [draw(st.sampled_from(sorted(WAYS))) for _ in body.carries]
    body.results = draw(st.lists(st.integers(0, len(body.shapes) - 1), max_size=3))
    return Program(
        body,
        draw(st.sampled_from(("scan", "reverse", "checkpoint", "while"))),
        draw(st.sampled_from(("float64", "float64", "float32"))),
        {
            "N": draw(st.sampled_from((2, 3, 17))),
            "M": draw(st.sampled_from((2, 5))),
            "T": draw(st.sampled_from((0, 1, 2, 3, 5))),
        },
        draw(st.sampled_from(("extents", "names", "names", "nothing"))),
    )
