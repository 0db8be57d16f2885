"""Calls from several threads, calls after fork, and Ctrl-C."""

import os

import numpy as np
import pytest

import symgraph as sg
from symgraph import Parameter, Placeholder, compile, grad
from tests.concurrency import run_script, run_together

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")

THREADS = 8


# Several threads.


def _matrix_function(threads=None):
    x = Placeholder("x", ("N", "M"), "float32")
    w = Parameter(np.random.default_rng(5).standard_normal((40, 30)).astype("f4"))
    outputs = [sg.tanh(x @ w), x.sum(axis=0), sg.softmax(x), sg.exp(x).mean()]
    return compile(outputs, threads=threads)


def _matrices(seed, rows):
    return np.random.default_rng(seed).standard_normal((rows, 40)).astype("f4")


def _bytes(results):
    return [result.tobytes() for result in results]


@pytest.mark.parametrize("rows", [3, 4000], ids=["serial", "pooled"])
@pytest.mark.parametrize("mode", ["native", "reference"])
def test_threads_call_one_function(rows, mode):
    x = Placeholder("x", ("N", 40), "float32")
    f = compile([sg.tanh(x) * 2, x.sum(axis=0), sg.softmax(x)], mode=mode)
    values = [_matrices(seed, rows) for seed in range(THREADS)]
    expected = [_bytes(f(x=value)) for value in values]
    repeats = 100 if rows == 3 else 8

    def caller(index):
        return lambda: [_bytes(f(x=values[index])) for _ in range(repeats)]

    found = run_together(*map(caller, range(THREADS)))
    for index, results in enumerate(found):
        assert all(result == expected[index] for result in results)


def test_threads_call_one_function_with_their_own_extents():
    f = _matrix_function()
    rows = [1, 2, 3, 5, 9, 17, 33, 65, 129, 257, 513, 700]
    values = [_matrices(seed, count) for seed, count in enumerate(rows)]
    expected = [_bytes(f(x=value)) for value in values]

    def caller(start):
        def work():
            for turn in range(60):
                index = (start + turn) % len(rows)
                assert _bytes(f(x=values[index])) == expected[index]

        return work

    run_together(*map(caller, range(THREADS)))
    assert f.compile_count == 1


def test_threads_call_different_functions():
    x = Placeholder("x", ("N", 40), "float32")
    bodies = [sg.exp, sg.tanh, sg.softmax, lambda v: v.sum(axis=0), lambda v: v @ v.T, sg.sin]
    functions = [compile(body(x)) for body in bodies]
    values = _matrices(0, 900)
    expected = [f(x=values).tobytes() for f in functions]

    def caller(index):
        return lambda: {functions[index](x=values).tobytes() for _ in range(15)}

    found = run_together(*map(caller, range(len(bodies))))
    assert found == [{result} for result in expected]


def test_results_of_other_threads_stay_as_they_are():
    # Large outputs lie in memory that is used again once they are dropped.
    x = Placeholder("x", ("N",), "float64")
    f = compile(x + 1)
    size = 1 << 15

    def caller(number):
        def work():
            kept = []
            for turn in range(40):
                value = number * 1000.0 + turn
                kept.append((value, f(x=np.full(size, value))))
                kept = kept[-3:]
                for given, result in kept:
                    assert (result == given + 1).all()

        return work

    run_together(*map(caller, range(4)))


@pytest.mark.parametrize("mode", ["native", "reference"])
def test_updates_from_threads_lose_nothing(mode):
    total, count = Parameter(np.zeros(1000), "total"), Parameter(np.zeros((), "i8"), "count")
    x = Placeholder("x", (1000,), "float64")
    add = compile(total.sum(), updates={total: total + x, count: count + 1}, mode=mode)
    double = compile([], updates={count: count + 2}, mode=mode)
    read = compile([total, count * 1], mode=mode)
    turns = 50

    def adder():
        for _ in range(turns):
            add(x=np.ones(1000))

    def doubler():
        for _ in range(turns):
            double()

    def reader():
        for _ in range(turns):
            values, _ = read()
            assert (values == values[0]).all(), "half an update was seen"
            copy = total.value
            assert (copy == copy[0]).all(), "half an update was seen"

    run_together(*[adder] * 3, *[doubler] * 3, *[reader] * 2)
    assert (total.value == 3 * turns).all()
    assert count.value == 3 * turns + 2 * 3 * turns


