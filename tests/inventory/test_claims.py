"""Rows of V: what Define-by-Run on DeZero cannot do, or does wrong, works here."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from symgraph import Parameter, Placeholder, compile, grad, gradient_check, nn
from tests.compiler.pass_harness import count_ops
from tests.inventory_rows import array, scalars
from tests.test_inventory_numbers import goldstein_price, rosenbrock

ROOT = Path(__file__).parents[2]


def ops_of(outputs):
    """Return how many operations the compiler is left with."""
    return count_ops(compile(outputs).stages["cse"])


def derivatives(node, x, orders):
    found = [node]
    for _ in range(orders):
        found.append(grad(found[-1], x))
    return found


@pytest.mark.inventory("V.rosenbrock_nodes")
def test_nodes_of_rosenbrock_with_both_slopes():
    x, y = scalars("xy")
    value = rosenbrock(x, y)
    assert ops_of([value, *grad(value, [x, y])]) <= 14


@pytest.mark.inventory("V.newton_nodes")
def test_nodes_of_newtons_example():
    (x,) = scalars("x")
    assert ops_of(derivatives(x**4 - 2 * x**2, x, 2)) <= 12


@pytest.mark.inventory("V.sine_nodes")
def test_nodes_of_the_fourth_derivative_of_sine():
    (x,) = scalars("x")
    assert ops_of(derivatives(sg.sin(x), x, 4)[-1:]) == 1


@pytest.mark.inventory("V.tanh")
@pytest.mark.parametrize(
    ("order", "most"), list(enumerate([3, 6, 12, 25, 50, 95, 197, 398], start=1))
)
def test_nodes_of_derivatives_of_tanh_as_they_are_compiled(order, most):
    (x,) = scalars("x")
    assert ops_of(derivatives(sg.tanh(x), x, order)[-1:]) <= most


@pytest.mark.inventory("V.memory")
def test_goldstein_on_a_million_points_takes_three_outputs():
    x, y = array("x", "N"), array("y", "N")
    z = goldstein_price(x, y)
    f = compile([z, *grad(sg.sum(z), [x, y])])
    memory = f.memory(N=1_000_000)
    fed, results = 16_000_000, 24_000_000
    assert int(memory) - fed <= results + 10_000
    points = np.linspace(-1, 1, 1001)
    value, by_x, by_y = f(x=points, y=points[::-1].copy())
    np.testing.assert_allclose(value, goldstein_price(points, points[::-1]), rtol=1e-9)
    assert by_x.shape == by_y.shape == (1001,)


def wide(branches):
    """Return a sum of many functions of one variable, and the time to differentiate it."""
    (x,) = scalars("x")
    total = x
    for i in range(branches):
        total = total + (x + float(i)) * float(i % 7 - 3)
    start = time.perf_counter()
    slope = grad(total, x)
    return x, total, slope, time.perf_counter() - start


@pytest.mark.inventory("V.wide")
def test_wide_graphs_are_differentiated_in_linear_time():
    small, large = (min(wide(n)[-1] for _ in range(3)) for n in (512, 2048))
    assert large / small < 4 * 2  # quadratic time would be 16
    x, total, slope, _ = wide(256)
    value, derivative = compile([total, slope], inputs=[x])(0.5)
    factors = np.array([i % 7 - 3 for i in range(256)], float)
    np.testing.assert_allclose(value, 0.5 + factors @ (np.arange(256) + 0.5), rtol=1e-12)
    assert derivative == 1 + factors.sum()


@pytest.mark.inventory("V.dtype")
def test_a_float32_model_has_nothing_of_float64():
    x, t = Placeholder("x", ("N", 4), "float32"), Placeholder("t", ("N",), "int64")
    w = Parameter(np.ones((4, 3), "float32"), "w")
    loss = nn.softmax_cross_entropy((1 - x * 2.0) @ w, t)
    slope = grad(loss, w)
    assert (loss.dtype, slope.dtype) == ("float32", "float32")
    f = compile([loss, slope], updates=sg.optim.Adam(0.01).updates(loss, [w]))
    value, found = f(x=np.ones((2, 4), "float32"), t=[0, 2])
    assert value.dtype == found.dtype == w.value.dtype == np.float32


@pytest.mark.inventory("V.late_errors")
def test_channels_that_do_not_fit_are_refused_when_the_graph_is_built():
    images, filters = array("images", "N", 3, 8, 8), array("filters", 4, 2, 3, 3)
    with pytest.raises(sg.ShapeError, match=r"(?s)channel.*test_claims\.py:\d+"):
        nn.conv2d(images, filters)


def slopes_of_shared(hook):
    """Return two parameters after a step of rate 1 on (a + b)^2, whose gradients are one node."""
    a, b = Parameter(1.0, "a"), Parameter(1.0, "b")
    loss = (a + b) ** 2
    optimiser = sg.optim.SGD(1.0, hooks=[hook])
    compile(loss, updates=optimiser.updates(loss, [a, b]))()
    return [float(a.value), float(b.value)]


@pytest.mark.inventory("V.aliases", "G.shared")
def test_hooks_leave_shared_gradients_alone():
    assert slopes_of_shared(sg.optim.WeightDecay(0.5)) == [-3.5, -3.5]


@pytest.mark.inventory("V.frozen")
def test_frozen_parameters_stay_and_others_move():
    a, b = Parameter(1.0, "a"), Parameter(1.0, "b")
    loss = (a + b) ** 2
    compile(loss, updates=sg.optim.SGD(0.1).updates(loss, [b]))()
    assert [float(a.value), float(b.value)] == pytest.approx([1.0, 0.6])


def sum_of_squares(node):
    return sg.sum(sg.square(node))


@pytest.mark.inventory("V.conv_second_order", "B.Conv2DGradW")
def test_double_backpropagation_through_the_weights_of_a_convolution():
    generator = np.random.default_rng(0)
    feeds = {"x": generator.normal(size=(2, 2, 5, 5)), "w": generator.normal(size=(3, 2, 3, 3))}
    x, w = array("x", 2, 2, 5, 5), array("w", 3, 2, 3, 3)
    loss = sum_of_squares(sg.tanh(nn.conv2d(x, w, stride=2, pad=1)))
    penalty = sum_of_squares(grad(loss, w)) + sum_of_squares(grad(loss, x))
    assert max(gradient_check(penalty, feeds).values()) < 1e-7


@pytest.mark.inventory("V.pool_third_order")
def test_third_order_through_max_pooling():
    x = array("x", 1, 1, 4, 4)
    value = np.random.default_rng(0).permutation(16).reshape(1, 1, 4, 4) / 4 + 0.1
    y = sg.sum(nn.max_pool2d(x, 2) ** 3)
    for _ in range(3):
        y = sg.sum(grad(y, x))
    assert float(compile(y, inputs=[x])(value)) == 6 * 4
    third = compile(grad(sg.sum(grad(sg.sum(nn.max_pool2d(x, 2) ** 4), x)), x))(x=value)
    largest = value.reshape(2, 2, 2, 2).max(axis=(1, 3), keepdims=True)
    kept = (value.reshape(2, 2, 2, 2) == largest).reshape(value.shape)
    np.testing.assert_allclose(third, np.where(kept, 12 * value**2, 0), rtol=1e-12)


@pytest.mark.inventory("V.average_pooling", "B.AveragePooling")
def test_average_pooling_with_a_kernel_that_is_not_square():
    x = array("x", 1, 2, 4, 6)
    loss = sum_of_squares(nn.average_pool2d(x, (2, 3)))
    value = np.random.default_rng(0).normal(size=x.shape)
    assert gradient_check(loss, {"x": value})["x"] < 1e-7


@pytest.mark.inventory("V.max_last_axis")
def test_the_gradient_of_max_along_the_last_axis():
    x = array("x", 2, 3)
    y = sg.max(x, axis=-1)
    value, slope = compile([y, grad(sg.sum(y), x)])(x=[[1.0, 5, 3], [7, 2, 6]])
    np.testing.assert_array_equal(value, [5, 7])
    np.testing.assert_array_equal(slope, [[0, 1, 0], [1, 0, 0]])


@pytest.mark.inventory("V.softmax_simple")
def test_softmax_written_out_does_not_overflow():
    x = array("x", 1, 2)
    y = sg.exp(x) / sg.sum(sg.exp(x), axis=1, keepdims=True)
    f = compile(y)
    np.testing.assert_array_equal(f(x=[[1000.0, 0.0]]), [[1, 0]])
    np.testing.assert_array_equal(f(x=[[-1000.0, -1000.0]]), [[0.5, 0.5]])


@pytest.mark.inventory("V.labels")
def test_labels_with_an_axis_too_many_are_refused():
    x = array("x", "N", 3)
    with pytest.raises(sg.ShapeError, match=r"(?s)label.*test_claims\.py:\d+"):
        nn.softmax_cross_entropy(x, Placeholder("t", ("N", 1), "int64"))


@pytest.mark.inventory("V.labels")
def test_labels_out_of_range_are_refused_and_nothing_is_changed():
    w = Parameter(np.zeros((2, 3)), "w")
    x, t = array("x", "N", 2), Placeholder("t", ("N",), "int64")
    loss = nn.softmax_cross_entropy(x @ w, t)
    step = compile(loss, updates=sg.optim.SGD(0.1).updates(loss, [w]))
    with pytest.raises(sg.BoundsError, match="no parameter was changed"):
        step(x=np.ones((2, 2)), t=[0, 3])
    np.testing.assert_array_equal(w.value, 0)


@pytest.mark.inventory("V.order")
def test_parameters_have_one_order_in_every_process():
    code = "from symgraph.models import MLP\nprint(list(MLP((3, 2), in_size=4).named_parameters()))"
    printed = set()
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", code]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        printed.add(ran.stdout.strip())
    assert printed == {"['l0/W', 'l0/b', 'l1/W', 'l1/b']"}


@pytest.mark.inventory("J.batches")
def test_one_compilation_serves_a_row_and_a_grid_of_four_million_points():
    model = sg.models.MLP((10, 3), in_size=2, seed=0)
    f = compile(sg.argmax(model(Placeholder("x", ("N", 2), "float32")), axis=1))
    side = np.linspace(-1, 1, 2000, dtype="float32")
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    whole = f(x=grid)
    assert whole.shape == (4_000_000,)
    assert [int(f(x=grid[[i]])[0]) for i in (0, 7, -1)] == [whole[0], whole[7], whole[-1]]
    assert f.compile_count == 1


@pytest.mark.inventory("V.random")
def test_numpys_global_generator_is_left_alone():
    np.random.seed(0)
    state = np.random.get_state()[1].copy()
    x = array("x", 8)
    compile(nn.dropout(x, 0.5, seed=3))(x=np.ones(8))
    sg.models.MLP((3, 2), in_size=2, seed=0).parameters()
    assert np.array_equal(state, np.random.get_state()[1])


@pytest.mark.inventory("V.derivatives")
def test_forward_mode_and_hessians():
    v = array("v", 2)
    z = goldstein_price(v[0], v[1])
    at = np.array([1.0, 1.0])
    forward, product, matrix = compile(
        [sg.jvp(z, v, [1.0, 0.0]), sg.hvp(z, v, [1.0, 0.0]), sg.hessian(z, v)]
    )(v=at)
    assert float(forward) == -5376
    np.testing.assert_array_equal(product, matrix[0])
    np.testing.assert_array_equal(matrix, [[21228, -25812], [-25812, 44748]])


@pytest.mark.inventory("V.imports")
def test_importing_needs_no_plotting_library():
    code = (
        "import sys\n"
        "sys.modules['matplotlib'] = sys.modules['PIL'] = sys.modules['cupy'] = None\n"
        "import symgraph as sg\n"
        "from symgraph import data, layers, models\n"
        "x = sg.Placeholder('x', (), 'float64')\n"
        "print(sg.compile(x * 2, mode='reference')(x=3.0))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "6.0", ran.stderr
