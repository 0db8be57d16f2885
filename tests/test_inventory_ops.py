"""The values of ops and losses that the source documents give.

Native code computes them. Ids name the row in the list of what the sources ask for: B ops, C
losses, O gradient checks.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph import Placeholder, compile, grad, nn
from symgraph.errors import DTypeError

A23 = np.arange(6.0).reshape(2, 3)
ONE_TO_SIX = A23 + 1


def leaves(*values):
    """Return a float64 placeholder of each value's shape, and the feeds."""
    arrays = [np.asarray(value, "float64") for value in values]
    nodes = [Placeholder("xyzw"[i], v.shape, "float64") for i, v in enumerate(arrays)]
    return nodes, {node.name: v for node, v in zip(nodes, arrays, strict=True)}


def value_and_slopes(f, *values):
    """Return f's value and the gradients of its sum."""
    nodes, feeds = leaves(*values)
    y = f(*nodes)
    g = compile([y, *grad(sg.sum(y), nodes)])
    return g(**{node.name: feeds[node.name] for node in g.inputs})


Program = tuple[Callable[..., Any], tuple[Any, ...], list[Any]]

# Function, operands, its value and the gradients of its sum; None is not compared.
EXACT: dict[str, Program] = {
    "add": (lambda x, b: x + b, ([1, 2, 3], [10]), [[11, 12, 13], [1, 1, 1], [3]]),
    "add-bias": (lambda x, b: x + b, (np.ones((1, 10)), np.ones(10)), [None, None, np.ones(10)]),
    "sub": (lambda x, b: x - b, ([1, 2, 3], [10]), [[-9, -8, -7], [1, 1, 1], [-3]]),
    "mul": (lambda a, b: a * b, (A23, [[1], [2]]), [None, None, [[3], [12]]]),
    "mul-add": (lambda a, b, c: a * b + c, (3, 2, 1), [7, 2, 3, 1]),
    "div": (lambda a, b: a / b, (6, 3), [2, 1 / 3, -2 / 3]),
    "neg": (lambda a: -a, (2,), [-2, -1]),
    "pow": (lambda x: (x + 3) ** 2, (1,), [16, 8]),
    "pow-of-zero": (lambda x: x**0, (0,), [1, 0]),
    "sin": (sg.sin, (np.pi / 4,), [0.7071067811865475, 0.7071067811865476]),
    "log": (sg.log, ([1, 2, 4],), [[0, np.log(2), np.log(4)], [1, 0.5, 0.25]]),
    "reshape": (lambda x: x.reshape(-1), (A23,), [np.arange(6), np.ones((2, 3))]),
    "expand_dims": (
        lambda x: sg.expand_dims(x, -1),
        (A23,),
        [A23[..., None], np.ones((2, 3))],
    ),
    "transpose": (
        lambda x: x.transpose(1, 2, 0),
        (np.arange(24.0).reshape(2, 3, 4),),
        [np.arange(24.0).reshape(2, 3, 4).transpose(1, 2, 0), np.ones((2, 3, 4))],
    ),
    "getitem": (lambda x: x[1], (ONE_TO_SIX,), [[4, 5, 6], [[0, 0, 0], [1, 1, 1]]]),
    "getitem-array": (
        lambda x: x[np.array([0, 0, 1])],
        (ONE_TO_SIX,),
        [[[1, 2, 3], [1, 2, 3], [4, 5, 6]], [[2, 2, 2], [1, 1, 1]]],
    ),
    "sum": (sg.sum, (ONE_TO_SIX,), [21, np.ones((2, 3))]),
    "sum-axis": (lambda x: sg.sum(x, axis=0), (ONE_TO_SIX,), [[5, 7, 9], np.ones((2, 3))]),
    "sum-keepdims": (
        lambda x: sg.sum(x, keepdims=True),
        (np.ones((2, 3, 4, 5)),),
        [np.full((1, 1, 1, 1), 120), np.ones((2, 3, 4, 5))],
    ),
    "sum_to-row": (lambda x: sg.sum_to(x, (1, 3)), (A23,), [[[3, 5, 7]], np.ones((2, 3))]),
    "sum_to-column": (lambda x: sg.sum_to(x, (2, 1)), (A23,), [[[3], [12]], np.ones((2, 3))]),
    "broadcast_to": (
        lambda x: sg.broadcast_to(x, (2, 3)),
        ([1, 2, 3],),
        [[[1, 2, 3], [1, 2, 3]], [2, 2, 2]],
    ),
    "mean": (lambda x: sg.mean(x, axis=1), (A23,), [[1, 4], np.full((2, 3), 1 / 3)]),
    "matmul-by-own-transpose": (
        lambda x: x @ x.T,
        (ONE_TO_SIX,),
        [[[14, 32], [32, 77]], np.tile([10, 14, 18], (2, 1))],
    ),
    "matmul-4d-vector": (
        lambda x, v: x @ v,
        (np.arange(24.0).reshape(1, 2, 3, 4), [1, 2, 3, 4]),
        [
            np.arange(24.0).reshape(1, 2, 3, 4) @ [1, 2, 3, 4],
            np.tile([1, 2, 3, 4], (1, 2, 3, 1)),
            np.arange(24.0).reshape(6, 4).sum(0),
        ],
    ),
    "matmul-4d-matrix": (
        lambda x, v: x @ v,
        (np.arange(24.0).reshape(1, 2, 3, 4), np.eye(4, 5)),
        [
            np.arange(24.0).reshape(1, 2, 3, 4) @ np.eye(4, 5),
            np.ones((1, 2, 3, 4)),
            np.tile(np.arange(24.0).reshape(6, 4).sum(0)[:, None], (1, 5)),
        ],
    ),
    "linear": (
        nn.linear,
        (A23, A23.reshape(3, 2), [1, -1]),
        [
            [[11, 12], [29, 39]],
            [[1, 5, 9], [1, 5, 9]],
            [[3, 3], [5, 5], [7, 7]],
            [2, 2],
        ],
    ),
    "relu": (
        sg.relu,
        ([[-1, 0], [2, -3], [-2, 1]],),
        [[[0, 0], [2, 0], [0, 1]], [[0, 0], [1, 0], [0, 1]]],
    ),
    "leaky_relu": (
        sg.leaky_relu,
        ([[-1, 0], [2, -3], [-2, 1]],),
        [[[-0.2, 0], [2, -0.6], [-0.4, 1]], [[0.2, 0.2], [1, 0.2], [0.2, 1]]],
    ),
    "sigmoid-slope": (
        lambda x: sg.sigmoid(3 * x + 2),
        (0.5,),
        [0.9706877692486438, 3 * 0.9706877692486438 * (1 - 0.9706877692486438)],
    ),
    "softmax-extreme": (sg.softmax, ([[1000, 0]],), [[[1, 0]], [[0, 0]]]),
    "softmax-written-out": (
        lambda x: sg.exp(x) / sg.sum(sg.exp(x), axis=1, keepdims=True),
        ([[1000, 0]],),
        [[[1, 0]], None],
    ),
    "log_softmax-extreme": (sg.log_softmax, ([[1000, 0]],), [[[0, -1000]], None]),
    "max": (
        lambda x: sg.max(x, axis=1),
        ([[1, 5, 3], [7, 2, 7]],),
        [[5, 7], [[0, 1, 0], [0.5, 0, 0.5]]],
    ),
    "clip": (
        lambda x: sg.clip(x, 0, 1),
        ([-1, 0, 0.5, 1, 2],),
        [[0, 0, 0.5, 1, 1], [0, 1, 1, 1, 0]],
    ),
    "embed": (
        lambda w: w[np.array([1, 3, 1])],
        (np.arange(10.0).reshape(5, 2),),
        [[[2, 3], [6, 7], [2, 3]], [[0, 0], [2, 2], [0, 0], [1, 1], [0, 0]]],
    ),
    "mean_squared_error": (
        nn.mean_squared_error,
        ([0, 1, 2], [1, 1, 4]),
        [5 / 3, [-2 / 3, 0, -4 / 3], None],
    ),
    "mean_squared_error-of-rows": (
        lambda x: nn.mean_squared_error(x, np.zeros((2, 2))),
        ([[0, 1], [2, 3]],),
        [7, None],
    ),
    "softmax_cross_entropy-of-zeros": (
        lambda x: nn.softmax_cross_entropy(x, np.array([3])),
        (np.zeros((1, 10)),),
        [2.302585092994046, None],
    ),
    "sigmoid_cross_entropy-sure": (
        lambda x: nn.sigmoid_cross_entropy(x, np.ones((1, 1))),
        ([[40]],),
        [4.248354255291589e-18, None],
    ),
    "sigmoid_cross_entropy-wrong": (
        lambda x: nn.sigmoid_cross_entropy(x, np.ones((1, 1))),
        ([[-1000]],),
        [1000, [[-1]]],
    ),
    "binary_cross_entropy-of-halves": (
        lambda p: nn.binary_cross_entropy(p, np.zeros((1, 784))),
        (np.full((1, 784), 0.5),),
        [543.427389559, None],
    ),
}

