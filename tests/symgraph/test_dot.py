"""Pictures: the right boxes and arrows, and text that Graphviz reads whatever the names are."""

import shutil
from types import SimpleNamespace

import pydot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.errors import GraphError
from symgraph.leaves import Constant, Parameter, Placeholder
from symgraph.node import Graph, Node
from symgraph.op import REGISTRY
from symgraph.ops.arithmetic import add, multiply
from symgraph.ops.transcendental import exp
from symgraph.pictures import graphviz
from symgraph.pictures.graphviz import to_dot, to_networkx

# pydot calls pyparsing by its old names.
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated - use:DeprecationWarning")

X = Placeholder("x", ("N", 3), "float32")
HOSTILE = [
    'quote " quote',
    "line\nbreak",
    "*/ */",
    "__import__('os').system('true')",
    "数 é \U0001f600",
    "back\\slash \\n \\N \\",
    "<b>bold</b>",
    "<",
    "{a|b}",
    "node",
    "graph [label=x]; a -> b",
    'x" shape="star',
    "a:b:c",
    "// comment",
    "# comment",
    "/* comment",
    "%s {0}",
    "\x00\x07\x1b",
    "\u202e\u2028\ufeff",
    "\ud800",
    "\\G" * 500_000,
]


def tally(graph: pydot.Graph) -> tuple[int, int]:
    """Return the numbers of nodes and edges, those in clusters included."""
    named = [n for n in graph.get_nodes() if n.get_name() not in ("node", "edge", "graph")]
    nodes, edges = len(named), len(graph.get_edges())
    for inner in graph.get_subgraphs():
        inner_nodes, inner_edges = tally(inner)
        nodes, edges = nodes + inner_nodes, edges + inner_edges
    return nodes, edges


def reparsed(drawing: pydot.Dot) -> tuple[int, int]:
    graphs = pydot.graph_from_dot_data(drawing.to_string())
    assert graphs is not None and len(graphs) == 1
    return tally(graphs[0])


def branch(owner_input: Node) -> Graph:
    kind = owner_input.type
    argument = Node(REGISTRY["argument"], (), {"type": kind}, kind, owner_input.loc)
    return Graph((argument,), (exp(argument),))


def with_branches() -> Node:
    condition = Placeholder("flag", (), "bool")
    attrs = {"then_graph": branch(X), "else_graph": branch(X)}
    return Node(REGISTRY["exp"], (condition, X), attrs, X.type, X.loc)


def test_networkx_has_a_node_and_an_edge_for_each():
    graph = to_networkx(add(multiply(X, X), 1.0))
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (4, 4)
    assert graph.number_of_edges("n0", "n1") == 2, "x * x reads x twice"
    assert graph.nodes["n0"] == {
        "op": "placeholder",
        "name": "x",
        "kind": "leaf",
        "dtype": "float32",
        "shape": X.shape,
        "loc": str(X.loc),
        "group": None,
        "node": X,
    }
    assert graph.nodes["n1"]["kind"] == "op"
    assert [data["position"] for _, _, data in graph.in_edges("n3", data=True)] == [0, 1]


def test_operations_are_blue_boxes_and_data_orange_ellipses():
    drawing = to_dot(multiply(X, Parameter(2.0, name="w")))
    looks = {n.get("label"): (n.get("shape"), n.get("fillcolor")) for n in drawing.get_nodes()}
    assert looks['"x"'] == looks['"w"'] == ("ellipse", "orange")
    assert looks['"multiply"'] == ("box", "lightblue")


def test_verbose_adds_dtype_and_shape():
    labels = {n.get("label") for n in to_dot(exp(X), verbose=True).get_nodes()}
    assert {'"x\\nfloat32[N, 3]"', '"exp\\nfloat32[N, 3]"'} <= labels


@pytest.mark.parametrize(
    "make", [lambda: exp(X), lambda: [exp(X), X], lambda: Graph((X,), (exp(X),))]
)
def test_nodes_sequences_and_graphs_are_drawn(make):
    assert reparsed(to_dot(make())) == (2, 1)


def test_unused_inputs_of_a_graph_are_drawn():
    assert reparsed(to_dot(Graph((X, Placeholder("unused")), (exp(X),)))) == (3, 1)


