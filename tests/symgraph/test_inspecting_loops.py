"""Loops in reports, recordings and pictures."""

import inspect
import re

import networkx
import numpy as np
import pytest

import symgraph as sg
from symgraph import (
    GraphError,
    NonFiniteError,
    Parameter,
    Placeholder,
    compile,
    grad,
    scan,
    while_loop,
)
from symgraph.inspection import finite, trace

XS = Placeholder("xs", ("T", 4), "float32")
X = Placeholder("x", (), "float64")
ROWS = np.random.default_rng(0).normal(size=(5, 4)).astype("f4")


def make_step():
    """Return a training step, its weights and the line of its recurrence."""
    w = Parameter(np.full((4, 4), 0.1, "f4"), "w")

    def step(state, x):
        hidden = sg.tanh(state @ w + x)
        return hidden, hidden

    line = inspect.currentframe().f_lineno - 3
    last, rows = scan(step, sg.zeros((4,), dtype="float32"), XS)
    loss = sg.sum(rows * rows) + sg.sum(last)
    return compile(loss, updates={w: w - 0.1 * grad(loss, w)}), w, line


@pytest.fixture(scope="module")
def step():
    return make_step()


@pytest.fixture(scope="module")
def counting():
    """Return a function of a loop that only data end, and its gradient."""
    y, n = while_loop(lambda c: c[1] < X, lambda c: (sg.sin(c[0]) + X, c[1] + 1), (X, 0))
    return compile([y, n, grad(y, X)])


# explain


def block(report, title):
    """Return the blocks of a report whose first line holds `title`."""
    return [part for part in report.split("\n\n")[1:] if title in part.split("\n")[0]]


def test_a_loop_is_shown_with_its_steps_and_its_body_indented(step):
    f, _, line = step
    report = f.explain()
    forward, backward = block(report, "loop: ")
    assert re.match(r"#\d+ +loop: T steps of #\d+ to #\d+\n", forward)
    assert "last, rows = scan(step" in forward
    assert "T steps of" in backward and "the last row first" in backward
    first, last = map(int, re.search(r"#(\d+) to #(\d+)", forward).groups())
    for number in range(first, last + 1):
        assert re.search(rf"^    #{number} ", report, re.M)
    assert re.search(rf"^#{last + 1} +next step: back to #{first}", report, re.M)
    assert f"test_inspecting_loops.py:{line}  hidden = sg.tanh(state @ w + x)" in report
    assert "runs this once for each step, the other before it" in report
    assert "runs the other once for each step, this comes behind it" in report
    assert "carry is handed over" in report


def test_figures_are_those_of_one_step_and_of_all(step):
    report = step[0].explain(T=1000)
    (product,) = block(report, "matmul giving float32[1, 4]")[:1]
    assert "computes 32 FLOP" in product
    assert (
        "steps    T, in which it moves 96*T B = 96 kB and computes 32*T FLOP = 32 kFLOP" in product
    )
    total = re.search(r"in all it reads ([\d.]+) kB, .* computes ([\d.]+) kFLOP$", report, re.M)
    assert float(total[2]) > 64
    small = re.search(r"computes ([\d.]+) kFLOP$", step[0].explain(T=500), re.M)
    assert float(total[2]) == pytest.approx(2 * float(small[1]), rel=0.02)


def test_where_only_data_decide_one_step_counts(counting):
    report = counting.explain()
    assert "as many as data decide" in report
    assert "steps    as many as the loop takes" in report
    assert "loops that only data end counted as one step" in report
    assert re.search(
        r"^    #\d+ +end of the loop: if the condition is false, go on at #\d+", report, re.M
    )


def test_the_table_of_kernels_tells_how_often_each_runs(step, counting):
    runs = [row["runs"] for row in step[0].kernel_table()]
    assert set(runs) == {"1", "T"}
    assert {row["runs"] for row in step[0].kernel_table(T=7)} == {"1", "7"}
    assert "each step" in {row["runs"] for row in counting.kernel_table()}


