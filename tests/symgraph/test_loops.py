"""`scan` and `while_loop`: values, types, structures, and what is refused."""

import inspect
from typing import NamedTuple

import numpy as np
import pytest

import symgraph as sg
from symgraph import Parameter, Placeholder, compile, cond, grad, scan, while_loop
from symgraph.errors import DTypeError, GraphError, ShapeError

MODES = ("reference", "native")
RNG = np.random.default_rng(0)


def line():
    """Return the line of the caller, as errors show it."""
    return f"test_loops.py:{inspect.currentframe().f_back.f_lineno}"


@pytest.fixture(params=MODES)
def run(request):
    return lambda outputs, **options: compile(outputs, mode=request.param, **options)


def test_scan_carries_and_stacks(run):
    xs = Placeholder("xs", ("T", 3), "float64")
    total, before = scan(lambda c, x: (c + x, c * 2), np.zeros(3), xs)
    assert (str(total.type), str(before.type)) == ("float64[3]", "float64[T, 3]")
    f = run([total, before])
    for steps in (0, 1, 2, 17):
        values = RNG.normal(size=(steps, 3))
        found = f(xs=values)
        np.testing.assert_allclose(found[0], values.sum(0), atol=1e-12)
        sums = np.concatenate([np.zeros((1, 3)), np.cumsum(values, 0)])[:-1] if steps else values
        np.testing.assert_allclose(found[1], 2 * sums, atol=1e-12)
    assert f.compile_count <= 1


def test_scan_from_the_end(run):
    xs = Placeholder("xs", ("T",), "float32")
    carry, ys = scan(lambda c, x: (c * 0.5 + x, c), 0.0, xs, reverse=True)
    values = RNG.normal(size=6).astype("f4")
    expected, c = np.zeros(6, "f4"), np.float32(0)
    for index in reversed(range(6)):
        expected[index] = c
        c = np.float32(c * np.float32(0.5) + values[index])
    found = run([carry, ys])(xs=values)
    assert found[0].dtype == found[1].dtype == "float32"
    np.testing.assert_allclose(found[0], c, rtol=1e-6)
    np.testing.assert_allclose(found[1], expected, rtol=1e-6)


def test_structures_are_handed_through(run):
    xs = (Placeholder("a", ("T", 2), "float64"), (Placeholder("b", ("T",), "int64"),))

    def step(carry, x):
        (s, (n,)), (a, (b,)) = carry, x
        return (s + a, (n + b,)), (a * 2, (s, n))

    (s, (n,)), (doubled, (before, counts)) = scan(step, (np.zeros(2), (np.int64(0),)), xs)
    values = {"a": RNG.normal(size=(4, 2)), "b": np.arange(4)}
    found = run([s, n, doubled, before, counts])(**values)
    np.testing.assert_allclose(found[0], values["a"].sum(0), atol=1e-12)
    assert (int(found[1]), found[4].tolist()) == (6, [0, 0, 1, 3])
    np.testing.assert_array_equal(found[2], values["a"] * 2)
    np.testing.assert_allclose(found[3][-1], values["a"][:3].sum(0), atol=1e-12)


def test_without_rows_and_without_results(run):
    x = Placeholder("x", (), "float64")
    carry, ys = scan(lambda c, row: (c * x, None), 1.0, length=5)
    assert ys is None
    assert run(carry)(x=2.0) == 32
    _, powers = scan(lambda c, row: (c * x, (c, c + 1)), 1.0, length=3)
    assert [p.tolist() for p in run(powers)(x=3.0)] == [[1, 3, 9], [2, 4, 10]]
    none, squares = scan(lambda c, row: ((), row * row), (), Placeholder("r", ("T",), "int64"))
    assert none == ()
    assert run(squares)(r=np.arange(4)).tolist() == [0, 1, 4, 9]


