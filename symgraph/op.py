"""The op record: all that symgraph knows about one operation, in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from symgraph.types import TensorType, Type, promote

if TYPE_CHECKING:
    from symgraph.node import Node, Operand

Attrs = Mapping[str, Any]
Infer = Callable[[tuple[Any, ...], Attrs], Type]
OperandDTypes = Callable[[Sequence[TensorType], Attrs], tuple[str, ...]]


class _NoGradient:
    """The type of `NO_GRADIENT`."""

    def __repr__(self) -> str:
        return "NO_GRADIENT"


class _Expanded:
    """The type of `BY_EXPANSION`."""

    def __repr__(self) -> str:
        return "BY_EXPANSION"


NO_GRADIENT: Final = _NoGradient()
"""Written as an op's `grad` when its derivative is zero everywhere it exists."""

BY_EXPANSION: Final = _Expanded()
"""Written as a composite's `grad` when differentiating its expansion is right."""

Gradient = Callable[..., "tuple[Node | None, ...]"]


def promoted(types: Sequence[TensorType], _attrs: Attrs) -> tuple[str, ...]:
    """Return the promoted dtype of `types`, once for each operand."""
    return (promote(types),) * len(types)


@dataclass(frozen=True, slots=True)
class Elementwise:
    """Maps scalars to a scalar, with NumPy broadcasting.

    Args:
        scalar: `scalar(builder, *values, **attrs)` describes the maths once, for every back end.
        operand_dtypes: `operand_dtypes(types, attrs)` gives the dtype that each operand is cast to
            before `scalar` or the NumPy reference sees it.
        flags: `flags(dtypes)` gives the problems that `scalar` may report with `builder.flag` for
            operands of these dtypes.
    """

    scalar: Callable[..., Any]
    operand_dtypes: OperandDTypes = promoted
    flags: Callable[[tuple[str, ...]], tuple[str, ...]] = lambda dtypes: ()


@dataclass(frozen=True, slots=True)
class Reduce:
    """Combines the elements along `attrs["axis"]` (a tuple), keeping those axes with extent 1.

    Args:
        combine: `sum`, `prod`, `max`, `min`, `any` or `all`.
    """

    combine: str


@dataclass(frozen=True, slots=True)
class View:
    """Rearranges the elements of one array without computing."""


@dataclass(frozen=True, slots=True)
class Library:
    """Needs a kernel of its own.

    Args:
        kernel: the name under which the compiler finds the kernel's generator.
    """

    kernel: str


@dataclass(frozen=True, slots=True)
class Composite:
    """Is written in terms of other ops.

    Args:
        expand: `expand(*inputs, **attrs)` returns the equivalent node, once all types are known.
    """

    expand: Callable[..., Node]


@dataclass(frozen=True, slots=True)
class Control:
    """Runs sub-graphs held in its attrs.

    Args:
        arguments: `arguments(key, types, attrs)` gives the types of the operands that the graph
            `attrs[key]` is run on, from those of the node's inputs.
    """

    arguments: Callable[[str, tuple[Any, ...], Attrs], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Leaf:
    """Has no inputs: placeholders, constants, parameters, index ranges and extents."""


Kind = Elementwise | Reduce | View | Library | Composite | Control | Leaf


@dataclass(frozen=True, slots=True)
class Sample:
    """One way to call an op, for the tests that run over the whole registry.

    Args:
        make: draws the operand arrays (float64 where they are differentiated).
        attrs: the attrs of the call.
        differentiable: positions of the operands whose gradient can be checked at this sample.
        order: the highest order of derivative to check there.
    """

    make: Callable[[np.random.Generator], tuple[np.ndarray[Any, Any], ...]]
    attrs: Mapping[str, Any]
    differentiable: tuple[int, ...]
    order: int = 2


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Op:
    """One operation. There are no defaults: a forgotten rule fails at import.

    Args:
        name: unique; used in printing and in cache keys.
        kind: how it is executed.
        infer: `infer(types, attrs)` gives the result type, for known ranks and dtypes.
        numpy: `numpy(*arrays, **attrs)`, the reference that defines the values.
        grad: `grad(g, y, *xs, **attrs)` gives the adjoint of each x, built from nodes, before
            broadcasting is undone (the differentiator does that); None where it is zero.
        samples: calls that the tests make.
        doc: what it computes, with shapes and dtypes.
    """

    name: str
    kind: Kind
    infer: Infer
    numpy: Callable[..., Any]
    grad: Gradient | _NoGradient | _Expanded
    samples: tuple[Sample, ...]
    doc: str

    def __post_init__(self) -> None:
        """Enter the op into the registry."""
        if self.name in REGISTRY:
            raise ValueError(f"two ops are called {self.name!r}")
        REGISTRY[self.name] = self
        object.__setattr__(self, "__doc__", self.doc)

    def __call__(self, *operands: Operand, **attrs: Any) -> Node:
        """Build a node that applies this op; Python numbers and arrays become constants."""
        from symgraph.node import apply

        return apply(self, *operands, **attrs)

    def __repr__(self) -> str:
        return self.name


REGISTRY: dict[str, Op] = {}
"""Every op by name, in order of definition."""
