"""Outputs: how they nest, that they are the caller's own, and what an output may be."""

import collections

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Parameter, Placeholder, compile, cond
from symgraph.errors import GraphError

Pair = collections.namedtuple("Pair", "first second")
MODES = ("native", "reference")


@pytest.fixture
def x():
    return Placeholder("x", ("N",), "float64")


@pytest.mark.parametrize("mode", MODES)
def test_results_nest_as_the_outputs(x, mode):
    outputs = {"a": (x, [x + 1, {"deep": x * 2}]), "pair": Pair(x - 1, (x,)), 3: [], "t": ()}
    result = compile(outputs, mode=mode)(x=np.arange(2.0))
    assert list(result) == ["a", "pair", 3, "t"]
    assert isinstance(result["a"], tuple)
    assert isinstance(result["a"][1], list)
    assert isinstance(result["pair"], Pair)
    np.testing.assert_array_equal(result["a"][1][1]["deep"], [0, 2])
    np.testing.assert_array_equal(result["pair"].first, [-1, 0])
    np.testing.assert_array_equal(result["pair"].second[0], [0, 1])
    assert result[3] == []
    assert result["t"] == ()


def test_a_single_node_gives_a_single_array(x):
    assert isinstance(compile(x + 1)(x=[1.0]), np.ndarray)
    assert isinstance(compile([x + 1])(x=[1.0]), list)
    assert isinstance(compile((x + 1,))(x=[1.0]), tuple)


@pytest.mark.parametrize("empty", [[], (), {}])
def test_no_outputs_at_all(empty):
    assert compile(empty)() == empty


def test_numbers_and_arrays_are_outputs(x):
    total, number, array = compile([x.sum(), 3, np.array([1, 2], "int32")])(x=np.ones(3))
    assert total == 3
    assert (number.dtype, number.shape) == (np.int64, ())
    assert array.dtype == np.int32


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "output",
    [
        lambda x: x,
        lambda x: x[::-1],
        lambda x: x[1:3],
        lambda x: x.reshape(-1, 1),
        lambda x: x.T,
        lambda x: sg.broadcast_to(x, (2, x.shape[0])),
        lambda x: x * 1,
        lambda x: x + 0.0,
        lambda x: sg.stop_gradient(x),
        lambda x: cond(x.sum() > 0, lambda: x, lambda: -x),
    ],
)
def test_outputs_never_alias_feeds(x, output, mode):
    f = compile([output(x), output(x)], mode=mode)
    fed = np.arange(4.0)
    for result in f(x=fed):
        assert result.flags.writeable
        assert not np.shares_memory(result, fed)
        result[...] = -7
    np.testing.assert_array_equal(fed, np.arange(4.0))
    first, second = f(x=fed)
    np.testing.assert_array_equal(first, second)
    assert not np.shares_memory(first, second)


@pytest.mark.parametrize("mode", MODES)
def test_outputs_never_alias_parameters_or_constants(mode):
    p, c = Parameter(np.arange(3.0)), Constant(np.arange(3.0))
    f = compile([p, p[::-1], c, p.reshape(3, 1), c[1:]], mode=mode)
    for result in f():
        result[...] = 9
    np.testing.assert_array_equal(p.value, np.arange(3.0))
    np.testing.assert_array_equal(f()[2], np.arange(3.0))


@pytest.mark.parametrize("mode", MODES)
def test_the_same_node_twice_gives_two_arrays(x, mode):
    y = sg.sin(x)
    first, second, *total = compile([y, y, y.sum(keepdims=True), y.sum(keepdims=True)], mode=mode)(
        x=np.ones(3)
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(total[0], total[1])
    first[0] = 5
    assert second[0] != 5


@pytest.mark.parametrize("count", [3, 20_000])
def test_results_stay_as_they_are_while_the_function_runs_again(x, count):
    f = compile(x * 2)
    kept = [f(x=np.full(count, float(n))) for n in range(6)]
    part = f(x=np.full(count, 6.0))[1:3]
    view = memoryview(f(x=np.full(count, 7.0)))
    for n in range(8, 14):
        f(x=np.full(count, float(n)))
    for n, result in enumerate(kept):
        np.testing.assert_array_equal(result, np.full(count, 2.0 * n))
    np.testing.assert_array_equal(part, [12.0, 12.0])
    np.testing.assert_array_equal(np.asarray(view)[:3], [14.0] * 3)


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("extent", [5, "N"])
def test_a_full_reduction_is_an_output(keepdims, extent):
    x = Placeholder("x", (extent, extent), "float64")
    functions = (sg.sum, sg.max, sg.mean, sg.prod)
    results = compile([fn(x, axis=(0, 1), keepdims=keepdims) for fn in functions])(
        x=np.full((5, 5), 2.0)
    )
    assert {r.shape for r in results} == {(1, 1) if keepdims else ()}
    assert [r.item() for r in results] == [50.0, 2.0, 2.0, 2.0**25]


def test_a_spread_constant_is_an_output():
    x = Placeholder("x", ("N", "M"), "float64")
    result = compile([sg.zeros_like(x), sg.broadcast_to(Constant(2.0), x.shape)])(x=np.ones((7, 9)))
    np.testing.assert_array_equal(result[0], np.zeros((7, 9)))
    np.testing.assert_array_equal(result[1], np.full((7, 9), 2.0))


@pytest.mark.parametrize(
    "wrong", [None, "x", {1, 2}, (n for n in ()), print, [None], {"a": "b"}, ([{None}],)]
)
def test_what_is_no_output_is_refused(wrong):
    with pytest.raises(
        GraphError, match=r"an output is a node, or a tuple(?s:.*)test_structure\.py:"
    ):
        compile(wrong)
