"""Equal nodes become one; nodes that only look equal do not."""

import numpy as np
import pytest

from symgraph.compiler.passes.cse import cse
from symgraph.compiler.passes.interning import freeze
from symgraph.leaves import Constant, Parameter
from symgraph.location import SourceLoc, located_at
from symgraph.node import Graph, Node
from symgraph.op import REGISTRY
from symgraph.types import TensorType
from tests.compiler.pass_harness import A, B, canonical, count_ops, op, text


def merged(*outputs: Node) -> Graph:
    return cse(canonical(*outputs))


def test_equal_nodes_become_one():
    graph = merged(op("exp", A) + op("exp", A))
    assert text(graph).splitlines() == [
        'n0 = placeholder "a" : float64[N]',
        "n1 = exp(n0) : float64[N]",
        "n2 = add(n1, n1) : float64[N]",
        "return n2",
    ]


def test_the_first_location_stays():
    with located_at(SourceLoc("first.py", 1)):
        first = op("exp", A)
    with located_at(SourceLoc("second.py", 2)):
        second = op("exp", A)
    assert merged(first + second).outputs[0].inputs[1].loc == SourceLoc("first.py", 1)


def test_commutative_operands_may_be_swapped():
    assert len(set(merged(A + B, B + A).outputs)) == 1
    assert len(set(merged(A * 2.5, 2.5 * A).outputs)) == 1
    assert len(set(merged(A - B, B - A).outputs)) == 2
    # Which of two zeros, or of two NaN, comes out may depend on the order.
    assert len(set(merged(op("maximum", A, B), op("maximum", B, A)).outputs)) == 2


def test_attrs_count():
    shapes = [(1,), (0,), (0, 1)]
    wide = op("reshape", A, shape=(A.shape[0], 1))
    sums = [op("sum", wide, axis=axis, keepdims=True) for axis in (*shapes, (0,))]
    assert len(set(merged(*sums).outputs)) == 3


def test_constants_are_compared_by_dtype_shape_and_bits():
    same = [np.float64(0.0), np.float64(-0.0), np.float32(0.0), np.zeros(1), np.int64(0)]
    assert len(set(merged(*(Constant(value) for value in same)).outputs)) == 5
    assert len(set(merged(Constant(np.nan), Constant(np.nan)).outputs)) == 1
    large = np.zeros(100_000)
    assert len(set(merged(Constant(large), Constant(large)).outputs)) == 2


def test_parameters_and_placeholders_are_never_merged():
    assert len(set(merged(Parameter(1.0), Parameter(1.0)).outputs)) == 2


def test_index_leaves_are_merged_by_their_attrs():
    def index(offset: int) -> Node:
        return op("affine_index", shape=(3,), strides=(1,), offset=offset)

    assert len(set(merged(index(0), index(0), index(1)).outputs)) == 2


def test_branches_are_searched_each_on_its_own():
    argument = Node(REGISTRY["argument"], (), {"type": A.type}, A.type, A.loc)
    branch = Graph((argument,), (op("exp", argument) + op("exp", argument),))
    holders = [
        Node(REGISTRY["exp"], (A,), {"graph": branch, "n": n}, A.type, A.loc) for n in (1, 2)
    ]
    graph = cse(Graph((), tuple(holders)))
    first, second = (node.attrs["graph"] for node in graph.outputs)
    assert count_ops(first) == 2
    assert first is second, "a graph that two nodes share stays shared"


def test_deep_chains_merge():
    left = right = A
    for _ in range(20_000):
        left, right = op("sin", left), op("sin", right)
    assert count_ops(cse(Graph((), (left, right)))) == 20_000


def test_nothing_to_merge_gives_the_same_graph():
    graph = canonical(A - B)
    assert cse(graph) is graph


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        ((1, 2), [1, 2]),
        ("1", 1),
        (None, False),
        (np.zeros(2), np.zeros(2, np.float32)),
        (np.zeros(4), np.zeros((2, 2))),
        (np.float32(1), 1.0),
        (Graph((), ()), Graph((), ())),
    ],
)
def test_attrs_that_python_calls_equal_are_kept_apart(left, right):
    assert freeze(left) != freeze(right)


@pytest.mark.parametrize(
    "make",
    [
        lambda: float("nan"),
        lambda: (1, ("a", None)),
        lambda: np.arange(3),
        lambda: {"shape": (1, 2)},
        lambda: A.shape,
        lambda: TensorType("bool", (A.shape[0], 3)),
        lambda: np.dtype("int32"),
    ],
)
def test_equal_attrs_are_recognised(make):
    assert freeze(make()) == freeze(make())
    assert hash(freeze(make())) == hash(freeze(make()))
