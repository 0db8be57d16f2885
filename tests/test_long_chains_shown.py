"""Long chains and wide graphs: printing, pictures, checks and reports do not recurse."""

import sys
import threading

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Placeholder, compile, grad
from symgraph.compiler.verify import verify
from symgraph.node import Graph
from symgraph.printer import format_graph

LENGTH = 20_000
COMPILED = 4_000
STEPS = 1_000
BRANCHES = 2_000


@pytest.fixture(autouse=True)
def _little_stack():
    """Let anything that recurses once for each node fail, also if its stack would just do."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(before)


@pytest.fixture(scope="module")
def addition():
    """Return x, x + x + ... and its gradient."""
    x = Placeholder("x", (), "float64")
    y = x
    for _ in range(LENGTH):
        y = y + x
    return x, y, grad(y, x)


@pytest.fixture(scope="module")
def added():
    x = Placeholder("x", (), "float64")
    y = x
    for _ in range(COMPILED):
        y = y + x
    return compile([y, grad(y, x)])


def test_a_long_chain_in_reference_mode(addition):
    _, y, slope = addition
    total, slope = compile([y, slope], mode="reference")(x=2.0)
    assert (total, slope) == (2.0 * (LENGTH + 1), LENGTH + 1)


def test_a_long_chain_is_printed(addition):
    _, y, _ = addition
    lines = format_graph(y).splitlines()
    assert len(lines) == LENGTH + 2
    assert lines[-2].startswith(f"n{LENGTH} = add(n{LENGTH - 1}, n0)")
    assert repr(y) == "<add: float64[]>"


def test_a_long_chain_becomes_a_picture(addition, tmp_path):
    _, y, _ = addition
    drawn = sg.to_networkx(y)
    assert (drawn.number_of_nodes(), drawn.number_of_edges()) == (LENGTH + 1, 2 * LENGTH)
    sg.to_dot(y, tmp_path / "chain.dot")
    assert (tmp_path / "chain.dot").read_text().count("->") == 2 * LENGTH


def test_a_long_chain_is_verified(addition):
    x, y, slope = addition
    graph = Graph((x,), (y, slope))
    assert verify(graph) is graph
    assert verify(graph, "specialised") is graph


def test_a_compiled_long_chain_shows_what_it_does(added):
    assert len(added.explain().splitlines()) > len(added.kernels)
    assert added.source
    assert int(added.memory()) >= 0
    assert set(added.stages) >= {"specialise", "fuse"}
    assert len(added.trace(x=1.0)) > COMPILED
    assert sg.to_networkx(added).number_of_nodes() > 0


def test_a_long_chain_in_a_thread_with_a_small_stack():
    # C code that recurses once for each node (pickling, freeing, printing) dies here.
    found = []

    def work():
        x = Placeholder("x", ("N",), "float64")
        y = x
        for _ in range(LENGTH):
            y = y + x
        found.append(format_graph(y).count("\n"))
        del x, y
        found.append("freed")

    before = threading.stack_size(1 << 18)
    try:
        thread = threading.Thread(target=work)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join(60)
    assert found == [LENGTH + 1, "freed"]


def test_a_long_recurrence():
    x, a, b = (Placeholder(name, ("N",), "float64") for name in "xab")
    y = x
    for _ in range(STEPS):
        y = y * a + b
    slopes = grad(sg.sum(y), [x, a, b])
    f = compile([y, *slopes])
    rng = np.random.default_rng(0)
    feeds = {
        "x": rng.standard_normal(3),
        "a": np.array([0.999, -1.0, 1.0]),
        "b": rng.standard_normal(3),
    }
    value, slope = feeds["x"], np.zeros(3)
    total = np.zeros(3)
    for _ in range(STEPS):
        slope = value + feeds["a"] * slope
        value = value * feeds["a"] + feeds["b"]
        total = total * feeds["a"] + 1
    found = f(**feeds)
    expected = [value, feeds["a"] ** STEPS, slope, total]
    for result, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(result, wanted, rtol=1e-9)
    assert f.compile_count == 1


def test_a_sum_of_many_branches():
    x = Placeholder("x", ("N",), "float64")
    y = sum((x * (number + 0.5) * x for number in range(BRANCHES)), start=Constant(0.0))
    f = compile([y, grad(sg.sum(y), x)])
    values = np.array([-1.0, 0.25, 3.0])
    total = sum(number + 0.5 for number in range(BRANCHES))
    found, slope = f(x=values)
    np.testing.assert_allclose(found, total * values**2, rtol=1e-12)
    np.testing.assert_allclose(slope, 2 * total * values, rtol=1e-12)