def test_generated_code_names_lines_of_bodies(step, counting):
    assert "hidden = sg.tanh(state @ w + x)" in step[0].source
    for f in (step[0], counting):
        assert f.source.count("# kernel ") == len(f._latest.plan.kernels)


# memory and profile


def test_memory_tells_what_is_kept_for_each_step(step):
    f = step[0]
    text = str(f.memory(T=100))
    assert re.search(r"tanh of each step +1,600 .*hidden = sg\.tanh", text)
    assert f.memory(T=100).kept_steps is None
    assert re.search(r"carry +16 .*test_inspecting_loops\.py", text)


def test_memory_tells_the_room_for_steps(counting):
    fresh = make_counting()
    assert fresh.memory().kept_steps == 64
    assert "with room for 64 steps of loops that only data end" in str(fresh.memory())
    before = fresh.memory().arena
    fresh(x=1000.0)
    memory = fresh.memory()
    assert memory.kept_steps == 1024
    assert memory.arena == fresh._latest.executable.frame_for(((),)).arena_bytes > before


def make_counting():
    y = while_loop(lambda c: c[1] < X, lambda c: (sg.sin(c[0]) + X, c[1] + 1), (X, 0))[0]
    return compile(grad(y, X))


def test_a_profile_counts_steps(step):
    f, w, _ = step
    before = w.value
    profile = f.profile(xs=ROWS, repeats=3)
    np.testing.assert_array_equal(w.value, before)
    counts = {entry.number: entry.count for entry in profile}
    assert set(counts.values()) == {1, 5}
    product = next(e for e in profile if e.title == "matmul" and e.count == 5)
    assert product.operations == 5 * 32
    assert product.bytes == 5 * 96
    assert f.profile(xs=ROWS[:0], repeats=1).seconds >= 0


# trace and debug


def test_a_trace_stacks_the_values_of_steps(step):
    f, w, line = step
    found = f.trace(xs=ROWS)
    state, expected = np.zeros(4, "f4"), []
    for x in ROWS:
        state = np.tanh(state @ w.value + x)
        expected.append(state)
    np.testing.assert_allclose(found["hidden"], expected, rtol=1e-5)
    assert found.line("hidden").line == line
    assert [one.turns for one in found.history("hidden")] == [(k,) for k in range(5)]
    assert re.search(r"^hidden +float32\[5, 4\], 5 steps ", str(found), re.M)
    # Gradients run backwards, but their rows are where the inputs' are.
    slope = found["subtract"]
    np.testing.assert_allclose(slope, 1 - np.square(expected), rtol=1e-4, atol=1e-6)
    assert not any("steps" in row for row in str(f.trace(xs=ROWS[:0])).split("\n"))


def test_rows_are_stacked_in_their_order_also_from_the_end():
    doubled = scan(lambda c, x: (c, (twice := x * 2, twice)[0]), 0.0, XS, reverse=True)[1]
    found = compile(doubled).trace(xs=ROWS)
    np.testing.assert_array_equal(found["multiply"], ROWS * 2)


def test_a_trace_of_many_steps_keeps_the_last(monkeypatch):
    monkeypatch.setattr(trace, "LONGEST_RECORD", 50)
    count = while_loop(lambda c: c < X, lambda c: c + 1, 0.0)
    found = compile(count).trace(x=100.0)
    assert (found["add"], found["greater"]) == (100, False)
    assert re.search(r"^add +float64\[\], step 99 ", str(found), re.M)
    debugger = compile(count).debug(x=100.0)
    with pytest.raises(GraphError, match="the recording ends here: it holds 50 values"):
        debugger.run()


def test_values_of_runs_with_too_little_room_are_forgotten():
    found = make_counting().trace(x=100.0)
    assert found["sin"].shape == (100,)


