"""Compiled functions as pictures and pages: kernels are clusters, numbers stand in labels."""

import shutil

import pydot
import pytest

import symgraph as sg
from symgraph import Placeholder, ShapeError, compile, cond
from symgraph.pictures import graphviz
from tests.symgraph.mlp_step import make_step

# pydot calls pyparsing by its old names.
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated - use:DeprecationWarning")


@pytest.fixture(scope="module")
def step():
    return make_step()


def test_kernels_are_clusters(step):
    drawing = sg.to_dot(step[0])
    frames = drawing.get_subgraphs()
    assert len(frames) == len([title for title, _ in step[0].kernels])
    titles = [frame.get("label") for frame in frames]
    assert '"#0 matmul"' in titles and '"#1 elementwise region over N x 32"' in titles
    labels = {node.get("label") for node in drawing.get_nodes()}
    assert {'"x"', '"w1"', '"output"', '"new w1"'} <= labels
    assert pydot.graph_from_dot_data(drawing.to_string())


def test_numbers_stand_in_labels_and_have_no_boxes(step):
    graph = sg.to_networkx(step[0])
    assert not [node for node, data in graph.nodes(data=True) if data["op"] == "constant"]
    assert any(
        "multiply(_, 0.1)" in n.get("label")
        for f in sg.to_dot(step[0]).get_subgraphs()
        for n in f.get_nodes()
    )


def test_branches_hold_their_kernels():
    flag, x = Placeholder("flag", (), "bool"), Placeholder("x", (3,), "float32")
    f = compile(cond(flag, lambda: sg.exp(x) * 2, lambda: x + 1))
    frames = [g for g in sg.to_dot(f).get_subgraphs() if "then_graph" in g.get("label")]
    assert len(frames) == 1 and len(frames[0].get_subgraphs()) == 1


def test_an_uncompiled_function_has_no_picture():
    f = compile(Placeholder("x") * 2)
    with pytest.raises(ShapeError, match="nothing is compiled yet"):
        sg.to_dot(f)
    assert f._repr_html_() is None


@pytest.mark.parametrize("drawn", [True, False])
def test_the_page_holds_picture_stages_kernels_and_source(step, drawn, tmp_path, monkeypatch):
    if not drawn:
        monkeypatch.setattr(graphviz.shutil, "which", lambda program: None)
    page = sg.to_html(step[0], tmp_path / "step.html").read_text(encoding="utf-8")
    for wanted in ("stage: specialise", "stage: fuse", "generated code", "moves", "hidden"):
        assert wanted in page
    assert "<script" not in page and "http://" not in page.replace("http://www.w3.org", "")
    assert ("<svg" in page) == (drawn and shutil.which("dot") is not None)
    assert "<svg" in page or "`dot` is not installed" in page


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
def test_notebooks_show_drawings(step):
    assert "<svg" in step[0]._repr_html_()
    x = Placeholder("x", (), "float64")
    assert sg.exp(x)._repr_svg_().startswith("<svg")


def test_without_graphviz_notebooks_show_text(step, monkeypatch):
    monkeypatch.setattr(graphviz.shutil, "which", lambda program: None)
    assert sg.exp(Placeholder("x"))._repr_svg_() is None
    assert "<pre>" in step[0]._repr_html_()


def test_huge_graphs_are_not_drawn_in_notebooks():
    node = Placeholder("x", (), "float64")
    for _ in range(1000):
        node = sg.sin(node)
    assert node._repr_svg_() is None
