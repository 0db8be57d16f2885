"""Random graphs: compiled as interpreted, gradients as PyTorch and as differences say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import symgraph as sg
from tests.fuzz_programs import programs

EXAMPLES = 100
TOLERANCE = {"float64": 1e-9, "float32": 2e-4}
CHECKS = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def _loss(nodes: list[sg.Node]) -> sg.Node:
    """Return a smooth scalar of the last values."""
    total = sg.sum(sg.tanh(nodes[-1]))
    for node in nodes[-4:-1]:
        total = total + sg.sum(sg.sin(node) * 0.5)
    return total


def _assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    scale = max(1.0, float(np.max(np.abs(expected), initial=0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


@CHECKS
@given(programs())
def test_native_is_reference_forward_and_backward(program):
    loss = _loss(program.nodes)
    gradients = sg.grad(loss, program.placeholders, allow_unused=True)
    outputs = [*program.nodes[-3:], loss, *gradients]
    feeds = program.feeds(0)
    found = sg.compile(outputs, inputs=program.placeholders)(**feeds)
    expected = sg.compile(outputs, inputs=program.placeholders, mode="reference")(**feeds)
    for one, other in zip(found, expected, strict=True):
        _assert_close(one, other, TOLERANCE[program.dtype])


@CHECKS
@given(programs())
def test_open_graphs_are_closed_ones_once_they_are_fed(program):
    nodes = program.opened()
    placeholders = nodes[: len(program.leaves)]
    loss = _loss(nodes)
    gradients = sg.grad(loss, placeholders, allow_unused=True)
    feeds = program.feeds(2)
    found = sg.compile([nodes[-1], loss, *gradients], inputs=placeholders)(**feeds)
    closed = _loss(program.nodes)
    slopes = sg.grad(closed, program.placeholders, allow_unused=True)
    outputs = [program.nodes[-1], closed, *slopes]
    expected = sg.compile(outputs, inputs=program.placeholders)(**feeds)
    for one, other in zip(found, expected, strict=True):
        _assert_close(one, other, TOLERANCE[program.dtype])


@CHECKS
@given(programs())
def test_gradients_are_those_of_torch(program):
    torch = pytest.importorskip("torch")
    feeds = program.feeds(1)
    tensors = program.tensors(torch, feeds)
    total = torch.tanh(tensors[-1]).sum()
    for tensor in tensors[-4:-1]:
        total = total + (torch.sin(tensor) * 0.5).sum()
    leaves = tensors[: len(program.leaves)]
    loss = _loss(program.nodes)
    gradients = sg.grad(loss, program.placeholders, allow_unused=True)
    found = sg.compile([loss, *gradients], inputs=program.placeholders)(**feeds)
    expected = [total, *torch.autograd.grad(total, leaves, allow_unused=True)]
    for one, other, leaf in zip(found, expected, [total, *leaves], strict=True):
        wanted = torch.zeros_like(leaf) if other is None else other
        _assert_close(one, wanted.detach().numpy().astype(one.dtype), TOLERANCE[program.dtype])
