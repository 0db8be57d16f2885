"""Indexing against NumPy, on fixed, symbolic and open shapes."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Placeholder, grad
from symgraph.dims import evaluate as evaluate_extent
from symgraph.errors import BoundsError, DTypeError, GraphError, ShapeError
from symgraph.interpret import evaluate
from symgraph.ops.assume import collect_assumptions
from symgraph.ops.indexing import index

ARRAY = np.arange(60.0).reshape(3, 4, 5)
IDS = np.array([[0, -1], [2, 1]])
KEYS = [
    0,
    -1,
    (1, 2, 3),
    slice(None),
    slice(1, None),
    slice(None, -1),
    slice(-2, None),
    slice(None, None, -1),
    slice(7, None, -2),
    slice(5, 1),
    slice(-9, 9, 3),
    (slice(None), slice(None, None, 2), slice(-1, -5, -3)),
    ...,
    (..., 0),
    (0, ..., slice(1, 3)),
    None,
    (None, 0, None, ..., None),
    [0, 2, 0],
    IDS,
    (IDS, 1),
    (IDS, slice(None), IDS),
    (slice(None), IDS, IDS),
    (slice(None), IDS, None, IDS),
    (slice(None), IDS, ..., IDS),
    (..., IDS, slice(None)),
    (0, slice(None), IDS),
    (slice(None), 0, IDS),
    (np.array(1), slice(None), np.array(-1)),
    (np.array([], int),),
    (None, IDS, None),
    (np.array([[0], [1]]), np.array([1, 2, 3])),
]


def _value(node, **feeds):
    return evaluate([node], feeds)[0]


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("shape", [(3, 4, 5), ("A", "B", "C"), None], ids=str)
def test_indexing_is_that_of_numpy(key, shape):
    node = Placeholder("x", shape, "float64")[key]
    np.testing.assert_array_equal(_value(node, x=ARRAY), ARRAY[key])
    if shape is not None:
        expanded = node.op.kind.expand(*node.inputs, **node.attrs)
        np.testing.assert_array_equal(_value(expanded, x=ARRAY), ARRAY[key])
        extents = {"A": 3, "B": 4, "C": 5}
        assert tuple(evaluate_extent(e, extents) for e in node.shape) == ARRAY[key].shape


@pytest.mark.parametrize("start", [None, -3, -1, 0, 1, 3])
@pytest.mark.parametrize("stop", [None, -3, -1, 0, 1, 3])
@pytest.mark.parametrize("step", [None, 2, -1, -2])
def test_slices_of_any_extent_are_those_of_python(start, stop, step):
    key = slice(start, stop, step)
    node = index(Placeholder("x", ("N",), "int64"), key)
    expanded = node.op.kind.expand(*node.inputs, **node.attrs)
    for size in range(6):
        expected = np.arange(size)[key]
        np.testing.assert_array_equal(_value(expanded, x=np.arange(size)), expected)
        assert evaluate_extent(node.shape[0], {"N": size}) == len(expected)


def test_symbolic_bounds_count_from_the_front():
    x, y = Placeholder("x", ("N",), "int64"), Placeholder("y", ("M",), "int64")
    assert str(x[: x.shape[0]].type) == "int64[N]"
    assert str(x[1:].type) == str(x[:-1].type) == "int64[max(N - 1, 0)]"
    found = _value(x[: y.shape[0]].sum() + y.sum() * 0, x=np.arange(5), y=np.arange(3))
    assert found == 3
    for size in (0, 1, 4):
        assert _value(x[: x.shape[0] - 2].sum(), x=np.arange(size)) == sum(range(size - 2))
    last = x[x.shape[0] - 1]
    assert _value(last, x=np.arange(4)) == 3


def test_integer_nodes_are_indices():
    x, i = Placeholder("x", ("N", 3), "float64"), Placeholder("i", None, "int64")
    array = np.arange(12.0).reshape(4, 3)
    for chosen in (np.array(2), np.array(-1), np.array([0, 0, 1]), np.array([[3], [1]])):
        np.testing.assert_array_equal(_value(x[i], x=array, i=chosen), array[chosen])
        np.testing.assert_array_equal(
            _value(x[:, i][0], x=array, i=chosen % 3), array[0, chosen % 3]
        )
    with pytest.raises(BoundsError, match="out of bounds"):
        _value(x[i], x=array, i=np.array([4]))


BUILD_ERRORS = [
    (lambda x: x[2, 0], BoundsError, "index 2 is out of range for axis 0 of extent 2"),
    (lambda x: x[:, -4], BoundsError, "index -4 is out of range for axis 1 of extent 3"),
    (lambda x: x[0, 0, 0], ShapeError, "3 indices are too many for an array of rank 2"),
    (lambda x: x[..., ...], GraphError, "one Ellipsis only"),
    (lambda x: x[x > 0], GraphError, "a mask cannot be an index"),
    (lambda x: x[np.array([True, False])], GraphError, "a mask cannot be an index"),
    (lambda x: x[True], GraphError, "a mask cannot be an index"),
    (lambda x: x[0.5], GraphError, r"0.5 is no index"),
    (lambda x: x["a"], GraphError, "'a' is no index"),
    (lambda x: x[::0], GraphError, "step is an int other than 0"),
    (lambda x: x[: x.sum()], GraphError, "must not depend on data"),
    (lambda x: x[x.astype("float64")], DTypeError, "an index is an integer, not float64"),
    (lambda x: x[np.zeros((2,), int), np.zeros(3, int)], ShapeError, "do not broadcast"),
    (lambda x: sg.take(x, [0], 2), ShapeError, "too many"),
    (lambda x: sg.take_along_axis(x, np.zeros(2, int), 0), ShapeError, "have 1 axes"),
    (lambda x: sg.scatter_add(x, [0], [True] * 3), DTypeError, "bools do not add up"),
    (lambda x: sg.scatter_add(x, [0.5], 1.0), DTypeError, "an index is an integer"),
    (lambda x: sg.scatter_add(x, [0], np.ones((2, 3))), ShapeError, "does not broadcast"),
]


@pytest.mark.parametrize(("build", "error", "reason"), BUILD_ERRORS)
def test_keys_without_meaning_are_refused(build, error, reason):
    with pytest.raises(error, match=rf"(?s){reason}.*test_indexing.py"):
        build(Placeholder("x", (2, 3), "float32"))


def test_a_mask_is_refused_with_a_remedy():
    with pytest.raises(GraphError, match=r"(?s)a mask cannot be an index.*use where\(mask, x, 0\)"):
        index(Placeholder("x", (2,), "float32"), Placeholder("m", (2,), "bool"))


def test_an_index_into_a_symbolic_axis_is_assumed_to_fit():
    x = Placeholder("x", ("N",), "float64")
    with collect_assumptions() as found:
        node = x[3] + x[-2]
    assert [(str(a.left), a.relation, a.right) for a in found] == [("N", ">=", 4), ("N", ">=", 2)]
    with pytest.raises(BoundsError, match="index 3 is out of range for axis 0 of extent 2"):
        _value(node, x=np.ones(2))


def test_gradients_add_up_where_indices_repeat():
    x = Placeholder("x", (2, 3), "float64")
    feed = {"x": np.arange(6.0).reshape(2, 3)}
    (found,) = evaluate([grad(x[1].sum(), x)], feed)
    np.testing.assert_array_equal(found, [[0, 0, 0], [1, 1, 1]])
    (found,) = evaluate([grad(x[[0, 0, 1]].sum(), x)], feed)
    np.testing.assert_array_equal(found, [[2, 2, 2], [1, 1, 1]])
    (found,) = evaluate([grad(x[::-1, ::2].sum(), x)], feed)
    np.testing.assert_array_equal(found, [[1, 0, 1], [1, 0, 1]])
    (found,) = evaluate([grad(grad((x[[0, 0]] ** 2).sum(), x).sum(), x)], feed)
    np.testing.assert_array_equal(found, [[4, 4, 4], [0, 0, 0]])


def test_embedding_rows():
    weights, ids = Constant(np.arange(10.0).reshape(5, 2)), Constant(np.array([1, 3, 1]))
    np.testing.assert_array_equal(_value(weights[ids]), [[2, 3], [6, 7], [2, 3]])
    gradient = evaluate([grad(weights[ids].sum(), weights)], {})[0]
    np.testing.assert_array_equal(gradient[:, 0], [0, 2, 0, 1, 0])


@pytest.mark.parametrize("axis", [None, 0, 1, -1, -2])
def test_take_and_take_along_axis(axis):
    array = np.random.default_rng(0).normal(size=(3, 4))
    for shape in ((3, 4), ("N", "M"), None):
        x = Placeholder("x", shape, "float64")
        for chosen in (1, [0, 2], np.array([[0], [-1]])):
            expected = np.take(array, chosen, axis)
            np.testing.assert_array_equal(_value(sg.take(x, chosen, axis), x=array), expected)
        order = np.argsort(array, axis=axis)
        node = sg.take_along_axis(x, order, axis)
        np.testing.assert_array_equal(_value(node, x=array), np.sort(array, axis=axis))


def test_scatter_add_is_add_at():
    array = np.ones((4, 3))
    for shape in ((4, 3), ("N", 3), None):
        x = Placeholder("x", shape, "float64")
        for where, updates in (
            ([0, 0, -1], 2.0),
            ([1, 1], np.arange(6.0).reshape(2, 3)),
            (([0, 3], [1, 1]), np.array([5.0, 7.0])),
        ):
            expected = array.copy()
            np.add.at(expected, tuple(where) if isinstance(where, tuple) else where, updates)
            np.testing.assert_array_equal(
                _value(sg.scatter_add(x, where, updates), x=array), expected
            )
    with pytest.raises(BoundsError, match="scatter_add"):
        _value(sg.scatter_add(x, [4], 1.0), x=array)


def test_one_hot():
    t = Placeholder("t", ("N",), "int32")
    found = _value(sg.one_hot(t, 3), t=np.array([0, 2], "int32"))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, 0, 1]])
    for wrong in (3, -1):
        with pytest.raises(BoundsError, match=f"index {wrong} is out of range"):
            _value(sg.one_hot(t, 3), t=np.array([0, wrong], "int32"))
    with pytest.raises(DTypeError, match="labels are integers, not float32"):
        sg.one_hot(Placeholder("t", ("N",), "float32"), 3)
