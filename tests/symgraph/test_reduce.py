"""Reductions, positions, means and the log-sum-exp family against NumPy and SciPy."""

import numpy as np
import pytest
import scipy.special

import symgraph as sg
from symgraph import Constant, Placeholder, grad
from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.interpret import evaluate

REDUCTIONS = ("sum", "prod", "max", "min", "any", "all", "mean", "var", "std")
NEEDS_ELEMENTS = ("max", "min")
AXES = (None, 0, -1, (0, 2), (2, -3), ())


def _value(node, **feeds):
    return evaluate([node], feeds)[0]


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "float32", "float64"])
def test_reductions_are_those_of_numpy(name, axis, keepdims, dtype):
    array = np.random.default_rng(0).integers(0, 3, (2, 3, 4)).astype(dtype)
    expected = getattr(np, name)(array, axis=axis, keepdims=keepdims)
    for shape in ((2, 3, 4), ("A", "B", "C"), None):
        node = getattr(sg, name)(Placeholder("x", shape, dtype), axis=axis, keepdims=keepdims)
        found = _value(node, x=array)
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
        assert shape is None or node.dtype == expected.dtype


def test_extents_of_results_are_symbolic():
    x = Placeholder("x", ("N", 3, "M"), "float32")
    assert str(sg.sum(x, axis=1).type) == "float32[N, M]"
    assert str(sg.mean(x, axis=(0, -1), keepdims=True).type) == "float32[1, 3, 1]"
    assert str(sg.argmax(x, axis=-1, keepdims=True).type) == "int64[N, 3, 1]"
    assert str(sg.cumsum(x, axis=0).type) == "float32[N, 3, M]"


@pytest.mark.parametrize("name", [n for n in REDUCTIONS if n not in NEEDS_ELEMENTS])
@pytest.mark.parametrize("shape", [(0,), (0, 3), (1, 1)])
def test_sizes_zero_and_one(name, shape):
    x = np.ones(shape)
    with np.errstate(all="ignore"):
        expected = {"mean": np.sum(x, 0) / shape[0], "var": np.sum(x, 0) * 0 / shape[0]}
        expected["std"] = expected["var"]
        wanted = expected[name] if name in expected else getattr(np, name)(x, axis=0)
    found = _value(getattr(sg, name)(Placeholder("x", shape, "float64"), axis=0), x=x)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin", "logsumexp"])
def test_nothing_has_no_largest_element(name):
    with pytest.raises(ShapeError, match=r"axis 0 of .*float64\[0, 3\] is empty"):
        getattr(sg, name)(Placeholder("x", (0, 3), "float64"), axis=0)
    node = getattr(sg, name)(Placeholder("x", ("N", 3), "float64"), axis=0)
    with pytest.raises(ShapeError, match="empty"):
        _value(node, x=np.zeros((0, 3)))
    assert getattr(sg, name)(Placeholder("x", (0, 3), "float64"), axis=1).shape == (0,)


@pytest.mark.parametrize(("axis", "reason"), [(3, "axis 3 is out of"), ((0, -2), "same axis")])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_wrong_axes_are_refused_with_the_line(name, axis, reason):
    x = Placeholder("x", ("N", 3), "float32")
    with pytest.raises(ShapeError, match=rf"(?s){name}: .*{reason}.*'x'.*test_reduce.py"):
        getattr(sg, name)(x, axis=axis)
    with pytest.raises(ShapeError, match="an axis must be an int"):
        getattr(sg, name)(x, axis=0.5)


def test_extremes_propagate_nan():
    array = np.array([[1.0, np.nan], [2.0, 3.0]])
    x = Placeholder("x", (2, 2), "float64")
    for function, reference in ((sg.max, np.max), (sg.min, np.min), (sg.argmax, np.argmax)):
        np.testing.assert_array_equal(
            _value(function(x, axis=1), x=array), reference(array, axis=1)
        )


def test_ties_share_the_gradient():
    x = Placeholder("x", ("N",), "float64")
    (found,) = evaluate([grad(sg.max(x), x)], {"x": np.array([2.0, 1.0, 2.0, 2.0])})
    np.testing.assert_allclose(found, [1 / 3, 0, 1 / 3, 1 / 3])
    (found,) = evaluate([grad(sg.min(x), x)], {"x": np.array([2.0, 1.0])})
    np.testing.assert_array_equal(found, [0, 1])


