"""Gradients through loops, of any order, against differences and each other."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Placeholder, compile, cond, grad, hvp, scan, while_loop
from symgraph.variant import placeholders_of

RNG = np.random.default_rng(1)
MODES = ("reference", "native")


def differences(f, feeds, name, step=1e-5):
    """Return the central difference of a scalar function, with one Richardson step."""
    value = np.asarray(feeds[name], float)
    found = np.zeros_like(value)
    for index in np.ndindex(value.shape):
        slopes = []
        for h in (step, 2 * step):
            ends = []
            for sign in (1, -1):
                moved = value.copy()
                moved[index] += sign * h
                ends.append(float(f(**{**feeds, name: moved})))
            slopes.append((ends[0] - ends[1]) / (2 * h))
        found[index] = (4 * slopes[0] - slopes[1]) / 3
    return found


def check(loss, wrt, feeds, orders=2, modes=MODES, tolerance=2e-7):
    """Compare gradients with differences, up to an order; modes must agree."""
    feeds = {name: feeds[name] for name in (node.name for node in placeholders_of([loss]))}
    inputs = [node for node in (XS, W, C, X) if node.name in feeds]
    for _ in range(orders):
        gradients = grad(loss, wrt, allow_unused=True)
        f = compile(loss, inputs=inputs)
        expected = [differences(f, feeds, node.name) for node in wrt]
        for mode in modes:
            found = compile(gradients, inputs=inputs, mode=mode)(**feeds)
            for one, other in zip(found, expected, strict=True):
                scale = np.abs(other).max(initial=1e-3)
                np.testing.assert_allclose(one / scale, other / scale, atol=tolerance)
        loss = sum(((g * g).sum() for g in gradients), sg.Constant(0.0))


XS = Placeholder("xs", ("T", 3), "float64")
W = Placeholder("w", (3, 3), "float64")
C = Placeholder("c", (3,), "float64")
FEEDS = {"xs": RNG.normal(size=(4, 3)), "w": RNG.normal(size=(3, 3)), "c": RNG.normal(size=3)}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_recurrence(reverse, checkpoint):
    def step(h, x):
        h = sg.tanh(h @ W + x)
        return h, h * x

    h, ys = scan(step, C, XS, reverse=reverse, checkpoint=checkpoint)
    check((h**2).sum() + (ys * sg.arange(3)).sum(), [XS, W, C], FEEDS)


def test_several_carries_and_rows():
    def step(carry, rows):
        (a, b), (x, y) = carry, rows
        a, b = a * sg.sigmoid(b) + x, sg.sin(a) * y
        return (a, b), (a * b, x)

    (a, b), (ys, zs) = scan(step, (C, C * 2), (XS, XS * 0.5))
    check((a * b).sum() + (ys * ys).sum() + (zs * ys).sum(), [XS, C], FEEDS)


def test_results_of_which_only_some_are_used():
    (a, b), (ys, _) = scan(lambda c, x: ((c[0] + x, c[1] * x), (c[1], x)), (C, C), XS)
    check((ys**2).sum(), [XS, C], FEEDS)
    check((a**3).sum(), [XS, C], FEEDS)
    check(b.sum(), [XS, C], FEEDS)


def test_a_carry_that_holds_integers_has_no_gradient():
    (n, s), _ = scan(lambda c, x: ((c[0] + 1, c[1] + x * c[0]), None), (0, C), XS)
    check((s * s).sum() + 0 * n, [XS, C], FEEDS)


def test_no_step_and_one_step():
    h, ys = scan(lambda h, x: (sg.tanh(h * x + C), h), C, XS)
    for steps in (0, 1):
        feeds = {**FEEDS, "xs": RNG.normal(size=(steps, 3))}
        check((h**2).sum() + ys.sum(), [XS, C], feeds)


def test_a_scan_in_a_scan():
    def outer(h, x):
        inner, ys = scan(lambda s, w: (sg.tanh(s * w + x), s), h, W)
        return inner, ys.sum(axis=0)

    h, ys = scan(outer, C, XS)
    check((h * h).sum() + (ys * ys).sum(), [XS, W, C], FEEDS, orders=1)
    check(h.sum(), [C], FEEDS, orders=2)


X = Placeholder("x", (), "float64")


def test_a_while_loop():
    y, _ = while_loop(lambda c: c[0] < 100, lambda c: (c[0] * X + 1, c[1] + 1), (X, 0))
    for x in (1.7, 1.03, 150.0):
        check(y, [X], {"x": np.array(x)}, orders=3, tolerance=1e-6)


def test_more_steps_than_fit_at_first():
    y = while_loop(lambda c: c[1] < 1000, lambda c: (sg.sin(c[0]) + X, c[1] + 1), (X, 0))[0]
    assert compile(grad(y, X), mode="reference")(x=0.3) == pytest.approx(
        float(compile(grad(y, X))(x=0.3)), rel=1e-9
    )
    f = compile([y, grad(y, X)])
    few, many = f(x=0.3), f(x=0.3)
    assert few == many
    check(y, [X], {"x": np.array(0.3)}, orders=1)


def test_loops_in_loops_and_conditions():
    flag = Placeholder("flag", (), "bool")

    def step(c, x):
        grown = while_loop(lambda q: q < x + 4, lambda q: q * 1.5 + X, c)
        return cond(grown > 5, lambda: sg.log(grown), lambda: grown * x), grown

    v = Placeholder("v", ("T",), "float64")
    c, ys = scan(step, X * X, v)
    loss = cond(flag, lambda: c + (ys * ys).sum(), lambda: ys[0] * 3)
    values = {"v": RNG.uniform(1, 6, size=4), "x": np.array(1.3)}
    for chosen in (True, False):
        g = [compile(grad(loss, [X, v]), mode=mode) for mode in MODES]
        f = compile(loss)
        feeds = {**values, "flag": np.array(chosen)}
        for name, index in (("x", 0), ("v", 1)):
            expected = differences(f, feeds, name)
            for function in g:
                np.testing.assert_allclose(function(**feeds)[index], expected, rtol=1e-6, atol=1e-8)


def test_nan_in_a_branch_that_was_not_taken_does_not_leak_through_time():
    h, _ = scan(lambda h, x: (sg.where(x > 0, sg.log(x) * h, h), None), X, C)
    feeds = {"x": np.array(2.0), "c": np.array([0.0, 3.0, -1.0])}
    for mode in MODES:
        gx, gc = compile(grad(h, [X, C]), mode=mode)(**feeds)
        np.testing.assert_allclose(gx, np.log(3))
        np.testing.assert_allclose(gc, [0, 2 / 3, 0])


def test_hessian_vector_products():
    h, _ = scan(lambda h, x: (sg.tanh(h @ W + x), None), C, XS)
    loss = (h**2).sum()
    v = np.asarray(RNG.normal(size=(3, 3)))
    product = compile(hvp(loss, W, v))(**FEEDS)
    slope = compile(grad(loss, W))
    ends = [slope(**{**FEEDS, "w": FEEDS["w"] + sign * 1e-5 * v}) for sign in (1, -1)]
    np.testing.assert_allclose(product, (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-8)


def test_gradients_inside_a_step():
    def newton(x, _):
        f = x**4 - 2 * x**2
        slope = grad(f, x)
        return x - slope / grad(slope, x), x

    _, xs = scan(newton, 2.0, length=7)
    expected = [2, 1.4545454545454546, 1.1510467893775467, 1.0253259289766978]
    for mode in MODES:
        np.testing.assert_allclose(compile(xs, mode=mode)()[:4], expected, rtol=1e-14)


def test_gradients_are_those_of_torch():
    torch = pytest.importorskip("torch")
    h, ys = scan(lambda h, x: ((n := sg.tanh(h @ W + x)), n), C, XS)
    found = compile(grad((ys**2).sum() + h.sum(), [XS, W, C]))(**FEEDS)
    xs, w, c = (torch.tensor(FEEDS[name], requires_grad=True) for name in ("xs", "w", "c"))
    state, total = c, 0
    for x in xs:
        state = torch.tanh(state @ w + x)
        total = total + (state**2).sum()
    (total + state.sum()).backward()
    for one, other in zip(found, (xs, w, c), strict=True):
        np.testing.assert_allclose(one, other.grad.numpy(), rtol=1e-12)
