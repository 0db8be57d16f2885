"""Gradient checks for users: what is right passes, what is wrong is shown."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Parameter, Placeholder, gradient_check, numerical_gradient
from symgraph.ops.elementwise import between, elementwise, like


@pytest.fixture
def wrong_square():
    """An op whose gradient is 1 % too large; it leaves no trace in the registry."""
    from symgraph.op import REGISTRY

    yield elementwise(
        "wrong_square",
        numpy=np.square,
        scalar=lambda s, x: s.mul(x, x),
        grad=lambda g, y, x: (2.02 * g * x,),
        domain=[between(-1, 1)],
        dtypes=like(np.square),
        doc="x^2, with a wrong gradient.",
    )
    del REGISTRY["wrong_square"]


def layer():
    shapes = {"x": (2, 3), "W": (3, 4), "b": (4,)}
    x, w, b = (Placeholder(name, shape, "float64") for name, shape in shapes.items())
    generator = np.random.RandomState(42)
    return sg.sum(sg.sigmoid(x @ w + b)), {n: generator.randn(*s) for n, s in shapes.items()}


def test_right_gradients_pass_with_their_errors():
    loss, feeds = layer()
    errors = gradient_check(loss, feeds)
    assert list(errors) == ["x", "W", "b"]
    assert max(errors.values()) < 1e-9


def test_a_wrong_gradient_is_shown_at_its_worst_element(wrong_square):
    x = Placeholder("x", (2,), "float64")
    loss = sg.sum(wrong_square(x))
    message = (
        r"gradient by 'x' \(float64\[2\], made at .*test_checking.py:\d+\) is off by 0.005 "
        r"\(at most 1e-07 is right\): element \(1,\) is 6\.06, differences say (6|5\.9|6\.0).*\n"
        r"  at .*test_checking\.py"
    )
    with pytest.raises(sg.GradientError, match=message):
        gradient_check(loss, {"x": [1.0, 3.0]})
    assert gradient_check(loss, {"x": [1.0, 3.0]}, tolerance=0.01)["x"] == pytest.approx(1 / 201)


def test_a_scalar_has_one_element(wrong_square):
    x = Placeholder("x", (), "float64")
    with pytest.raises(sg.GradientError, match=r"its only element is 4\.04, differences say 4\.?"):
        gradient_check(wrong_square(x), {"x": 2.0})


def test_parameters_are_checked_and_keep_their_values():
    w, x = Parameter(np.array([1.0, 2.0]), "w"), Placeholder("x", (2,), "float64")
    errors = gradient_check(sg.sum(sg.exp(w * x)), {"x": [0.5, -1.0]}, wrt=[w, x])
    assert set(errors) == {"w", "x"}
    np.testing.assert_array_equal(w.value, [1, 2])


def test_open_placeholders_take_what_is_fed():
    x = Placeholder("x")
    assert gradient_check(sg.sum(x**3), {"x": np.array([1.0, 2.0])})["x"] < 1e-9


def test_what_is_no_float64_is_not_checked_unless_asked():
    x, n = Placeholder("x", (2,), "float64"), Placeholder("n", (2,), "int64")
    assert list(gradient_check(sg.sum(x * n), {"x": [1.0, 2.0], "n": [3, 4]})) == ["x"]
    single = Placeholder("s", (), "float32")
    for node, feed in ((n, [3, 4]), (single, 1.0)):
        with pytest.raises(sg.DTypeError, match=f"needs float64.*'{node.name}'.*is {node.dtype}"):
            gradient_check(sg.sum(node * 1.0), {node.name: feed}, wrt=[node])


def test_a_missing_feed_is_named():
    x = Placeholder("x", (), "float64")
    with pytest.raises(sg.FeedError, match=r"no feed for 'x' \(float64\[\], made at"):
        gradient_check(x**2)


def test_differences_of_integers_are_not_truncated():
    """An array of ints would swallow the small step: 49999 instead of 1, 2, 3."""
    x, w = np.array([1, 2, 3]), np.array([[1, 2], [3, 4], [5, 6]])
    slope = numerical_gradient(lambda at: (x @ at).sum(), w)
    np.testing.assert_allclose(slope, [[1, 1], [2, 2], [3, 3]], rtol=1e-9)
    assert w.dtype.kind == "i"


def test_differences_need_numbers():
    with pytest.raises(sg.DTypeError, match=r"differences need numbers, not an array of <U1"):
        numerical_gradient(lambda x: 0.0, ["a"])