@pytest.mark.parametrize(
    ("values", "expected"),
    [([2, 3, 4], [12, 8, 6]), ([2, 0, 4], [0, 8, 0]), ([0, 3, 0], [0, 0, 0]), ([0, 0, 0], [0] * 3)],
)
def test_gradient_of_a_product_with_zeros(values, expected):
    x = Placeholder("x", ("N",), "float64")
    (found,) = evaluate([grad(sg.prod(x), x)], {"x": np.array(values, float)})
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_positions(axis, keepdims):
    array = np.random.default_rng(0).integers(0, 3, (3, 4))
    x = Placeholder("x", ("N", 4), "int64")
    for name in ("argmax", "argmin"):
        expected = getattr(np, name)(array, axis=axis, keepdims=keepdims)
        found = _value(getattr(sg, name)(x, axis=axis, keepdims=keepdims), x=array)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(_value(sg.cumsum(x, axis), x=array), np.cumsum(array, axis))


def test_position_over_all_axes_with_keepdims_needs_a_rank():
    with pytest.raises(GraphError, match=r"(?s)argmax over all axes.*known rank.*give its place"):
        sg.argmax(Placeholder("x"), keepdims=True)
    assert _value(sg.argmax(Placeholder("x")), x=np.array([[1, 5], [2, 3]])) == 1


@pytest.mark.parametrize("ddof", [0, 1, 2, 5])
def test_variance_counts_degrees_of_freedom(ddof):
    array = np.random.default_rng(0).normal(size=(5, 3))
    x = Placeholder("x", ("N", 3), "float64")
    with np.errstate(all="ignore"):
        expected = np.sum((array - array.mean(0)) ** 2, 0) / max(5 - ddof, 0)
    np.testing.assert_allclose(_value(sg.var(x, 0, ddof=ddof), x=array), expected)


def test_mean_of_float32_stays_float32():
    assert sg.mean(Placeholder("x", ("N",), "float32")).dtype == "float32"
    assert sg.mean(Placeholder("x", ("N",), "int32")).dtype == "float64"
    x = Placeholder("x", (2, 3), "float64")
    found = _value(grad(sg.mean(x), x), x=np.zeros((2, 3)))
    np.testing.assert_allclose(found, np.full((2, 3), 1 / 6))


INF, NAN = np.inf, np.nan
ROWS = np.array(
    [[1000, 0, -1000], [-INF, -INF, -INF], [INF, 0, 1], [INF, -INF, 2], [NAN, 0, INF], [0, 1, 2]]
)


def test_logsumexp_is_that_of_scipy():
    x = Placeholder("x", ("N", 3), "float64")
    with np.errstate(all="ignore"):
        expected = scipy.special.logsumexp(ROWS, axis=1)
    np.testing.assert_allclose(_value(sg.logsumexp(x, axis=1), x=ROWS), expected)
    node = sg.logsumexp(x, axis=1)
    expanded = node.op.kind.expand(*node.inputs, **node.attrs)
    np.testing.assert_allclose(_value(expanded, x=ROWS), expected)


def test_softmax_values():
    x = Placeholder("x", ("N",), "float64")
    array = np.array([-1.0, 0, 1, 2])
    expected = [0.0320586033, 0.0871443187, 0.2368828181, 0.6439142599]
    np.testing.assert_allclose(_value(sg.softmax(x), x=array), expected, atol=1e-10)
    logs = [-3.4401896986, -2.4401896986, -1.4401896986, -0.4401896986]
    np.testing.assert_allclose(_value(sg.log_softmax(x), x=array), logs, atol=1e-10)
    large = np.array([1000.0, 0.0])
    np.testing.assert_array_equal(_value(sg.softmax(x), x=large), [1, 0])
    np.testing.assert_array_equal(_value(sg.log_softmax(x), x=large), [0, -1000])


def test_softmax_of_integers_is_float64():
    for name in ("softmax", "log_softmax", "logsumexp"):
        assert getattr(sg, name)(Placeholder("x", (3,), "int32"), axis=0).dtype == "float64"


def test_sum_to_one_extent_and_values_of_the_inventory():
    x = Constant(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(_value(sg.sum_to(x, (1, 3))), [[3, 5, 7]])
    np.testing.assert_array_equal(_value(sg.sum_to(x, (2, 1))), [[3], [12]])
    np.testing.assert_array_equal(_value(sg.mean(x, axis=1)), [1, 4])
    assert sg.sum(Constant(np.ones((2, 3, 4, 5))), keepdims=True).shape == (1, 1, 1, 1)


def test_a_weak_number_stays_weak():
    assert sg.sum(Constant(2)).type.weak
    with pytest.raises(DTypeError, match="not supported"):
        sg.sum(np.ones(2, "complex128"))
