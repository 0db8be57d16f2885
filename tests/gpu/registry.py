"""Checks of single ops: each on the device against the reference and against the CPU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import symgraph as sg
from symgraph.errors import DTypeError
from symgraph.leaves import Placeholder
from symgraph.op import Elementwise
from symgraph.types import FLOATS
from tests.gpu.machine import Gpu
from tests.op_harness import (
    ELEMENTWISE,
    OPS,
    applied,
    computed,
    dtype_choices,
    operands_of,
    placeholders_for,
    special_operands,
    ulp_distance,
)
from tests.test_every_scalar_code import MOST_ULPS, ROUNDED, allowed_operands, ordinary

OTHERS = [op for op in OPS if not isinstance(op.kind, Elementwise)]
BROADCAST = ((3, 17), (17,), (3, 1))
ROUNDING_STEPS = 64
"""How far sums may be from the reference's, in units of the precision: their orders differ."""


def check_elementwise(gpu: Gpu, op: Any) -> None:
    """Run an op with all its attrs on all dtypes that it takes, over special and other values.

    The results must be those of the CPU to the bit, and within 4 ulp of the reference.
    """
    rng = np.random.default_rng(4)
    cases = _elementwise_cases(op)[: gpu.either(4, None)]
    leaves_of_all = [leaf for leaves, _ in cases for leaf in leaves]
    on_gpu, on_cpu = (
        sg.compile([node for _, node in cases], inputs=leaves_of_all, **options)
        for options in (gpu.here, gpu.host)
    )
    sizes = gpu.either((0, 5), (0, 1, 33, 100_003))
    draws = [lambda dtypes, size=size: [ordinary(rng, d, size) for d in dtypes] for size in sizes]
    for draw in [*draws, special_operands]:
        arrays = []
        for leaves, _ in cases:
            dtypes = tuple(leaf.type.element for leaf in leaves)
            arrays.append(tuple(allowed_operands(op, tuple(draw(dtypes)))))
        if draw is special_operands and op.name in ("check_index", "check_ratio"):
            continue  # They refuse most of these values.
        flat = [array for operands in arrays for array in operands]
        found, native = on_gpu(*flat), on_cpu(*flat)
        for (leaves, node), operands, ours, cpu in zip(cases, arrays, found, native, strict=True):
            _expect_bits(gpu, ours, cpu, op.name)
            expected = computed(node, leaves, operands)
            allowed = MOST_ULPS if op.name in ROUNDED else 0
            assert ulp_distance(ours, expected) <= allowed, (op.name, [a.dtype for a in operands])


def _elementwise_cases(op: Any) -> list[tuple[list[Placeholder], Any]]:
    """Return for all attrs and dtypes of an op its placeholders and the node over them."""
    cases: list[tuple[list[Placeholder], Any]] = []
    for sample in op.samples[::3]:
        for dtypes in dtype_choices(op, operands_of(op.samples[0])):
            number = len(cases)
            leaves = [Placeholder(f"x{number}_{i}", (None,), d) for i, d in enumerate(dtypes)]
            try:
                cases.append((leaves, op(*leaves, **sample.attrs)))
            except DTypeError:
                continue
    return cases


def check_broadcast(gpu: Gpu, op: Any) -> None:
    """Run an elementwise op on operands of different shapes."""
    drawn = operands_of(op.samples[0])
    rng = np.random.default_rng(5)
    arrays = tuple(
        ordinary(rng, array.dtype.name, math.prod(shape)).reshape(shape)
        for array, shape in zip(drawn, BROADCAST[: len(drawn)], strict=True)
    )
    if op.name == "check_index":
        arrays = (np.abs(arrays[0]) % 5, np.full((17,), 5))
    if op.name == "check_ratio":
        arrays = (np.abs(arrays[0]) % 1,)
    nodes = placeholders_for(arrays)
    node = op(*nodes, **op.samples[0].attrs)
    found, native = (sg.compile(node, inputs=nodes, **o)(*arrays) for o in (gpu.here, gpu.host))
    _expect_bits(gpu, found, native, op.name)


def check_samples(gpu: Gpu, op: Any) -> None:
    """Run all samples of an op that is not elementwise, on all dtypes that they take."""
    for sample in op.samples[: gpu.either(1, None)]:
        drawn = operands_of(sample)
        cases = []
        for dtypes in dtype_choices(op, drawn):
            arrays = tuple(array.astype(d) for array, d in zip(drawn, dtypes, strict=True))
            nodes = placeholders_for(arrays)
            try:
                cases.append((nodes, arrays, applied(op, nodes, sample.attrs)))
            except DTypeError:
                continue
        for nodes, arrays, node in cases[: gpu.either(1, None)]:
            found = sg.compile(node, inputs=nodes, device=gpu.name)(*arrays)
            _expect_close(found, computed(node, nodes, arrays), op.name)


def _expect_bits(gpu: Gpu, found: Any, expected: Any, label: str) -> None:
    """Demand equal bits of native results; which NaN it is may differ."""
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape), label
    if not gpu.native:
        return
    np.testing.assert_array_equal(found, expected, err_msg=label)
    if found.dtype.name in FLOATS:
        numbers = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))


def _expect_close(found: Any, expected: Any, label: str) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape), label
    if found.dtype.name not in FLOATS:
        np.testing.assert_array_equal(found, expected, err_msg=label)
        return
    allowed = ROUNDING_STEPS * np.finfo(found.dtype).eps
    np.testing.assert_allclose(found, expected, rtol=allowed, atol=allowed, err_msg=label)


__all__ = ["ELEMENTWISE", "OTHERS", "check_broadcast", "check_elementwise", "check_samples"]
