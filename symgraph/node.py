"""Nodes and graphs: the language's one data structure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Union

import numpy as np

from symgraph.dims import Extent, product
from symgraph.errors import DTypeError, GraphError, SymGraphError
from symgraph.location import SourceLoc, user_location
from symgraph.once import once
from symgraph.op import Control, Elementwise, Leaf, Op
from symgraph.operators import Operators
from symgraph.types import INTEGERS, UNKNOWN, TensorType, Type

Operand = Union["Node", bool, int, float, np.ndarray[Any, Any], np.generic, Sequence[Any]]


LONGEST_NAME = 256
"""Characters of a name that messages show."""


class Node(Operators):
    """One immutable value of the graph; equal only to itself.

    Args:
        op: what computes it.
        inputs: the nodes it is computed from.
        attrs: the op's static arguments.
        type: dtype and symbolic shape (open parts are None or `?`).
        loc: the user's line.
    """

    __slots__ = ("__weakref__", "attrs", "inputs", "loc", "op", "type")
    __hash__: ClassVar[Any] = object.__hash__

    op: Op
    inputs: tuple[Node, ...]
    attrs: Mapping[str, Any]
    type: Any
    loc: SourceLoc

    def __init__(
        self,
        op: Op,
        inputs: tuple[Node, ...],
        attrs: Mapping[str, Any],
        type: Type,
        loc: SourceLoc,
    ) -> None:
        """Make a node as given; `apply` is the checked way."""
        setter = object.__setattr__
        setter(self, "op", op)
        setter(self, "inputs", inputs)
        setter(self, "attrs", attrs)
        setter(self, "type", type)
        setter(self, "loc", loc)

    def __setattr__(self, name: str, value: object) -> None:
        raise GraphError(f"a node is immutable: {name!r} cannot be set on {self!r}")

    @property
    def name(self) -> str | None:
        """Return the user's name of a placeholder or parameter, None for other nodes."""
        name = self.attrs.get("name")
        return name if isinstance(name, str) else None

    @property
    def shape(self) -> tuple[Extent | None, ...]:
        """Return the shape: ints, symbolic extents, and None where an extent is open.

        Raises:
            GraphError: the rank is open until the first call.
        """
        if self.type.shape is None:
            raise GraphError(
                f"the rank of {describe(self)} is open until the first call\n"
                f"  at {user_location()}\n  give its placeholders a shape"
            )
        return tuple(self.type.shape)

    @property
    def dtype(self) -> str | None:
        """Return the dtype's name, None while it is open."""
        dtype: str | None = self.type.dtype
        return dtype

    @property
    def ndim(self) -> int:
        """Return the number of axes."""
        return len(self.shape)

    @property
    def size(self) -> Extent:
        """Return the number of elements, an int or a symbolic extent."""
        return product(self.type.dims) if self.shape is not None else 0

    def __len__(self) -> int:
        if self.ndim == 0 or not isinstance(self.shape[0], int):
            raise GraphError(
                f"{describe(self)} has no fixed length; use .shape[0]\n  at {user_location()}"
            )
        return self.shape[0]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise GraphError(
            f"a node can be neither copied nor pickled: {describe(self)}\n  at {user_location()}\n"
            "  build the graph again, and save and load the values of its parameters"
        )

    def __repr__(self) -> str:
        label = f" {shown(self.name)}" if self.name else ""
        return f"<{self.op.name}{label}: {self.type}>"

    def _repr_svg_(self) -> str | None:
        """Return the graph behind this node for notebooks, None where it cannot be drawn."""
        from symgraph.pictures.html import svg_of

        return svg_of(self)


def shown(name: str | None) -> str:
    """Return a user's name in quotes, its middle left out where it is too long for a message."""
    if name is not None and len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME // 2]}...{name[-LONGEST_NAME // 2 :]}"
    return repr(name)


