"""Names are the user's: they name feeds and show up in messages, and reach no generated code."""

import json
import re

import numpy as np
import pydot
import pytest

import symgraph as sg
from symgraph import Parameter, Placeholder, compile, cond, grad
from symgraph.errors import FeedError, GraphError, SymGraphError
from symgraph.printer import format_graph

# pydot calls pyparsing by its old names.
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated - use:DeprecationWarning")

NAMES = {
    "quotes": "'\"`",
    "newlines": "a\nb\r\n\tc",
    "end of comment": "*/ /* // #",
    "code": "__import__('os').system('false')",
    "format": "{0} {} {left} {right} %s %d {{}}",
    "unicode": "größe 名前 \U0001f600 \u202e\u0000",
    "surrogate": "\udcff",
    "markup": "<b>&amp;</b> | \\{ \\n \\",
    "python": "self",
    "spaces": "   ",
    "path": "../../etc/passwd\0",
    "number": "1",
    "symbol": "?x.0",
    "assembly": "} ret void \n define void @f() {",
}
HUGE = "x" * 1_000_000


@pytest.fixture(params=list(NAMES))
def name(request):
    return NAMES[request.param]


def _step(name):
    x = Placeholder(name, ("N", 3), "float64")
    w = Parameter(np.ones(3), name)
    y = cond(x.sum() > 0, lambda: sg.tanh(x * w), lambda: sg.exp(x) + w)
    loss = (y * y).sum()
    return compile([loss, y], updates={w: w - 0.1 * grad(loss, w)}), w


def test_any_name_names_a_feed(name):
    step, w = _step(name)
    plain, other = _step("plain")
    values = np.linspace(-1, 2, 6).reshape(2, 3)
    for found, expected in zip(step(**{name: values}), plain(plain=values), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(w.value, other.value)


def test_names_reach_no_kernel(name):
    odd, plain = _step(name)[0], _step("plain")[0]
    for f, fed in ((odd, name), (plain, "plain")):
        f(**{fed: np.ones((2, 3))})
    texts = [[k.key_text for k in f._compiled().plan.kernels] for f in (odd, plain)]
    assert texts[0] == texts[1]
    if name not in ("1", "self", "   "):
        assert not any(name in text for text in texts[0])
    listings = [[k.listing for k in f._compiled().plan.kernels] for f in (odd, plain)]
    assert [_without_comments(text) for text in listings[0]] == [
        _without_comments(text) for text in listings[1]
    ]


def _without_comments(text):
    return re.sub(r"#[^\n]*", "", text)


def test_messages_show_the_name_in_quotes(name):
    x = Placeholder(name, (3,), "float64")
    shown = re.escape(repr(name))
    f = compile(x * 2)
    with pytest.raises(FeedError, match=rf"placeholder {shown} was not fed .*hostile_names\.py"):
        f()
    with pytest.raises(FeedError, match=f"placeholder {shown} .*got dtype int64"):
        f(**{name: np.ones(3, int)})
    with pytest.raises(FeedError, match=f"placeholder {shown} has extent 4 along axis 0, but 3"):
        f(**{name: np.ones(4)})
    with pytest.raises(FeedError, match=f"there is no placeholder {shown}"):
        compile(Placeholder("other", (), "float64"))(**{name: 1.0})
    with pytest.raises(SymGraphError, match=f"operand 0: {shown} "):
        x + np.ones(4)
    with pytest.raises(GraphError, match=f"a truth value: {shown}|a truth value: greater"):
        bool(x)
    with pytest.raises(GraphError, match=f"two placeholders are called {shown}"):
        compile(x + Placeholder(name, (3,), "float64"))


def test_checks_at_the_call_show_the_name(name):
    x = Placeholder("x", ("N",), "float64")
    y = Placeholder(name, (x.shape[0] + 1,), "float64")
    f = compile([x, y])
    with pytest.raises(FeedError, match="has extent 5 along axis 0, but N \\+ 1 = 4 is") as caught:
        f(**{"x": np.ones(3), name: np.ones(5)})
    assert repr(name) in str(caught.value)


def test_open_shapes_work_under_any_name(name):
    x, y = Placeholder(name), Placeholder(name + "'")
    f = compile(x * y + x.sum())
    for count in (3, 5):
        result = f(**{name: np.ones(count), name + "'": np.full(count, 2.0)})
        np.testing.assert_array_equal(result, np.full(count, 2.0 + count))
    assert f.compile_count == 1


def test_pictures_and_printing_survive(name, tmp_path):
    x = Placeholder(name, (3,), "float64")
    y = sg.sin(x) + Parameter(np.ones(3), name)
    lines = format_graph([y]).splitlines()
    assert len(lines) == 5
    dot = sg.to_dot(y, tmp_path / "graph.dot")
    (parsed,) = pydot.graph_from_dot_data(dot.to_string())
    assert len(parsed.get_nodes()) >= 4
    assert len(parsed.get_edges()) == 3
    page = tmp_path / "page.html"
    sg.to_html(y, page)
    assert "<b>&amp;</b>" not in page.read_text(encoding="utf-8", errors="surrogateescape")
    repr(x)


def test_a_name_of_a_megabyte():
    x = Placeholder(HUGE, (3,), "float64")
    f = compile([x * 2, grad((x * x).sum(), x)])
    np.testing.assert_array_equal(f(**{HUGE: np.ones(3)})[1], [2, 2, 2])
    assert not any("xxx" in kernel.key_text for kernel in f._compiled().plan.kernels)
    with pytest.raises(FeedError, match=r"x{100}' was not fed"):
        f()
    assert len(format_graph([x * 2])) < 3_000_000
    assert len(f.explain()) < 5_000_000
    json.dumps(repr(f))


def test_hostile_names_of_extents_are_refused():
    for name in NAMES.values():
        if name.isidentifier():
            continue
        with pytest.raises(SymGraphError, match="an extent is a non-negative int, a name such as"):
            Placeholder("x", (name,))


def test_dumps_survive_hostile_names(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMGRAPH_DUMP", str(tmp_path / "dump"))
    for name in NAMES.values():
        _step(name)[0](**{name: np.ones((2, 3))})
    assert len(list((tmp_path / "dump").glob("*.txt"))) >= len(NAMES)
