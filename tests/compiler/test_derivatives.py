"""vjp, jvp, hvp, jacobian and hessian against closed forms, and what they refuse."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import (
    Constant,
    Parameter,
    Placeholder,
    compile,
    cond,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    vjp,
)
from symgraph.errors import GradientError, ShapeError

RNG = np.random.default_rng(4)
MATRIX = RNG.standard_normal((4, 3))
POINT, DIRECTION, WEIGHTS = (RNG.standard_normal(size) for size in (3, 3, 4))


def leaf(name, *shape, dtype="float64"):
    return Placeholder(name, shape, dtype)


def run(output, **feeds):
    """Return what native code gives, after checking that the reference gives the same."""
    result = compile(output)(**feeds)
    np.testing.assert_allclose(result, compile(output, mode="reference")(**feeds), rtol=1e-12)
    return result


def layer(x):
    return sg.tanh(Constant(MATRIX) @ x)


def layer_jacobian(x):
    return (1 - np.tanh(MATRIX @ x) ** 2)[:, None] * MATRIX


def test_vjp():
    x, v = leaf("x", 3), leaf("v", 4)
    found = run(vjp(layer(x), x, v), x=POINT, v=WEIGHTS)
    np.testing.assert_allclose(found, WEIGHTS @ layer_jacobian(POINT), rtol=1e-12)


def test_jvp():
    x, t = leaf("x", 3), leaf("t", 3)
    found = run(jvp(layer(x), x, t), x=POINT, t=DIRECTION)
    np.testing.assert_allclose(found, layer_jacobian(POINT) @ DIRECTION, rtol=1e-12)


def test_vjp_and_jvp_take_arrays():
    x = leaf("x", 3)
    outputs = [vjp(layer(x), x, WEIGHTS), jvp(layer(x), x, DIRECTION)]
    adjoint, tangent = compile(outputs)(x=POINT)
    np.testing.assert_allclose(adjoint @ DIRECTION, tangent @ WEIGHTS, rtol=1e-12)


def test_jvp_keeps_nothing_of_its_dummy():
    x = leaf("x", 3)
    f = compile(jvp(sg.sin(x), x, DIRECTION))
    assert [node.name for node in f.inputs] == ["x"]
    np.testing.assert_allclose(f(x=POINT), np.cos(POINT) * DIRECTION, rtol=1e-14)


@pytest.mark.parametrize("extent", [1, 3, 0])
def test_symbolic_extents(extent):
    x, t = leaf("x", "N"), leaf("t", "N")
    y = sg.exp(x) * sg.sum(x)
    values, along = np.linspace(0, 1, extent), np.linspace(1, 2, extent)
    f = compile([jvp(y, x, t), vjp(y, x, t)])
    e = np.exp(values)
    forward, backward = f(x=values, t=along)
    np.testing.assert_allclose(forward, e * along * values.sum() + e * along.sum())
    np.testing.assert_allclose(backward, e * along * values.sum() + (e * along).sum())


OPERATIONS = {
    "reduce": (lambda x: sg.logsumexp(x) * sg.ones(2), 3),
    "view": (lambda x: x[::-1].reshape(3, 1) * x, 3),
    "gather": (lambda x: x[np.array([0, 2, 0])] ** 2, 3),
    "cumsum": (lambda x: sg.cumsum(x * x), 3),
    "concatenate": (lambda x: sg.concatenate([x, sg.sin(x)]), 3),
    "matmul": (lambda x: sg.outer(x, x) @ sg.outer(x, x), 3),
    "softmax": (lambda x: sg.softmax(x), 3),
    "cond": (lambda x: cond(sg.sum(x) > 100, lambda: x, lambda: x**3), 3),
    "where": (lambda x: sg.where(x > 0, sg.sqrt(x), x * x), 3),
    "prod": (lambda x: sg.prod(x), 3),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_jacobians_agree_with_differences_and_products(name):
    f, size = OPERATIONS[name]
    x = leaf("x", size)
    y = f(x)
    at, along = np.array([0.5, -1.2, 0.9]), np.array([0.3, 1.0, -2.0])
    g = compile(y)
    steps = 1e-6 * np.eye(size)
    numeric = np.stack([(g(x=at + s) - g(x=at - s)) / 2e-6 for s in steps], axis=-1)
    exact, forward, first = compile([jacobian(y, x), jvp(y, x, along), y])(x=at)
    assert exact.shape == (*first.shape, size)
    np.testing.assert_allclose(exact, numeric, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(forward, exact @ along, rtol=1e-12, atol=1e-15)
    back = compile(vjp(y, x, np.cos(first)))(x=at)
    expected = np.tensordot(np.cos(first), exact, first.ndim)
    np.testing.assert_allclose(back, expected, rtol=1e-12, atol=1e-15)


def test_jacobian_of_a_layer():
    x = leaf("x", 3)
    found = run(jacobian(layer(x), x), x=POINT)
    np.testing.assert_allclose(found, layer_jacobian(POINT), rtol=1e-12)


def test_jacobian_by_a_matrix():
    w = Parameter(MATRIX, "w")
    found = run(jacobian(w @ Constant(POINT), w))
    expected = np.einsum("ij,k->ijk", np.eye(4), POINT)
    assert found.shape == (4, 4, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_jacobian_of_a_scalar_and_of_nothing():
    x = leaf("x", 3)
    np.testing.assert_allclose(run(jacobian(sg.sum(x**2), x), x=POINT), 2 * POINT)
    assert run(jacobian(x[:0], x), x=POINT).shape == (0, 3)
    np.testing.assert_array_equal(run(jacobian(x, x), x=POINT), np.eye(3))


def test_hessian_of_a_quadratic_form():
    x = leaf("x", 3)
    square = MATRIX[:3]
    found = run(hessian(x @ Constant(square) @ x, x), x=POINT)
    np.testing.assert_allclose(found, square + square.T, rtol=1e-13)


def test_hessian_of_logsumexp():
    x = leaf("x", 3)
    p = np.exp(POINT) / np.exp(POINT).sum()
    found = run(hessian(sg.logsumexp(x), x), x=POINT)
    np.testing.assert_allclose(found, np.diag(p) - np.outer(p, p), rtol=1e-12, atol=1e-16)


def test_hessian_by_a_matrix():
    w = leaf("w", 2, 2)
    found = run(hessian(sg.sum(w**3), w), w=np.arange(4.0).reshape(2, 2))
    expected = np.zeros((2, 2, 2, 2))
    for i, j in np.ndindex(2, 2):
        expected[i, j, i, j] = 6 * (2 * i + j)
    np.testing.assert_allclose(found, expected)


def test_hvp():
    x, v = leaf("x", "N"), leaf("v", "N")
    loss = sg.sum(sg.sin(x)) * sg.sum(x**2)
    found = run(hvp(loss, x, v), x=POINT, v=DIRECTION)
    s, c = np.sin(POINT), np.cos(POINT)
    matrix = -np.diag(s) * (POINT**2).sum() + 2 * s.sum() * np.eye(3)
    matrix += np.outer(c, 2 * POINT) + np.outer(2 * POINT, c)
    np.testing.assert_allclose(found, matrix @ DIRECTION, rtol=1e-12)


def test_they_are_closed_under_themselves():
    x = leaf("x", 3)
    h = hessian(sg.sum(x**4), x)
    found = run(grad(sg.sum(h**2), x), x=POINT)
    np.testing.assert_allclose(found, 2 * 12 * POINT**2 * 24 * POINT, rtol=1e-12)
    third = jvp(jvp(grad(sg.sum(x**4), x), x, DIRECTION), x, DIRECTION)
    np.testing.assert_allclose(run(third, x=POINT), 24 * POINT * DIRECTION**2, rtol=1e-12)


def test_linear_functions_have_no_second_derivative():
    x = leaf("x", 3)
    linear = sg.sum(x * np.array([1.0, 2, 3]))
    np.testing.assert_array_equal(compile(hvp(linear, x, DIRECTION))(x=POINT), np.zeros(3))
    np.testing.assert_array_equal(compile(hessian(linear, x))(x=POINT), np.zeros((3, 3)))
    w = Parameter(POINT, "w")
    np.testing.assert_array_equal(compile(hessian(sg.sum(w * 2), w))(), np.zeros((3, 3)))


def test_float32_stays_float32():
    x = leaf("x", 3, dtype="float32")
    y = x * x
    t = np.ones(3, "float32")
    outputs = [jvp(y, x, t), vjp(y, x, t), hvp(sg.sum(y), x, t), jacobian(y, x)]
    found = compile([*outputs, hessian(sg.sum(y), x)])(x=t)
    assert {array.dtype.name for array in found} == {"float32"}


def test_zeros_where_unused_is_allowed():
    x, y = leaf("x", 3), leaf("y", 2)
    outputs = [
        vjp(x * 2, y, DIRECTION, allow_unused=True),
        jvp(x * 2, y, [1, 2], allow_unused=True),
        jacobian(x * 2, y, allow_unused=True),
    ]
    found = compile([*outputs, x])(x=POINT, y=np.ones(2))[:3]
    for array, shape in zip(found, [(2,), (3,), (3, 2)], strict=True):
        np.testing.assert_array_equal(array, np.zeros(shape))


def test_directions_take_the_dtype():
    x = leaf("x", 3, dtype="float32")
    outputs = [vjp(x, x, [1, 2, 3]), jvp(x, x, np.ones(3)), vjp(x * x, x, np.arange(3))]
    found = compile(outputs)(x=np.ones(3, "f4"))
    np.testing.assert_array_equal(found, [[1, 2, 3], [1, 1, 1], [0, 2, 4]])
    assert {array.dtype.name for array in found} == {"float32"}


# What is refused.


def test_wrong_shapes():
    x = leaf("x", 3)
    where = r"(?s).*layer.*|.*test_derivatives\.py:\d+"
    with pytest.raises(ShapeError, match=r"(?s)vector has shape \(3,\), but output has \(4,\)"):
        vjp(layer(x), x, POINT)
    with pytest.raises(ShapeError, match=r"(?s)tangent has shape \(4,\), but wrt has \(3,\)"):
        jvp(layer(x), x, WEIGHTS)
    with pytest.raises(ShapeError, match=where):
        hvp(sg.sum(x**2), x, WEIGHTS)
    with pytest.raises(GradientError, match=r"(?s)defined for a scalar.*use jacobian or vjp"):
        hvp(x, x, DIRECTION)
    with pytest.raises(GradientError, match=r"defined for a scalar"):
        hessian(x, x)


def test_open_types():
    x = Placeholder("x")
    for make in (lambda: vjp(x * 2, x, 1.0), lambda: jvp(x * 2, x, 1.0), lambda: jacobian(x, x)):
        with pytest.raises(GradientError, match=r"(?s)known ranks and dtypes: 'x'.*is open"):
            make()


def test_symbolic_jacobians():
    x = leaf("x", "N")
    with pytest.raises(
        GradientError, match=r"(?s)must be known when.*test_derivatives\.py:\d+.*vjp"
    ):
        jacobian(x * x, x)


@pytest.mark.parametrize("make", [vjp, jvp], ids=["vjp", "jvp"])
def test_disconnected(make):
    x, y = leaf("x", 3), leaf("y", 3)
    with pytest.raises(GradientError, match=r"(?s)no derivative flows from .* to 'y'"):
        make(x * 2, y, DIRECTION)
    with pytest.raises(GradientError, match=r"(?s)no derivative flows from .* to 'y'"):
        jacobian(x * 2, y)


@pytest.mark.parametrize("make", [vjp, jvp], ids=["vjp", "jvp"])
def test_what_is_no_float(make):
    k = leaf("k", 3, dtype="int64")
    with pytest.raises(GradientError, match=r"only floats have gradients, and this is int64: 'k'"):
        make(k * 2.0, k, np.ones(3))


@pytest.mark.parametrize("make", [vjp, jvp], ids=["vjp", "jvp"])
def test_what_is_no_node(make):
    x = leaf("x", 3)
    with pytest.raises(GradientError, match="works on nodes, not on float"):
        make(2.0, x, DIRECTION)
    with pytest.raises(GradientError, match="works on nodes, not on list"):
        make(x, [x], DIRECTION)
