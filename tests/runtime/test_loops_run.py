"""Loops while they run: interrupts, threads, fork, extents, memory, and steps that fail."""

import inspect
import os
import signal
import time

import numpy as np
import pytest

import symgraph as sg
from symgraph import BoundsError, Parameter, Placeholder, compile, grad, scan, while_loop
from tests.concurrency import run_script, run_together

RNG = np.random.default_rng(0)
X = Placeholder("x", (), "float64")
XS = Placeholder("xs", ("T", "N"), "float64")
V = Placeholder("v", ("N",), "float64")


def rows(steps, width=3):
    return RNG.normal(size=(steps, width))


# Interrupts.


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
def test_ctrl_c_ends_loops_within_a_second():
    printed = run_script(
        """
        from symgraph import scan, while_loop

        x, big = Placeholder("x", (), "float64"), Placeholder("big", (300, 300), "float32")
        p = Parameter(np.array(1.0), "p")
        forever = while_loop(lambda c: c >= x, lambda c: sg.sin(c) + 2, p)
        slow = while_loop(lambda c: c[0, 0] > x, lambda c: sg.tanh(c @ big), big)
        long = scan(lambda c, _: (sg.sin(c) + x, None), p, length=10**9)[0]
        rise = lambda c, _: (while_loop(lambda d: d >= x, lambda d: d + 1, c), None)
        inner = scan(rise, p, length=9)
        late = []

        def press():
            late.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        def check(step, **feeds):
            timer = threading.Timer(0.2, press)
            timer.start()
            try:
                step(**feeds)
                print("the loop ended")
            except KeyboardInterrupt:
                late.append(time.monotonic() - late.pop())
            timer.join()
            assert float(p.value) == 1

        for result in (forever, long, inner[0]):
            check(compile(result, updates={p: result}), x=0.5)
        check(compile(forever, updates={p: forever}, mode="reference"), x=0.5)
        check(compile(grad(forever, x, allow_unused=True), updates={p: forever}), x=0.5)
        step = compile([], updates={p: slow.sum().astype("float64")})
        check(step, x=-2.0, big=np.ones((300, 300), "f4"))
        step = compile(forever, updates={p: forever + 1})
        check(step, x=0.5)
        assert step(x=5.0) == 1 and float(p.value) == 2
        print(max(late) < 1, len(late))
        """
    )
    assert printed.split() == ["True", "7"]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX")
def test_a_timer_of_the_program_ends_a_loop():
    def stop(*_):
        raise TimeoutError("enough")

    f = compile(while_loop(lambda c: c >= 0, lambda c: c * 0.5 + 1, X))
    before = signal.signal(signal.SIGALRM, stop)
    try:
        for _ in range(2):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            started = time.monotonic()
            with pytest.raises(TimeoutError, match="enough"):
                f(x=1.0)
            assert time.monotonic() - started < 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert f(x=-1.0) == -1


# Threads.


def test_threads_call_one_loop_function():
    h, ys = scan(lambda h, x: ((n := sg.tanh(h * 0.5 + x)), n), V, XS)
    f = compile([h, ys, grad((ys**2).sum(), V)])
    feeds = [{"xs": rows(t, 4), "v": RNG.normal(size=4)} for t in (1, 3, 9, 40)]
    expected = [[r.tobytes() for r in f(**fed)] for fed in feeds]

    def caller(first):
        def work():
            for turn in range(60):
                k = (first + turn) % len(feeds)
                assert [r.tobytes() for r in f(**feeds[k])] == expected[k]

        return work

    run_together(*map(caller, range(4)))
    assert f.compile_count == 1


def counted_to():
    """Return a loop of `x` steps."""
    return while_loop(lambda c: c[1] < X, lambda c: (sg.sin(c[0]) + X * 1e-9, c[1] + 1), (1.0, 0))[
        0
    ]


def test_threads_make_room_for_more_steps_together():
    f, reference = compile(grad(counted_to(), X)), compile(grad(counted_to(), X))
    expected = {n: float(reference(x=float(n))) for n in (10, 100, 1000, 5000)}

    def caller(shift):
        def work():
            for n in np.roll(list(expected), shift):
                assert float(f(x=float(n))) == expected[n]

        return work

    run_together(*map(caller, range(4)))
    assert f._latest.executable.capacity == 64 * 4**4


