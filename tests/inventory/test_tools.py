"""Rows of K (utilities), L (modes) and M (the GPU), where one is not needed."""

import threading
from collections import Counter
from math import factorial

import numpy as np
import pydot
import pytest

import symgraph as sg
from symgraph import Placeholder, compile, grad, nn
from tests.inventory_rows import array, scalars
from tests.test_inventory_numbers import goldstein_price


def counts(node):
    """Return how many operations, placeholders, constants and edges a picture shows."""
    picture = sg.to_networkx(node)
    data = [each for _, each in picture.nodes(data=True)]
    kinds = Counter(each["op"] if each["kind"] == "leaf" else "operation" for each in data)
    edges = picture.number_of_edges()
    return kinds["operation"], kinds["placeholder"], kinds["constant"], edges


def sine_series(x, terms):
    """Return the series as the book writes it: a factor times a power, one after the other."""
    total = 0
    for i in range(terms):
        total = total + (-1) ** i / factorial(2 * i + 1) * x ** (2 * i + 1)
    return total


@pytest.mark.inventory("K.counts")
def test_pictures_have_a_box_for_each_operation():
    """As many operations as DeZero has; results are edges, exponents are constants here."""
    x, y = scalars("xy")
    assert counts(goldstein_price(x, y)) == (38, 2, 17 + 6, 2 * 38)
    assert counts(sine_series(x, 4))[0] == 12
    assert counts(sine_series(x, 47))[0] == 141


@pytest.mark.inventory("K.counts", "K.dot")
@pytest.mark.filterwarnings("ignore:.*deprecated - use:DeprecationWarning")
def test_the_drawing_has_the_nodes_and_edges_of_the_graph():
    x, y = scalars("xy")
    drawing = sg.to_dot(goldstein_price(x, y), verbose=True)
    (parsed,) = pydot.graph_from_dot_data(drawing.to_string())
    boxes = [node for node in parsed.get_nodes() if node.get_name().startswith('"n')]
    assert (len(boxes), len(parsed.get_edges())) == (38 + 25, 76)
    assert Counter(node.get("fillcolor") for node in boxes) == {"lightblue": 38, "orange": 25}


@pytest.mark.inventory("K.max_backward_shape")
def test_the_gradient_of_a_reduction_is_spread_over_the_axis():
    x = array("x", 2, 3, 4)
    assert sg.max(x, axis=1, keepdims=True).shape == (2, 1, 4)
    slope = grad(sg.sum(sg.max(x, axis=1)), x)
    assert slope.shape == (2, 3, 4)
    values = np.random.default_rng(0).permutation(24).reshape(2, 3, 4).astype(float)
    expected = values == values.max(axis=1, keepdims=True)
    np.testing.assert_array_equal(compile(slope)(x=values), expected)


@pytest.mark.inventory("K.array_equal", "K.as_variable")
def test_results_are_plain_arrays():
    (x,) = scalars("x")
    result = compile(x + 1)(x=1)
    assert np.array_equal(result, 2)
    assert np.allclose(result, 2, rtol=1e-4, atol=1e-5)
    assert isinstance(2 + x, sg.Node)
    assert isinstance(np.ones(2) + x, sg.Node)


SIZES = [(4, 3, 1, 0, 2), (4, 3, 1, 1, 4), (7, 3, 2, 0, 3), (4, 2, 2, 0, 2), (224, 7, 2, 3, 112)]


@pytest.mark.inventory("K.get_conv_outsize")
@pytest.mark.parametrize(("size", "kernel", "stride", "pad", "expected"), SIZES)
def test_sizes_of_convolutions(size, kernel, stride, pad, expected):
    assert nn.get_conv_outsize(size, kernel, stride, pad) == expected


@pytest.mark.inventory("K.get_deconv_outsize")
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad", "expected"), [(7, 4, 2, 1, 14), (5, 10, 5, 5, 20)]
)
def test_sizes_of_transposed_convolutions(size, kernel, stride, pad, expected):
    assert nn.get_deconv_outsize(size, kernel, stride, pad) == expected


@pytest.mark.inventory("K.pair")
def test_pairs():
    assert nn.pair(3) == (3, 3)
    assert nn.pair((1, 2)) == (1, 2)


# L: modes.


@pytest.mark.inventory("L.modes", "V.config")
def test_modes_nest_and_are_restored_after_an_exception():
    assert sg.is_training()
    with sg.test_mode():
        assert not sg.is_training()
        with sg.train_mode():
            assert sg.is_training()
        assert not sg.is_training()
        with pytest.raises(ZeroDivisionError, match="division"), sg.train_mode():
            1 / 0  # noqa: B018  # the error is the point
        assert not sg.is_training()
    assert sg.is_training()


@pytest.mark.inventory("L.modes", "V.config")
def test_a_mode_is_not_seen_by_other_threads():
    seen = []
    with sg.test_mode():
        thread = threading.Thread(target=lambda: seen.append(sg.is_training()))
        thread.start()
        thread.join()
    assert seen == [True]


@pytest.mark.inventory("L.modes")
def test_training_and_testing_are_two_functions_of_one_model():
    x = array("x", 1000)
    train = compile(nn.dropout(x, 0.5))
    with sg.test_mode():
        test = compile(nn.dropout(x, 0.5))
    ones = np.ones(1000)
    np.testing.assert_array_equal(test(x=ones), ones)
    assert set(train(x=ones)) == {0, 2}


@pytest.mark.inventory("L.no_grad")
def test_without_gradients_nothing_is_kept():
    """Ten chained tanh of 8 MB: at most one intermediate lives beside the output."""
    x = array("x", "N")
    y = x
    for _ in range(10):
        y = sg.tanh(y)
    f = compile(y)
    memory = f.memory(N=1_000_000)
    assert len(f.kernels) <= 2
    assert int(memory) - 8_000_000 <= 16_000_000  # without the feed


# M: the GPU.


@pytest.mark.inventory("M.asking")
@pytest.mark.parametrize("device", ["gpu", "cuda", "tpu"])
def test_asking_for_a_device_that_is_not_there_says_so(device):
    x = Placeholder("x", (), "float64")
    message = (
        "device 'cuda(:0)?' " if device == "cuda" else rf"a device is 'cpu', .* not '{device}'"
    )
    with pytest.raises(sg.DeviceError, match=message):
        compile(x, device=device)