def test_a_length_may_be_symbolic(run):
    x = Placeholder("x", ("N",), "float64")
    count, _ = scan(lambda c, row: (c + 1, None), 0, length="N")
    assert [int(run(count, inputs=[x])(x=np.ones(n))) for n in (0, 3)] == [0, 3]


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_a_weak_start_takes_the_dtype_of_the_step(run, dtype):
    xs = Placeholder("xs", ("T",), dtype)
    carry, _ = scan(lambda c, x: (c + x, None), 0, xs)
    assert carry.dtype == dtype
    assert run(carry)(xs=np.arange(4, dtype=dtype)).dtype == dtype
    open_ = scan(lambda c, x: (c + x, None), 0, Placeholder("open"))[0]
    assert run(open_)(open=np.arange(4, dtype=dtype)).dtype == dtype


def test_open_types_wait_for_the_call(run):
    xs, w = Placeholder("xs"), Placeholder("w")
    carry, ys = scan(lambda c, x: (c * w + x, c.sum()), sg.zeros_like(xs[0]), xs)
    g = grad(carry.sum() + ys.sum(), w)
    f = run([carry, ys, g])
    for dtype, shape in (("float64", (4, 2)), ("float32", (3, 2, 2))):
        values, factor = RNG.normal(size=shape).astype(dtype), np.asarray(0.5, dtype)
        found = f(xs=values, w=factor)
        c, expected = np.zeros(shape[1:]), []
        for x in values:
            expected.append(c.sum())
            c = c * 0.5 + x
        np.testing.assert_allclose(found[0], c, rtol=1e-5)
        np.testing.assert_allclose(found[1], expected, rtol=1e-5)
        assert found[0].dtype == found[2].dtype == dtype


def test_while_loop(run):
    x = Placeholder("x", (), "float64")
    y, n = while_loop(lambda c: c[0] < 100, lambda c: (c[0] * x, c[1] + 1), (1.0, 0))
    f = run([y, n])
    assert [float(v) for v in f(x=2.0)] == [128, 7]
    assert [float(v) for v in f(x=1e9)] == [1e9, 1]
    assert [
        float(v) for v in run(while_loop(lambda c: c < 0, lambda c: c + 1, x))(x=3.0).ravel()
    ] == [3]


def test_loops_and_conditions_inside_each_other(run):
    v = Placeholder("v", ("T",), "float64")
    flag = Placeholder("flag", (), "bool")

    def step(c, x):
        grown = while_loop(lambda q: q < x, lambda q: q * 2, c)
        inner, _ = scan(lambda s, k: (s + k * x * 0.01, None), 0.0, sg.arange(3) * 1.0)
        return cond(grown > 5, lambda: grown - inner, lambda: grown), grown

    carry, ys = scan(step, 1.0, v)
    chosen = cond(flag, lambda: scan(step, 1.0, v)[0] * 2, lambda: v.sum())
    values = np.array([3.0, 1.0, 10.0, -2.0, 5.5])
    c, expected = 1.0, []
    for x in values:
        q = c
        while q < x:
            q *= 2
        expected.append(q)
        c = q - 0.03 * x if q > 5 else q
    found = run([carry, ys, chosen])(v=values, flag=True)
    np.testing.assert_allclose(found[0], c)
    np.testing.assert_allclose(found[1], expected)
    np.testing.assert_allclose(found[2], 2 * c)
    assert run(chosen)(v=values, flag=False) == values.sum()


def test_parameters_are_seen_and_updated(run):
    w = Parameter(np.array([0.5, -0.5]), "w")
    xs = Placeholder("xs", ("T", 2), "float64")
    carry, _ = scan(lambda c, x: (sg.tanh(c * w + x), None), np.zeros(2), xs)
    loss = (carry**2).sum()
    step = run(loss, updates={w: w - 0.1 * grad(loss, w)})
    values = RNG.normal(size=(3, 2))
    losses = [float(step(xs=values)) for _ in range(20)]
    assert losses[-1] < losses[0]
    assert not np.array_equal(w.value, [0.5, -0.5])


def test_each_step_draws_its_own_numbers_the_same_in_both_modes():
    _, drawn = scan(lambda c, _: (c, sg.random.uniform((3,), seed=1)), 0.0, length=4)
    f, g = (compile(drawn, mode=mode) for mode in MODES)
    first, second = f(), f()
    assert len(np.unique(np.concatenate([first, second]))) == 24
    np.testing.assert_allclose(g(), first, rtol=1e-6)
    np.testing.assert_allclose(g(), second, rtol=1e-6)