def test_one_thread_and_two_give_the_same_bits():
    w = Placeholder("w", (160, 160), "float32")
    xs = Placeholder("xs", ("T", 900, 160), "float32")

    def step(h, x):
        h = sg.tanh(h @ w + x)
        return h, sg.softmax(h).sum(axis=0)

    h, ys = scan(step, xs[0], xs)
    outputs = [h, ys, grad(h.sum() + ys[0].sum(), w)]
    feeds = {"w": RNG.normal(size=(160, 160)).astype("f4") * 0.1}
    feeds["xs"] = RNG.normal(size=(3, 900, 160)).astype("f4")
    one, two = (compile(outputs, threads=threads)(**feeds) for threads in (1, 2))
    assert [a.tobytes() for a in one] == [b.tobytes() for b in two]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
def test_loops_run_after_fork():
    printed = run_script(
        """
        from symgraph import scan

        x = Placeholder("x", (64, 300), "float32")
        xs = Placeholder("xs", ("T", 300, 300), "float32")
        h, ys = scan(lambda h, r: ((n := sg.tanh(h @ r)), n.sum()), x, xs)
        f = compile([h, grad(ys.sum(), xs)], threads=2)
        rng = np.random.default_rng(0)
        feeds = {"x": rng.normal(size=(64, 300)).astype("f4")}
        feeds["xs"] = rng.normal(size=(4, 300, 300)).astype("f4") * 0.1
        expected = [a.tobytes() for a in f(**feeds)]
        print(in_child(lambda: [a.tobytes() for a in f(**feeds)] == expected))
        print([a.tobytes() for a in f(**feeds)] == expected)
        """
    )
    assert printed.split() == ["True", "True"]


# One compilation, whatever the extents.


def recurrent(steps, *, checkpoint=False):
    """Return a training step of a recurrent network."""
    xs = Placeholder("xs", (steps, "B", 3), "float32")
    w, u = (
        Parameter(RNG.normal(size=(n, 4)).astype("f4"), name) for n, name in ((3, "w"), (4, "u"))
    )

    def step(h, x):
        gate = sg.sigmoid(x @ w + h @ u)
        h = h * gate + sg.tanh(h @ u) * (1 - gate)
        return h, h * gate

    start = sg.zeros((xs.shape[1], 4), dtype="float32")
    h, ys = scan(step, start, xs, checkpoint=checkpoint)
    loss = h.sum() + ys[:, :, 0].sum(axis=1)[0]
    new = [p - 0.01 * g for p, g in zip((w, u), grad(loss, [w, u]), strict=True)]
    return compile(loss, updates={w: new[0], u: new[1]})


def test_one_compilation_serves_every_length_and_batch():
    h, ys = scan(lambda h, x: (sg.tanh(h + x * V), h * 2), V, XS)
    f = compile([h, ys, *grad(h.sum() + (ys**2).sum(), [XS, V])])
    reference = compile([h, ys, *grad(h.sum() + (ys**2).sum(), [XS, V])], mode="reference")
    for steps, width in ((0, 3), (1, 1), (7, 0), (1000, 2), (7, 64), (0, 0)):
        feeds = {"xs": rows(steps, width), "v": RNG.normal(size=width)}
        for one, other in zip(f(**feeds), reference(**feeds), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-12)
    assert f.compile_count == 1


def test_a_long_loop_is_compiled_as_a_short_one():
    plans = [recurrent(steps)._latest.plan for steps in (10, 1000)]
    kernels = [{kernel.key_text for kernel in plan.kernels} for plan in plans]
    assert kernels[0] == kernels[1]
    opcodes = [[row.opcode for row in plan.instructions] for plan in plans]
    assert opcodes[0] == opcodes[1]
    assert len(plans[0].buffers) == len(plans[1].buffers)


# Memory.


