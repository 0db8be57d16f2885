"""Loops: `scan` over the rows of arrays, and `while_loop` as long as a condition holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from symgraph.dims import Dim, Extent, symbol
from symgraph.errors import GraphError, SymGraphError
from symgraph.leaves import Constant
from symgraph.location import user_location
from symgraph.node import Graph, Node, apply, describe
from symgraph.ops.branches import (
    NOTHING,
    Branch,
    Structure,
    check_arguments,
    closed,
    flattened,
    outline,
    rebuilt,
    substituted,
    trace,
)
from symgraph.ops.comparison import not_equal
from symgraph.ops.composite import argument
from symgraph.ops.control import PROJECT
from symgraph.ops.loop import LOOP, carried, is_open, row_type, settled_carry
from symgraph.ops.random_bits import RANDOM_BITS
from symgraph.types import UNKNOWN, TensorType

__all__ = ["scan", "while_loop"]

LONGEST = 2**62
"""The steps of the longest loop; it would take a century."""
_ROUNDS = 4
"""How often a body is traced at most until the dtypes of weak carries are settled."""


def scan(
    fn: Callable[[Any, Any], Any],
    init: Any,
    xs: Any = None,
    length: int | str | Dim | None = None,
    reverse: bool = False,
    checkpoint: bool = False,
) -> Any:
    """Run a step for each row of some arrays, carrying values from step to step.

    The step is compiled once, whatever the length; there is no Python between steps. Gradients of
    any order flow through it.

    Args:
        fn: builds one step: `fn(carry, x)` returns `(new carry, y)`. `carry` is structured as
            `init`, `x` as `xs` (None without `xs`); `y` is a node, nested tuples and dicts, or
            None. It uses outer nodes by name, and is called several times while building.
        init: the carry before the first step: a node, a number, or nested tuples and dicts of them.
        xs: arrays whose rows (along axis 0) the steps see: a node, or nested tuples and dicts.
        length: the number of steps; needed only without `xs`. An int, or the name of an extent.
        reverse: start with the last row; `ys` stay in the order of `xs`.
        checkpoint: for the gradient, keep the carries only and compute the rest of each step once
            more, instead of keeping what the gradient reads: less memory for more work.

    Returns:
        `(carry, ys)`: the carry after the last step, and the `y` of all steps stacked along a new
        axis 0 (None if `fn` returns None for `y`).

    Raises:
        GraphError: `fn` returns no pair, or a carry of another structure; no length is given.
        DTypeError: a carry changes its dtype from step to step.
        ShapeError: a carry changes its shape, or `xs` differ in their number of rows.

    Example:
        >>> xs = Placeholder("xs", ("T", 3), "float32")
        >>> scan(lambda total, x: (total + x, total), np.zeros(3, "float32"), xs)
        (<project: float32[3]>, <project: float32[T, 3]>)
    """
    _check_function("scan: the step must be a function of a carry and a row", fn)
    check_arguments(fn, "scan: the step", ("the carry", "a row"))
    start, carry_structure = flattened(init, "scan: init")
    rows, row_structure = ([], NOTHING) if xs is None else flattened(xs, "scan: xs")
    steps = _length(length)
    if not rows and steps is None:
        raise GraphError(f"scan: without xs a length is needed\n  at {user_location()}")

    def step(carry: Sequence[Node], row: Sequence[Node]) -> Any:
        x = None if xs is None else rebuilt(row_structure, iter(row))
        return _pair(fn(rebuilt(carry_structure, iter(carry)), x))

    body = _settled("scan", step, start, carry_structure, list(map(_row_type, rows)))
    attrs = {"length": steps, "reverse": bool(reverse), "checkpoint": bool(checkpoint)}
    results = _loop(body, rows, None, attrs)
    carry = rebuilt(carry_structure, iter(results))
    stacks = iter(results[len(body.start) :])
    return carry, None if body.without_rows else rebuilt(body.row_structure, stacks)


def while_loop(
    cond_fn: Callable[[Any], Any],
    body_fn: Callable[[Any], Any],
    init: Any,
) -> Any:
    """Run a step as long as a condition holds.

    Gradients of any order flow through it; they keep what the steps compute, for as many steps as
    a call takes. Ctrl-C ends a loop that never ends by itself.

    Args:
        cond_fn: `cond_fn(carry)` builds one truth value from the carry: a 0-d bool, or a number, of
            which all but 0 hold.
        body_fn: `body_fn(carry)` builds the next carry, structured as `init`.
        init: the carry before the first step: a node, a number, or nested tuples and dicts of them.

    Returns:
        The first carry for which the condition does not hold, structured as `init`.

    Raises:
        GraphError: `body_fn` returns another structure than `init`.
        DTypeError: a carry changes its dtype from step to step.
        ShapeError: a carry changes its shape, or the condition is not 0-d.

    Example:
        >>> x = Placeholder("x", (), "float32")
        >>> while_loop(lambda x: x < 100, lambda x: x * 2, x)
        <project: float32[]>
    """
    start, structure = flattened(init, "while_loop: init")

    def step(carry: Sequence[Node], _row: Sequence[Node]) -> Any:
        return body_fn(rebuilt(structure, iter(carry))), ()

    _check_function("while_loop: the body must be a function of the carry", body_fn)
    check_arguments(body_fn, "while_loop: the body", ("the carry",))
    body = _settled("while_loop", step, start, structure, [])
    own = tuple(argument(node.type) for node in body.start)
    condition = trace(cond_fn, "while_loop: the condition", (rebuilt(structure, iter(own)),), own)
    if condition.structure is not None:
        raise GraphError(
            f"while_loop: the condition is one truth value, not {outline(condition)}\n"
            f"  at {user_location()}"
        )
    attrs = {"length": None, "reverse": False, "checkpoint": False}
    results = _loop(body, [], (condition, own), attrs)
    return rebuilt(structure, iter(results))


def _check_function(what: str, function: object) -> None:
    if not callable(function) or isinstance(function, Node):
        raise GraphError(f"{what}, not {function!r}\n  at {user_location()}")


def _length(length: int | str | Dim | None) -> Extent | None:
    if isinstance(length, str):
        return symbol(length)
    if isinstance(length, Node):
        raise GraphError(
            f"scan: the length is known before the call runs, which {describe(length)} is not\n"
            f"  at {user_location()}\n  use while_loop with a counter among the carries"
        )
    if isinstance(length, bool) or not (length is None or isinstance(length, int | Dim)):
        raise GraphError(
            f"scan: the length is an int, the name of an extent or None, not {length!r}\n"
            f"  at {user_location()}"
        )
    if isinstance(length, int) and length < 0:
        raise GraphError(f"scan: the length is {length}, below 0\n  at {user_location()}")
    if isinstance(length, int) and length > LONGEST:
        raise GraphError(
            f"scan: the length is {length}, and no loop takes more than {LONGEST} steps\n"
            f"  at {user_location()}"
        )
    return length


def _row_type(node: Node) -> TensorType:
    try:
        return row_type(node.type)
    except SymGraphError as error:
        raise type(error)(
            f"scan: {error}\n  xs: {describe(node)}\n  at {user_location()}"
        ) from None


def _pair(result: Any) -> tuple[Any, Any]:
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise GraphError(
            f"scan: the step returns a pair (carry, y), not {result!r}\n  at {user_location()}"
        )
    return result[0], () if result[1] is None else result[1]


@dataclass(frozen=True)
class _Body:
    """A traced step.

    Args:
        start: the carries before the first step, in the dtypes that they keep.
        carries: the body's arguments for them.
        rows: its arguments for rows.
        branch: what it returns: new carries, then rows.
        row_structure: how the rows are nested.
    """

    start: list[Node]
    carries: list[Node]
    rows: list[Node]
    branch: Branch
    row_structure: Structure

    @property
    def without_rows(self) -> bool:
        return self.row_structure == NOTHING


def _settled(
    name: str,
    step: Callable[[Sequence[Node], Sequence[Node]], Any],
    start: list[Node],
    structure: Structure,
    row_types: list[TensorType],
) -> _Body:
    """Return the traced step, whose carries keep their types.

    A weak number takes the dtype that the step gives it, as it would in an expression.
    """
    for _ in range(_ROUNDS):
        carries = [argument(node.type) for node in start]
        rows = [argument(declared) for declared in row_types]
        branch = trace(step, f"{name}: the step", (carries, rows), (*carries, *rows))
        assert branch.structure is not None, "a step returns a pair"
        carry_structure, row_structure = branch.structure.entries
        if carry_structure != structure:
            ours = rebuilt(structure, iter(["array"] * len(start)))
            found = outline(Branch(branch.outputs, carry_structure, []))
            raise GraphError(
                f"{name}: the step returns a carry structured as {found}, where init is {ours}\n"
                f"  at {user_location()}"
            )
        ends = zip(start, branch.outputs, strict=False)
        kept = [_kept(name, k, *pair) for k, pair in enumerate(ends)]
        if all(new is old for new, old in zip(kept, start, strict=True)):
            break
        start = kept
    return _Body(start, carries, rows, branch, row_structure)


def _kept(name: str, position: int, start: Node, end: Node) -> Node:
    """Return the start of a carry in the dtype that all steps keep."""
    try:
        carried(position, start.type, end)
    except SymGraphError as error:
        raise type(error)(
            f"{name}: {error}\n  init: {describe(start)}\n  at {user_location()}"
        ) from None
    return settled_carry(start, end)


def _loop(
    body: _Body,
    rows: list[Node],
    condition: tuple[Branch, tuple[Node, ...]] | None,
    attrs: dict[str, Any],
) -> list[Node]:
    """Build the loop node, and return its results."""
    captured = list(body.branch.captured)
    if condition is not None:
        captured = list(dict.fromkeys([*captured, *condition[0].captured]))
    own = (*body.carries, *body.rows)
    outputs = body.branch.outputs
    types = [
        *(node.type if not is_open(node.type) else UNKNOWN for node in body.start),
        *(node.type for node in outputs[len(body.start) :]),
    ]
    graph = closed(body.branch, captured, types, own)
    start = list(body.start)
    test = None
    if condition is not None:
        branch, arguments_ = condition
        flat = closed(branch, captured, [UNKNOWN], arguments_)
        truth = flat.outputs[0]
        test = Graph(
            flat.inputs, (truth if truth.type.dtype in ("bool", None) else not_equal(truth, 0),)
        )
    graph, test, start = _with_draws(graph, test, start, captured, len(body.rows))
    node = apply(
        LOOP,
        *start,
        *rows,
        *captured,
        body=graph,
        condition=test,
        carries=len(start),
        scanned=len(rows),
        counted=False,
        **attrs,
    )
    results = [apply(PROJECT, node, index=index) for index in range(len(node.type.items))]
    hidden = len(start) - len(body.start)
    return results[: len(body.start)] + results[len(body.start) + hidden :]


def _with_draws(
    graph: Graph, test: Graph | None, start: list[Node], captured: list[Node], rows: int
) -> tuple[Graph, Graph | None, list[Node]]:
    """Return the graphs such that each step draws random numbers of its own.

    Random nodes depend on the number of the call; here that is mixed with the number of the step,
    which becomes one more carry.
    """
    calls = [k for k, node in enumerate(captured) if node.op.name == "call_index"]
    if not calls:
        return graph, test, start
    before = len(start)
    leaves = graph.inputs
    step = argument(TensorType("int64", ()))
    known = {leaf: leaf for leaf in leaves}
    for k in calls:
        leaf = leaves[before + rows + k]
        known[leaf] = RANDOM_BITS(step, leaf, Constant(k, "int64"))
    outputs = substituted(graph.outputs, known)
    mixed = Graph(
        (*leaves[:before], step, *leaves[before:]),
        (*outputs[:before], step + 1, *outputs[before:]),
    )
    if test is not None:
        unused = argument(step.type)
        test = Graph((*test.inputs[:before], unused, *test.inputs[before:]), test.outputs)
    return mixed, test, [*start, Constant(0, "int64")]
