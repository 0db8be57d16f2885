"""The Define-by-Run twin is a fair peer only if its numbers and its gradients are right."""

import importlib.util

import numpy as np
import pytest

from benchmarks import define_by_run, eager_functions, eager_images, eager_recurrent
from benchmarks.cases.goldstein_price import goldstein_price
from benchmarks.define_by_run import Variable, recording
from benchmarks.eager_optimizers import SGD, Adam, Momentum

LABELS = np.array([2, 0, 1, 2])


def _positive(random, shape):
    return random.uniform(0.5, 2.0, shape)


def _signed(random, shape):
    return random.uniform(0.2, 2.0, shape) * random.choice([-1.0, 1.0], shape)


FUNCTIONS = {
    "negate": (lambda x: -x, [(3, 4)], _signed),
    "add": (lambda x, y: x + y, [(3, 4), (4,)], _signed),
    "add a number": (lambda x: 2.0 + x, [(3, 4)], _signed),
    "subtract": (lambda x, y: x - y, [(3, 1), (3, 4)], _signed),
    "subtract from a number": (lambda x: 2.0 - x, [(3, 4)], _signed),
    "multiply": (lambda x, y: x * y, [(), (3, 4)], _signed),
    "divide": (lambda x, y: x / y, [(3, 4), (1, 4)], _positive),
    "divide a number": (lambda x: 2.0 / x, [(3, 4)], _positive),
    "power": (lambda x: x**3, [(3, 4)], _signed),
    "matmul": (lambda x, y: x @ y, [(3, 4), (4, 2)], _signed),
    "transpose": (lambda x: x.T * 2.0, [(3, 4)], _signed),
    "reshape": (lambda x: x.reshape(2, 6), [(3, 4)], _signed),
    "sum": (lambda x: x.sum(), [(3, 4)], _signed),
    "sum of rows": (lambda x: x.sum(axis=1), [(3, 4)], _signed),
    "sum of columns": (lambda x: x.sum(axis=0, keepdims=True), [(3, 4)], _signed),
    "broadcast": (lambda x: define_by_run.broadcast_to(x, (3, 4)), [(4,)], _signed),
    "sum to": (lambda x: define_by_run.sum_to(x, (3, 1)), [(2, 3, 4)], _signed),
    "exp": (eager_functions.exp, [(3, 4)], _signed),
    "log": (eager_functions.log, [(3, 4)], _positive),
    "sin": (eager_functions.sin, [(3, 4)], _signed),
    "cos": (eager_functions.cos, [(3, 4)], _signed),
    "tanh": (eager_functions.tanh, [(3, 4)], _signed),
    "sigmoid": (eager_functions.sigmoid, [(3, 4)], _signed),
    "relu": (eager_functions.relu, [(3, 4)], _signed),
    "linear": (eager_functions.linear, [(3, 4), (4, 2), (2,)], _signed),
    "softmax": (eager_functions.softmax, [(4, 3)], _signed),
    "softmax cross entropy": (
        lambda x: eager_functions.softmax_cross_entropy(x, LABELS),
        [(4, 3)],
        _signed,
    ),
    "columns": (lambda x: eager_recurrent.columns(x, 1, 3), [(3, 4)], _signed),
    "move axes": (lambda x: eager_images.move_axes(x, (2, 0, 1)), [(2, 3, 2)], _signed),
    "conv2d": (eager_images.conv2d, [(2, 2, 4, 3), (2, 2, 3, 3), (2,)], _signed),
    "max pool": (lambda x: eager_images.max_pool2d(x) ** 2, [(2, 2, 4, 4)], _signed),
    "mean squared error": (eager_functions.mean_squared_error, [(4, 2), (4, 2)], _signed),
}


def _weighted_sum(function, variables):
    """Return a scalar whose gradient sees each output element by itself."""
    y = function(*variables)
    weights = np.cos(np.arange(y.data.size, dtype=float)).reshape(y.shape)
    return (y * Variable(weights)).sum()


def _gradients(function, variables, create_graph=False):
    _weighted_sum(function, variables).backward(create_graph=create_graph)
    gradients = [variable.grad for variable in variables]
    for variable in variables:
        variable.clear_grad()
    return gradients


