"""The differentiator: what it sums and undoes, what it refuses, and open shapes."""

import re

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Parameter, Placeholder, compile, cond, grad
from symgraph.errors import GradientError
from tests.compiler.pass_harness import count_ops, simplified


def scalar(name="x"):
    return Placeholder(name, (), "float64")


def vector(name="x", extent="N"):
    return Placeholder(name, (extent,), "float64")


def run(outputs, **feeds):
    """Return what native code gives, after checking that the reference gives the same."""
    results = compile(outputs)(**feeds)
    expected = compile(outputs, mode="reference")(**feeds)
    pairs = (
        zip(results, expected, strict=True) if isinstance(outputs, list) else [(results, expected)]
    )
    for result, wanted in pairs:
        np.testing.assert_allclose(result, wanted, rtol=1e-13, atol=1e-300)
    return results


# Sums over uses, broadcasts undone.


def test_uses_add_up():
    x = scalar()
    y = x * x + sg.sin(x) + x
    np.testing.assert_allclose(run(grad(y, x), x=0.7), 2 * 0.7 + np.cos(0.7) + 1, rtol=1e-15)


def test_asking_twice_does_not_accumulate():
    x = scalar()
    y = x**2
    assert run([grad(y, x), grad(y, x)], x=2.0) == [4, 4]


def test_a_node_twice_in_wrt():
    x = scalar()
    assert run(grad(x**2, [x, x]), x=3.0) == [6, 6]


SHAPES = [((2, 3), (3,)), ((2, 3), (2, 1)), ((4, 1, 3), (2, 1)), ((2, 3), ()), ((1, 1), (5, 4))]


@pytest.mark.parametrize(("one", "other"), SHAPES)
@pytest.mark.parametrize("name", ["add", "multiply", "maximum", "divide", "power"])
def test_broadcasts_are_undone(name, one, other):
    rng = np.random.default_rng(0)
    values = {"a": rng.uniform(1, 2, one), "b": rng.uniform(2, 3, other)}
    a, b = (Placeholder(key, value.shape, "float64") for key, value in values.items())
    slopes = run(grad(sg.sum(getattr(sg, name)(a, b)), [a, b]), **values) if name != "add" else None
    if slopes is None:
        f = compile(grad(sg.sum((a + b) ** 2), [a, b]))
        slopes = f(**values)
        both = 2 * (values["a"] + values["b"])
        factors = both, both
    else:
        x, y = np.broadcast_arrays(values["a"], values["b"])
        factors = {
            "multiply": (y, x),
            "maximum": (x > y, y > x),
            "divide": (1 / y, -x / y**2),
            "power": (y * x ** (y - 1), np.log(x) * x**y),
        }[name]
    for slope, factor, shape in zip(slopes, factors, (one, other), strict=True):
        extra = factor.ndim - len(shape)
        axes = tuple(range(extra)) + tuple(
            i + extra for i, extent in enumerate(shape) if extent == 1
        )
        expected = np.sum(factor, axis=axes, keepdims=True).reshape(shape)
        assert slope.shape == shape
        np.testing.assert_allclose(slope, expected, rtol=1e-12)


def test_symbolic_broadcasts_are_undone():
    x, b = Placeholder("x", ("N", "M"), "float64"), Placeholder("b", ("M",), "float64")
    f = compile(grad(sg.sum(x * b), b))
    for rows, columns in ((3, 4), (1, 1), (0, 2), (5, 1)):
        values = np.random.default_rng(rows).random((rows, columns))
        found = f(x=values, b=np.ones(columns))
        np.testing.assert_allclose(found, values.sum(axis=0))
    assert f.compile_count == 1


def test_gradients_keep_the_dtype_of_what_they_belong_to():
    half, full = Placeholder("h", ("N",), "float32"), Placeholder("f", ("N",), "float64")
    slopes = grad(sg.sum(half * full), [half, full])
    assert [slope.dtype for slope in slopes] == ["float32", "float64"]
    found = compile(slopes)(h=np.ones(2, "f4"), f=np.full(2, 2.0))
    assert [slope.dtype.name for slope in found] == ["float32", "float64"]
    np.testing.assert_array_equal(found[0], [2, 2])


# By what.


def test_by_intermediate_nodes():
    x = vector()
    h = sg.exp(x)
    loss = sg.sum(h * h)
    values = np.array([0.1, -1.0])
    np.testing.assert_allclose(run(grad(loss, h), x=values), 2 * np.exp(values))


