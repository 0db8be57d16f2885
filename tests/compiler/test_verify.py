"""Every kind of broken graph is found, and shown with the culprit marked."""

import pytest

from symgraph.compiler.verify import CHECKS, verify
from symgraph.errors import CompileError
from symgraph.leaves import Placeholder
from symgraph.node import Graph, Node
from symgraph.op import REGISTRY
from symgraph.types import TensorType
from tests.compiler.pass_harness import A, B, K, P, canonical, op


def node(name: str, *inputs: Node, like: Node = A, **attrs: object) -> Node:
    """Return a node that nothing has checked."""
    return Node(REGISTRY[name], inputs, attrs, like.type, like.loc)


def argument(like: Node = A) -> Node:
    return node("argument", like=like, type=like.type)


def broken(*outputs: Node, stage: str = "canonical") -> CompileError:
    with pytest.raises(CompileError, match=f"after '{stage}' the graph is broken at") as caught:
        verify(Graph((), outputs), stage)
    return caught.value


def test_sound_graphs_pass_and_are_returned():
    graph = canonical(A * B, op("where", P, A, 2.0), op("sum", K, axis=None, keepdims=False))
    for stage in CHECKS:
        assert verify(graph, stage) is graph


def test_deep_graphs_pass():
    chain: Node = A
    for _ in range(20_000):
        chain = op("sin", chain)
    verify(Graph((), (chain,)), "canonical")


def test_wrong_type():
    error = broken(op("exp", node("add", A, B, like=K)), stage="built")
    assert "its type is int64[N], but its inputs and attrs give float64[N]" in str(error)


def test_the_graph_is_shown_with_the_culprit_marked():
    error = broken(op("exp", node("add", A, B, like=K)), stage="built")
    marked = [line for line in error.__notes__[0].splitlines() if line.startswith(">> ")]
    assert len(marked) == 1
    assert marked[0].startswith(">> n2 = add(n0, n1) : int64[N]")


def test_types_that_cannot_be_inferred():
    other = Placeholder("other", (3,), "float64")
    two = Placeholder("two", (2,), "float64")
    assert "its type cannot be inferred" in str(broken(node("add", two, other), stage="built"))


def test_open_types_and_composites_belong_before_canonical_form():
    unknown = Placeholder("unknown")
    assert "is still open" in str(broken(unknown, stage="specialised"))
    verify(Graph((), (unknown,)), "built")
    composite = REGISTRY["softmax"]
    made = Node(composite, (A,), {"axis": -1}, A.type, A.loc)
    assert [check(made) for check in CHECKS["canonical"]][-3] == "it is not expanded"


def test_missing_casts():
    error = broken(op("add", A, K))
    assert "its operands are ('float64', 'int64'), without casts to" in str(error)


@pytest.mark.parametrize("axis", [None, -1, (-1,), (1, 0), (0, 0)])
def test_axes_in_another_form(axis):
    x = Placeholder("x", (2, 3), "float64")
    reduced = op("max", x, axis=axis if axis != (0, 0) else None, keepdims=True)
    attrs = {"axis": axis, "keepdims": True}
    made = Node(reduced.op, (x,), attrs, reduced.type, x.loc)
    assert "are no sorted tuple" in str(CHECKS["canonical"][-1](made))


def test_dropped_axes():
    assert "it drops the reduced axes" in str(broken(op("sum", A, axis=(0,), keepdims=False)))


def test_free_arguments():
    assert "no input of its graph" in str(broken(op("exp", argument()), stage="built"))


def test_outer_leaves_inside_a_branch():
    holder = node("add", A, B, branch=Graph((), (op("exp", A),)))
    assert "no input of its graph" in str(broken(holder, stage="built"))
    inner = argument()
    verify(Graph((), (node("add", A, B, branch=Graph((inner,), (op("exp", inner),))),)), "built")


def test_inputs_that_are_no_nodes():
    made = Node(REGISTRY["exp"], (1.0,), {}, TensorType("float64", ()), A.loc)  # type: ignore[arg-type]
    assert "input 0 is no node but float" in str(CHECKS["built"][0](made))


def test_a_node_is_checked_once_for_each_kind_of_check():
    sound = {}
    graph = verify(Graph((), (op("exp", A),)), "built", sound)
    wrong = Node(REGISTRY["exp"], (A,), {}, TensorType("int32", (4,)), A.loc)
    with pytest.raises(CompileError, match="its type is int32"):
        verify(Graph((), (wrong,)), "built", sound)
    assert sound[graph.outputs[0]] == "built"
    verify(graph, "canonical", sound)
    assert sound[graph.outputs[0]] == "canonical"
    verify(graph, "built", sound)
    assert sound[graph.outputs[0]] == "canonical"