def test_stepping_through_the_steps_of_a_loop(step):
    debugger = step[0].debug(xs=ROWS)
    first = debugger.until("hidden")
    assert (first.label, first.turns) == ("hidden [0]", (0,))
    second = debugger.until("hidden")
    assert second.turns == (1,)
    assert "-> hidden [1]" in str(debugger)
    np.testing.assert_array_equal(debugger.values["hidden"], second.value)
    debugger.watch("hidden")
    assert debugger.back() is not second
    debugger.break_when(lambda one: one.turns == (4,))
    assert debugger.run().turns == (4,)
    inner = scan(lambda c, x: (scan(lambda s, k: (s + k, None), c, x)[0], None), 0.0, XS)[0]
    steps = compile(inner).debug(xs=ROWS).steps
    assert [one.turns for one in steps if len(one.turns) == 2][3:5] == [(0, 3), (1, 0)]


# check_finite


@pytest.mark.parametrize("mode", ["native", "reference"])
def test_the_node_and_the_step_where_a_value_ceased_to_be_finite_are_named(mode):
    logs = scan(lambda c, x: (sg.tanh(c) + (root := sg.log(x)), root), sg.zeros((4,)), XS)
    f = compile(logs[0].sum(), check_finite=True, mode=mode)
    values = np.ones((5, 4), "f4")
    assert f(xs=values) == 0
    values[3, 2] = -1
    with pytest.raises(NonFiniteError, match=r"^log \(float32\[4\], made at") as caught:
        f(xs=values)
    text = str(caught.value)
    assert "gives nan at index (2,), the first of 1, in step 3 of a loop" in text
    assert "scan(lambda c, x: (sg.tanh(c) + (root := sg.log(x)), root)" in text


def test_the_gradient_of_a_step_is_named_by_its_row():
    w = Parameter(np.ones(4, "f4"), "w")
    total = scan(lambda c, x: (c + sg.sqrt(x * w), None), sg.zeros((4,), dtype="float32"), XS)[0]
    f = compile(total, updates={w: w - grad(total.sum(), w)}, check_finite=True)
    values = np.ones((5, 4), "f4")
    values[1, 2] = 0
    with pytest.raises(NonFiniteError, match="gradient of sqrt") as caught:
        f(xs=values)
    assert "gives inf at index (2,), the first of 1, in step 1 of a loop" in str(caught.value)
    np.testing.assert_array_equal(w.value, np.ones(4))
    nested = scan(lambda c, x: (scan(lambda s, k: (s + sg.log(k), None), c, x)[0], None), 0.0, XS)
    f = compile(nested[0], check_finite=True)
    values = np.array([[1, 1, 1, 1], [1, 1, -1, 1]], "f4")
    with pytest.raises(NonFiniteError, match="step 2 of a loop, in step 1 of the loop around it"):
        f(xs=values)


def test_the_search_for_the_first_bad_value_is_given_up_in_time(monkeypatch):
    monkeypatch.setattr(finite, "PATIENCE", -1.0)
    f = compile(sg.log(XS), check_finite=True)
    with pytest.raises(NonFiniteError, match=r"not finite, at .*given up after") as caught:
        f(xs=-(ROWS**2))
    assert "no parameter was changed" in str(caught.value)


# Pictures


def test_pictures_frame_the_bodies_of_loops(step, counting, tmp_path):
    for obj in (step[0], counting, step[0].stages["loops"], counting.stages["specialise"]):
        text = sg.to_dot(obj).to_string()
        assert "loop body: " in text
        assert 'label="carry 0"' in text
        assert "royalblue" in text
        assert networkx.is_directed_acyclic_graph(sg.to_networkx(obj))
    text = sg.to_dot(counting).to_string()
    assert "loop body: while the condition holds" in text and "loop condition" in text
    assert "loop body: T steps, the last row first" in sg.to_dot(step[0]).to_string()
    rows = scan(lambda c, x: (c + x, None), XS[0], XS)[0]
    assert "row of xs" in sg.to_dot(rows).to_string()
    assert "condition=None" not in sg.to_dot(rows).to_string()
    page = sg.to_html(step[0], tmp_path / "step.html").read_text(encoding="utf-8")
    assert "loop body: T steps" in page and "<th>runs</th>" in page
    assert step[0]._repr_html_() is not None
    assert rows._repr_svg_() is None or "loop body" in rows._repr_svg_()
