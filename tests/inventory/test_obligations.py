"""Rows of R: what Define-and-Run promises, and what its weaknesses oblige us to."""

import time

import numpy as np
import pytest

import symgraph as sg
from symgraph import Placeholder, compile, grad
from symgraph.models import MLP
from tests.compiler.pass_harness import count_ops
from tests.inventory_rows import array, scalars
from tests.test_inventory_numbers import goldstein_price


def seconds(action, repeats):
    """Return the least time of one call over several rounds."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(repeats):
            action()
        times.append((time.perf_counter() - start) / repeats)
    return min(times)


@pytest.mark.inventory("R.performance", "V.overhead")
def test_a_compiled_call_costs_less_than_its_numpy_calls():
    """Value and both slopes, 77 operations, against the 38 NumPy calls of the value alone."""
    x, y = array("x", "N"), array("y", "N")
    z = goldstein_price(x, y)
    f = compile([z, *grad(sg.sum(z), [x, y])])
    a, b = np.ones((2, 1))
    assert [float(v[0]) for v in f(x=a, y=b)] == [1876, -5376, 8064]
    ours = seconds(lambda: f(x=a, y=b), 200)
    numpys = seconds(lambda: goldstein_price(a, b), 50)
    assert ours < numpys / 2


@pytest.fixture
def dezero(monkeypatch):
    """DeZero, which needs a name that NumPy has dropped."""
    monkeypatch.setattr(np, "int", int, raising=False)
    return pytest.importorskip("dezero")


@pytest.mark.inventory("R.performance")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
def test_a_training_step_is_faster_than_define_by_run(dezero):
    functions = dezero.functions
    generator = np.random.default_rng(0)
    values = generator.uniform(size=(100, 1))
    targets = np.sin(2 * np.pi * values)
    model = MLP((10, 1), in_size=1, dtype="float64", seed=0)
    loss = sg.nn.mean_squared_error(model(sg.Constant(values)), targets)
    parameters = list(model.parameters())
    step = compile(loss, updates=sg.optim.SGD(0.1).updates(loss, parameters))
    theirs = [dezero.Parameter(each.value) for each in parameters]

    def their_step():
        w1, b1, w2, b2 = theirs
        y = functions.linear(functions.sigmoid(functions.linear(values, w1, b1)), w2, b2)
        error = functions.mean_squared_error(y, targets)
        for each in theirs:
            each.cleargrad()
        error.backward()
        for each in theirs:
            each.data = each.data - 0.1 * each.grad.data
        return error.data

    assert float(step()) == pytest.approx(float(their_step()), rel=1e-12)
    assert seconds(step, 50) < seconds(their_step, 10) / 4


@pytest.mark.inventory("R.optimise")
@pytest.mark.parametrize("name", ["goldstein", "network"])
def test_passes_leave_fewer_nodes_than_they_find(name):
    if name == "goldstein":
        x, y = scalars("xy")
        z = goldstein_price(x, y)
        f = compile([z, *grad(z, [x, y])])
    else:
        model = MLP((10, 3), in_size=2, seed=0)
        labels = Placeholder("t", ("N",), "int64")
        loss = sg.nn.softmax_cross_entropy(model(Placeholder("x", ("N", 2), "float32")), labels)
        f = compile(loss, updates=sg.optim.SGD(0.1).updates(loss, model.parameters()))
    counted = {stage: count_ops(graph) for stage, graph in f.stages.items()}
    assert counted["simplify"] <= 0.8 * counted["expand"]
    assert counted["cse"] <= counted["simplify"]
    assert counted["fuse"] < counted["cse"]
    assert len(f.kernels) < counted["fuse"]


@pytest.mark.inventory("R.distribute")
def test_a_graph_can_be_cut_in_parts_that_give_the_same_bits():
    x = array("x", "N", 3)
    hidden = sg.tanh(x @ np.arange(12.0).reshape(3, 4))
    loss = sg.sum(sg.softmax(hidden) ** 2)
    values = np.random.default_rng(0).normal(size=(5, 3))
    whole, slope = compile([loss, grad(loss, x)])(x=values)
    # The second part is fed what the first one sends, and sends back a slope.
    received = array("received", "N", 4)
    second = sg.sum(sg.softmax(received) ** 2)
    back = array("back", "N", 4)
    sent = compile(hidden)(x=values)
    partial, message = compile([second, grad(second, received)])(received=sent)
    first = compile(sg.vjp(hidden, x, back))
    np.testing.assert_array_equal(partial, whole)
    np.testing.assert_allclose(first(x=values, back=message), slope, rtol=1e-13)


@pytest.mark.inventory("R.distribute", "R.debugging")
def test_a_graph_is_data_that_can_be_listed(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMGRAPH_DUMP", str(tmp_path))
    x = Placeholder("x", ("N",), "float64")
    f = compile(sg.sum(sg.exp(x) * 2))
    texts = sorted(path.name for path in tmp_path.glob("*.txt"))
    assert texts == [f"{i:02}_{name}.txt" for i, name in enumerate(f.stages)]
    assert "exp" in (tmp_path / "00_specialise.txt").read_text(encoding="utf-8")
    listed = sg.to_networkx(f.stages["specialise"])
    assert all(data["loc"].count("test_obligations.py") for _, data in listed.nodes(data=True))


@pytest.mark.inventory("R.dynamic")
def test_one_function_takes_either_branch():
    x = array("x", "N")
    f = compile(sg.cond(sg.sum(x) > 0, lambda: sg.sum(sg.log(x)), lambda: -sg.sum(x)))
    assert float(f(x=[1.0, np.e])) == pytest.approx(1)
    assert float(f(x=[-1.0, -2.0, -3.0])) == 6
    assert f.compile_count == 1


@pytest.mark.inventory("R.debugging")
def test_the_interpreter_gives_the_same_results_and_names_the_line():
    x = array("x", "N", 2)
    y = sg.log_softmax(x @ np.eye(2))
    values = np.random.default_rng(0).normal(size=(3, 2))
    native, reference = (compile(y, mode=mode)(x=values) for mode in ("native", "reference"))
    np.testing.assert_allclose(native, reference, rtol=1e-15)
    with pytest.raises(sg.ShapeError, match=r"test_obligations\.py:\d+"):
        x @ np.eye(3)


def losses_at(rate, updates=60, momentum=0.0):
    """Return how x^2 + 25 y^2 falls from (1, 1)."""
    w = sg.Parameter(np.ones(2), "w")
    loss = sg.sum(np.array([1.0, 25.0]) * sg.square(w))
    optimiser = sg.optim.Momentum(rate, momentum) if momentum else sg.optim.SGD(rate)
    step = compile(loss, updates=optimiser.updates(loss, [w]))
    return np.array([float(step()) for _ in range(updates)])


@pytest.mark.inventory("P.rates")
def test_a_rate_may_be_too_small_or_too_large_and_momentum_helps():
    fit, small, large = losses_at(0.03), losses_at(0.0003), losses_at(0.05)
    assert fit[-1] < 0.01
    assert (np.diff(small) < 0).all()
    assert small[-1] > 1  # crawls
    assert large[-1] > 20 * large[1]  # diverges
    assert losses_at(0.01, momentum=0.8)[-1] < 0.1 * losses_at(0.01)[-1]