@pytest.mark.parametrize("checkpoint", [False, True])
def test_the_gradient_sees_the_masks_of_the_forward_steps(run, checkpoint):
    w = Placeholder("w", (50,), "float64")
    c, kept = scan(
        lambda c, _: (c + (d := sg.dropout(w * w, 0.5, seed=3)), d),
        np.zeros(50),
        length=4,
        checkpoint=checkpoint,
    )
    values = RNG.uniform(1, 2, 50)
    masks, g = run([kept, grad(c.sum(), w)])(w=values)
    np.testing.assert_allclose(g, ((masks != 0) * 4 * values).sum(0), rtol=1e-6)


def test_a_carry_that_changes_its_type_is_refused():
    x = Placeholder("x", (3,), "float32")
    with pytest.raises(
        DTypeError, match=r"carry 0 changes its type.*float32\[3\].*float64\[3\]"
    ) as e:
        while_loop(lambda c: c.sum() > 0, lambda c: c.astype("float64"), x)
    assert f"test_loops.py:{e.traceback[0].lineno + 1}" in str(e.value)
    with pytest.raises(
        ShapeError, match=r"carry 1 changes its type.*float32\[3\].*float32\[1, 3\]"
    ):
        scan(lambda c, _: ((c[0], c[1][None]), None), (x, x), length=2)
    with pytest.raises(ShapeError, match=r"starts as float32\[3\].*returns float32\[2\]"):
        scan(lambda c, _: (c[:2], None), x, length=2)
    with pytest.raises(GraphError, match=r"carry structured as array .* where init is"):
        scan(lambda c, _: (c[0], None), (x, x), length=2)


def test_an_open_carry_that_changes_its_type_is_refused_at_the_call():
    x = Placeholder("x")
    f = compile(scan(lambda c, row: (c * 1.5, None), x[0], x)[0])
    with pytest.raises(DTypeError, match="carry 0 changes its type"):
        f(x=np.arange(3))
    assert f(x=np.arange(3.0)) == 0


def test_what_is_no_step_row_or_condition_is_refused():
    x = Placeholder("x", (3,), "float32")
    with pytest.raises(GraphError, match="without xs a length is needed"):
        scan(lambda c, _: (c, None), x)
    with pytest.raises(GraphError, match=r"returns a pair \(carry, y\)"):
        scan(lambda c, _: c, x, length=2)
    with pytest.raises(GraphError, match="must be a function of a carry and a row"):
        scan(x, x, length=2)
    with pytest.raises(GraphError, match="length is -1"):
        scan(lambda c, _: (c, None), x, length=-1)
    with pytest.raises(GraphError, match="length is an int"):
        scan(lambda c, _: (c, None), x, length=2.5)
    with pytest.raises(ShapeError, match="0-d array has no axis to scan over"):
        scan(lambda c, _: (c, None), 0.0, x.sum())
    with pytest.raises(ShapeError, match="scans 3 rows of one array, and 4 of another"):
        scan(lambda c, _: (c, None), 0.0, (x, Placeholder("y", (4,), "float32")))
    with pytest.raises(ShapeError, match="one truth value"):
        while_loop(lambda c: c > 0, lambda c: c, x)
    with pytest.raises(GraphError, match="one truth value"):
        while_loop(lambda c: (c > 0, c > 0), lambda c: c, x)
    with pytest.raises(GraphError, match="the body must be a function"):
        while_loop(lambda c: c > 0, x, x)
    with pytest.raises(GraphError, match="the condition must be a function"):
        while_loop(x, lambda c: c, x)


def test_lengths_that_differ_at_the_call_are_refused():
    a, b = Placeholder("a", ("T",), "float64"), Placeholder("b", ("S",), "float64")
    carry, _ = scan(lambda c, x: (c + x[0] * x[1], None), 0.0, (a, b))
    for mode in MODES:
        f = compile(carry, mode=mode)
        assert f(a=np.ones(3), b=np.ones(3)) == 3
        with pytest.raises(sg.SymGraphError, match=r"scans .* rows of one array"):
            f(a=np.ones(3), b=np.ones(4))


