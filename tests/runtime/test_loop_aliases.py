"""Who owns what in loops: steps that hand on what they were given, and what updates read."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Parameter, Placeholder, compile, cond, scan, while_loop

RNG = np.random.default_rng(0)
XS = Placeholder("xs", ("T", "N"), "float64")
V = Placeholder("v", ("N",), "float64")


def rows(steps, width=3):
    return RNG.normal(size=(steps, width))


def both(outputs, **feeds):
    """Return what the compiled plan and the interpreter compute."""
    inputs = [node for node in (XS, V) if node.name in feeds]
    return [compile(outputs, inputs=inputs, mode=mode)(**feeds) for mode in ("native", "reference")]


def steps_with_aliases():
    """Return steps that hand on what they were given, in all ways."""
    captured = V * 2
    return {
        "swapped": lambda c, x: ((c[1], c[0]), None),
        "rotated and kept": lambda c, x: ((c[1], c[0] + x), c),
        "captured and row": lambda c, x: ((captured, x), (x, captured)),
        "one node for all": lambda c, x: ((n := c[0] + x, n), (n, n, n)),
        "unchanged": lambda c, x: (c, (c[0], c[1])),
        "one changes": lambda c, x: ((c[0], c[0] + x), (c[1], c[0])),
        "old ones read late": lambda c, x: ((c[0] * 2, c[0] - c[1]), c[0] + c[1]),
        "views": lambda c, x: ((c[1][::-1], x[::-1]), (c[0][::-1], V[::-1])),
        "constants": lambda c, x: ((sg.zeros_like(V) + 0.5, c[0]), (sg.arange(4), 2)),
        "parts": lambda c, x: ((sg.concatenate([c[0][1:], c[0][:1]]), c[1]), c[0][:1]),
    }


def flat(structure):
    if isinstance(structure, tuple):
        return [node for part in structure for node in flat(part)]
    return [] if structure is None else [structure]


def test_steps_may_hand_on_what_they_were_given():
    outputs = []
    for number, step in enumerate(steps_with_aliases().values()):
        outputs += flat(scan(step, (V + number, V * 3 + number), XS, reverse=bool(number % 2)))
    functions = [compile(outputs, inputs=[XS, V], mode=mode) for mode in ("native", "reference")]
    for steps in (0, 1, 2, 5):
        feeds = {"xs": rows(steps), "v": RNG.normal(size=3)}
        for one, other in zip(*(f(**feeds) for f in functions), strict=True):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            np.testing.assert_allclose(one, other, rtol=1e-14)


def test_carries_of_every_dtype():
    def step(carry, x):
        count, flag, small, number = carry
        flag = (x.sum() > 0) ^ flag
        small = small * np.float32(0.5) + x.astype("float32")
        return (count + 2, flag, small, number - flag.astype("int32")), (flag, count, small)

    start = (1, np.bool_(True), sg.zeros_like(V).astype("float32"), np.int32(7))
    carry, ys = scan(step, start, XS)
    feeds = {"xs": rows(6), "v": np.ones(3)}
    native, reference = both([*carry, *ys], **feeds)
    assert [a.dtype.name for a in native[:4]] == ["int64", "bool", "float32", "int32"]
    for one, other in zip(native, reference, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_a_carry_that_others_read_before_it_changes_needs_no_copy():
    w = Parameter(RNG.normal(size=(5, 5)) / 4)
    xs = Placeholder("xs", ("T", 4, 5), "float64")

    def step(h, x):
        return sg.tanh(sg.matmul(h, w) + x), h

    loss = sg.sum(scan(step, sg.zeros((4, 5), "float64"), xs)[1] ** 2)
    outputs = [loss, *sg.grad(loss, [w])]
    function = compile(outputs)
    assert "copy of a carry for the next step" not in str(function.explain())
    feeds = {"xs": RNG.normal(size=(7, 4, 5))}
    expected = compile(outputs, mode="reference")(**feeds)
    for one, other in zip(function(**feeds), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_large_carries_are_written_in_place_and_read_late():
    wide = Placeholder("wide", ("T", 500), "float32")

    def step(carry, x):
        a, b, c = carry
        return (a * 0.5 + x, b + a, c * 2), (a.sum(), c[3])

    start = (wide[0], wide[1], wide[2])
    outputs = flat(scan(step, start, wide))
    values = RNG.normal(size=(9, 500)).astype("f4")
    native, reference = (compile(outputs, mode=m)(wide=values) for m in ("native", "reference"))
    for one, other in zip(native, reference, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["native", "reference"])
def test_a_loop_gives_outputs_and_new_values_of_parameters(mode):
    a, b, n = (Parameter(np.arange(3.0) + k, name) for k, name in enumerate("abn"))
    (x, y), rows_ = scan(lambda c, x: ((c[1], c[0] + x), c[0]), (a, b), XS)
    f = compile([x, rows_], updates={a: x, b: y, n: rows_[1]}, mode=mode)
    old_a, old_b, values = a.value, b.value, rows(3)
    found = f(xs=values)
    c, d, seen = old_a, old_b, []
    for row in values:
        seen.append(c)
        c, d = d, c + row
    np.testing.assert_allclose(found[0], c)
    np.testing.assert_allclose(found[1], seen)
    np.testing.assert_allclose(a.value, c)
    np.testing.assert_allclose(b.value, d)
    np.testing.assert_allclose(n.value, seen[1])
    swapped = compile(
        [], updates={a: b, b: while_loop(lambda c: c[0] > 1e9, lambda c: c + 1, a)}, mode=mode
    )
    before = a.value, b.value
    swapped()
    np.testing.assert_array_equal(a.value, before[1])
    np.testing.assert_array_equal(b.value, before[0])


def test_rows_of_rows_and_loops_that_are_not_run():
    def row(c, x):
        inner, cells = scan(lambda s, k: ((t := s + c * k), (t * x, x[::-1])), x, V)
        return c + 1, (cells, inner)

    _, ((cells, turned), last) = scan(row, 0.0, XS)
    skipped = cond(
        XS.sum() > 1e9,
        lambda: while_loop(lambda c: c[0] >= 0, lambda c: c + 1, XS[0] ** 2),
        lambda: scan(lambda s, x: (s + x, None), V, XS)[0],
    )
    outputs = [cells, turned, last, skipped]
    functions = [compile(outputs, inputs=[XS, V], mode=mode) for mode in ("native", "reference")]
    for steps in (1, 4):
        feeds = {"xs": rows(steps), "v": RNG.normal(size=3)}
        for one, other in zip(*(f(**feeds) for f in functions), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)
