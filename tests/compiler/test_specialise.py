"""Specialisation: open ranks, dtypes and broadcasts get their form; guards say when it holds."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Parameter, Placeholder, compile, cond, grad
from symgraph.compiler.specialise import Fed, is_open, specialise
from symgraph.compiler.verify import verify
from symgraph.dims import symbol
from symgraph.errors import FeedError, GraphError, ShapeError
from symgraph.node import Graph

MODES = pytest.mark.parametrize("mode", ["native", "reference"])


def opened(*outputs, **fed):
    inputs = tuple(node for node in Graph((), outputs) if node.op.name == "placeholder")
    shapes = {name: Fed(*entry) for name, entry in fed.items()}
    found = specialise(Graph(inputs, outputs), shapes)
    verify(found.graph, "specialised")
    return found


def shown(found):
    return [str(node.type) for node in found.graph.outputs]


def test_a_known_graph_stays_as_it_is():
    x = Placeholder("x", ("N", 3), "float32")
    y = sg.tanh(x) * 2
    graph = Graph((x,), (y,))
    assert not is_open(graph)
    found = specialise(graph)
    assert found.guards == ()
    assert found.graph.outputs[0] is y


def test_ranks_and_dtypes_come_from_the_feeds():
    a, b = Placeholder("a"), Placeholder("b", ("N", None))
    assert is_open(Graph((a, b), (a + b,)))
    found = opened(a.sum(), a * 2, b * 2, a=("int32", (4, 5)), b=("float32", (2, 3)))
    assert shown(found) == ["int64[]", "int32[?, ?]", "float32[N, ?]"]
    assert found.guards == ()


def test_equal_extents_become_one():
    a, b = Placeholder("a"), Placeholder("b")
    found = opened(a + b, a=("float64", (4,)), b=("float64", (4,)))
    assert len(found.guards) == 1
    guard = found.guards[0]
    assert guard.holds({"?a.0": 7, "?b.0": 7})
    assert not guard.holds({"?a.0": 7, "?b.0": 1})


def test_an_extent_of_one_is_pinned():
    a, b = Placeholder("a", ("N",), "float64"), Placeholder("b", ("M",), "float64")
    found = opened(a + b, a=("float64", (1,)), b=("float64", (4,)))
    assert shown(found) == ["float64[M]"]
    assert [guard.holds({"N": n, "M": 9}) for guard in found.guards for n in (1, 2)] == [
        True,
        False,
    ]


def test_an_open_extent_meets_a_fixed_one():
    a, w = Placeholder("a", (None, None), "float64"), Parameter(np.ones((5,)))
    assert shown(opened(a * w, a=("float64", (2, 5)))) == ["float64[?, 5]"]
    assert shown(opened(a * w, a=("float64", (2, 1)))) == ["float64[?, 5]"]
    with pytest.raises(ShapeError, match=r"= 3 and 5|5 and .* = 3(?s:.*)test_specialise\.py:"):
        opened(a * w, a=("float64", (2, 3)))


def test_decisions_reach_what_was_built_on_them():
    a, b = Placeholder("a", ("N",), "float64"), Placeholder("b", ("M",), "float64")
    c = Placeholder("c", ("K",), "float64")
    total = (a + b) * c
    tail = sg.concatenate([total, a])[1:]
    found = opened(total, tail, a=("float64", (4,)), b=("float64", (4,)), c=("float64", (4,)))
    assert len({str(node.type) for node in found.graph if node.type.rank == 1}) == 3
    pinned = opened(total, tail, a=("float64", (1,)), b=("float64", (4,)), c=("float64", (1,)))
    assert shown(pinned)[0] == "float64[M]"


def test_sub_graphs_are_specialised_too():
    a, flag = Placeholder("a"), Placeholder("flag", (), "bool")
    y = cond(flag, lambda: cond(flag, lambda: a * 2, lambda: a), lambda: a + 1)
    found = opened(y, a=("float32", (3, 2)), flag=("bool", ()))
    assert shown(found) == ["float32[?, ?]"]


def test_inputs_that_nothing_needs_are_specialised():
    a, spare = Placeholder("a", (2,), "float64"), Placeholder("spare")
    graph = Graph((a, spare), (a * 2,))
    found = specialise(graph, {"a": Fed("float64", (2,)), "spare": Fed("int32", (4, 4))})
    assert str(found.graph.inputs[1].type) == "int32[?, ?]"


def test_deferred_gradients_are_built_once_types_are_known():
    a, b = Placeholder("a"), Placeholder("b")
    slopes = grad((sg.tanh(a) * b).sum(), [a, b])
    second = grad((slopes[0] * slopes[1]).sum(), a)
    found = opened(*slopes, second, a=("float64", (2, 3)), b=("float64", (3,)))
    assert not any(node.op.name == "gradient" for node in found.graph)
    assert shown(found)[1] == "float64[3]" or shown(found)[1] == "float64[?]"


@MODES
def test_open_gradients_have_the_values_of_closed_ones(mode):
    rng = np.random.default_rng(0)
    a, b = Placeholder("a"), Placeholder("b")
    f = compile(grad((sg.tanh(a) * b).sum(), [a, b]), mode=mode)
    for one, other in [((3,), (3,)), ((2, 3), (3,)), ((1,), (4,)), ((), (4,)), ((2, 1), (1, 5))]:
        x, y = Placeholder("x", one, "float64"), Placeholder("y", other, "float64")
        closed = compile(grad((sg.tanh(x) * y).sum(), [x, y]))
        u, v = rng.random(one), rng.random(other)
        for found, expected in zip(f(a=u, b=v), closed(x=u, y=v), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-13)
            assert found.shape == expected.shape


@MODES
def test_every_pair_of_ranks_multiplies_as_matrices(mode):
    a, b = Placeholder("a"), Placeholder("b")
    f = compile(a @ b, mode=mode)
    shapes = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4))]
    shapes += [
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((1, 2, 3), (5, 3, 4)),
        ((0, 3), (3, 2)),
    ]
    for one, other in shapes:
        u, v = np.random.default_rng(1).random(one), np.random.default_rng(2).random(other)
        np.testing.assert_allclose(f(a=u, b=v), u @ v, rtol=1e-13)


@MODES
def test_variants_take_turns(mode):
    x, y = Placeholder("x", (None, None), "float64"), Placeholder("y", (None, None), "float64")
    f = compile([x + y, (x * y).sum(axis=0)], mode=mode)
    shapes = [
        ((5, 5), (5, 5)),
        ((1, 5), (5, 5)),
        ((5, 5), (1, 5)),
        ((5, 1), (1, 5)),
        ((1, 1), (1, 1)),
    ]
    for one, other in shapes * 2:
        u, v = np.random.default_rng(1).random(one), np.random.default_rng(2).random(other)
        total, product = f(x=u, y=v)
        np.testing.assert_array_equal(total, u + v)
        np.testing.assert_allclose(product, (u * v).sum(axis=0), rtol=1e-14)
    if mode == "native":
        assert f.compile_count <= 4


@MODES
def test_relations_between_extents_are_checked_at_each_call(mode):
    x, w = Placeholder("x", ("N", "K"), "float64"), Placeholder("w", ("M", 4), "float64")
    f = compile([x @ w, x.reshape(2, -1)], mode=mode)
    f(x=np.ones((2, 3)), w=np.ones((3, 4)))
    with pytest.raises((FeedError, ShapeError), match=r"the inner extents differ|mismatch"):
        f(x=np.ones((2, 3)), w=np.ones((5, 4)))
    with pytest.raises((FeedError, ShapeError), match=r"reshape"):
        f(x=np.ones((3, 3)), w=np.ones((3, 4)))
    assert f(x=np.ones((2, 3)), w=np.ones((3, 4)))[0][0, 0] == 3


@pytest.mark.parametrize("taken", [True, False])
def test_no_branch_reads_out_of_bounds(taken):
    x, w = Placeholder("x", ("N", "K"), "float64"), Placeholder("w", ("M", 4), "float64")
    flag = Placeholder("flag", (), "bool")
    f = compile(cond(flag, lambda: x @ w, lambda: (x @ w) * 2))
    with pytest.raises(FeedError, match=r"matmul: the inner extents differ: .* here 300 and 3"):
        f(flag=taken, x=np.ones((2, 300)), w=np.ones((3, 4)))
    np.testing.assert_array_equal(
        f(flag=taken, x=np.ones((2, 3)), w=np.ones((3, 4))), np.full((2, 4), 3.0 if taken else 6.0)
    )


def test_an_extent_that_no_feed_tells():
    n = symbol("N")
    x = Placeholder("x", (n,), "float64")
    for node in (sg.zeros((n,)), n * 2.0, sg.arange(n), Placeholder("y", (2 * n,), "float64")):
        with pytest.raises(
            GraphError, match=r"no feed has an axis that is just N, so the shape of (?s:.*)inputs="
        ):
            compile(node)
    np.testing.assert_array_equal(compile(sg.zeros((n,)), inputs=[x])(np.ones(3)), np.zeros(3))


def test_symbols_are_found_behind_sums():
    n = symbol("N")
    y, x = Placeholder("y", (2 * n + 1,), "float64"), Placeholder("x", (n,), "float64")
    f = compile(y[1:].reshape(2, n) * x)
    np.testing.assert_array_equal(
        f(y=np.arange(7.0), x=np.ones(3)), np.arange(1.0, 7).reshape(2, 3)
    )
    with pytest.raises(FeedError, match=r"'y' has extent 6 along axis 0, but 2\*N \+ 1 = 7 is exp"):
        f(y=np.arange(6.0), x=np.ones(3))
