"""Simplification of whole graphs: branches, chains, derivatives, random expressions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.compiler.autodiff import grad
from symgraph.compiler.passes import fixpoint
from symgraph.compiler.passes.simplify import TABLES, simplify, simplify_final
from symgraph.compiler.verify import verify
from symgraph.errors import CompileError
from symgraph.leaves import Constant
from symgraph.node import Graph, Node
from symgraph.op import REGISTRY
from tests.compiler.pass_harness import (
    A,
    B,
    assert_same_bits,
    canonical,
    count_ops,
    feeds,
    leaf,
    op,
    simplified,
    values,
)


def test_stop_gradient_goes_at_the_last_stage_only():
    graph = canonical(op("stop_gradient", A))
    assert simplify(graph).outputs[0].op.name == "stop_gradient"
    assert simplify_final(graph).outputs[0] is A


def test_rules_look_into_branches():
    argument = Node(REGISTRY["argument"], (), {"type": A.type}, A.type, A.loc)
    branch = Graph((argument,), (op("negative", op("negative", argument)),))
    node = Node(REGISTRY["add"], (A, B), {"then_graph": branch}, A.type, A.loc)
    # A stand-in for `cond`, whose record is not needed: any node may hold graphs.
    changed = simplify(Graph((), (node,))).outputs[0]
    assert changed.attrs["then_graph"].outputs == (argument,)


def test_unchanged_graph_is_returned_as_it_is():
    graph = simplified(op("exp", A) + B)
    assert simplify(graph) is graph


def test_deep_chains_take_linear_time():
    node: Node = A
    for _ in range(10_000):
        node = op("negative", op("negative", node))
    assert simplified(node).outputs[0] is A
    node = A
    for _ in range(20_000):
        node = op("sin", node)
    assert count_ops(simplify(Graph((), (node,)))) == 20_000


def test_rules_that_undo_each_other_are_reported():
    def swap(node: Node) -> Node | None:
        """a + b -> b + a, forever."""
        left, right = node.inputs
        return op("subtract", right, left) if node.op.name == "subtract" else None

    with pytest.raises(CompileError, match=r"does not come to an end; the last rule .* forever"):
        fixpoint.rewrite_to_fixpoint(canonical(A - B), lambda node: (swap,) if node.inputs else ())


def test_every_rule_says_what_it_does():
    rules = {rule for table in TABLES for group in table.values() for rule in group}
    assert len(rules) > 60
    for rule in rules:
        assert "->" in rule.__doc__, f"{rule.__name__} has no rule in its docstring"


@pytest.mark.parametrize(
    ("order", "most"), list(enumerate([3, 6, 12, 25, 50, 95, 197, 398], start=1))
)
def test_derivatives_of_tanh_stay_small(order, most):
    x = leaf("x", "float64", ())
    y = op("tanh", x)
    for _ in range(order):
        y = simplified(grad(y, x)).outputs[0]
    assert count_ops(Graph((), (y,))) <= most


def test_goldstein_with_both_gradients_has_at_most_80_ops():
    x, y = leaf("x", "float64", ()), leaf("y", "float64", ())
    value = (1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)) * (
        30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    )
    simple = simplified(value)
    assert count_ops(simple) <= 36
    graph = simplified(*simple.outputs, *grad(simple.outputs[0], [x, y]))
    assert count_ops(graph) <= 80
    fed = {"x": np.float64(1.0), "y": np.float64(1.0)}
    assert [float(v) for v in values(graph, fed)] == [1876.0, -5376.0, 8064.0]


LEAVES = st.sampled_from(
    [A, B, *(Constant(v, "float64") for v in (0.0, -0.0, 1.0, -1.0, 2.0, 0.5))]
)


def _combine(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    def call(name: str, count: int) -> st.SearchStrategy[Node]:
        return st.tuples(*[inner] * count).map(lambda operands: op(name, *operands))

    unary = ("negative", "absolute", "square", "relu", "reciprocal", "floor", "stop_gradient")
    binary = ("add", "subtract", "multiply", "divide", "maximum", "scale_adjoint")
    chosen = [call(name, 1) for name in unary] + [call(name, 2) for name in binary]
    chosen += [
        st.tuples(inner, inner, inner, inner, st.sampled_from(["less", "equal", "not_equal"])).map(
            lambda t: op("where", op(t[4], t[0], t[1]), t[2], t[3])
        ),
        inner.map(lambda x: op("cast", op("cast", x, dtype="float32"), dtype="float64")),
    ]
    return st.one_of(chosen)


@settings(max_examples=300, deadline=None)
@given(st.recursive(LEAVES, _combine, max_leaves=12))
def test_random_graphs_keep_every_bit(node):
    before = canonical(node + op("broadcast_to", -0.0, shape=A.shape))
    after = verify(simplify(before), "canonical")
    for actual, expected in zip(values(after, feeds()), values(before, feeds()), strict=True):
        assert_same_bits(actual, expected)
