"""Parts of elementwise results are computed from parts of the operands, nothing twice."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Placeholder, compile
from symgraph.compiler.passes.parts import compute_parts
from symgraph.compiler.pipeline import run_pipeline
from symgraph.node import Graph

X = Placeholder("x", ("N", 64), "float32")
Y = Placeholder("y", (64,), "float32")


def before(*outputs):
    """Return the graph that the pass is given."""
    leaves = tuple(leaf for leaf in (X, Y) if any(leaf in set(Graph((), (o,))) for o in outputs))
    return run_pipeline(Graph(leaves, outputs))["loops"]


def names(graph):
    return [node.op.name for node in graph]


def kernels(*outputs):
    """Return how many kernels compute the outputs."""
    lines = compile(list(outputs)).explain().splitlines()
    return sum(line.startswith("#") and "region" in line for line in lines)


def agrees(*outputs):
    """Compare with the reference."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 64)), np.linspace(-1, 1, 64)
    modes = ("native", "reference")
    native, reference = (compile(list(outputs), inputs=[X, Y], mode=mode) for mode in modes)
    fed = {"x": x.astype("float32"), "y": y.astype("float32")}
    for found, expected in zip(native(**fed), reference(**fed), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def gates(whole):
    first, second, third, fourth = (whole[:, 16 * k : 16 * (k + 1)] for k in range(4))
    return sg.sigmoid(first) * sg.tanh(second) + sg.sigmoid(third) * fourth


def test_gates_are_one_kernel():
    result = gates(X * 2 + Y)
    graph = compute_parts(before(result))
    assert names(graph).count("multiply") - names(before(result)).count("multiply") == 3
    assert kernels(result) == 1
    agrees(result)


def test_a_result_that_is_needed_as_a_whole_stays_whole():
    whole = sg.exp(X + Y)
    for outputs in ([gates(whole), whole], [gates(whole), sg.sum(whole)]):
        assert names(compute_parts(before(*outputs))) == names(before(*outputs))
        agrees(*outputs)


def test_parts_that_overlap_are_not_computed_twice():
    whole = sg.exp(X + Y)
    outputs = [whole[:, :48] * 2, whole[:, 16:] * 3]
    assert names(compute_parts(before(*outputs))).count("exp") == 1
    agrees(*outputs)


@pytest.mark.parametrize("key", [np.s_[:, ::2], np.s_[:, :3], np.s_[:, ::-1]])
def test_rows_that_would_be_read_element_by_element_stay_whole(key):
    whole = sg.exp(X + Y)
    result = whole[key] * 2
    graph = compute_parts(before(result))
    last = names(graph)
    assert last.index("exp") < last.index("slice")
    agrees(result)


def test_rows_are_parts_too():
    whole = sg.exp(X + Y) * X
    agrees(whole[1:3] + 1)
    agrees(whole[0] * whole[-1])


def test_a_long_chain_is_walked_without_recursion():
    node = X
    for _ in range(5000):
        node = node + Y
    graph = compute_parts(Graph((X, Y), (node[:, :32] * 2,)))
    assert len(graph.order) > 5000


def test_what_may_report_a_problem_stays_whole():
    base, exponent = (Placeholder(name, (2, 64), "int64") for name in ("base", "exponent"))
    part = compile((base**exponent)[:, :32])
    wrong = np.zeros((2, 64), "int64")
    wrong[:, 40] = -1  # in no part that is read
    with pytest.raises(sg.errors.DTypeError, match="negative"):
        part(base=np.full((2, 64), 3), exponent=wrong)


def test_gradients_through_parts():
    loss = sg.sum(gates(sg.tanh(X * Y)) ** 2)
    agrees(loss, sg.grad(loss, X), sg.grad(loss, Y))


def test_parts_within_a_loop():
    def step(carry, row):
        return gates(carry[:, None] * Y + row[:, None] * Y)[:, 0], carry

    last, rows = sg.scan(step, X[:, 0], sg.transpose(X))
    agrees(last, rows, sg.grad(sg.sum(last), X))