@pytest.mark.parametrize("obj", [3, "abc", [X, 3], None])
def test_other_objects_are_refused(obj):
    with pytest.raises(
        GraphError, match="only nodes, graphs and compiled functions have a picture"
    ):
        to_dot(obj)


def test_branches_are_framed_and_connected():
    drawing = to_dot(with_branches())
    assert reparsed(drawing) == (7, 2 + 2 * (1 + 1 + 1))
    frames = [frame.get("label") for frame in drawing.get_subgraphs()]
    assert sorted(frames) == ['"exp else_graph"', '"exp then_graph"']
    kinds = [kind for _, _, kind in to_networkx(with_branches()).edges(data="kind")]
    assert {kind: kinds.count(kind) for kind in kinds} == {"operand": 4, "capture": 2, "result": 2}


def test_branches_in_branches_are_framed_inside():
    inner_branch = branch(X)
    kind = X.type
    argument = Node(REGISTRY["argument"], (), {"type": kind}, kind, X.loc)
    inner = Node(REGISTRY["exp"], (argument,), {"body": inner_branch}, kind, X.loc)
    outer = Node(REGISTRY["exp"], (X,), {"body": Graph((argument,), (inner,))}, kind, X.loc)
    drawing = to_dot(outer)
    assert reparsed(drawing) == (6, 3 + 2 + 2)
    assert len(drawing.get_subgraphs()[0].get_subgraphs()) == 1


def test_kernels_of_a_compiled_function_are_framed():
    first, last = exp(X), None
    last = multiply(first, first)
    compiled = SimpleNamespace(
        stages={"built": Graph((X,), (add(X, 1.0),)), "fused": Graph((X,), (last,))},
        kernels=[("exp_multiply", [first, last])],
    )
    drawing = to_dot(compiled)
    assert reparsed(drawing) == (3, 3)
    frame = drawing.get_subgraphs()[0]
    assert frame.get("label") == '"kernel 0: exp_multiply"'
    assert len(frame.get_nodes()) == 2
    groups = dict(to_networkx(compiled).nodes(data="group"))
    assert groups == {"n0": None, "n1": "kernel 0: exp_multiply", "n2": "kernel 0: exp_multiply"}


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_give_the_same_nodes_and_edges(name):
    drawing = to_dot(multiply(Placeholder(name, (), "float64"), Parameter(1.0, name=name)))
    assert reparsed(drawing) == (3, 2)
    assert len(drawing.to_string()) < 5_000


@settings(max_examples=300, deadline=None)
@given(st.text(min_size=1))
def test_any_name_gives_the_same_nodes_and_edges(name):
    assert reparsed(to_dot(exp(Placeholder(name, (), "float64")))) == (2, 1)


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_graphviz_reads_hostile_names(name, tmp_path):
    to_dot(exp(Placeholder(name, (), "float64")), tmp_path / "graph.svg")
    drawn = (tmp_path / "graph.svg").read_text(encoding="utf-8")
    assert drawn.count('class="node"') == 2


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_pictures_are_rendered_beside_the_text(suffix, tmp_path):
    to_dot(exp(X), tmp_path / f"graph{suffix}")
    assert (tmp_path / f"graph{suffix}").stat().st_size > 500
    assert "digraph" in (tmp_path / "graph.dot").read_text(encoding="utf-8")


def test_without_graphviz_the_text_is_written_with_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(graphviz.shutil, "which", lambda program: None)
    with pytest.warns(UserWarning, match="`dot` is not installed, so graph.png was not rendered"):
        to_dot(exp(X), tmp_path / "graph.png")
    assert "digraph" in (tmp_path / "graph.dot").read_text(encoding="utf-8")
    assert not (tmp_path / "graph.png").exists()


def test_a_failing_program_is_a_warning(tmp_path, monkeypatch):
    false = shutil.which("false")
    monkeypatch.setattr(graphviz.shutil, "which", lambda program: false)
    with pytest.warns(UserWarning, match="`dot` failed .* so graph.svg was not rendered"):
        to_dot(exp(X), tmp_path / "graph.svg")


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(GraphError, match=r"written as \.dot, \.png, \.svg, \.pdf, not as 'a.txt'"):
        to_dot(exp(X), tmp_path / "a.txt")


def test_deep_graphs_are_drawn():
    node: Node = add(X, Constant(1.0))
    for _ in range(5_000):
        node = REGISTRY["sin"](node)
    assert len(to_dot(node).get_edges()) == 5_002
