"""Models: what they compute, their parameters, and training curves from the literature.

The curves are those of DeZero's steps 44 and 48, with all arithmetic in float64, from weights drawn
in the order in which DeZero draws them.
"""

import numpy as np
import pytest

import symgraph as sg
from symgraph.layers import Linear
from symgraph.models import MLP, Sequential


def _input(*shape, dtype="float64", name="x"):
    return sg.Placeholder(name, shape=shape, dtype=dtype)


def _count(model):
    return sum(parameter.size for parameter in model.params())


def test_an_mlp_has_the_parameters_that_it_should():
    assert _count(MLP((1000, 10), in_size=784)) == 795_010
    model = Sequential(Linear(3), sg.relu, Linear(2))
    assert model(_input(1, 4)).shape == (1, 2)
    assert list(model.named_params()) == ["l0/W", "l0/b", "l1/W", "l1/b"]
    assert [p.name for p in model.params()] == ["l0/W", "l0/b", "l1/W", "l1/b"]


def test_an_activation_more_or_less_does_not_rename_parameters():
    plain, other = MLP((3, 2), in_size=4), Sequential(Linear(3, 4), Linear(2, 3), sg.tanh)
    assert list(plain.named_params()) == list(other.named_params())


def test_a_named_model_puts_its_name_first():
    model = MLP((3, 2), in_size=4, name="critic")
    paths = ["critic/l0/W", "critic/l0/b", "critic/l1/W", "critic/l1/b"]
    assert list(model.named_params()) == [p.name for p in model.params()] == paths


def test_models_nest():
    model = Sequential(MLP((3,)), lambda x: 2 * x, Sequential(Linear(2, bias=False)))
    model(_input("N", 4))
    assert [p.name for p in model.params()] == ["l0/l0/W", "l0/l0/b", "l1/l0/W"]


def test_layers_of_one_seed_start_from_different_numbers():
    one, two = MLP((4, 4), in_size=4, seed=0), MLP((4, 4), in_size=4, seed=0)
    first, second = one.named_params()["l0/W"].value, one.named_params()["l1/W"].value
    assert (first != second).all()
    np.testing.assert_array_equal(second, two.named_params()["l1/W"].value)


def test_layers_get_the_same_numbers_whatever_is_built_first():
    one, two = MLP((4, 4), seed=0), MLP((4, 4), seed=0)
    one(_input("N", 4))
    two.l1.prepare()
    two(_input("N", 4))
    for left, right in zip(one.params(), two.params(), strict=True):
        np.testing.assert_array_equal(left.value, right.value)


def test_the_logits_and_loss_of_a_small_mlp():
    model = MLP((10, 3), dtype="float64", seed=np.random.RandomState(0))
    x, t = _input("N", 2), _input("N", dtype="int64", name="t")
    y = model(x)
    f = sg.compile([y, sg.softmax(y), sg.nn.softmax_cross_entropy(y, t)])
    logits, probabilities, _ = f(x=np.array([[0.2, -0.4]]), t=np.array([0]))
    np.testing.assert_allclose(logits[0], [-0.61505777, -0.42790161, 0.31733287], rtol=1e-6)
    np.testing.assert_allclose(probabilities[0], [0.21068639, 0.25404893, 0.53526468], rtol=1e-6)
    points = np.array([[0.2, -0.4], [0.3, 0.5], [1.3, -3.2], [2.1, 0.3]])
    _, probabilities, loss = f(x=points, t=np.array([2, 0, 1, 0]))
    np.testing.assert_allclose(probabilities[1], [0.19019916, 0.31806647, 0.49173437], rtol=1e-6)
    assert loss == pytest.approx(1.4967442462341742, rel=1e-6)


def test_one_compilation_serves_all_batches():
    model = MLP((5, 2), seed=0)
    f = sg.compile(model(_input("N", 3, dtype="float32")))
    for rows in (1, 7, 8, 64, 0):
        assert f(x=np.ones((rows, 3), "float32")).shape == (rows, 2)
    assert f.compile_count == 1


