"""Composites of several operands whose shapes are open until the first call."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Placeholder, ShapeError, compile

LOSSES = [
    sg.nn.mean_squared_error,
    sg.nn.sigmoid_cross_entropy,
    sg.nn.binary_cross_entropy,
    sg.nn.categorical_cross_entropy,
]
SHAPES = [(None, None), ((None, 3), (None, 3)), (("N", "K"), ("M", "L"))]
X = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_a_loss_of_open_shapes(loss, left, right):
    a, b = Placeholder("a", left), Placeholder("b", right)
    function = compile(loss(a, b))
    expected = compile(loss(a, b), mode="reference")(a=X, b=X)
    np.testing.assert_allclose(function(a=X, b=X), expected, rtol=1e-12)
    np.testing.assert_allclose(function(a=X[:1], b=X[:1]).ndim, 0)


def test_rows_are_not_compared_with_every_other_row():
    with pytest.raises(ShapeError, match=r"differ in rank(?s:.*)test_open_losses\.py:"):
        sg.nn.mean_squared_error(
            Placeholder("a", ("N", 1), "float32"), Placeholder("b", ("N",), "float32")
        )


@pytest.mark.parametrize("function", [sg.softmax, sg.log_softmax])
def test_a_row_with_infinity_has_no_softmax(function):
    z = Placeholder("z", ("N",), "float64")
    for mode in ("native", "reference"):
        assert np.isnan(compile(function(z), mode=mode)(z=[np.inf, 0.0, 1.0])).all()
        assert np.isfinite(compile(sg.softmax(z), mode=mode)(z=[-np.inf, 0.0, 1.0])).all()
    assert compile(sg.logsumexp(z))(z=[np.inf, 0.0]) == np.inf


def test_integer_means_do_not_overflow():
    i = Placeholder("i", ("N",), "int64")
    mean, var = compile([sg.mean(i), sg.var(i)])(i=[2**62, 2**62, 2**62, 2**62])
    assert (mean, var) == (2.0**62, 0.0)


@pytest.mark.parametrize(
    "build", [lambda i: i + 2**40, lambda i: i < 2**31, lambda i: i * -(2**40)]
)
def test_python_ints_that_do_not_fit_are_refused(build):
    build(Placeholder("j", ("N",), "int64"))
    with pytest.raises(sg.DTypeError, match=r"does not fit in int32(?s:.*)open_losses\.py:"):
        build(Placeholder("i", ("N",), "int32"))


def test_squeeze_of_open_extents_needs_axes():
    x = Placeholder("x", ("N", 1, 3), "float64")
    with pytest.raises(ShapeError, match="name the axes to drop"):
        sg.squeeze(x)
    assert compile(sg.squeeze(x, 1))(x=np.ones((1, 1, 3))).shape == (1, 3)


def test_square_roots_as_powers_are_those_of_numpy():
    z = Placeholder("z", ("N",), "float64")
    given = np.array([-np.inf, -0.0, 0.0, 4.0, np.inf])
    with np.errstate(invalid="ignore"):
        expected = given**0.5
    found = compile(z**0.5)(z=given)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found[1:]), np.signbit(expected[1:]))


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda z: 1 in z, "the answer to `in`"),
        (lambda z: f"{z:.3f}", "a formatted number"),
        (lambda z: z.__setitem__(0, 1.0), "a place to assign to"),
    ],
)
def test_what_a_symbol_cannot_do(use, message):
    z = Placeholder("z", ("N",), "float64")
    with pytest.raises(sg.GraphError, match=f"{message}(?s:.*)test_open_losses"):
        use(z)