def test_memory_grows_by_what_each_step_keeps():
    sizes = {}
    for checkpoint in (False, True):
        f = recurrent("T", checkpoint=checkpoint)
        arenas = [f.memory(T=steps, B=32).arena for steps in (20, 30, 40, 1000)]
        assert arenas[1] - arenas[0] == arenas[2] - arenas[1]
        # What lies in the arena anyway does not matter from some length on.
        per_step = f.memory(T=1001, B=32).arena - arenas[3]
        one = 32 * 4 * 4
        assert per_step % one == 0 and 2 * one <= per_step <= 9 * one
        sizes[checkpoint] = per_step
        frame = f._latest.executable.frame_for(((40, 32, 3),))
        assert frame.arena_bytes == arenas[2]
    assert sizes[True] <= sizes[False] / 2


def test_a_hundred_thousand_steps_and_then_a_few():
    f = compile([counted_to(), grad(counted_to(), X)])
    assert f.memory().kept_steps == 64
    started = time.perf_counter()
    many = f(x=1e5)
    long = time.perf_counter() - started
    assert np.isfinite(many).all()
    assert f.memory().kept_steps == 64 * 4**6
    assert "room for 262144 steps" in str(f.memory())
    started = time.perf_counter()
    few = f(x=7.0)
    # The room that was made is not touched.
    assert time.perf_counter() - started < long / 5
    for one, other in zip(few, compile([counted_to(), grad(counted_to(), X)])(x=7.0), strict=True):
        assert one == other
    assert f(x=1e5) == many
    assert f.compile_count == 1


def test_a_profile_makes_room_too():
    entries = compile(grad(counted_to(), X)).profile(x=300.0, repeats=1)
    assert max(entry.count for entry in entries) == 301


# Steps that fail.


TABLE = Placeholder("table", (5,), "float64")
PICKS = Placeholder("picks", ("T",), "int64")


@pytest.mark.parametrize("mode", ["native", "reference"])
def test_a_bad_index_in_a_step_is_reported_and_nothing_is_updated(mode):
    p = Parameter(np.zeros(2), "p")
    total, line = scan(lambda c, k: (c + TABLE[k], None), 0.0, PICKS)[0], here()
    outputs = {"forward": total, "backward": grad(total, TABLE)}
    for name, output in outputs.items():
        f = compile(output, updates={p: p + total}, mode=mode)
        f(table=np.ones(5), picks=np.array([0, 4, -5]))
        before = p.value
        with pytest.raises(BoundsError, match="index 7 is out of bounds for axis 0") as caught:
            f(table=np.ones(5), picks=np.array([0, 1, 2, 7, 1, 4]))
        text = str(caught.value)
        assert line in text, name
        assert mode == "reference" or "no parameter was changed" in text
        assert "in step 3 of the loop made at" in text
        np.testing.assert_array_equal(p.value, before)
        f(table=np.ones(5), picks=np.array([0]))


def here():
    """Return the line of the caller, as errors show it."""
    return f"test_loops_run.py:{inspect.currentframe().f_back.f_lineno}"


@pytest.mark.parametrize("mode", ["native", "reference"])
def test_a_loop_that_would_go_on_for_ever_ends_where_it_fails(mode):
    def step(c):
        sums, _ = scan(lambda s, _: (s + TABLE[c[0]], None), c[1], length=2)
        return c[0] + 1, sums

    _, total = while_loop(lambda c: c[0] >= 0, step, (0, 0.0))
    f = compile(total, mode=mode)
    with pytest.raises(
        BoundsError, match=r"(?s)index 5 is out.*in step 0 of the loop.*in step 5 of the loop"
    ):
        f(table=np.ones(5))


def test_a_check_behind_a_loop_keeps_parameters():
    p, q = Parameter(np.zeros(3), "p"), Parameter(np.zeros(()), "q")
    total, _ = scan(lambda c, k: (c + TABLE[k], None), 0.0, PICKS)
    f = compile(total, updates={q: q + total, p: p + TABLE[PICKS[:1]] + PICKS[:1] ** PICKS[1:2]})
    good = np.array([2, 3, 1])
    f(table=np.ones(5), picks=good)
    before = p.value, q.value
    with pytest.raises(sg.DTypeError, match="negative integer powers"):
        f(table=np.ones(5), picks=np.array([2, -1, 1]))
    with pytest.raises(BoundsError, match="index 8 is out of bounds"):
        f(table=np.ones(5), picks=np.array([2, 3, 8]))
    np.testing.assert_array_equal(p.value, before[0])
    np.testing.assert_array_equal(q.value, before[1])