def test_the_sine_curve_of_the_books():
    random = np.random.RandomState(0)
    points = random.rand(100, 1)
    values = np.sin(2 * np.pi * points) + random.rand(100, 1)
    model = MLP((10, 1), dtype="float64", seed=random)
    x, t = _input("N", 1), _input("N", 1, name="t")
    loss = sg.nn.mean_squared_error(model(x), t)
    for layer in (model.l0, model.l1):  # DeZero draws, rounds to float32, then scales
        exact = layer.W.value * np.sqrt(layer.in_size)
        layer.W.value = exact.astype("float32") * np.sqrt(1 / layer.in_size)
    step = sg.compile(loss, updates=sg.optim.SGD(0.2).updates(loss, model.params()))
    found = [float(step(x=points, t=values)) for _ in range(6001)][::1000]
    expected = [
        0.8165178479901, 0.2499028013421, 0.2460987369924, 0.2372158516317, 0.2079321555216,
        0.1231191887063, 0.0788816801079,
    ]  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def _spiral(seed):
    """Return DeZero's spiral data: 300 points in three arms, shuffled."""
    random = np.random.RandomState(seed)
    x, t = np.zeros((300, 2), np.float32), np.zeros(300, np.int64)
    for arm in range(3):
        for i in range(100):
            rate = i / 100
            theta = arm * 4.0 + 4.0 * rate + random.randn() * 0.2
            x[100 * arm + i] = rate * np.sin(theta), rate * np.cos(theta)
            t[100 * arm + i] = arm
    order = random.permutation(300)
    return x[order], t[order], random


def test_the_spiral_of_the_books():
    x_data, t_data, random = _spiral(1984)
    # DeZero shuffles first and draws the weights at the first forward pass.
    orders = [random.permutation(300)]
    weights = {name: random.randn(*shape) for name, shape in (("l0", (2, 10)), ("l1", (10, 3)))}
    orders += [random.permutation(300) for _ in range(299)]
    model = MLP((10, 3), dtype="float64", in_size=2)
    for layer in (model.l0, model.l1):
        numbers = weights[layer.path].astype("float32")
        layer.W.value = numbers * np.sqrt(1 / layer.in_size)
    x, t = _input("N", 2, dtype="float32"), _input("N", dtype="int64", name="t")
    loss = sg.nn.softmax_cross_entropy(model(x), t)
    step = sg.compile(loss, updates=sg.optim.SGD(1.0).updates(loss, model.params()))
    means = []
    for order in orders:
        batches = sg.data.batches(x_data[order], t_data[order], size=30)
        means.append(np.mean([float(step(x=a, t=b)) for a, b in batches]))
    found = [means[epoch - 1] for epoch in (1, 2, 3, 10, 50, 100, 200, 300)]
    expected = [1.126942, 1.046145, 0.950638, 0.790015, 0.693060, 0.427103, 0.177942, 0.129589]
    np.testing.assert_allclose(found, expected, rtol=2e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sequential(), r"at least one step\n.*test_models"),
        (lambda: Sequential(3), "a step is a layer or a function, not 3"),
        (lambda: Sequential(Linear), "a step is a layer or a function, not <class"),
        (lambda: Sequential(sg.Constant(1)), "a step is a layer or a function, not <constant"),
        (lambda: MLP(10), r"output sizes, such as \(32, 10\), not 10"),
        (lambda: MLP(()), r"output sizes, such as \(32, 10\), not \(\)"),
        (lambda: MLP("34"), r"output sizes, such as \(32, 10\), not '34'"),
        (lambda: MLP((3, 0)), "out_size is a positive int, not 0"),
        (lambda: MLP((3, 2), activation="relu"), "the activation is a function, not 'relu'"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(make, message):
    with pytest.raises(sg.GraphError, match=message):
        make()


def test_a_model_without_a_known_input_names_the_layer():
    with pytest.raises(sg.ShapeError, match="<Linear 'l0'> does not know its input size"):
        MLP((3, 2)).params()
