"""The text of graphs: stable, short, and on one line for each node whatever the names are."""

import numpy as np
import pytest

from symgraph.leaves import Constant, Parameter, Placeholder
from symgraph.location import SourceLoc, located_at
from symgraph.node import Graph, Node
from symgraph.op import REGISTRY
from symgraph.ops.arithmetic import add, multiply
from symgraph.ops.transcendental import exp
from symgraph.printer import attr_text, format_graph, quoted

HOSTILE = [
    'say "hello"',
    "two\nlines\r\n",
    "*/ } }; drop",
    "__import__('os')",
    "数 é \U0001f600",
    "back\\slash",
    "<b>bold</b>",
    "\x00\x1b[31m\u202egnp\u2028",
    "\ud800",
    "x" * 1_000_000,
]


def test_one_line_for_each_node_inputs_first():
    with located_at(SourceLoc("model.py", 3)):
        x = Placeholder("x", shape=("N", 10), dtype="float32")
        graph = add(multiply(x, x), 1.5)
    assert format_graph(graph).splitlines() == [
        'n0 = placeholder "x" : float32[N, 10]  # model.py:3',
        "n1 = multiply(n0, n0) : float32[N, 10]  # model.py:3",
        "n2 = constant 1.5 : float64[]  # model.py:3",
        "n3 = add(n1, n2) : float32[N, 10]  # model.py:3",
        "return n3",
    ]


def test_several_outputs_and_graphs():
    x, y = Placeholder("x", (), "float64"), Placeholder("y", (), "float64")
    lines = format_graph([exp(x), y], locations=False).splitlines()
    assert lines[-1] == "return n1, n2"
    assert format_graph(Graph((x, y), (exp(x), y)), locations=False).splitlines() == lines


def test_attrs_are_shown_briefly():
    x = Placeholder("x", (2, 3), "float64")
    text = format_graph(REGISTRY["sum"](x, axis=(1,), keepdims=True), locations=False)
    assert "n1 = sum(n0, axis=(1,), keepdims=True) : float64[2, 1]" in text


def test_the_marked_node_stands_out():
    x = Placeholder("x", (), "float64")
    y = exp(x)
    lines = format_graph(exp(y), mark=y).splitlines()
    assert [line.startswith(">> ") for line in lines] == [False, True, False, False]


def test_graphs_inside_are_indented():
    x = Placeholder("x", (), "float64")
    argument = Node(REGISTRY["argument"], (), {"type": x.type}, x.type, x.loc)
    inner = Graph((argument,), (exp(argument),))
    node = Node(
        exp.op if isinstance(exp, Node) else REGISTRY["exp"], (x,), {"body": inner}, x.type, x.loc
    )
    assert format_graph(node, locations=False).splitlines() == [
        'n0 = placeholder "x" : float64[]',
        "n1 = exp(n0) : float64[]",
        "  body:",
        "    n1.0 = argument : float64[]",
        "    n1.1 = exp(n1.0) : float64[]",
        "    return n1.1",
        "return n1",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2, "2"),
        (-0.0, "-0.0"),
        (True, "True"),
        ([1, 2], "[1, 2]"),
        (np.arange(4), "[0, 1, 2, 3]"),
        (np.arange(5), "[0, 1, 2, ..., 4]"),
        (np.zeros((0, 3)), "[]"),
        (np.ones((1000, 1000)), "[1.0, 1.0, 1.0, ..., 1.0]"),
    ],
)
def test_constants_show_their_values(value, text):
    assert f"n0 = constant {text} : " in format_graph(Constant(value))


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_stay_on_one_short_line(name):
    lines = format_graph(exp(Placeholder(name, (), "float64")), locations=False).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith('n0 = placeholder "') and lines[0].endswith('" : float64[]')
    assert len(lines[0]) < 400
    assert all(character.isprintable() for character in lines[0])


def test_parameters_without_a_name():
    assert format_graph(Parameter(1.0), locations=False) == "n0 = parameter : float64[]\nreturn n0"


def test_file_names_stay_on_one_line():
    with located_at(SourceLoc("odd\nname.py", 1)):
        x = Placeholder("x", (), "float64")
    assert len(format_graph(x).splitlines()) == 2


def test_objects_are_shown_without_their_address():
    assert attr_text(object()) == "<object>"
    assert attr_text((1, "a", None)) == '(1, "a", None)'
    assert len(attr_text(tuple(range(1000)))) < 100


def test_different_short_names_give_different_texts():
    names = ["a\\nb", "a\nb", 'a"b', "a\\b", "a b", "a\u00a0b", "a\u2028b"]
    assert len({quoted(name) for name in names}) == len(names)


def test_deep_graphs_are_printed():
    node: Node = Placeholder("x", (), "float64")
    for _ in range(20_000):
        node = REGISTRY["sin"](node)
    assert len(format_graph(node).splitlines()) == 20_002