LOGITS = [[-1, 0, 1, 2], [2, 0, 1, -1]]
HOT = np.eye(4)[[3, 0]]
SLOPE = [0.0160293016, 0.0435721594, 0.118441409, -0.1780428701]

# The same, where the sources print so many decimals.
PRINTED: dict[str, tuple[int, Program]] = {
    "sigmoid": (
        8,
        (sg.sigmoid, ([0, 1, 2, 4],), [[0.5, 0.73105858, 0.88079708, 0.98201379], None]),
    ),
    "sigmoid-slope": (12, (lambda x: sg.sigmoid(3 * x + 2), (0.5,), [None, 0.0853590716392])),
    "softmax": (
        10,
        (
            lambda x: sg.softmax(x, axis=1),
            ([[-1, 0, 1, 2]],),
            [[[0.0320586033, 0.0871443187, 0.2368828181, 0.6439142599]], np.zeros((1, 4))],
        ),
    ),
    "log_softmax": (
        10,
        (
            lambda x: sg.log_softmax(x, axis=1),
            ([[-1, 0, 1, 2]],),
            [[[-3.4401896986, -2.4401896986, -1.4401896986, -0.4401896986]], None],
        ),
    ),
    "logsumexp": (10, (sg.logsumexp, ([-1, 0, 1, 2],), [2.4401896986, None])),
    "softmax_cross_entropy": (
        10,
        (
            lambda x: nn.softmax_cross_entropy(x, np.array([3, 0])),
            (LOGITS,),
            [0.4401896985611953, [SLOPE, [SLOPE[3], SLOPE[1], SLOPE[2], SLOPE[0]]]],
        ),
    ),
    "categorical_cross_entropy": (
        10,
        (
            lambda x: nn.categorical_cross_entropy(sg.softmax(x), HOT),
            (LOGITS,),
            [0.4401896985611953, [SLOPE, [SLOPE[3], SLOPE[1], SLOPE[2], SLOPE[0]]]],
        ),
    ),
    "sigmoid_cross_entropy": (
        8,
        (
            lambda x: nn.sigmoid_cross_entropy(x, np.array([[1.0], [0.0]])),
            ([[2], [-1]],),
            [0.2200948493, [[-0.05960146], [0.13447071]]],
        ),
    ),
    "binary_cross_entropy": (
        8,
        (
            lambda p: nn.binary_cross_entropy(p, np.array([1.0, 0.0])),
            ([0.9, 0.2],),
            [0.1642520335, [-0.55555556, 0.625]],
        ),
    ),
}


