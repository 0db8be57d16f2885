"""The HTML page is complete, self-contained, and safe whatever the names are."""

from html.parser import HTMLParser

import pytest

from symgraph.errors import GraphError
from symgraph.leaves import Placeholder
from symgraph.ops.transcendental import exp
from symgraph.pictures import graphviz
from symgraph.pictures.html import to_html


class Tags(HTMLParser):
    """Counts the tags of a page."""

    def __init__(self, page):
        super().__init__()
        self.count = {}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1


@pytest.mark.parametrize("drawn", [True, False])
@pytest.mark.parametrize("name", ["x", "<script>alert(1)</script>", "a\nb", "</td>", "\ud800"])
def test_every_node_has_a_row(name, drawn, tmp_path, monkeypatch):
    if not drawn:
        monkeypatch.setattr(graphviz.shutil, "which", lambda program: None)
    path = to_html(exp(Placeholder(name, (), "float64")), tmp_path / "graph.html")
    tags = Tags(path.read_text(encoding="utf-8"))
    assert tags.count["tr"] == 3
    assert "script" not in tags.count
    assert tags.count.get("svg", 0) <= 1


def test_without_graphviz_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(graphviz.shutil, "which", lambda program: None)
    path = to_html(exp(Placeholder("x", (), "float64")), tmp_path / "graph.html")
    assert "`dot` is not installed" in path.read_text(encoding="utf-8")


def test_other_objects_are_refused(tmp_path):
    with pytest.raises(GraphError, match="only nodes, graphs and compiled functions"):
        to_html(3, tmp_path / "graph.html")