def test_by_an_ancestor_and_a_descendant_at_once():
    x = scalar()
    h = x**2
    k = sg.sin(h)
    assert_allclose = np.testing.assert_allclose
    found = run(grad(k * h, [x, h, k]), x=1.3)
    inner = np.cos(1.69) * 1.69 + np.sin(1.69)
    assert_allclose(found, [inner * 2.6, inner, 1.69], rtol=1e-14)


def test_by_the_loss_itself():
    x = scalar()
    y = x**2
    assert run(grad(y, [y, x]), x=3.0) == [1, 6]


def test_by_parameters():
    w = Parameter(np.array([1.0, 2.0]), "w")
    np.testing.assert_array_equal(compile(grad(sg.sum(w**3), w))(), [3, 12])


def test_a_loss_of_one_element_in_any_rank():
    x = Placeholder("x", (1, 1), "float64")
    found = run(grad(x**2, x), x=np.array([[3.0]]))
    np.testing.assert_array_equal(found, [[6.0]])


def test_a_gradient_of_a_gradient_of_gradients():
    x = scalar()
    y = grad(x**5, x)
    for _ in range(3):
        y = grad(y, x)
    np.testing.assert_allclose(run(y, x=2.0), 240)


def test_gradients_mixed_over_two_leaves():
    x, y = scalar("x"), scalar("y")
    z = x**3 * sg.exp(y)
    mixed = grad(grad(z, x), y) - grad(grad(z, y), x)
    assert abs(run(mixed, x=1.2, y=0.4)) < 1e-14


def test_stop_gradient_is_a_constant():
    x = scalar()
    assert run(grad(x * sg.stop_gradient(x), x), x=3.0) == 3
    with pytest.raises(GradientError, match=r"(?s)every path is cut, at:.*stop_gradient"):
        grad(sg.stop_gradient(x), x)


def test_the_gradient_of_a_linear_function_is_still_taken_somewhere():
    x = vector()
    f = compile([grad(sg.sum(x * 2), x), grad(grad(sg.sum(x * 2), x).sum() + x[0], x)])
    found = f(x=np.zeros(3))
    np.testing.assert_array_equal(found, [[2, 2, 2], [1, 0, 0]])


# What is refused.


def test_a_disconnected_input_names_the_missing_path():
    x, y = vector("x"), vector("y")
    with pytest.raises(GradientError, match=r"(?s)no derivative flows from .* to 'y' ") as at:
        grad(sg.sum(x), y)
    text = str(at.value)
    assert "it is computed from 'x'" in text
    assert "pass allow_unused=True" in text
    assert len(re.findall(r"test_autodiff\.py:\d+", text)) >= 2


@pytest.mark.parametrize(
    ("cut", "name"),
    [
        (lambda x: sg.cast(x, "int64") * 1.0, "cast"),
        (lambda x: sg.argmax(x) * 1.0, "argmax"),
        (lambda x: sg.cast(x > 0, "float64"), "greater"),
    ],
)
def test_paths_through_integers_are_cut(cut, name):
    x = vector()
    with pytest.raises(GradientError, match=rf"(?s)every path is cut, at:.*{name}"):
        grad(sg.sum(cut(x)), x)


def test_a_disconnected_input_may_be_allowed():
    x, y = vector("x"), vector("y")
    loss = sg.sum(x**2) + sg.sum(sg.stop_gradient(y))
    first, second = grad(loss, [x, y], allow_unused=True)
    found = run([first, second, loss], x=np.array([1.0, 2]), y=np.ones(2))[:2]
    np.testing.assert_array_equal(found, [[2, 4], [0, 0]])
    assert second.dtype == "float64"


def test_a_constant_loss_of_nothing():
    x = scalar()
    with pytest.raises(GradientError, match="computed from constants only"):
        grad(Constant(2.0), x)


def test_leaves_without_a_name_are_described():
    loss = sum((sg.Parameter(float(i)) for i in range(8)), start=Constant(0.0))
    message = r"computed from a parameter \(float64\[\], made at .*test_autodiff\.py.* and 2 more\n"
    with pytest.raises(GradientError, match=message):
        grad(loss, scalar())


def test_a_loss_that_is_no_scalar():
    x = vector()
    with pytest.raises(GradientError, match=r"(?s)this has shape .*test_autodiff\.py.*\.sum\(\)"):
        grad(x * 2, x)


