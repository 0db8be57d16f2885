"""Symbolic extents: their algebra, and that equal ones are found equal."""

import random

import pytest

from symgraph.dims import (
    anonymous_symbol,
    broadcast,
    evaluate,
    floor_divide,
    maximum,
    minimum,
    never_negative,
    product,
    substitute,
    symbol,
    symbols,
    unresolved,
)
from symgraph.errors import GraphError

N, M = symbol("N"), symbol("M")
A, B = anonymous_symbol(), anonymous_symbol()


@pytest.mark.parametrize(("one", "other"), [(N, M), (A, B), (N, A), (A * 2 + 1, B * A)])
def test_order_does_not_matter(one, other):
    assert one + other == other + one
    assert one * other == other * one
    assert hash(one * other) == hash(other * one)
    assert maximum(one, other) == maximum(other, one)
    assert minimum(one, other) == minimum(other, one)
    assert broadcast(one, other) == broadcast(other, one)
    assert floor_divide(one * other, other * one) == 1


def test_open_extents_differ_although_they_look_alike():
    assert str(A) == str(B) == "?"
    assert A != B
    assert A * N != B * N
    assert A - B != 0
    assert floor_divide(A, B) != floor_divide(B, A)


def test_results_without_symbols_are_ints():
    for extent in (N - N, N * 0, (N + 3) - N, floor_divide(6 * N, 2 * N), maximum(N, N) - N):
        assert isinstance(extent, int)


@pytest.mark.parametrize(
    ("extent", "shown"),
    [
        (N, "N"),
        (2 * N + 1, "2*N + 1"),
        (N * M - 3, "M*N - 3"),
        (1 - N, "-1*N + 1"),
        (N * N, "N*N"),
        (floor_divide(N, 2), "(N)//2"),
        (maximum(N - 1, 0), "max(N - 1, 0)"),
        (-N, "-1*N"),
        (anonymous_symbol() + N, "? + N"),
    ],
)
def test_how_extents_are_shown(extent, shown):
    assert str(extent) == repr(extent) == shown


@pytest.mark.parametrize(
    ("left", "right", "quotient"),
    [
        (6 * N, 3, 2 * N),
        (6 * N * M, 2 * M, 3 * N),
        (6 * N + 9, 3, 2 * N + 3),
        (N, N, 1),
        (N, 1, N),
        (N * M + N, N, M + 1),
        (12, 5, 2),
        (0, N, 0),
    ],
)
def test_exact_divisions_cancel(left, right, quotient):
    assert floor_divide(left, right) == quotient


def test_inexact_divisions_stay():
    half = floor_divide(N + 1, 2)
    assert [evaluate(half, {"N": n}) for n in range(5)] == [0, 1, 1, 2, 2]
    assert evaluate(floor_divide(N, M), {"N": 7, "M": 0}) == 0


def test_maxima_are_decided_where_they_can_be():
    assert maximum(N, 0) == N
    assert maximum(N + 1, N) == N + 1
    assert maximum(2 * N, N) == 2 * N
    assert minimum(N + 5, N) == N
    assert maximum(3, 5) == 5
    assert str(maximum(N, 1)) == "max(N, 1)"
    assert evaluate(minimum(N, M), {"N": 3, "M": 7}) == 3


def test_broadcasting():
    assert broadcast(N, 1) == broadcast(1, N) == broadcast(N, N) == N
    assert broadcast(3, 3) == 3
    assert broadcast(3, 4) is None
    undecided = broadcast(N, 3)
    assert unresolved(undecided + 1).kind == "broadcast"
    assert unresolved(maximum(undecided, M)) is not None
    assert unresolved(N * M) is None
    for n, expected in ((1, 3), (3, 3)):
        assert evaluate(undecided, {"N": n}) == expected
    assert substitute(undecided, lambda s: 1) == 3
    assert substitute(undecided, lambda s: 3) == 3


def test_signs():
    assert never_negative(N * M + 3)
    assert not never_negative(N - 1)
    assert never_negative(0)
    assert not never_negative(-1)


def test_products_and_names():
    assert product((2, N, 3)) == 6 * N
    assert product(()) == 1
    assert set(symbols(maximum(N - 1, 0) * M + 2)) == {"N", "M"}


def random_extent(rng, depth):
    """Return an extent and a function that computes it from numbers."""
    if depth == 0:
        choice = rng.choice(["N", "M", rng.randint(0, 4)])
        if isinstance(choice, int):
            return choice, lambda v: choice
        return symbol(choice), lambda v: v[choice]
    (x, f), (y, g) = random_extent(rng, depth - 1), random_extent(rng, depth - 1)
    kind = rng.choice(["add", "sub", "mul", "max", "min", "div"])
    if kind == "add":
        return x + y, lambda v: f(v) + g(v)
    if kind == "sub":
        return x - y, lambda v: f(v) - g(v)
    if kind == "mul":
        return x * y, lambda v: f(v) * g(v)
    if kind == "max":
        return maximum(x, y), lambda v: max(f(v), g(v))
    if kind == "min":
        return minimum(x, y), lambda v: min(f(v), g(v))
    return floor_divide(x, 3), lambda v: f(v) // 3


def test_random_expressions_evaluate_as_integers_do():
    rng = random.Random(0)
    for _ in range(600):
        extent, function = random_extent(rng, rng.randint(1, 4))
        for values in ({"N": 0, "M": 5}, {"N": 1, "M": 1}, {"N": 7, "M": 2}):
            assert evaluate(extent, values) == function(values), (str(extent), values)
            bound = substitute(extent, lambda s, values=values: values[s.name])
            assert bound == function(values)


@pytest.mark.parametrize("use", [int, range, lambda n: n < 3, lambda n: n >= M, lambda n: [0][n]])
def test_an_extent_has_no_value_while_the_graph_is_built(use):
    with pytest.raises(GraphError, match=r"extent N has no value(?s:.*)test_dims\.py:\d+\n  decl"):
        use(N)