def _central_differences(scalar, arrays, step=1e-6):
    results = []
    for array in arrays:
        result = np.empty_like(array)
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + step
            above = scalar()
            array[index] = kept - step
            below = scalar()
            array[index] = kept
            result[index] = (above - below) / (2 * step)
        results.append(result)
    return results


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradient_equals_central_differences(name):
    function, shapes, draw = FUNCTIONS[name]
    random = np.random.default_rng(0)
    arrays = [np.asarray(draw(random, shape)) for shape in shapes]
    variables = [Variable(array) for array in arrays]
    expected = _central_differences(lambda: float(_weighted_sum(function, variables).data), arrays)
    for gradient, difference in zip(_gradients(function, variables), expected, strict=True):
        np.testing.assert_allclose(gradient.data, difference, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_order_equals_central_differences_of_the_gradient(name):
    function, shapes, draw = FUNCTIONS[name]
    random = np.random.default_rng(1)
    arrays = [np.asarray(draw(random, shape)) for shape in shapes]
    directions = [Variable(np.asarray(random.uniform(-1, 1, shape))) for shape in shapes]
    variables = [Variable(array) for array in arrays]

    def slope(create_graph=False):
        gradients = _gradients(function, variables, create_graph=True)
        pairs = zip(gradients, directions, strict=True)
        terms = [(gradient * direction).sum() for gradient, direction in pairs]
        return sum(terms[1:], start=terms[0])

    expected = _central_differences(lambda: float(slope().data), arrays)
    slope().backward()
    for variable, difference in zip(variables, expected, strict=True):
        actual = np.zeros_like(difference) if variable.grad is None else variable.grad.data
        np.testing.assert_allclose(actual, difference, rtol=1e-6, atol=1e-8)


def test_tanh_derivatives_to_order_eight():
    x = Variable(np.array(1.0))
    derivative = eager_functions.tanh(x)
    values = []
    for _ in range(8):
        x.clear_grad()
        derivative.backward(create_graph=True)
        derivative = x.grad
        values.append(float(derivative.data))
    expected = [
        0.41997434161402614,
        -0.6397000084492246,
        0.6216266807712962,
        0.6650910447505024,
        -5.556893558473722,
        13.6240754413121,
        12.2883678943204,
        -277.062135603031,
    ]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_double_backpropagation_through_a_gradient():
    x = Variable(np.array(2.0))
    y = x**2
    y.backward(create_graph=True)
    first = x.grad
    x.clear_grad()
    z = first**3 + y
    z.backward()
    assert float(z.data) == 68.0
    assert float(x.grad.data) == 100.0


def test_goldstein_price_value_and_gradient():
    x, y = Variable(np.array(1.0)), Variable(np.array(1.0))
    z = goldstein_price(x, y)
    z.backward()
    assert (float(z.data), float(x.grad.data), float(y.grad.data)) == (1876.0, -5376.0, 8064.0)


def test_an_input_used_twice_adds_up_and_old_generations_wait():
    x = Variable(np.array(2.0))
    a = x**2
    (a**2 + a**2).backward()
    assert float(x.grad.data) == 64.0


def test_a_chain_of_ten_thousand_additions_is_not_recursive():
    x = Variable(np.array(1.0))
    y = x
    for _ in range(10_000):
        y = y + 1.0
    y.backward()
    assert float(x.grad.data) == 1.0


def test_intermediate_gradients_are_kept_only_on_request():
    x = Variable(np.array(2.0))
    a = x * 3.0
    (a * a).backward()
    assert a.grad is None
    x.clear_grad()
    (a * a).backward(retain_grad=True)
    assert float(a.grad.data) == 12.0


def test_nothing_is_recorded_inside_a_block_without_recording():
    x = Variable(np.array(2.0))
    with recording(False):
        y = x * x
    assert y.creator is None
    assert (x * x).creator is not None


def test_a_result_is_freed_without_the_garbage_collector():
    import gc
    import weakref

    gc.disable()
    try:
        x = Variable(np.array(2.0))
        y = eager_functions.tanh(x * x)
        gone = weakref.ref(y)
        del y
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("operation", [lambda x: x * 0.5, lambda x: 1 - x, eager_functions.sigmoid])
def test_float32_stays_float32_forward_and_backward(operation):
    x = Variable(np.ones(3, np.float32))
    y = operation(x)
    y.backward()
    assert y.data.dtype == np.float32
    assert x.grad.data.dtype == np.float32


def test_arrays_on_the_left_of_an_operator_make_variables():
    y = np.ones(3) * Variable(np.full(3, 2.0))
    assert isinstance(y, Variable)
    np.testing.assert_array_equal(y.data, [2.0, 2.0, 2.0])


def test_a_function_without_rules_says_so():
    class Nothing(define_by_run.Function):
        pass

    with pytest.raises(NotImplementedError, match="Nothing has no forward rule"):
        Nothing()(Variable(np.array(1.0)))
    with pytest.raises(NotImplementedError, match="Nothing has no backward rule"):
        Nothing().backward(Variable(np.array(1.0)))


def test_an_update_without_a_gradient_says_so():
    with pytest.raises(ValueError, match="call backward on the loss first"):
        SGD([Variable(np.zeros(2))]).update()


OPTIMIZERS = {"SGD": SGD, "Momentum": Momentum, "Adam": Adam}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_reach_the_minimum_of_a_bowl(name):
    x = Variable(np.array([3.0, -2.0]))
    optimizer = OPTIMIZERS[name]([x], 0.05)
    for _ in range(500):
        x.clear_grad()
        (x * x).sum().backward()
        optimizer.update()
    assert np.abs(x.data).max() < 1e-3


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_agrees_with_torch(name):
    import torch

    random = np.random.default_rng(0)
    x_data, t_data = random.standard_normal((8, 4)), random.integers(0, 3, 8)
    initial = [random.standard_normal(shape) for shape in [(4, 5), (5,), (5, 3), (3,)]]
    twins = [Variable(value.copy()) for value in initial]
    peers = [torch.tensor(value, requires_grad=True) for value in initial]
    twin_optimizer = OPTIMIZERS[name](twins, 0.1)
    peer_optimizer = {
        "SGD": lambda: torch.optim.SGD(peers, lr=0.1),
        "Momentum": lambda: torch.optim.SGD(peers, lr=0.1, momentum=0.9),
        "Adam": lambda: torch.optim.Adam(peers, lr=0.1),
    }[name]()

    def twin_step():
        w1, b1, w2, b2 = twins
        hidden = eager_functions.tanh(eager_functions.linear(Variable(x_data), w1, b1))
        logits = eager_functions.linear(hidden, w2, b2)
        loss = eager_functions.softmax_cross_entropy(logits, t_data)
        for twin in twins:
            twin.clear_grad()
        loss.backward()
        twin_optimizer.update()
        return float(loss.data)

    def peer_step():
        w1, b1, w2, b2 = peers
        hidden = torch.tanh(torch.from_numpy(x_data) @ w1 + b1)
        loss = torch.nn.functional.cross_entropy(hidden @ w2 + b2, torch.from_numpy(t_data))
        peer_optimizer.zero_grad()
        loss.backward()
        peer_optimizer.step()
        return loss.item()

    for _ in range(5):
        assert twin_step() == pytest.approx(peer_step(), rel=1e-6)
    for twin, peer in zip(twins, peers, strict=True):
        np.testing.assert_allclose(twin.data, peer.detach().numpy(), rtol=1e-6, atol=1e-8)


def test_convolution_is_a_sum_over_windows_with_zeros_around_the_image():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    weight = np.zeros((1, 1, 3, 3))
    weight[0, 0, 0, 1], weight[0, 0, 2, 2] = 1.0, 10.0  # Above, and below to the right.
    y = eager_images.conv2d(Variable(x), Variable(weight), Variable(np.array([0.5])))
    expected = [[40.5, 50.5, 0.5], [70.5, 81.5, 2.5], [3.5, 4.5, 5.5]]
    np.testing.assert_array_equal(y.data, [[expected]])


def test_a_pool_gives_the_gradient_to_the_first_of_equal_elements():
    x = Variable(np.array([[[[1.0, 3.0], [3.0, 2.0]]]]))
    y = eager_images.max_pool2d(x)
    y.backward()
    assert y.data.tolist() == [[[[3.0]]]]
    assert x.grad.data.tolist() == [[[[0.0, 1.0], [0.0, 0.0]]]]


def test_an_lstm_carries_its_state_but_no_gradient_past_a_cut():
    wx, wh, b = (Variable(np.full(shape, 0.5)) for shape in [(1, 4), (1, 4), (4,)])
    lstm = eager_recurrent.LSTM(wx, wh, b)
    one = Variable(np.ones((1, 1)))
    first = lstm(one)
    gate, written = 1 / (1 + np.exp(-1.0)), np.tanh(1.0)
    np.testing.assert_allclose(first.data, [[gate * np.tanh(gate * written)]], rtol=1e-14)
    lstm.cut()
    lstm(one).backward()
    assert first.grad is None
    # Only the second step's part of the sum arrives at Wh, and it saw the first one's output.
    np.testing.assert_allclose(wh.grad.data, b.grad.data[None] * first.data, rtol=1e-14)
    lstm.reset_state()
    np.testing.assert_array_equal(lstm(one).data, first.data)