def test_what_is_no_float():
    x, k = vector(), Placeholder("k", ("N",), "int64")
    with pytest.raises(GradientError, match=r"(?s)only floats have gradients.*int64.*'k'"):
        grad(sg.sum(x * k), k)
    with pytest.raises(GradientError, match=r"(?s)only floats have gradients.*int64"):
        grad(sg.sum(k), k)
    with pytest.raises(GradientError, match="works on nodes, not on float"):
        grad(2.0, x)
    with pytest.raises(GradientError, match="works on nodes, not on str"):
        grad(sg.sum(x), [x, "x"])


# Open shapes: the gradient waits for the ranks.


def test_one_open_graph_serves_three_ranks():
    x = Placeholder("x")
    loss = sg.sum(sg.sin(x) * x)
    f = compile([loss, grad(loss, x)])
    for shape in ((), (4,), (2, 3), (5,)):
        values = np.random.default_rng(1).random(shape)
        value, slope = f(x=values)
        np.testing.assert_allclose(value, np.sum(np.sin(values) * values), rtol=1e-13)
        np.testing.assert_allclose(slope, np.cos(values) * values + np.sin(values), rtol=1e-13)
    assert f.compile_count == 3


def test_open_gradients_undo_broadcasts():
    x, b = Placeholder("x"), Placeholder("b")
    f = compile(grad(sg.sum((x + b) ** 2), [x, b]))
    shapes = [((3,), (3,)), ((2, 3), (3,)), ((2, 3), ()), ((2, 3), (2, 1)), ((1, 3), (2, 1))]
    for one, other in shapes:
        values = np.random.default_rng(2).random(one), np.random.default_rng(3).random(other)
        both = 2 * (values[0] + values[1])
        for slope, value in zip(f(x=values[0], b=values[1]), values, strict=True):
            extra = both.ndim - value.ndim
            kept = [i + extra for i, extent in enumerate(value.shape) if extent == 1]
            expected = both.sum(axis=(*range(extra), *kept), keepdims=True).reshape(value.shape)
            np.testing.assert_allclose(slope, expected)


def test_open_gradients_of_gradients_and_of_intermediates():
    x = Placeholder("x")
    h = sg.exp(x)
    first = grad(sg.sum(h**2), x)
    second = grad(sg.sum(first), x)
    f = compile([first, second, grad(sg.sum(h**2), h)])
    values = np.array([0.2, -1.0])
    for found, factor in zip(f(x=values), (2, 4), strict=False):
        np.testing.assert_allclose(found, factor * np.exp(2 * values))
    np.testing.assert_allclose(f(x=values)[2], 2 * np.exp(values))


def test_open_gradients_refuse_at_the_call():
    x = Placeholder("x")
    f = compile(grad(x * 2, x))
    assert f(x=np.array(3.0)) == 2
    with pytest.raises(GradientError, match=r"(?s)defined for a scalar.*test_autodiff\.py:\d+"):
        f(x=np.ones(3))
    with pytest.raises(GradientError, match=r"only floats have gradients, and this is int64"):
        f(x=np.array(3))
    with pytest.raises(GradientError, match=r"no derivative flows"):
        grad(x * 2, Placeholder("y"))


def test_open_gradients_of_conditions():
    x, flag = Placeholder("x"), Placeholder("flag", (), "bool")
    y = cond(flag, lambda: sg.sum(sg.log(x)), lambda: sg.sum(x**2))
    f = compile([grad(y, x), cond(flag, lambda: grad(sg.sum(x**3), x), lambda: x)])
    values = np.array([1.0, 2.0])
    np.testing.assert_allclose(f(x=values, flag=True), [1 / values, 3 * values**2])
    np.testing.assert_allclose(f(x=values, flag=False), [2 * values, values])


# How much is left: simplified after every differentiation.


def _op_count(*outputs):
    return count_ops(simplified(*outputs))


def test_op_counts_of_polynomials():
    x, y = scalar("x"), scalar("y")
    first = 19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2
    second = 18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2
    z = (1 + (x + y + 1) ** 2 * first) * (30 + (2 * x - 3 * y) ** 2 * second)
    assert _op_count(z) <= 36
    assert _op_count(z, *grad(z, [x, y])) <= 80
    rosenbrock = 100 * (y - x**2) ** 2 + (x - 1) ** 2
    assert _op_count(rosenbrock, *grad(rosenbrock, [x, y])) <= 14
    newton = x**4 - 2 * x**2
    slope = grad(newton, x)
    assert _op_count(newton, slope, grad(slope, x)) <= 12
    sine = sg.sin(x)
    for _ in range(4):
        sine = grad(sine, x)
    assert _op_count(sine) <= 3