def test_updates_in_opposite_orders_do_not_wait_for_each_other():
    p, q = Parameter(np.zeros(5000), "p"), Parameter(np.ones(5000), "q")
    forth = compile([], updates={p: p + q, q: q * 1})
    back = compile([], updates={q: q * 1, p: p - q})
    swap = compile([p.sum(), q.sum()])
    turns = 200

    def repeated(f):
        return lambda: [f() for _ in range(turns)] and None

    run_together(*map(repeated, (forth, back, forth, back, swap, swap)))
    assert (p.value == 0).all()
    assert (q.value == 1).all()


def test_setting_a_value_waits_for_calls():
    p = Parameter(np.zeros(20_000), "p")
    read = compile(p * 1)
    turns = 300

    def setter():
        for turn in range(turns):
            p.value = np.full(20_000, float(turn))

    def reader():
        for _ in range(turns):
            values = read()
            assert (values == values[0]).all()

    run_together(setter, setter, reader, reader)


# Compilation.


def test_threads_that_compile_one_function_compile_it_once():
    for turn in range(4):
        a, b = Placeholder("a"), Placeholder("b")
        f = compile(sg.tanh(a) * b + float(turn))
        values = [_matrices(seed, seed + 1) for seed in range(THREADS)]

        def caller(index, f=f, values=values):
            return lambda: f(a=values[index], b=values[index])

        found = run_together(*map(caller, range(THREADS)))
        for value, result in zip(values, found, strict=True):
            np.testing.assert_allclose(result, np.tanh(value) * value + turn, rtol=1e-6, atol=1e-6)
        assert f.compile_count == 1


def test_threads_that_need_different_variants_each_get_theirs():
    a = Placeholder("a")
    f = compile(sg.sum(a * 2, axis=0))
    shapes = [(4,), (4, 3), (4, 3, 2), (5,)] * 2
    dtypes = ["float32"] * 4 + ["float64"] * 4

    def caller(shape, dtype):
        return lambda: [f(a=np.ones(shape, dtype)) for _ in range(20)]

    found = run_together(*map(caller, shapes, dtypes))
    for shape, dtype, results in zip(shapes, dtypes, found, strict=True):
        for result in results:
            assert result.dtype == dtype
            np.testing.assert_array_equal(result, np.full(shape[1:], 2.0 * shape[0]))
    # One for each rank and dtype.
    assert f.compile_count == 6


def test_threads_build_and_compile_graphs_of_their_own():
    def caller(number):
        def work():
            x = Placeholder("x", ("N",), "float64")
            y = sg.sum(sg.sin(x) * number)
            f = compile([y, grad(y, x)])
            return f(x=np.arange(6.0))

        return work

    for number, (total, slope) in enumerate(run_together(*map(caller, range(THREADS)))):
        np.testing.assert_allclose(total, number * np.sin(np.arange(6.0)).sum(), rtol=1e-12)
        np.testing.assert_allclose(slope, number * np.cos(np.arange(6.0)), rtol=1e-12)


def test_an_error_in_one_thread_leaves_the_others_alone():
    table = Parameter(np.arange(10.0), "table")
    index = Placeholder("index", ("N",), "int64")
    f = compile(table[index], updates={table: table + 0})

    def good():
        for _ in range(100):
            assert f(index=np.array([9, 0])).tolist() == [9.0, 0.0]

    def bad():
        for _ in range(100):
            with pytest.raises(sg.errors.BoundsError, match="no parameter was changed"):
                f(index=np.array([10]))

    run_together(good, bad, good, bad)


# Fork.


def test_a_call_after_fork_without_a_pool():
    printed = run_script("""
        f = make(threads=1)
        expected = f(x=SMALL)
        print(in_child(lambda: same(f, SMALL, expected)), same(f, SMALL, expected))
    """)
    assert printed.split() == ["True", "True"]


def test_a_call_after_fork_when_the_pool_runs():
    printed = run_script("""
        f = make()
        expected = f(x=LARGE)
        for _ in range(3):
            print(in_child(lambda: same(f, LARGE, expected) and same(f, SMALL, f(x=SMALL))))
            print(same(f, LARGE, expected))
    """)
    assert printed.split() == ["True"] * 6


