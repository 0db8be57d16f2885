"""Layers: parameters, their names and first values, sizes that are taken from the input."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.layers import Layer, Linear


def _input(*shape, dtype="float32", name="x"):
    return sg.Placeholder(name, shape=shape, dtype=dtype)


class Leaf(Layer):
    def __init__(self):
        self.p1 = sg.Parameter(1.0, "p1")

    def forward(self, x):
        return self.p1 * x


class Tree(Layer):
    """The layer of the books: a parameter, a layer, a parameter."""

    def __init__(self):
        self.p2 = sg.Parameter(2.0, "p2")
        self.l1 = Leaf()
        self.p3 = sg.Parameter(3.0, "p3")

    def forward(self, x):
        return self.p3 * self.l1(self.p2 * x)


# Registration.


def test_parameters_are_found_in_the_order_of_definition():
    tree = Tree()
    assert {path: float(p.value) for path, p in tree.named_parameters().items()} == {
        "p2": 2.0,
        "l1/p1": 1.0,
        "p3": 3.0,
    }
    assert list(tree.named_parameters()) == ["p2", "l1/p1", "p3"]
    assert [p.name for p in tree.parameters()] == ["p2", "p1", "p3"]
    assert sg.compile(tree(sg.Constant(1.0)))() == 6.0


def test_layers_in_lists_and_tuples_are_found():
    class Stack(Layer):
        def __init__(self):
            self.blocks = [Linear(3, 2), Linear(4, 3)]
            self.heads = (Linear(1, 4, bias=False),)

        def forward(self, x):
            for layer in (*self.blocks, *self.heads):
                x = layer(x)
            return x

    stack = Stack()
    paths = ["blocks/0/W", "blocks/0/b", "blocks/1/W", "blocks/1/b", "heads/0/W"]
    assert list(stack.named_parameters()) == paths
    assert [p.name for p in stack.parameters()] == paths


def test_a_list_that_grows_is_found_too():
    class Grown(Layer):
        def __init__(self):
            self.blocks = []
            for _ in range(2):
                self.blocks.append(Linear(2))

        def forward(self, x):
            for layer in self.blocks:
                x = layer(x)
            return x

    grown = Grown()
    grown(_input("N", 3))
    assert [p.name for p in grown.parameters()] == [f"blocks/{i}/{k}" for i in (0, 1) for k in "Wb"]


def test_nested_layers_are_named_by_their_path():
    class Block(Layer):
        def __init__(self):
            self.dense = Linear(2)

        def forward(self, x):
            return self.dense(x)

    class Net(Layer):
        def __init__(self):
            self.first = Block()
            self.second = Block()

        def forward(self, x):
            return self.second(self.first(x))

    net = Net()
    net(_input("N", 3))
    assert [p.name for p in net.parameters()] == [
        "first/dense/W", "first/dense/b", "second/dense/W", "second/dense/b",
    ]  # fmt: skip
    assert net.second.dense.path == "second/dense"
    assert repr(net.second.dense) == "<Linear 'second/dense'>"


def test_a_shared_layer_counts_once_under_its_first_name():
    class Tied(Layer):
        def __init__(self):
            self.one = Linear(3, 3)
            self.two = self.one

        def forward(self, x):
            return self.two(self.one(x))

    assert list(Tied().named_parameters()) == ["one/W", "one/b"]


def test_a_shared_parameter_counts_once():
    class Tied(Layer):
        def __init__(self):
            self.one, self.two = Leaf(), Leaf()
            self.two.p1 = self.one.p1

        def forward(self, x):
            return self.two(self.one(x))

    assert list(Tied().named_parameters()) == ["one/p1"]


def test_layers_that_hold_each_other_do_not_go_round_in_circles():
    one, two = Tree(), Tree()
    one.l1 = two
    two.l1 = one
    assert list(one.named_parameters()) == ["p2", "l1/p2", "l1/p3", "p3"]
    assert (one.path, two.path) == ("", "l1")


def test_a_name_takes_the_place_of_the_attribute():
    class Net(Layer):
        def __init__(self):
            self.first = Linear(2, 2, name="head")

        def forward(self, x):
            return self.first(x)

    assert list(Net().named_parameters()) == ["head/W", "head/b"]
    alone = Linear(2, 2, name="head")
    assert (
        list(alone.named_parameters())
        == [p.name for p in alone.parameters()]
        == ["head/W", "head/b"]
    )


def test_two_layers_of_one_name_are_refused():
    class Net(Layer):
        def __init__(self):
            self.a, self.b = Linear(2, 2, name="head"), Linear(2, 2, name="head")

        def forward(self, x):
            return self.b(self.a(x))

    with pytest.raises(sg.GraphError, match="two parameters are called 'head/W'"):
        Net().parameters()


def test_a_replaced_layer_is_forgotten():
    tree = Tree()
    tree.l1 = None
    assert list(tree.named_parameters()) == ["p2", "p3"]


def test_a_layer_without_forward_cannot_be_made():
    with pytest.raises(TypeError, match="forward"):
        Layer()


# Linear.


def test_the_first_weights_are_normal_numbers_over_the_root_of_the_inputs():
    layer = Linear(2, 3, seed=np.random.RandomState(0))
    np.testing.assert_allclose(layer.W.value[0], [1.0184761228, 0.2310308748], rtol=1e-7)
    np.testing.assert_array_equal(layer.b.value, [0.0, 0.0])


def test_weights_of_float32_are_those_of_float64_rounded():
    one, two = Linear(5, 7, dtype="float32", seed=3), Linear(5, 7, dtype="float64", seed=3)
    assert (one.W.dtype, one.b.dtype, two.W.dtype, two.b.dtype) == (
        "float32", "float32", "float64", "float64",
    )  # fmt: skip
    np.testing.assert_allclose(one.W.value, two.W.value, rtol=2e-7)
    expected = np.random.default_rng(3).standard_normal((7, 5)) / np.sqrt(7)
    np.testing.assert_allclose(two.W.value, expected, rtol=1e-15)


def test_the_variance_is_kept():
    weights = Linear(400, 900, seed=0).W.value
    assert weights.std() == pytest.approx(1 / 30, rel=0.01)
    assert weights.mean() == pytest.approx(0, abs=3e-4)


def test_a_seed_repeats_and_a_generator_goes_on():
    np.testing.assert_array_equal(Linear(2, 3, seed=5).W.value, Linear(2, 3, seed=5).W.value)
    source = np.random.default_rng(5)
    first, second = Linear(2, 3, seed=source), Linear(2, 3, seed=source)
    np.testing.assert_array_equal(first.W.value, Linear(2, 3, seed=5).W.value)
    assert (first.W.value != second.W.value).all()


def test_without_a_seed_the_stream_of_the_process_counts():
    sg.random.seed(11)
    one, other = Linear(2, 3), Linear(2, 3)
    sg.random.seed(11)
    again = Linear(2, 3)
    sg.random.seed(0)
    np.testing.assert_array_equal(one.W.value, again.W.value)
    assert (one.W.value != other.W.value).all()


def test_the_output_is_that_of_numpy():
    layer = Linear(2, seed=0)
    y = layer(_input("N", 3))
    assert y.shape[1:] == (2,)
    assert y.dtype == "float32"
    layer.b.value = np.array([1.0, -1.0])
    x = np.arange(12, dtype="float32").reshape(4, 3)
    expected = x @ layer.W.value + layer.b.value
    np.testing.assert_allclose(sg.compile(y)(x=x), expected, rtol=1e-6)


@pytest.mark.parametrize("lead", [(), (4,), (4, 5)])
def test_any_number_of_axes_may_come_before_the_last(lead):
    layer = Linear(2, seed=0, dtype="float64")
    x = np.random.default_rng(0).standard_normal((*lead, 3))
    y = layer(_input(*lead, 3, dtype="float64"))
    assert y.shape == (*lead, 2)
    np.testing.assert_allclose(sg.compile(y)(x=x), x @ layer.W.value, rtol=1e-12)


def test_no_bias():
    layer = Linear(2, 3, bias=False)
    assert layer.b is None
    assert list(layer.named_parameters()) == ["W"]


def test_the_input_size_is_taken_from_the_first_node():
    layer = Linear(2)
    layer(_input("N", 3))
    assert layer.in_size == 3
    assert layer.W.shape == (3, 2)
    with pytest.raises(sg.ShapeError, match=r"is for 3 inputs, but the last axis has 4: 'y'"):
        layer(_input("N", 4, name="y"))


def test_a_known_input_size_needs_no_shape():
    layer = Linear(2, 3, seed=0)
    x = sg.Placeholder("x", dtype="float32")
    f = sg.compile(layer(x))
    np.testing.assert_allclose(f(x=np.ones((1, 3), "float32"))[0], layer.W.value.sum(0), rtol=1e-6)
    with pytest.raises(sg.FeedError, match=r"linear: the inner extents differ: .* here 4 and 3"):
        f(x=np.ones((1, 4), "float32"))


def test_parameters_are_shared_by_all_calls():
    layer = Linear(1, seed=0)
    one, two = layer(_input("N", 3)), layer(_input(3, name="v"))
    weights = layer.W
    assert _parameters_behind(one) == _parameters_behind(two)
    assert layer.W is weights


def _parameters_behind(node):
    """Return the ids of the parameters behind a node."""
    found, stack = set(), [node]
    while stack:
        node = stack.pop()
        stack.extend(node.inputs)
        if isinstance(node, sg.Parameter):
            found.add(id(node))
    return sorted(found)


# What is missing or wrong.


def test_parameters_of_unknown_size_are_refused():
    layer = Linear(3, name="head")
    message = r"<Linear 'head'> does not know its input size yet: .*\n.*test_layers"
    with pytest.raises(sg.ShapeError, match=message):
        layer.parameters()
    with pytest.raises(sg.ShapeError, match=message):
        layer.W  # noqa: B018  # asking for it is the test
    with pytest.raises(AttributeError, match="'Linear' object has no attribute 'weight'"):
        layer.weight  # noqa: B018


@pytest.mark.parametrize("shape", [("N", "M"), ("N", None), None])
def test_an_input_of_unknown_size_is_refused(shape):
    x = sg.Placeholder("x", shape=shape, dtype="float32")
    with pytest.raises(sg.ShapeError, match=r"not a known number here: 'x' .*\n.*\n.*in_size"):
        Linear(3)(x)


def test_an_input_without_axes_is_refused():
    with pytest.raises(sg.ShapeError, match=r"works along axis -1, which is not there"):
        Linear(3)(_input())


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "3", None])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(sg.GraphError, match="out_size is a positive int, not"):
        Linear(size)
    if size is not None:
        with pytest.raises(sg.GraphError, match="in_size is a positive int, not"):
            Linear(2, size)


def test_an_input_of_extent_zero_is_refused():
    with pytest.raises(sg.GraphError, match="in_size is a positive int, not 0"):
        Linear(2)(_input("N", 0))


def test_weights_are_floats():
    with pytest.raises(sg.DTypeError, match="a layer's weights are floats, not int64"):
        Linear(2, 3, dtype="int64")
    with pytest.raises(sg.DTypeError, match="float16"):
        Linear(2, 3, dtype="float16")


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(sg.GraphError, match="a seed is a non-negative int"):
        Linear(2, seed=seed)