def test_a_truth_value_of_a_carry_points_to_loops():
    x = Placeholder("x", (), "float64")
    with pytest.raises(GraphError, match="while_loop"):
        scan(lambda c, _: (c + 1 if c > 0 else c, None), x, length=2)


def test_what_one_step_computes_stays_inside(run):
    xs, kept = Placeholder("xs", ("T",), "float64"), []

    def step(carry, x):
        kept.append(carry * x)
        return carry + x, None

    total, _ = scan(step, 0.0, xs)
    with pytest.raises(GraphError, match=r"used outside (.|\n)*test_loops\.py"):
        run([total, kept[-1]])
    doubled, _ = scan(lambda c, x: (c + x * kept[-1], None), 0.0, xs)
    with pytest.raises(GraphError, match="return what is needed from the body"):
        run(doubled)


def test_a_loop_is_printed_with_its_body():
    xs = Placeholder("xs", ("T",), "float64")
    carry, _ = scan(lambda c, x: (c + x, None), 0.0, xs)
    from symgraph.printer import format_graph

    text = format_graph(carry, locations=False)
    assert "loop(" in text
    assert "body" in text
    assert "loop" in sg.to_dot(carry).to_string()


class Pair(NamedTuple):
    """A carry with names."""

    total: sg.Node
    count: sg.Node


def test_carries_and_rows_may_be_dicts_and_named_tuples(run):
    rows = {"b": Placeholder("b", ("T",), "float64"), "a": Placeholder("a", ("T",), "float64")}

    def step(carry, row):
        assert isinstance(carry, Pair)
        total = carry.total + row["a"] * row["b"]
        return Pair(total, carry.count + 1), {"seen": total, "pair": [row["a"], carry.count]}

    carry, ys = scan(step, Pair(0.0, 0), rows)
    assert isinstance(carry, Pair)
    found = run([*carry, ys["seen"], *ys["pair"]])(a=np.arange(3.0), b=np.ones(3) * 2)
    assert [np.asarray(value).tolist() for value in found] == [
        6,
        3,
        [0, 2, 6],
        [0, 1, 2],
        [0, 1, 2],
    ]
    y = while_loop(
        lambda c: c["n"] < 3, lambda c: {"x": c["x"] * 2, "n": c["n"] + 1}, {"n": 0, "x": 1.0}
    )
    assert run(y["x"])() == 8
    with pytest.raises(GraphError, match=r"structured as \{'m': 'array'.*init is \{'n': 'array'"):
        while_loop(lambda c: c["n"] < 3, lambda c: {"m": c["n"]}, {"n": 0})


def test_a_carry_that_grows_with_every_step_is_refused_when_built():
    x = Placeholder("x", ("T", 3), "float64")
    with pytest.raises(ShapeError, match=r"starts as float64\[T, 3\].*returns float64\[2\*T, 3\]"):
        while_loop(lambda c: c.sum() < 3, lambda c: sg.concatenate([c, c]), x)


def test_lengths_that_cannot_be():
    x = Placeholder("x", (4,), "float64")
    with pytest.raises(ShapeError, match="its length is 5, and it scans an array of 4 rows"):
        scan(lambda c, row: (c + row, None), 0.0, x, length=5)
    with pytest.raises(GraphError, match="use while_loop with a counter"):
        scan(lambda c, row: (c, None), 0.0, length=Placeholder("n", (), "int64"))


def test_functions_of_other_arguments_are_refused():
    x = Placeholder("x", (3,), "float64")
    with pytest.raises(GraphError, match=r"the body is called with the carry, but takes \(c, d\)"):
        while_loop(lambda c: True, lambda c, d: (c, d), (x, x))
    with pytest.raises(GraphError, match=r"the condition is called with the carry"):
        while_loop(lambda c, d: True, lambda c: c, (x, x))
    with pytest.raises(GraphError, match=r"the step is called with the carry and a row"):
        scan(lambda c: c, x, length=2)
    with pytest.raises(GraphError, match=r"the then branch is called with no arguments"):
        cond(x.sum() > 0, lambda y: y, lambda: x)
