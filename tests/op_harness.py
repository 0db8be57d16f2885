"""What the tests that run over the whole op registry share."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
from typing import Any

import numpy as np

import symgraph.ops
from symgraph.interpret import evaluate
from symgraph.leaves import Placeholder
from symgraph.node import Node
from symgraph.op import REGISTRY, Control, Elementwise, Op, Sample
from symgraph.types import DTYPES, FLOATS

for _module in pkgutil.iter_modules(symgraph.ops.__path__):
    importlib.import_module(f"symgraph.ops.{_module.name}")

OPS = [op for op in REGISTRY.values() if op.samples and not isinstance(op.kind, Control)]
ELEMENTWISE = [op for op in OPS if isinstance(op.kind, Elementwise)]
STEP = 1e-2


def operands_of(sample: Sample, seed: int = 0) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(array) for array in sample.make(np.random.default_rng(seed)))


def placeholders_for(arrays: tuple[np.ndarray, ...]) -> list[Placeholder]:
    return [
        Placeholder(f"x{position}", array.shape, array.dtype)
        for position, array in enumerate(arrays)
    ]


def applied(op: Op, nodes: list[Placeholder], attrs: Any) -> Node:
    return op(*nodes, **attrs)


def computed(node: Node, nodes: list[Placeholder], arrays: tuple[np.ndarray, ...]) -> np.ndarray:
    return evaluate([node], dict(zip(nodes, arrays, strict=True)))[0]


def dtype_choices(op: Op, arrays: tuple[np.ndarray, ...]) -> list[tuple[str, ...]]:
    """Return the dtypes to try: every one for float operands, all pairs for binary ufuncs."""
    floats = [position for position, array in enumerate(arrays) if array.dtype.kind == "f"]
    if isinstance(op.kind, Elementwise) and len(arrays) == 2 and len(floats) == 2:
        return list(itertools.product(DTYPES, DTYPES))
    return [
        tuple(dtype if i in floats else array.dtype.name for i, array in enumerate(arrays))
        for dtype in (DTYPES if floats else ("float64",))
    ]


def extrapolated(function: Any) -> Any:
    """Return the derivative of `function` at 0 by Richardson's extrapolation."""
    table = [(function(h) - function(-h)) / (2 * h) for h in (STEP, STEP / 2, STEP / 4, STEP / 8)]
    for order in (4.0, 16.0, 64.0):
        pairs = itertools.pairwise(table)
        table = [(order * fine - coarse) / (order - 1) for coarse, fine in pairs]
    return table[0]


def relative_error(found: Any, expected: Any) -> float:
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    if not found.size:
        return 0.0
    return float(np.max(np.abs(found - expected)) / max(1.0, np.max(np.abs(expected))))


def special_values(dtype: str) -> np.ndarray:
    if dtype == "bool":
        return np.array([False, True])
    if dtype not in FLOATS:
        limits = np.iinfo(dtype)
        values = [limits.min, limits.min + 1, -7, -2, -1, 0, 1, 2, 3, 10, 63, limits.max]
        return np.array(values, dtype)
    limits = np.finfo(dtype)
    positive = [0.0, limits.smallest_subnormal, limits.smallest_normal, 1e-5, 0.3, 0.5, 1.0, 1.5]
    positive += [2.0, 2.5, 3.0, 9.75, 88.0, 710.0, 1e10, limits.max, np.inf]
    return np.array([np.nan, *positive, *(-value for value in positive)], dtype)


def special_operands(dtypes: tuple[str, ...]) -> tuple[np.ndarray, ...]:
    """Return every combination of the special values of each operand, flat."""
    grids = np.meshgrid(*(special_values(dtype) for dtype in dtypes), indexing="ij")
    return tuple(np.ascontiguousarray(grid.ravel()) for grid in grids)


def ulp_distance(found: np.ndarray, expected: np.ndarray) -> int:
    """Return the most ulps between two arrays of one dtype.

    NaN must meet NaN, zeros must agree in sign, and anything but floats must be equal.
    """
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if found.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
        return 0
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    zero = (found == 0) & (expected == 0)
    np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(expected[zero]))
    plain = ~np.isnan(expected) & ~zero
    steps = _ordered(found[plain]) - _ordered(expected[plain])
    return max((abs(step) for step in steps.tolist()), default=0)


def _ordered(values: np.ndarray) -> np.ndarray:
    """Return integers, as Python objects, that count floats from -inf to inf."""
    bits = values.view(np.int32 if values.dtype == np.float32 else np.int64)
    lowest = int(np.iinfo(bits.dtype).min)
    counted = [bit if bit >= 0 else lowest - bit for bit in bits.tolist()]
    return np.array(counted, dtype=object)


def expect_close(found: np.ndarray, expected: np.ndarray, ulp: int, *, absolute: float = 0) -> None:
    if ulp_distance(found, expected) > ulp:
        np.testing.assert_allclose(found, expected, rtol=0, atol=absolute)
