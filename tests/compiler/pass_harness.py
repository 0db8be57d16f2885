"""Helpers of the tests of passes: canonical graphs, and comparing them and their values."""

from itertools import product

import numpy as np

from symgraph.compiler.expand import expand
from symgraph.compiler.passes.simplify import simplify
from symgraph.compiler.verify import verify
from symgraph.interpret import evaluate
from symgraph.leaves import Placeholder
from symgraph.node import Graph, Node
from symgraph.op import REGISTRY, Leaf
from symgraph.printer import format_graph

SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.3, -2.5, 1e300, -1e300, 5e-324, -5e-324, np.inf, -np.inf, np.nan]
)
WHOLE = np.array([0, 1, -1, 7, -(2**62), 2**63 - 1, -(2**63)])


def op(name: str, *operands: object, **attrs: object) -> Node:
    return REGISTRY[name](*operands, **attrs)


def leaf(name: str, dtype: str = "float64", shape: tuple = ("N",)) -> Placeholder:
    return Placeholder(name, shape=shape, dtype=dtype)


def canonical(*outputs: Node) -> Graph:
    return verify(expand(Graph((), outputs)), "canonical")


def simplified(*outputs: Node) -> Graph:
    return verify(simplify(canonical(*outputs)), "canonical")


def text(graph: Graph) -> str:
    return format_graph(graph, locations=False)


def count_ops(graph: Graph) -> int:
    return sum(not isinstance(node.op.kind, Leaf) for node in graph)


A, B = leaf("a"), leaf("b")
K, J = leaf("i", "int64"), leaf("j", "int64")
S = leaf("s", "int32")
P, Q = leaf("p", "bool"), leaf("q", "bool")
LEAVES = (A, B, K, J, S, P, Q)


def feeds(*, moderate: bool = False) -> dict[str, np.ndarray]:
    """Return every pair of special values, one name for each leaf."""
    floats = np.linspace(-3.0, 3.0, 9) if moderate else SPECIAL
    a, b = np.array(list(product(floats, floats))).T
    rest = {
        "i": np.resize(WHOLE, len(a)),
        "j": np.resize(WHOLE[::-1], len(a)),
        "s": np.resize(np.array([0, -1, 2**31 - 1, -(2**31), 16777217], np.int32), len(a)),
        "p": np.resize(np.array([True, False]), len(a)),
        "q": np.resize(np.array([True, True, False]), len(a)),
    }
    return {"a": a.copy(), "b": b.copy(), **rest}


def values(graph: Graph, fed: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return the outputs' values; the leaves are asked for too, since they decide the extents."""
    deciding = [node for node in LEAVES if node.name in fed]
    return evaluate([*graph.outputs, *deciding], fed)[: len(graph.outputs)]


def assert_same_bits(actual: np.ndarray, expected: np.ndarray) -> None:
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
    if actual.dtype.kind == "f":
        finite = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(actual[finite]), np.signbit(expected[finite]))
