"""Expansion to the canonical graph keeps dtypes, weakness's effects and axes."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Placeholder, cond
from symgraph.compiler.expand import expand
from symgraph.compiler.verify import verify
from symgraph.interpret import evaluate
from symgraph.node import Graph
from symgraph.op import Composite, Elementwise, Reduce
from symgraph.types import DTYPES

X = Placeholder("x", (2, 3), "float32")
K = Placeholder("k", (2, 3), "int32")
B = Placeholder("b", (2, 3), "bool")
FEEDS = {
    "x": np.linspace(-1, 2, 6, dtype="f4").reshape(2, 3),
    "k": np.arange(-2, 4, dtype="i4").reshape(2, 3),
    "b": np.arange(6).reshape(2, 3) % 2 == 0,
}


def canonical(*outputs):
    return verify(expand(Graph((), outputs)), "canonical")


def names(graph):
    return {node.op.name for node in graph}


PROGRAMS = {
    "softmax": lambda: sg.softmax(X, axis=0),
    "mean of integers": lambda: sg.mean(K),
    "variance": lambda: sg.var(X, axis=1, ddof=1),
    "standard deviation": lambda: sg.std(X, axis=0, keepdims=True),
    "logsumexp": lambda: sg.logsumexp(X, axis=(0, 1)),
    "mixed operands": lambda: X * K + B,
    "weak numbers": lambda: (X * 2.5 + 1) / 3,
    "weak alone": lambda: X * (Constant(1) + 2.5),
    "where": lambda: sg.where(B, X, K),
    "where with numbers": lambda: sg.where(B, 1, X),
    "comparison": lambda: K < X,
    "power": lambda: sg.power(X * X + 1, K) + X**2 + 2.0**X,
    "integer power": lambda: K**2,
    "index": lambda: X[1, ::-1] + X[:, np.array([0, 2, 2])].sum(),
    "concatenate": lambda: sg.concatenate([X, K], axis=1),
    "stack": lambda: sg.stack([X, X * 2], axis=-1),
    "pad": lambda: sg.pad(X, ((1, 0), (0, 2))),
    "matmul": lambda: sg.matmul(X, X.T) @ Constant([1.0, 2.0], "float32"),
    "one hot": lambda: sg.one_hot(sg.absolute(K), 4),
    "losses": lambda: sg.nn.softmax_cross_entropy(X, sg.Constant([0, 2])),
    "clip and round": lambda: sg.clip(X, -0.5, 1).round(1),
    "reductions": lambda: K.sum(axis=()) + K.prod(axis=0) + B.sum(axis=1, keepdims=True),
    "any": lambda: B.any(axis=()) | B.all(axis=1, keepdims=True),
    "repeat": lambda: sg.repeat(X, 2, axis=0) + sg.tile(X, (2, 1)),
    "cumulative": lambda: sg.cumsum(K, axis=1) + sg.cumsum(X)[-1],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_canonical_graph_means_the_same(name):
    node = PROGRAMS[name]()
    graph = canonical(node)
    (expected,) = evaluate([node], FEEDS)
    (found,) = evaluate(graph.outputs, FEEDS)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)
    assert not any(isinstance(n.op.kind, Composite) for n in graph)


def test_operands_of_one_op_have_one_dtype():
    for node in canonical(X * K + B):
        if isinstance(node.op.kind, Elementwise) and node.op.name != "cast":
            assert len({child.type.dtype for child in node.inputs}) == 1


def test_reductions_keep_their_axes():
    graph = canonical(X.sum(axis=-1), X.max(), K.min(axis=(1, 0)))
    reductions = [node for node in graph if isinstance(node.op.kind, Reduce)]
    assert [node.attrs["axis"] for node in reductions] == [(1,), (0, 1), (0, 1)]
    assert all(node.attrs["keepdims"] is True for node in reductions)


def test_reducing_no_axis_changes_nothing_but_the_dtype():
    assert names(canonical(X.sum(axis=()))) == {"placeholder"}
    assert canonical(K.sum(axis=())).outputs[0].type.dtype == "int64"
    assert canonical(B.max(axis=())).outputs[0].type.dtype == "bool"


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_type_stays_weak(dtype):
    x = Placeholder("x", (), dtype)
    graph = canonical(Constant(1) + 2, x + 1, x * (Constant(2) + 3), sg.maximum(x, 0))
    assert not any(node.type.weak for node in graph)


def test_branches_are_expanded():
    flag = Placeholder("flag", (), "bool")
    node = cond(flag, lambda: sg.softmax(X) * 2, lambda: sg.where(B, X, 0))
    graph = canonical(node)
    conds = [n for n in graph if n.op.name == "cond"]
    inner = [n for n in conds[0].attrs["then_graph"]] + [n for n in conds[0].attrs["else_graph"]]
    assert not any(isinstance(n.op.kind, Composite) for n in inner)
    for value in (True, False):
        feeds = {**FEEDS, "flag": value}
        np.testing.assert_allclose(
            evaluate(graph.outputs, feeds)[0], evaluate([node], feeds)[0], rtol=1e-6
        )


def test_a_composite_inside_a_composite():
    graph = canonical(sg.std(sg.softmax(sg.log_softmax(X)), axis=0))
    assert not any(isinstance(node.op.kind, Composite) for node in graph)
