"""Uses of every op of the registry, many in one compiled function, for the tests of the GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.leaves import Placeholder
from symgraph.node import Node
from symgraph.op import Elementwise, Op
from tests.op_harness import ELEMENTWISE as ELEMENTWISE
from tests.op_harness import OPS, computed, dtype_choices, operands_of

OTHERS = [op for op in OPS if not isinstance(op.kind, Elementwise)]


class Case:
    """One use of an op: its node, the placeholders of that, and arrays to feed."""

    def __init__(
        self, label: str, node: Node, leaves: list[Placeholder], arrays: tuple[Any, ...] = ()
    ) -> None:
        self.label, self.node, self.leaves, self.arrays = label, node, leaves, arrays
        self.dtypes = tuple(leaf.type.element for leaf in leaves)

    def fed(self, arrays: tuple[Any, ...]) -> Case:
        return Case(self.label, self.node, self.leaves, arrays)

    def expected(self) -> np.ndarray[Any, Any]:
        with np.errstate(all="ignore"):
            return computed(self.node, self.leaves, self.arrays)


def feeds(cases: list[Case]) -> dict[str, Any]:
    return {
        leaf.name: array
        for case in cases
        for leaf, array in zip(case.leaves, case.arrays, strict=True)
    }


def elementwise_cases(op: Op) -> list[Case]:
    """Return a case for each choice of attributes and dtypes, of vectors of any length."""
    cases: list[Case] = []
    for attrs in dict.fromkeys(tuple(sample.attrs.items()) for sample in op.samples):
        for dtypes in dtype_choices(op, operands_of(op.samples[0])):
            start = f"c{len(cases)}_"
            leaves = [Placeholder(f"{start}{i}", (None,), d) for i, d in enumerate(dtypes)]
            try:
                node = op(*leaves, **dict(attrs))
            except DTypeError:
                continue
            cases.append(Case(f"{op.name} {attrs} {dtypes}", node, leaves))
    return cases


def other_cases(op: Op, *, open_extents: bool = False) -> list[Case]:
    """Return a case for each sample and choice of dtypes.

    Args:
        op: no elementwise one.
        open_extents: whether no extent is known when the graph is built; then there is one choice
            of dtypes, and only those samples where the op bears that.
    """
    cases: list[Case] = []
    for index, sample in enumerate(op.samples):
        drawn = operands_of(sample)
        choices = dtype_choices(op, drawn)
        for dtypes in choices[:1] if open_extents else choices:
            start = f"c{len(cases)}_"
            arrays = tuple(array.astype(d) for array, d in zip(drawn, dtypes, strict=True))
            leaves = [
                Placeholder(f"{start}{i}", (None,) * a.ndim if open_extents else a.shape, a.dtype)
                for i, a in enumerate(arrays)
            ]
            try:
                node = op(*leaves, **sample.attrs)
            except DTypeError:
                continue
            except (GraphError, ShapeError):
                if open_extents:
                    continue
                raise
            cases.append(Case(f"{op.name} sample {index} {dtypes}", node, leaves, arrays))
    return cases
