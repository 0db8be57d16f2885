"""Losses: the values and gradients of the inventory, and what happens at the edges."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Placeholder, grad, nn
from symgraph.errors import BoundsError, DTypeError, ShapeError
from symgraph.interpret import evaluate


def _loss(function, x, t):
    """Return the value and the gradient by x, by reference and by expansion."""
    x, t = np.asarray(x), np.asarray(t)
    px, pt = Placeholder("x", x.shape, x.dtype), Placeholder("t", t.shape, t.dtype)
    node = function(px, pt)
    expanded = node.op.kind.expand(*node.inputs, **node.attrs)
    value, other, gradient = evaluate([node, expanded, grad(node, px)], {"x": x, "t": t})
    np.testing.assert_allclose(other, value, rtol=1e-12)
    return value, gradient


def test_mean_squared_error_divides_by_rows():
    value, gradient = _loss(nn.mean_squared_error, [0.0, 1, 2], [1.0, 1, 4])
    np.testing.assert_allclose(value, 5 / 3)
    np.testing.assert_allclose(gradient, [-2 / 3, 0, -4 / 3])
    value, _ = _loss(nn.mean_squared_error, [[0.0, 1], [2, 3]], np.zeros((2, 2)))
    assert value == 7
    value, _ = _loss(nn.mean_squared_error, np.array(3.0), np.array(1.0))
    assert value == 4


def test_softmax_cross_entropy_values():
    logits = np.array([[-1.0, 0, 1, 2], [2, 0, 1, -1]])
    value, gradient = _loss(nn.softmax_cross_entropy, logits, [3, 0])
    np.testing.assert_allclose(value, 0.4401896985611953, rtol=1e-15)
    expected = [0.0160293016, 0.0435721594, 0.118441409, -0.1780428701]
    np.testing.assert_allclose(gradient[0], expected, atol=1e-10)
    value, _ = _loss(nn.softmax_cross_entropy, np.zeros((5, 10)), np.arange(5))
    np.testing.assert_allclose(value, 2.302585093, atol=1e-9)
    value, gradient = _loss(nn.softmax_cross_entropy, [[1000.0, 0], [0, 1000.0]], [1, 1])
    assert value == 500
    np.testing.assert_array_equal(gradient, [[0.5, -0.5], [0, 0]])


def test_categorical_cross_entropies_agree_with_labels():
    logits = np.array([[-1.0, 0, 1, 2], [2, 0, 1, -1]])
    targets = np.eye(4)[[3, 0]]
    expected, slope = _loss(nn.softmax_cross_entropy, logits, [3, 0])
    value, gradient = _loss(nn.categorical_cross_entropy_from_logits, logits, targets)
    np.testing.assert_allclose(value, expected, rtol=1e-15)
    np.testing.assert_allclose(gradient, slope, atol=1e-15)
    value, _ = _loss(nn.categorical_cross_entropy_from_logits, logits, targets.astype(int))
    np.testing.assert_allclose(value, expected, rtol=1e-15)
    powers = np.exp(logits)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    value, _ = _loss(nn.categorical_cross_entropy, probabilities, targets)
    np.testing.assert_allclose(value, expected, rtol=1e-14)


def test_a_class_of_no_weight_counts_nothing():
    value, gradient = _loss(nn.categorical_cross_entropy, [[1.0, 0.0]], [[1.0, 0.0]])
    assert value == 0
    np.testing.assert_array_equal(gradient, [[-1, 0]])
    value, gradient = _loss(
        nn.categorical_cross_entropy_from_logits, [[0.0, -np.inf]], [[1.0, 0.0]]
    )
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0, 0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["native", "reference"])
def test_losses_of_softmax_and_sigmoid_are_those_of_their_logits(dtype, mode):
    z = Placeholder("z", ("N", 3), dtype)
    fed = np.array([[0, 110, 0], [0, -1000, 1000], [1, 2, 3]], dtype)
    one_hot, labels = np.eye(3, dtype=dtype), np.arange(3)
    pairs = [
        (
            nn.categorical_cross_entropy(nn.softmax(z), one_hot),
            nn.softmax_cross_entropy(z, labels),
        ),
        (nn.binary_cross_entropy(sg.sigmoid(z), one_hot), nn.sigmoid_cross_entropy(z, one_hot)),
    ]
    for of_probabilities, of_logits in pairs:
        outputs = [of_probabilities, grad(of_probabilities, z), of_logits, grad(of_logits, z)]
        value, slope, exact, exact_slope = sg.compile(outputs, mode=mode)(z=fed)
        assert value == exact
        np.testing.assert_array_equal(slope, exact_slope)
        assert np.isfinite(slope).all()
        assert slope[0, 0] < -0.1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_class_without_probability_costs_a_finite_amount(dtype):
    least = {"float32": 1e-7, "float64": 1e-15}[dtype]
    value, gradient = _loss(
        nn.categorical_cross_entropy, np.array([[0, 1]], dtype), np.array([[1, 0]], dtype)
    )
    np.testing.assert_allclose(value, -np.log(least), rtol=1e-6)
    np.testing.assert_array_equal(gradient, [[0, 0]])


def test_sigmoid_cross_entropy_values():
    value, gradient = _loss(nn.sigmoid_cross_entropy, [[2.0], [-1.0]], [[1], [0]])
    np.testing.assert_allclose(value, 0.2200948493, atol=1e-10)
    np.testing.assert_allclose(gradient, [[-0.05960146], [0.13447071]], atol=1e-8)


@pytest.mark.parametrize(
    ("logit", "target", "expected", "slope"),
    [
        (40.0, 1, np.log1p(np.exp(-40)), -np.exp(-40)),
        (-40.0, 0, np.log1p(np.exp(-40)), np.exp(-40)),
        (-1000.0, 1, 1000, -1),
        (1000.0, 0, 1000, 1),
        (1000.0, 1, 0, 0),
        (-1000.0, 0, 0, 0),
        (0.0, 1, np.log(2), -0.5),
        (0.0, 0, np.log(2), 0.5),
    ],
)
def test_sigmoid_cross_entropy_is_exact_everywhere(logit, target, expected, slope):
    value, gradient = _loss(nn.sigmoid_cross_entropy, [logit], [target])
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient, [slope], rtol=1e-9, atol=1e-16)


def test_binary_cross_entropy_values():
    value, gradient = _loss(nn.binary_cross_entropy, [0.9, 0.2], [1, 0])
    np.testing.assert_allclose(value, 0.1642520335, atol=1e-10)
    np.testing.assert_allclose(gradient, [-0.55555556, 0.625], atol=1e-8)
    value, _ = _loss(nn.binary_cross_entropy, np.full((1, 784), 0.5), np.zeros((1, 784)))
    np.testing.assert_allclose(value, 543.4273895590, atol=1e-9)
    value, _ = _loss(nn.binary_cross_entropy, [0.0, 1.0], [1, 0])
    np.testing.assert_allclose(value, -(np.log(1e-15) + np.log(1 - 0.999)) / 2)


@pytest.mark.parametrize("target", ["int64", "bool", "float32"])
def test_integer_targets_leave_float32_alone(target):
    x, t = Placeholder("x", ("N", 2), "float32"), Placeholder("t", ("N", 2), target)
    for loss in (
        nn.mean_squared_error,
        nn.sigmoid_cross_entropy,
        nn.binary_cross_entropy,
        nn.categorical_cross_entropy,
        nn.categorical_cross_entropy_from_logits,
    ):
        node = loss(x, t)
        assert (node.dtype, node.shape) == ("float32", ())
        assert grad(node, x).dtype == "float32"


def test_labels_are_checked():
    x, t = Placeholder("x", ("N", 3), "float64"), Placeholder("t", ("N",), "int64")
    loss = nn.softmax_cross_entropy(x, t)
    for wrong in (3, -1):
        with pytest.raises(BoundsError, match=f"index {wrong} is out of range .* extent 3"):
            evaluate([loss], {"x": np.zeros((2, 3)), "t": np.array([0, wrong])})


BUILD_ERRORS = [
    (nn.softmax_cross_entropy, ("N", 3), ("N",), "float32", DTypeError, "labels are integers"),
    (nn.softmax_cross_entropy, ("N", 3), ("N", 3), "int64", ShapeError, "one axis less"),
    (nn.softmax_cross_entropy, (4, 3), (5,), "int64", ShapeError, "5 labels for 4 rows"),
    (nn.sigmoid_cross_entropy, (4, 1), (4,), "float32", ShapeError, "need one shape"),
    (nn.binary_cross_entropy, (4,), (5,), "float32", ShapeError, "need one shape"),
    (nn.categorical_cross_entropy, (4, 3), (4, 2), "float32", ShapeError, "need one shape"),
    (nn.mean_squared_error, (4,), (5,), "float32", ShapeError, "do not broadcast"),
]


@pytest.mark.parametrize(("loss", "left", "right", "dtype", "error", "reason"), BUILD_ERRORS)
def test_what_does_not_fit_is_refused(loss, left, right, dtype, error, reason):
    x, t = Placeholder("x", left, "float32"), Placeholder("t", right, dtype)
    with pytest.raises(error, match=rf"(?s){reason}.*'x'.*'t'.*test_losses.py"):
        loss(x, t)


def test_losses_of_open_placeholders():
    x, t = Placeholder("x"), Placeholder("t")
    loss = nn.softmax_cross_entropy(sg.linear(x, np.eye(3)), t)
    (found,) = evaluate([loss], {"x": np.zeros((4, 3)), "t": np.zeros(4, np.int64)})
    np.testing.assert_allclose(found, np.log(3))