def describe(node: Node) -> str:
    """Return how messages name a node: its name or op, its type, and the user's line."""
    label = shown(node.name) if node.name else node.op.name
    return f"{label} ({node.type}, made at {node.loc})"


def infer_type(op: Op, inputs: tuple[Node, ...], attrs: Mapping[str, Any]) -> Type:
    """Return the type of `op` applied to `inputs`; open while an input's rank or dtype is."""
    types = tuple(node.type for node in inputs)
    if not isinstance(op.kind, Leaf | Control):
        for entry in types:
            if isinstance(entry, TensorType) and (entry.dtype is None or entry.shape is None):
                return UNKNOWN
    return op.infer(types, attrs)


def apply(op: Op, *operands: Operand, **attrs: Any) -> Node:
    """Build the node `op(*operands, **attrs)`.

    Raises:
        SymGraphError: of the kind the op's type rule raises, with the operands and the user's line.
    """
    from symgraph.leaves import lift

    inputs = tuple(operand if isinstance(operand, Node) else lift(operand) for operand in operands)
    loc = user_location()
    try:
        declared = infer_type(op, inputs, attrs)
        if isinstance(op.kind, Elementwise) and any(child.type.weak for child in inputs):
            _check_weak_integers(op, inputs, attrs)
        return Node(op, inputs, attrs, declared, loc)
    except SymGraphError as error:
        raise type(error)(located_message(op, inputs, loc, str(error))) from None


def _check_weak_integers(op: Op, inputs: tuple[Node, ...], attrs: Mapping[str, Any]) -> None:
    """Refuse Python ints that do not fit in the integer dtype they would take.

    Raises:
        DTypeError: one does not fit, where NumPy would raise OverflowError.
    """
    types = tuple(child.type for child in inputs)
    assert isinstance(op.kind, Elementwise), "other ops have no operand dtypes"
    if any(entry.dtype is None for entry in types):
        return
    for child, dtype in zip(inputs, op.kind.operand_dtypes(types, attrs), strict=True):
        # Constants alone are weak; the value of a parameter would have to be drawn, or fetched.
        value = getattr(child, "value", None) if child.type.weak else None
        if value is not None and dtype in INTEGERS and value.dtype.kind == "i":
            limits = np.iinfo(dtype)
            if not limits.min <= int(value.min()) <= int(value.max()) <= limits.max:
                raise DTypeError(
                    f"the Python int {value} does not fit in {dtype}; cast the other operand "
                    "first, for example with .astype('int64')"
                )


def located_message(op: Op, inputs: Iterable[Node], loc: SourceLoc, reason: str) -> str:
    """Return an error text that names the op, its operands, and the user's line."""
    lines = [f"{op.name}: {reason}"]
    lines += [f"  operand {i}: {describe(node)}" for i, node in enumerate(inputs)]
    lines.append(f"  at {loc}" + (f": {loc.code}" if loc.code else ""))
    return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Graph:
    """A closed graph: outputs, and the leaves that stand for its arguments.

    Dead code is simply not reached from the outputs.
    """

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]

    @once
    def order(self) -> tuple[Node, ...]:
        """Return the reachable nodes, each after its inputs; passes ask for them over and over."""
        return tuple(topological(self.outputs))

    def nodes(self) -> list[Node]:
        """Return the reachable nodes, each after its inputs."""
        return list(self.order)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.order)


def topological(outputs: Iterable[Node]) -> list[Node]:
    """Return all nodes that `outputs` depend on, each after its inputs, in a stable order.

    Uses an explicit stack, so chains of any depth work.
    """
    order: list[Node] = []
    finished: dict[Node, bool] = {}
    stack = list(reversed(tuple(outputs)))
    while stack:
        node = stack[-1]
        state = finished.get(node)
        if state is None:
            finished[node] = False
            if node.inputs:
                stack += [child for child in reversed(node.inputs) if child not in finished]
                continue
        stack.pop()
        if not state:
            finished[node] = True
            order.append(node)
    return order
