"""The reference interpreter: feeds, extents, laziness, weak numbers, depth."""

import numpy as np
import pytest

from symgraph.errors import BoundsError, FeedError, GraphError, ShapeError
from symgraph.interpret import evaluate
from symgraph.leaves import Constant, Parameter, Placeholder
from symgraph.ops.control import cond
from symgraph.ops.identity import check_index
from symgraph.ops.index_leaves import call_index, extent


def test_the_first_example():
    a, b = Placeholder("a"), Placeholder("b")
    found = evaluate([a * b + Constant(1)], {"a": np.array(2), "b": np.array(3)})[0]
    assert (found.tolist(), found.dtype, found.shape) == (7, np.dtype("int64"), ())
    vectors = {"a": np.ones(10), "b": np.full(10, 2.0)}
    assert evaluate([a * b + Constant(1)], vectors)[0].tolist() == [3.0] * 10


def test_open_dtypes_keep_weak_numbers_weak():
    x = Placeholder("x")
    node = (x + Constant(1)) * (Constant(0.5) + 1)
    assert evaluate([node], {x: np.ones(2, "float32")})[0].dtype == np.float32
    assert evaluate([x * 2], {x: np.ones(2, "int32")})[0].dtype == np.int32
    assert evaluate([x * 0.5], {x: np.ones(2, "int32")})[0].dtype == np.float64


def test_parameters_and_replaced_values():
    w = Parameter(np.array([1.0, 2.0]), "w")
    doubled = 2 * w
    assert evaluate([doubled])[0].tolist() == [2.0, 4.0]
    assert evaluate([doubled], {w: np.array([5.0, 6.0])})[0].tolist() == [10.0, 12.0]
    assert evaluate([doubled + 1], {doubled: np.array([0.0, 1.0])})[0].tolist() == [1.0, 2.0]


def test_results_are_fresh_arrays():
    w, x = Parameter(np.ones(2)), Placeholder("x", (2,), "float64")
    given = np.zeros(2)
    first, second = evaluate([w, x], {x: given})
    first += 1
    second += 1
    assert w.value.tolist() == [1.0, 1.0]
    assert given.tolist() == [0.0, 0.0]


def test_symbolic_extents_come_from_the_feeds():
    x = Placeholder("x", ("N", 3), "float32")
    rows = extent(x.shape[0])
    found = evaluate([x.sum() / rows, x.reshape(x.shape[0] * 3)], {x: np.ones((4, 3), "float32")})
    assert found[0].dtype == np.float32
    assert found[0] == 3
    assert found[1].shape == (12,)


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, r"no value is given for 'x'"),
        ({"x": np.ones((2, 3)), "y": np.ones(2, "float32")}, r"'x' .*takes float32, not float64"),
        ({"x": np.ones(2, "float32"), "y": np.ones(2, "float32")}, r"'x' .*has 2 axes, not 1"),
        (
            {"x": np.ones((2, 4), "float32"), "y": np.ones(2, "float32")},
            r"'x' .*axis 1 has extent 4, not 3",
        ),
        ({"x": np.ones((2, 3), "float32"), "y": np.ones(5, "float32")}, r"'y' .*N is 2 elsewhere"),
    ],
)
def test_feeds_that_do_not_fit(feeds, message):
    x, y = Placeholder("x", ("N", 3), "float32"), Placeholder("y", ("N",), "float32")
    with pytest.raises(FeedError, match=message):
        evaluate([x + y[:, None]], feeds)


def test_an_extent_that_nothing_decides():
    x = Placeholder("x", ("N",), "float32")
    with pytest.raises(FeedError, match="nothing that is fed decides the extent 'N'"):
        evaluate([extent(x.shape[0])])


def test_shapes_that_were_open_are_checked_and_located():
    a, b = Placeholder("a"), Placeholder("b")
    with pytest.raises(ShapeError, match=r"(?s)add: axis 0 has extents 2 and 3.*test_interpret"):
        evaluate([a + b], {a: np.ones(2), b: np.ones(3)})


def test_only_the_branch_that_is_taken_runs():
    flag = Placeholder("flag", (), "bool")
    i = Placeholder("i", (), "int64")
    x = Placeholder("x", (3,), "float64")
    node = cond(flag, lambda: x * check_index(i, 1), lambda: x - 1)
    feeds = {x: np.ones(3), i: np.array(5)}
    assert evaluate([node], {**feeds, flag: np.array(False)})[0].tolist() == [0.0] * 3
    with pytest.raises(BoundsError, match="index 5 is out of range"):
        evaluate([node], {**feeds, flag: np.array(True)})


def test_branches_nest_and_return_tuples():
    flag = Placeholder("flag", (), "bool")
    x = Placeholder("x", (), "float64")
    first, second = cond(
        flag, lambda: (x, cond(x > 0, lambda: x + 1, lambda: x - 1)), lambda: (2 * x, 3 * x)
    )
    for value, chosen, expected in ((2.0, True, [2.0, 3.0]), (-2.0, True, [-2.0, -3.0])):
        found = evaluate([first, second], {x: value, flag: chosen})
        assert [entry.item() for entry in found] == expected
    assert [e.item() for e in evaluate([first, second], {x: 1.0, flag: False})] == [2.0, 3.0]


def test_the_call_number_is_given():
    assert [evaluate([call_index()], call_index=n)[0].item() for n in (0, 7)] == [0, 7]


def test_tuples_are_not_outputs():
    flag = Placeholder("flag", (), "bool")
    first, _ = cond(flag, lambda: (Constant(1.0), Constant(2.0)), lambda: (3.0, 4.0))
    with pytest.raises(GraphError, match="an output is a tuple"):
        evaluate(first.inputs, {flag: True})


def test_deep_chains_do_not_recurse():
    x = Placeholder("x", (2,), "float64")
    node = x
    for _ in range(20_000):
        node = node + 1
    assert evaluate([node], {x: np.zeros(2)})[0].tolist() == [20_000.0] * 2


def test_floating_point_trouble_is_silent():
    with np.errstate(all="raise"):
        found = evaluate([np.log(Constant([0.0, -1.0])), Constant([1]) // 0])
    assert found[0][0] == -np.inf
    assert found[1].tolist() == [0]
