"""Rearranging arrays against NumPy: fixed, symbolic and open shapes."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Placeholder, grad
from symgraph.dims import evaluate as evaluate_extent
from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.interpret import evaluate
from symgraph.ops.assume import collect_assumptions
from symgraph.ops.index_leaves import extent

ARRAY = np.arange(24.0).reshape(2, 3, 4)
CASES = [
    lambda f, x: f.transpose(x),
    lambda f, x: f.transpose(x, (1, -1, 0)),
    lambda f, x: f.reshape(x, (4, -1)),
    lambda f, x: f.reshape(x, -1),
    lambda f, x: f.swapaxes(x, 0, -1),
    lambda f, x: f.moveaxis(x, 0, -1),
    lambda f, x: f.moveaxis(x, (0, 2), (-1, 0)),
    lambda f, x: f.expand_dims(x, -1),
    lambda f, x: f.expand_dims(x, (0, 2)),
    lambda f, x: f.squeeze(f.expand_dims(x, 1), 1),
    lambda f, x: f.squeeze(f.expand_dims(x, 1), -3),
    lambda f, x: f.broadcast_to(x, (5, 2, 3, 4)),
    lambda f, x: f.concatenate([x, x, x[:, :1]], 1),
    lambda f, x: f.concatenate([x, x], None),
    lambda f, x: f.stack([x, x], -1),
    lambda f, x: f.split(x, 2, axis=-1)[1],
    lambda f, x: f.split(x, [1, 3, 3], 2)[1],
    lambda f, x: f.split(x, [1, 3, 3], -1)[3],
    lambda f, x: f.split(x, [1, 9], 1)[2],
    lambda f, x: f.pad(x, 1),
    lambda f, x: f.pad(x, (1, 2), constant_values=3),
    lambda f, x: f.pad(x, ((0, 1), (2, 0), (0, 0)), constant_values=-1.5),
    lambda f, x: f.flip(x),
    lambda f, x: f.flip(x, (0, -1)),
    lambda f, x: f.tile(x, 2),
    lambda f, x: f.tile(x, (2, 1, 1, 3)),
    lambda f, x: f.tile(x, (0, 1, 1)),
    lambda f, x: f.repeat(x, 2, 1),
    lambda f, x: f.repeat(x, 3),
    lambda f, x: f.repeat(x, 0, -1),
    lambda f, x: f.ravel(x),
]
SHAPES = [(2, 3, 4), ("A", "B", "C"), (None, 3, None), None]


def _value(node, **feeds):
    return evaluate([node], feeds)[0]


def _expanded(node):
    kind = node.op.kind
    return kind.expand(*node.inputs, **node.attrs) if hasattr(kind, "expand") else node


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_layout_is_that_of_numpy(case, shape):
    expected = np.asarray(case(np, ARRAY))
    x = Placeholder("x", shape, "float64")
    node = case(sg, x)
    np.testing.assert_array_equal(_value(node, x=ARRAY), expected)
    if shape is not None:
        np.testing.assert_array_equal(_value(_expanded(node), x=ARRAY), expected)
    if shape == ("A", "B", "C"):
        sizes = {"A": 2, "B": 3, "C": 4}
        assert tuple(evaluate_extent(e, sizes) for e in node.shape) == expected.shape


@pytest.mark.parametrize("case", CASES)
def test_views_of_nothing(case):
    array = np.zeros((0, 3, 4))
    try:
        expected = np.asarray(case(np, array))
    except ValueError:
        return
    np.testing.assert_array_equal(_value(case(sg, Placeholder("x", (0, 3, 4))), x=array), expected)


def test_symbolic_reshapes_cancel():
    x = Placeholder("x", ("N", 28, 28), "float32")
    assert str(sg.reshape(x, (x.shape[0], -1)).type) == "float32[N, 784]"
    assert str(sg.reshape(x, (-1, 784)).type) == "float32[N, 784]"
    flat = sg.reshape(x, (x.shape[0], -1))
    assert _value(flat, x=np.zeros((0, 28, 28), "float32")).shape == (0, 784)
    assert str(x.T.type) == "float32[28, 28, N]"


BUILD_ERRORS = [
    (lambda x: sg.reshape(x, (4, 2)), "6 elements .* do not fill shape"),
    (lambda x: sg.reshape(x, (-1, 4)), "6 elements .* do not fill shape"),
    (lambda x: sg.reshape(x, (-1, -1)), "more than one -1"),
    (lambda x: sg.reshape(x, (-2, 3)), "negative extent"),
    (lambda x: sg.reshape(x, (2.0, 3)), "must be an int"),
    (lambda x: sg.transpose(x, (0, 0)), "not a permutation"),
    (lambda x: sg.transpose(x, (0, 2)), "axis 2 is out of range"),
    (lambda x: sg.swapaxes(x, 0, 2), "axis 2 is out of range"),
    (lambda x: sg.moveaxis(x, (0, 1), 0), "2 axes cannot move to 1 place"),
    (lambda x: sg.expand_dims(x, 4), "axis 4 is out of range"),
    (lambda x: sg.squeeze(x, 1), "axis 1 has extent 3"),
    (lambda x: sg.broadcast_to(x, (2, 4)), "does not broadcast"),
    (lambda x: sg.broadcast_to(x, (3,)), "do not broadcast"),
    (lambda x: sg.sum_to(x, (4, 3)), "axis 0 has extent 2, not 4"),
    (lambda x: sg.sum_to(x, (1, 2, 3)), "cannot be summed"),
    (lambda x: sg.concatenate([x, np.ones((2, 4))]), "axis 1 of operand 1 has extent 4"),
    (lambda x: sg.concatenate([x, np.ones(3)]), "operand 1 has 1 axes"),
    (lambda x: sg.concatenate([x, x], 2), "axis 2 is out of range"),
    (lambda x: sg.concatenate([1.0, 2.0]), "use stack"),
    (lambda x: sg.stack([x, x.T]), "extent 3, but operand 0 has 2"),
    (lambda x: sg.split(x, 2, axis=1), "no 2 equal parts"),
    (lambda x: sg.split(x, 0), "at least one section"),
    (lambda x: sg.pad(x, ((1, 1),) * 3), "3 pairs of widths do not fit 2 axes"),
    (lambda x: sg.pad(x, -1), "negative"),
    (lambda x: sg.pad(x, ((1, 2, 3), (0, 0))), "come in pairs"),
    (lambda x: sg.flip(x, 2), "axis 2 is out of range"),
    (lambda x: sg.tile(x, -1), "negative"),
    (lambda x: sg.repeat(x, 2, 5), "axis 5 is out of range"),
]


@pytest.mark.parametrize(("build", "reason"), BUILD_ERRORS)
def test_shapes_that_do_not_fit_are_refused(build, reason):
    with pytest.raises(ShapeError, match=rf"(?s){reason}.*at .*test_layout.py"):
        build(Placeholder("x", (2, 3), "float32"))


def test_what_is_no_shape_or_sequence_is_refused():
    x = Placeholder("x", ("N", 3), "float32")
    with pytest.raises(GraphError, match="a shape is made of ints and symbolic extents"):
        sg.reshape(x, (sg.sum(x), 3))
    with pytest.raises(GraphError, match="concatenate takes a non-empty sequence"):
        sg.concatenate([])
    with pytest.raises(GraphError, match="stack takes a non-empty sequence"):
        sg.stack(x)
    with pytest.raises(GraphError, match="pad takes mode='constant'"):
        sg.pad(x, 1, mode="edge")


def test_extents_that_may_fit_are_assumed_to():
    with collect_assumptions() as found:
        sg.reshape(Placeholder("x", ("N", 3), "float32"), (2, -1))
        sg.concatenate([np.ones((4, 2)), Placeholder("y", ("M", 2), "float64")], axis=1)
    by_extent = {str(a.right): a for a in found if a.relation == "=="}
    assert set(by_extent) == {"3*N", "M"}
    assert by_extent["3*N"].holds({"N": 4})
    assert not by_extent["3*N"].holds({"N": 5})
    assert not by_extent["M"].holds({"M": 3})


def test_broadcast_to_a_symbolic_extent_is_decided_later():
    x, y = Placeholder("x", (None,), "float64"), Placeholder("y", ("N",), "float64")
    node = sg.broadcast_to(x, y.shape)
    assert node.type.undecided
    both = node + y
    np.testing.assert_array_equal(_value(both, x=np.ones(1), y=np.arange(3.0)), [1, 2, 3])


def test_gradients_keep_shapes():
    x = Placeholder("x", (2, 3), "float64")
    feed = {"x": np.arange(6.0).reshape(2, 3)}
    weights = Constant(np.arange(12.0).reshape(4, 3))
    (found,) = evaluate([grad((sg.tile(x, (2, 1)) * weights).sum(), x)], feed)
    np.testing.assert_array_equal(found, [[6, 8, 10], [12, 14, 16]])
    (found,) = evaluate([grad(sg.broadcast_to(x[0], (2, 3)).sum(), x)], feed)
    np.testing.assert_array_equal(found, [[2, 2, 2], [0, 0, 0]])


@pytest.mark.parametrize(
    "arguments",
    [(5,), (2, 7), (1, 8, 3), (7, 1, -2), (3, 3), (5, 2), (0.5, 3), (0, 1, 0.25), (1, 0, -0.3)],
)
def test_arange_is_that_of_numpy(arguments):
    expected = np.arange(*arguments)
    found = _value(sg.arange(*arguments))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_arange_of_a_symbolic_extent():
    n = Placeholder("x", ("N",), "float32").shape[0]
    node = sg.arange(n) + sg.sum(Placeholder("x", ("N",), "float32")) * 0
    np.testing.assert_array_equal(_value(node, x=np.ones(4, "float32")), [0, 1, 2, 3])
    assert str(sg.arange(1, n, 2).type) == "int64[(max(N - 1, 0) + 1)//2]"
    with pytest.raises(DTypeError, match="a fixed step other than 0"):
        sg.arange(0, 3, 0)
    with pytest.raises(DTypeError, match="arange takes numbers"):
        sg.arange("3")
    with pytest.raises(DTypeError, match="takes an int start and step"):
        sg.arange(0.5, n)


def test_fills():
    x = Placeholder("x", None, "float32")
    array = np.ones((2, 3), "float32")
    for node, expected in (
        (sg.zeros_like(x), np.zeros_like(array)),
        (sg.ones_like(x, dtype="int32"), np.ones_like(array, dtype="int32")),
        (sg.full_like(x, 2.5), np.full_like(array, 2.5)),
        (sg.zeros((2, 3)), np.zeros((2, 3))),
        (sg.ones(2, "bool"), np.ones(2, "bool")),
        (sg.full((2, 2), 7), np.full((2, 2), 7)),
        (sg.full((2, 2), 1.7, "int32"), np.full((2, 2), 1.7, "int32")),
        (sg.eye(3), np.eye(3)),
        (sg.eye(2, 4, k=1, dtype="int64"), np.eye(2, 4, k=1, dtype="int64")),
        (sg.eye(4, 2, k=-1), np.eye(4, 2, k=-1)),
    ):
        found = _value(node, x=array)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_an_extent_is_a_weak_number():
    x = Placeholder("x", ("N", 2), "float32")
    node = sg.sum(x) / extent(x.shape[0])
    assert node.dtype == "float32"
    assert _value(node, x=np.ones((4, 2), "float32")) == 2


@pytest.mark.parametrize("shape", [("N", 1), (None, 1)])
def test_which_axes_squeeze_drops_is_known_when_the_node_is_built(shape):
    x = Placeholder("x", shape, "float64")
    assert sg.squeeze(x, 1).type.rank == 1
    with pytest.raises(ShapeError, match="name the axes to drop"):
        sg.squeeze(x)
