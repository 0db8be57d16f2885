"""The reference interpreter: graphs evaluated node by node with NumPy. It defines the semantics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symgraph.dims import Dim, Symbol, symbols
from symgraph.dims import evaluate as evaluate_extent
from symgraph.errors import FeedError, GraphError, ShapeError, SymGraphError
from symgraph.leaves import ARGUMENT, CONSTANT, PARAMETER, PLACEHOLDER, Constant, Parameter
from symgraph.node import Graph, Node, describe, located_message, topological
from symgraph.op import Elementwise, Leaf
from symgraph.ops.elementwise import operand_dtypes
from symgraph.ops.loop import CAPACITY, LOOP, CapacityExceeded, Parts, parts
from symgraph.types import TensorType

Array = np.ndarray[Any, Any]
Value = Array | tuple[Array, ...]
Observer = Callable[[Node, Any, tuple[int, ...]], None]

_FIRST_CAPACITY = 64
"""Steps of a loop of unknown length that are kept at first."""


def evaluate(
    outputs: Sequence[Node],
    feeds: Mapping[Any, Any] | None = None,
    *,
    call_index: int = 0,
    observe: Observer | None = None,
    restart: Callable[[], None] | None = None,
) -> list[Array]:
    """Compute nodes with NumPy, one node at a time.

    Args:
        outputs: the nodes to compute.
        feeds: values of placeholders, by node or by name; a value given for any other node (a
            parameter, an intermediate) replaces what it would compute.
        call_index: the number of the call, which random ops depend on.
        observe: called with each node, its value once that is known, and the numbers of the steps
            of the loops around it, from the outermost on; also inside branches and bodies. Steps
            have the numbers of the rows that they take.
        restart: called when all that was observed is void, because a loop took more steps than
            there was room for: everything is computed once more.

    Returns:
        One array for each output; 0-d results stay arrays.

    Raises:
        FeedError: a placeholder has no value, or one that does not fit.
        ShapeError: shapes that were open do not fit.
        BoundsError: an index is out of range.
    """
    order = topological(outputs)
    bound, extents = _bind(order, feeds or {})
    capacity = _FIRST_CAPACITY
    while True:
        run = _Run(extents | dict.fromkeys(symbols(CAPACITY), capacity), call_index, observe)
        try:
            with np.errstate(all="ignore"):
                found = run.compute(order, outputs, dict(bound))
        except CapacityExceeded:
            capacity *= 4
            if restart is not None:
                restart()
        else:
            return [_array(value).copy() for value in found]


def _array(value: Value) -> Array:
    if isinstance(value, tuple):
        raise GraphError("an output is a tuple; pick an item of it")
    return value


def _in_dtype_of(declared: TensorType, value: Value) -> Array:
    return _array(value).astype(declared.dtype, copy=False) if declared.dtype else _array(value)


def _bind(
    order: Sequence[Node], feeds: Mapping[Any, Any]
) -> tuple[dict[Node, Value], dict[str, int]]:
    """Return the fed values by node, and the extent of every symbol that they decide."""
    placeholders = {node.name: node for node in order if node.op is PLACEHOLDER}
    values: dict[Node, Value] = {}
    extents: dict[str, int] = {}
    for key, given in feeds.items():
        node = key if isinstance(key, Node) else placeholders.get(key)
        if node is None:
            continue
        values[node] = _fed(node, given)
        _unify(node, np.shape(given), extents)
    for node in values:
        _check_extents(node, values[node], extents)
    return values, extents


def _fed(node: Node, given: Any) -> Array:
    declared: TensorType = node.type
    plain = not isinstance(given, np.ndarray | np.generic)
    array = np.asarray(given, dtype=declared.dtype if plain else None)
    if declared.dtype is not None and array.dtype.name != declared.dtype:
        raise FeedError(f"{describe(node)} takes {declared.dtype}, not {array.dtype}")
    if declared.shape is not None and array.ndim != len(declared.shape):
        raise FeedError(f"{describe(node)} has {len(declared.shape)} axes, not {array.ndim}")
    return array


def _unify(node: Node, shape: tuple[int, ...], extents: dict[str, int]) -> None:
    for declared, actual in zip(node.type.shape or (), shape, strict=False):
        name = _symbol_name(declared)
        if name is not None and extents.setdefault(name, actual) != actual:
            raise FeedError(f"{describe(node)}: {name} is {extents[name]} elsewhere, here {actual}")


def _symbol_name(extent: object) -> str | None:
    """Return the name of an extent that is one plain symbol."""
    if isinstance(extent, Dim) and len(extent.terms) == 1:
        atoms, coefficient = extent.terms[0]
        if coefficient == 1 and len(atoms) == 1 and isinstance(atoms[0], Symbol):
            return atoms[0].name
    return None


def _check_extents(node: Node, value: Value, extents: Mapping[str, int]) -> None:
    for axis, declared in enumerate(node.type.shape or ()):
        if any(name not in extents for name in symbols(declared)):
            continue
        wanted, actual = evaluate_extent(declared, extents), np.shape(value)[axis]
        if wanted != actual:
            raise FeedError(f"{describe(node)}: axis {axis} has extent {actual}, not {wanted}")


@dataclass
class _Run:
    """One evaluation.

    Args:
        extents: what every symbol stands for.
        call_index: the number of the call.
        observe: is told every value.
        weak: the nodes that are numbers which the user wrote, and what is computed from them alone.
        steps: which step each loop that is being run is at, the outermost first.
        orders: the nodes of each body, each after its inputs.
    """

    extents: Mapping[str, int]
    call_index: int
    observe: Observer | None = None
    weak: set[Node] = field(default_factory=set)
    steps: tuple[int, ...] = ()
    orders: dict[Graph, list[Node]] = field(default_factory=dict)

    def compute(
        self, order: Sequence[Node], outputs: Sequence[Node], values: dict[Node, Value]
    ) -> list[Value]:
        """Compute `outputs`, dropping each intermediate after its last use."""
        uses: dict[Node, int] = {}
        for used in (outputs, *(node.inputs for node in order)):
            for child in used:
                uses[child] = uses.get(child, 0) + 1
        for node in order:
            if node not in values:
                values[node] = self._node(node, [values[child] for child in node.inputs])
            if self.observe is not None:
                self.observe(node, values[node], self.steps)
            for child in node.inputs:
                uses[child] -= 1
                if not uses[child]:
                    values.pop(child, None)
        return [values[node] for node in outputs]

    def _node(self, node: Node, operands: list[Value]) -> Value:
        if isinstance(node.op.kind, Leaf):
            return self._leaf(node)
        if node.op.name == "cond":
            return self._cond(node, operands)
        if node.op is LOOP:
            return self._loop(node, operands)
        if node.op.name == "project":
            item: Array = operands[0][node.attrs["index"]]
            self._mark(node, node.type.weak)
            return item
        arrays = [operand for operand in operands if isinstance(operand, np.ndarray)]
        try:
            return self._apply(node, arrays)
        except SymGraphError as error:
            reason = str(error)
            if "\n" in reason:
                raise
            message = located_message(node.op, node.inputs, node.loc, reason)
            raise type(error)(message) from None

    def _leaf(self, node: Node) -> Array:
        if node.op is PLACEHOLDER:
            raise FeedError(f"no value is given for {describe(node)}")
        if node.op is ARGUMENT:
            raise GraphError(f"an argument outside of its sub-graph: {describe(node)}")
        if node.op in (CONSTANT, PARAMETER):
            assert isinstance(node, Constant | Parameter), "these leaves carry arrays"
            self._mark(node, node.type.weak)
            return node.value
        attrs = self._static(dict(node.attrs))
        if node.op.name == "call_index":
            attrs["call_index"] = self.call_index
        self._mark(node, node.type.weak)
        return np.asarray(node.op.numpy(**attrs))

    def _mark(self, node: Node, weak: bool) -> None:
        if weak:
            self.weak.add(node)

    def _apply(self, node: Node, arrays: list[Array]) -> Array:
        attrs = self._static(dict(node.attrs))
        types = tuple(
            TensorType(array.dtype.name, array.shape, child in self.weak)
            for child, array in zip(node.inputs, arrays, strict=True)
        )
        declared = node.op.infer(types, attrs)
        assert isinstance(declared, TensorType), "only control ops give tuples"
        if isinstance(node.op.kind, Elementwise):
            wanted = operand_dtypes(node.op, types, attrs)
            arrays = [a.astype(d, copy=False) for a, d in zip(arrays, wanted, strict=True)]
        self._mark(node, declared.weak)
        return np.asarray(node.op.numpy(*arrays, **attrs)).astype(declared.element, copy=False)

    def _cond(self, node: Node, operands: list[Value]) -> Value:
        """Run the branch that is taken; the other one is never looked at."""
        branch: Graph = node.attrs["then_graph" if np.any(operands[0]) else "else_graph"]
        values = dict(zip(branch.inputs, operands[1:], strict=True))
        for leaf, child in zip(branch.inputs, node.inputs[1:], strict=True):
            self._mark(leaf, child in self.weak)
        results = self.compute(topological(branch.outputs), branch.outputs, values)
        if isinstance(node.type, TensorType):
            return _in_dtype_of(node.type, results[0])
        return tuple(map(_in_dtype_of, node.type.items, results))

    def _loop(self, node: Node, operands: list[Value]) -> Value:
        """Run the body step by step."""
        attrs = node.attrs
        given = parts([_array(value) for value in operands], attrs)
        limit, rows = self._steps(node, given)
        body: Graph = attrs["body"]
        carry, count = list(given.carries), attrs["carries"]
        self._mark_arguments(node)
        stacks: list[list[Array]] = [[] for _ in body.outputs[count:]]
        outside, taken = self.steps, 0
        while limit is None or taken < limit:
            index = limit - 1 - taken if attrs["reverse"] and limit is not None else taken
            self.steps = (*outside, index)
            if not self._goes_on(attrs["condition"], carry, given):
                break
            if rows is not None and taken == rows and limit is None:
                raise CapacityExceeded
            seen = [np.asarray(array[index]) for array in given.scanned]
            try:
                results = self._run_graph(body, [*carry, *seen, *given.captured])
            except SymGraphError as error:
                where = f"in step {index} of the loop made at {node.loc}"
                raise type(error)(f"{error}\n  {where}") from None
            carry = list(map(_in_dtype_of, node.type.items[:count], results[:count]))
            for stack, value in zip(stacks, results[count:], strict=True):
                stack.append(_array(value))
            taken += 1
        self.steps = outside
        return (*carry, *self._rows(node, stacks, rows))

    def _mark_arguments(self, node: Node) -> None:
        given = parts(node.inputs, node.attrs)
        operands = [*given.carries, *given.scanned, *given.captured]
        pairs = [*zip(node.attrs["body"].inputs, operands, strict=True)]
        if node.attrs["condition"] is not None:
            tested = [*given.carries, *given.captured]
            pairs += zip(node.attrs["condition"].inputs, tested, strict=True)
        for leaf, operand in pairs:
            self._mark(leaf, operand in self.weak and leaf.type.weak)

    def _rows(
        self, node: Node, stacks: Sequence[list[Array]], rows: int | None
    ) -> tuple[Array, ...]:
        items = node.type.items[node.attrs["carries"] :]
        return tuple(
            self._stacked(stack, item, rows, node.attrs["reverse"])
            for stack, item in zip(stacks, items, strict=True)
        )

    def _steps(self, node: Node, given: Parts[Array]) -> tuple[int | None, int | None]:
        """Return how many steps there are, None if a condition decides, and how many rows."""
        attrs = node.attrs
        length = attrs["length"]
        rows: int | None = None if length is None else self._static(length)
        for array in given.scanned:
            if rows is not None and len(array) != rows:
                raise ShapeError(
                    f"loop: it scans {rows} rows of one array, {len(array)} of another"
                )
            rows = len(array)
        if attrs["condition"] is not None:
            return None, rows
        if given.count:
            counted = int(given.count[0])
            return (counted if rows is None else min(counted, rows)), rows
        return rows, rows

    def _goes_on(self, condition: Graph | None, carry: list[Array], given: Parts[Array]) -> bool:
        if condition is None:
            return True
        return bool(_array(self._run_graph(condition, [*carry, *given.captured])[0]))

    def _run_graph(self, graph: Graph, operands: Sequence[Value]) -> list[Value]:
        values = dict(zip(graph.inputs, operands, strict=True))
        order = self.orders.get(graph)
        if order is None:
            order = self.orders[graph] = topological(graph.outputs)
        return self.compute(order, graph.outputs, values)

    def _stacked(
        self, rows: list[Array], declared: TensorType, count: int | None, reverse: bool
    ) -> Array:
        """Return rows as one array of the declared extents; rows that no step filled are zero."""
        dtype = declared.dtype or (rows[0].dtype if rows else np.dtype("float64"))
        shape = rows[0].shape if rows else self._static(declared.dims[1:])
        filled = np.zeros((len(rows) if count is None else count, *shape), dtype)
        for index, row in enumerate(reversed(rows) if reverse else rows):
            filled[index] = row
        return filled

    def _static(self, attr: Any) -> Any:
        """Return `attr` with every symbolic extent in it replaced by its value."""
        if isinstance(attr, Dim):
            missing = [name for name in symbols(attr) if name not in self.extents]
            if missing:
                raise FeedError(f"nothing that is fed decides the extent {missing[0]!r}")
            return evaluate_extent(attr, self.extents)
        if isinstance(attr, tuple):
            return tuple(self._static(entry) for entry in attr)
        if isinstance(attr, list):
            return [self._static(entry) for entry in attr]
        if isinstance(attr, dict):
            return {key: self._static(entry) for key, entry in attr.items()}
        return attr
