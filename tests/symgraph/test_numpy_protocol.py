"""NumPy's functions, operators and array methods build the nodes they name."""

import numpy as np
import pytest

from symgraph.errors import DTypeError, GraphError
from symgraph.interpret import evaluate
from symgraph.leaves import Placeholder
from symgraph.node import Node
from symgraph.numpy_protocol import NAMES, function
from symgraph.op import Op

ARRAY = np.arange(6.0).reshape(2, 3) - 2.5


@pytest.fixture
def x():
    return Placeholder("x", ("N", 3), "float64")


SAME_AS_NUMPY = {
    "exp": np.exp,
    "array on the left": lambda v: np.array([1.0, 2.0, 3.0]) - v,
    "array on the right": lambda v: v - np.array([1.0, 2.0, 3.0]),
    "NumPy number on the left": lambda v: np.float32(2) * v,
    "array compared": lambda v: np.array([1.0, 2.0, 3.0]) < v,
    "array at": lambda v: np.ones((4, 2)) @ v,
    "ufunc of two": lambda v: np.maximum(0, v),
    "reflected power": lambda v: 2**v,
    "remainder": lambda v: np.remainder(v, 2),
    "divmod": lambda v: divmod(v, 2)[1] + divmod(v, 2)[0],
    "abs": lambda v: abs(v) + np.abs(v),
    "round": lambda v: np.round(v, 1) + np.around(v) + v.round(2),
    "invert": lambda v: ~(v > 0),
    "bits": lambda v: (v.astype("int64") & 3) | (v.astype("int64") ^ 5),
    "positive": lambda v: np.positive(+v),
    "where": lambda v: np.where(v > 0, v, 0),
    "sum": lambda v: np.sum(v, axis=0, keepdims=True),
    "mean": lambda v: np.mean(v, axis=-1) + v.mean(),
    "var": lambda v: v.var(axis=0, ddof=1) + np.std(v, axis=0),
    "extremes": lambda v: np.max(v, axis=0) - np.amin(v, axis=0) + v.max() - v.min(),
    "prod": lambda v: v.prod(axis=1) + np.prod(v),
    "any": lambda v: np.any(v > 0, axis=0) & (v > -9).all(),
    "positions": lambda v: np.argmax(v, axis=1) + v.argmin(axis=1),
    "cumsum": lambda v: np.cumsum(v, axis=1) + v.cumsum(axis=0),
    "clip": lambda v: np.clip(v, -1, 1) + v.clip(0) + np.clip(v, a_min=None, a_max=0.5),
    "concatenate": lambda v: np.concatenate([v, np.zeros((1, 3))], axis=0),
    "stack": lambda v: np.stack([v, 2 * v], axis=1),
    "split": lambda v: np.split(v, 3, axis=1)[1],
    "reshape": lambda v: np.reshape(v, (3, -1)) + v.reshape(3, 2) + v.reshape((3, -1)),
    "transpose": lambda v: v.T + np.transpose(v) + v.transpose(1, 0) + v.transpose() + v.mT,
    "swapaxes": lambda v: np.swapaxes(v, 0, 1) + v.swapaxes(-1, 0) + np.moveaxis(v, 0, 1),
    "expand_dims": lambda v: np.squeeze(np.expand_dims(v, 0), 0) + v[None].squeeze(axis=0),
    "flat": lambda v: np.ravel(v) + v.ravel() + v.flatten(),
    "repeat": lambda v: np.repeat(v, 2, axis=0) + v.repeat(2, axis=0) + np.tile(v, (2, 1)),
    "pad": lambda v: np.pad(v, 1),
    "flip": lambda v: np.flip(v, axis=1),
    "take": lambda v: np.take(v, [0, 2], axis=1) + v.take([0, 1], axis=1),
    "items": lambda v: v[0] + v[..., ::-1][1] + v[-1, 1:2] + v[[0, 1], [1, 2]].sum(),
    "dot": lambda v: v.dot(np.ones(3)) + np.matmul(v, np.ones(3)),
    "outer": lambda v: np.outer(v[0], v[1]),
    "like": lambda v: np.ones_like(v) + np.zeros_like(v) + np.full_like(v, fill_value=2.0),
    "broadcast_to": lambda v: np.broadcast_to(v, (2, 2, 3)),
}


@pytest.mark.parametrize("build", SAME_AS_NUMPY.values(), ids=SAME_AS_NUMPY.keys())
def test_calls_on_nodes_are_calls_on_arrays(build, x):
    node = build(x)
    assert isinstance(node, Node)
    expected = build(ARRAY)
    found = evaluate([node], {x: ARRAY})[0]
    assert found.dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: np.add.reduce(x), r"np\.add\.reduce cannot be built.*\n.*\n.*np\.sum"),
        (lambda x: np.add.at(x, 0, 1), r"np\.add\.at cannot"),
        (lambda x: np.add(x, 1, out=np.zeros(3)), r"np\.add with out=.*\n.*\n.*bind the result"),
        (lambda x: np.sqrt(x, where=x > 0), r"np\.sqrt with where=.*\n.*\n.*np\.where"),
        (lambda x: np.sum(x, dtype="float32"), r"np\.sum with dtype=.*\n.*\n.*astype"),
        (lambda x: np.exp(x, dtype="float32"), r"np\.exp with dtype=.*\n.*\n.*astype"),
        (lambda x: np.exp2(x), r"np\.exp2 cannot.*\n.*\n.*not part of the graph language"),
        (lambda x: np.linalg.norm(x), r"np\.linalg\.norm cannot"),
        (lambda x: np.einsum("ij->i", x), r"np\.einsum cannot"),
        (lambda x: np.max(x, initial=0), r"this call of np\.max .*\n.*\n.*initial"),
        (lambda x: np.asarray(x), r"cannot give an array: 'x'.*\n.*\n.*compile"),
        (lambda x: np.array([x, x]), r"cannot give an array"),
        (lambda x: float(x), r"cannot give a float"),
        (lambda x: [*x], r"cannot give an iterator.*\n.*\n.*scan"),
        (lambda x: bool(x > 0), r"cannot give a truth value.*\n.*\n.*cond"),
    ],
)
def test_what_has_no_graph_form_is_refused_with_a_remedy(call, message, x):
    with pytest.raises(GraphError, match=message) as caught:
        call(x)
    assert "test_numpy_protocol.py" in str(caught.value)


def test_writing_into_an_array_is_refused(x):
    total = np.zeros(3)
    with pytest.raises(GraphError, match="with out="):
        total += x
    assert total.tolist() == [0.0] * 3


def test_shape_functions_answer_at_once(x):
    assert np.shape(x) == x.shape
    assert np.ndim(x) == 2


def test_comparing_with_no_array_is_an_error(x):
    with pytest.raises(DTypeError, match="'object' is not supported"):
        x == None  # noqa: B015, E711  # the comparison itself is what is tested


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_leads_to_a_function_of_that_name(name):
    found = function(name)
    assert (found.name if isinstance(found, Op) else found.__name__) == name
    assert isinstance(found, Op) or found.__module__.startswith("symgraph.ops.")


def test_works_while_the_rank_is_open():
    open_node = Placeholder("x")
    built = np.exp(open_node) + np.sum(open_node, axis=0) * open_node.T
    found = evaluate([built], {open_node: ARRAY[:1, :1]})[0]
    np.testing.assert_allclose(found, np.exp(ARRAY[:1, :1]) + ARRAY[0, 0] ** 2, rtol=1e-14)
