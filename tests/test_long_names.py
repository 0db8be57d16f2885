"""A name of a megabyte, and names that look like code: messages stay short, pictures whole."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Parameter, Placeholder, compile
from symgraph.errors import SymGraphError
from symgraph.printer import format_graph

HUGE = "h" * 1_000_000
LONGEST_MESSAGE = 5000


def _failing_calls():
    x = Placeholder(HUGE, ("N",), "float64")
    p = Parameter(np.ones(3), HUGE)
    twin = Placeholder(HUGE, ("N",), "float64")
    other = Placeholder("other", ("N",), "float64")
    f, g = compile(x * 2), compile(x + other)
    yield "was not fed", lambda: f()
    yield "there is no placeholder", lambda: compile(other * 2)(**{HUGE: np.ones(2)})
    yield "was fed twice", lambda: f(np.ones(2), **{HUGE: np.ones(2)})
    yield "got dtype int64", lambda: f(**{HUGE: np.ones(2, int)})
    yield "has 1 axes", lambda: f(**{HUGE: np.ones((2, 2))})
    yield "has extent", lambda: g(**{HUGE: np.ones(2), "other": np.ones(3)})
    yield "two placeholders are called", lambda: compile(x + twin)
    yield "do not broadcast|operand 0", lambda: p + np.ones(4)
    yield "truth value", lambda: bool(x)
    yield "has shape", lambda: setattr(p, "value", np.ones(4))
    yield "another shape", lambda: compile([], updates={p: p.sum()})
    yield "updated twice", lambda: compile([], updates=[(p, p), (p, p)])
    yield "is immutable", lambda: setattr(x, "type", None)
    yield "an extent is", lambda: Placeholder(HUGE, (-1,))
    yield "no derivative flows", lambda: sg.grad(x.sum(), p)
    yield "scalar", lambda: sg.grad(x, x)
    finite = compile([], updates={p: p / 0.0}, check_finite=True)
    yield "no parameter was changed", lambda: finite()


def test_messages_with_a_huge_name_stay_short():
    for text, fail in _failing_calls():
        with pytest.raises(SymGraphError, match=text) as caught:
            fail()
        assert len(str(caught.value)) < LONGEST_MESSAGE, text


def test_a_huge_name_does_not_swell_what_is_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMGRAPH_DUMP", str(tmp_path / "dump"))
    x, p = Placeholder(HUGE, ("N",), "float64"), Parameter(np.ones(()), HUGE)
    y = sg.tanh(x) * p
    f = compile([y, y.sum()], updates={p: p + 1.0})
    f(**{HUGE: np.ones(3)})
    shown = [f.explain(), f.source, repr(x), repr(p), format_graph(y), sg.to_dot(f).to_string()]
    shown += [str(f.trace(**{HUGE: np.ones(3)})), str(f.memory(N=3))]
    shown += [path.read_text(encoding="utf-8") for path in (tmp_path / "dump").iterdir()]
    for text in shown:
        assert len(text) < 100_000


@pytest.mark.parametrize(
    "name",
    ["*/ #include", "a\nimport os", 'x"; y', "\0", "\\n", "__import__('os')", "# }", "ü\u202e"],
)
def test_names_reach_no_line_of_code(name):
    def listings(name):
        x, w = Placeholder(name, ("N", 4), "float32"), Parameter(np.ones(4, "f4"), name)
        f = compile(sg.softmax(sg.tanh(x) * w), updates={w: w * 0.5})
        f(**{name: np.ones((2, 4), "f4")})
        f.profile(**{name: np.ones((2, 4), "f4")})
        f.explain()
        code = [line.split("#")[0] for line in f.source.splitlines()]
        return [kernel.key_text for kernel in f._compiled().plan.kernels], len(code)

    assert listings(name) == listings("plain")
