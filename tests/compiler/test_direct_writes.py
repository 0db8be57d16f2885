"""Regions that write into the array assembled of them, and sums of parts that become one."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Placeholder, compile, grad

RNG = np.random.default_rng(0)
X = Placeholder("x", ("N", 40), "float64")


def labels(f):
    return [row.label for row in f._latest.plan.instructions]


def values(f, **feeds):
    return f(**{"x": RNG.normal(size=(5, 40)), **feeds})


def test_parts_are_written_in_their_place():
    f = compile(sg.concatenate([sg.exp(X), sg.tanh(X) * 2, X + 1], axis=1))
    x = RNG.normal(size=(3, 40))
    np.testing.assert_allclose(f(x=x), np.hstack([np.exp(x), np.tanh(x) * 2, x + 1]), rtol=1e-12)
    assert not any("assemble" in label for label in labels(f))


def test_parts_that_somebody_else_reads_are_copied():
    part = sg.exp(X)
    f = compile([sg.concatenate([part, X * 2], axis=1), part])
    x = RNG.normal(size=(3, 40))
    whole, own = f(x=x)
    np.testing.assert_allclose(own, np.exp(x), rtol=1e-12)
    np.testing.assert_allclose(whole, np.hstack([np.exp(x), x * 2]), rtol=1e-12)


@pytest.mark.parametrize(
    "parts",
    [
        lambda x: [sg.exp(x), x],
        lambda x: [x.sum(axis=1, keepdims=True) * sg.ones((1, 40)), sg.exp(x)],
        lambda x: [sg.exp(x), sg.exp(x)],
        lambda x: [sg.exp(x)[:, :3], sg.exp(x) * 2],
        lambda x: [sg.exp(x)[:, ::-1], sg.softmax(x, axis=1)],
        lambda x: [x @ sg.ones((40, 40)), sg.exp(x)],
    ],
)
@pytest.mark.parametrize("axis", [0, 1])
def test_what_is_assembled_is_right_wherever_parts_come_from(parts, axis):
    pieces = parts(X)
    if axis == 0 and pieces[0].shape != pieces[1].shape:
        pieces[0] = sg.concatenate([pieces[0]] * 14, axis=1)[:, :40]
    whole = sg.concatenate(pieces, axis=axis)
    outputs = [whole * 2, whole, grad((whole**2).sum(), X)]
    for count in (0, 1, 6):
        x = RNG.normal(size=(count, 40))
        native, reference = (compile(outputs, mode=m)(x=x) for m in ("native", "reference"))
        for one, other in zip(native, reference, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_the_gradient_of_gates_is_assembled_once():
    w = Placeholder("w", (40, 4 * 32), "float64")
    sums = X @ w
    f, i, o, u = (sums[:, k * 32 : (k + 1) * 32] for k in range(4))
    loss = (sg.sigmoid(f) * sg.tanh(u) + sg.sigmoid(i) * sg.sigmoid(o)).sum()
    outputs = grad(loss, [X, w])
    function = compile(outputs)
    x, weights = RNG.normal(size=(7, 40)), RNG.normal(size=(40, 128)) * 0.1
    found = function(x=x, w=weights)
    expected = compile(outputs, mode="reference")(x=x, w=weights)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)
    assert not any("assemble" in label for label in labels(function))


def test_parts_that_may_lie_on_each_other_are_added():
    x = Placeholder("x", (6,), "float64")
    overlapping = sg.pad(x[:4], (0, 2)) + sg.pad(x[:4], (1, 1)) + sg.pad(x[:2], (4, 0))
    v = np.arange(1.0, 7)
    expected = np.pad(v[:4], (0, 2)) + np.pad(v[:4], (1, 1)) + np.pad(v[:2], (4, 0))
    np.testing.assert_array_equal(compile(overlapping)(x=v), expected)
    apart = sg.pad(x[:2], (4, 0)) + sg.pad(x[:4], (0, 2))
    np.testing.assert_array_equal(compile(apart)(x=v), [1, 2, 3, 4, 1, 2])
    filled = sg.pad(x[:2], (4, 0), constant_values=1.0) + sg.pad(x[:4], (0, 2))
    np.testing.assert_array_equal(compile(filled)(x=v), [2, 3, 4, 5, 1, 2])


@pytest.mark.parametrize("shapes", [((5, 1), (1, 3)), ((2, 5, 1), (1, 3)), ((0, 1), (1, 4))])
def test_a_product_over_one_element_is_no_matrix_product(shapes):
    a, b = (Placeholder(name, shape, "float32") for name, shape in zip("ab", shapes, strict=True))
    f = compile(a @ b + 1)
    left, right = (RNG.normal(size=shape).astype("f4") for shape in shapes)
    np.testing.assert_allclose(f(a=left, b=right), left @ right + 1, rtol=1e-6)
    assert not any("matmul" in label for label in labels(f))