def test_the_child_compiles():
    printed = run_script("""
        f = make()
        expected = f(x=LARGE)
        def work():
            y = Placeholder("y", ("K",))
            h = compile(y * 3 + 4)
            right = (h(y=np.arange(5)) == np.arange(5) * 3 + 4).all()
            return right and same(make(), LARGE, expected)
        print(in_child(work))
        y = Placeholder("y")
        first = compile(y - 1)
        print(in_child(lambda: first(y=2) == 1), first(y=2) == 1)
    """)
    assert printed.split() == ["True"] * 3


def test_children_fork_children():
    printed = run_script("""
        f = make()
        expected = f(x=LARGE)
        def grandchild():
            return same(f, LARGE, expected)
        def child():
            return grandchild() and in_child(grandchild) and grandchild()
        print(in_child(child), grandchild())
    """)
    assert printed.split() == ["True", "True"]


def test_a_fork_while_other_threads_call():
    printed = run_script("""
        f = make()
        p = Parameter(np.zeros(50_000), "p")
        step = compile(p.sum(), updates={p: p + 1})
        large, small = f(x=LARGE), f(x=SMALL)
        stop = threading.Event()
        def caller(values):
            while not stop.is_set():
                f(x=values)
                step()
        threads = [
            threading.Thread(target=caller, args=(v,), daemon=True) for v in (LARGE, SMALL, LARGE)
        ]
        for thread in threads:
            thread.start()
        def work():
            before = p.value
            step()
            one_step = (p.value == before + 1).all()
            return one_step and same(f, LARGE, large) and same(f, SMALL, small)
        for _ in range(10):
            time.sleep(0.003)
            print(in_child(work))
        stop.set()
        for thread in threads:
            thread.join()
        print(len(set(p.value.tolist())) == 1)
    """)
    assert printed.split() == ["True"] * 11


def test_a_fork_while_another_thread_compiles():
    printed = run_script("""
        f = make()
        expected = f(x=LARGE)
        stop = threading.Event()
        def compiler():
            number = 0
            while not stop.is_set():
                time.sleep(0.002)  # a fork waits until nobody compiles
                x = Placeholder("x", ("N",), "float64")
                number += 1
                assert compile(sg.tanh(x) + number)(x=np.zeros(3))[0] == number
        threads = [threading.Thread(target=compiler, daemon=True)]
        for thread in threads:
            thread.start()
        def work():
            x = Placeholder("x", ("N",), "float64")
            h = compile(sg.exp(x) - 7.5)
            return h(x=np.zeros(2))[0] == -6.5 and same(f, LARGE, expected)
        for _ in range(4):
            time.sleep(0.05)
            print(in_child(work))
        stop.set()
        for thread in threads:
            thread.join()
    """)
    assert printed.split() == ["True"] * 4


def test_multiprocessing_by_fork_trains_apart():
    printed = run_script("""
        p = Parameter(np.zeros(4), "p")
        x = Placeholder("x", (4,), "float64")
        step = compile(p * 1, updates={p: p + x})
        step(x=np.ones(4))
        def work():
            step(x=np.full(4, 5.0))
            return p.value.tolist() == [6.0] * 4
        print(in_child(work), p.value.tolist() == [1.0] * 4)
    """)
    assert printed.split() == ["True", "True"]


# Ctrl-C.


INTERRUPTED = """
rng = np.random.default_rng(0)
size = 900
w = Parameter((rng.standard_normal((size, size)) / 50).astype("f4"), "w")
v = Parameter(np.zeros((size, size), "f4"), "v")
x = Placeholder("x", (size, size), "float32")
y = x
for _ in range(40):
    y = sg.tanh(y @ w)
step = compile(y.sum(), updates={w: w + grad(y.sum(), w) * 1e-3, v: v + 1}, threads=THREADS)
feed = rng.standard_normal((size, size)).astype("f4")
quick = compile(w.sum())
before = quick()
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
timer = threading.Timer(DELAY, interrupt)
timer.start()
began = time.monotonic()
try:
    while True:
        step(x=feed)
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - began < DELAY + 5)
steps = v.value[0, 0]
print(len(np.unique(v.value)) == 1)
print(steps > 0 or quick() == before)
step(x=feed)
print((v.value == steps + 1).all(), np.isfinite(w.value).all())
print(in_child(lambda: step(x=feed) is not None, 50))
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_leaves_parameters_as_they_were(threads):
    printed = run_script(f"THREADS, DELAY = {threads}, 0.2\n" + INTERRUPTED)
    assert printed.split() == ["interrupted"] + ["True"] * 6