def _compare(results, expected, **tolerance):
    assert len(results) == len(expected)
    for result, wanted in zip(results, expected, strict=True):
        if wanted is not None:
            np.testing.assert_allclose(result, wanted, **tolerance)
            assert result.shape == np.shape(wanted)


@pytest.mark.parametrize("number", EXACT)
def test_exact(number):
    f, operands, expected = EXACT[number]
    _compare(value_and_slopes(f, *operands), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("number", PRINTED)
def test_printed(number):
    digits, (f, operands, expected) = PRINTED[number]
    _compare(value_and_slopes(f, *operands), expected, rtol=0, atol=0.51 * 10.0**-digits)


def test_b_accuracy():
    scores, labels = Placeholder("s", ("N", 3), "float64"), Placeholder("t", ("N",), "int64")
    accuracy = compile(sg.mean(sg.cast(sg.argmax(scores, axis=1) == labels, "float64")))
    result = accuracy(s=np.eye(3)[[1, 1, 0]], t=np.array([1, 2, 0]))
    np.testing.assert_allclose(result, 2 / 3, rtol=1e-15)


def test_b_dropout_draws_a_new_mask_at_each_call():
    ratio = Placeholder("ratio", (), "float64")
    f = compile(nn.dropout(np.ones(1000), ratio))
    first, second = f(ratio=0.5), f(ratio=0.5)
    assert set(first) == {0.0, 2.0}
    assert 400 < np.count_nonzero(first) < 600
    assert not np.array_equal(first, second)
    np.testing.assert_allclose(np.unique(f(ratio=0.75)), [0, 4])
    assert f.compile_count == 1


# O: gradient checks.


def relative_error(one, other):
    return np.linalg.norm(one - other) / (np.linalg.norm(one) + np.linalg.norm(other) + 1e-8)


def central_difference(f, at, eps=1e-5):
    steps = eps * np.eye(at.size).reshape(at.size, *at.shape)
    return np.reshape([(f(at + s) - f(at - s)) / (2 * eps) for s in steps], at.shape)


def test_o_gradient_of_a_layer():
    generator = np.random.RandomState(42)
    values = {
        "x": generator.randn(2, 3),
        "W": generator.randn(3, 4),
        "b": generator.randn(4),
    }
    x, w, b = (Placeholder(name, value.shape, "float64") for name, value in values.items())
    loss = sg.sum(sg.sigmoid(x @ w + b))
    f = compile([loss, *grad(loss, [x, w, b])])
    value, *slopes = f(**values)
    np.testing.assert_allclose(value, 4.5268997921, rtol=0, atol=6e-11)
    expected = [0.28434534, 0.41532452, 0.43522158, 0.43319178]
    np.testing.assert_allclose(slopes[2], expected, rtol=0, atol=6e-9)
    expected = [0.24821366, 0.462876, 0.42429754, 0.41927953]
    np.testing.assert_allclose(slopes[1][0], expected, rtol=0, atol=6e-9)
    for name, slope in zip(values, slopes, strict=True):
        numeric = central_difference(lambda at, n=name: f(**values | {n: at})[0], values[name])
        assert relative_error(slope, numeric) < 1e-9
        assert relative_error(1.01 * slope, numeric) > 1e-7


def test_o_integers_are_refused():
    x = Placeholder("x", (3,), "int64")
    with pytest.raises((DTypeError, sg.GradientError), match="only floats have gradients"):
        grad(sg.sum(x * 1.0), x)
