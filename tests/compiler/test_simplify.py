"""Each exact rule gives the expected graph, and the same bits on special values."""

from collections.abc import Callable

import numpy as np
import pytest

from symgraph.node import Node
from tests.compiler.pass_harness import (
    A,
    B,
    K,
    P,
    S,
    assert_same_bits,
    canonical,
    feeds,
    op,
    simplified,
    text,
    values,
)

Row = tuple[Node, Node]

EXACT: dict[str, Callable[[], Row]] = {
    "add_negative_zero": lambda: (A + (-0.0), A),
    "add_zero_int": lambda: (K + 0, K),
    "add_zero_keeps": lambda: (A + 0.0, op("add", A, 0.0)),
    "add_zero_to_exp": lambda: (op("exp", A) + 0.0, op("exp", A)),
    "constant_second": lambda: (2.5 + A, op("add", A, 2.5)),
    "add_negative": lambda: (A + -B, A - B),
    "negative_add": lambda: (-A + B, B - A),
    "integer_constants": lambda: (K + 3 + 4, K + 7),
    "float_constants_stay": lambda: (A + 3.0 + 4.0, op("add", op("add", A, 3.0), 4.0)),
    "subtract_zero": lambda: (A - 0.0, A),
    "subtract_zero_int": lambda: (K - 0, K),
    "subtract_negative_zero_stays": lambda: (A - (-0.0), op("subtract", A, -0.0)),
    "subtract_negative": lambda: (A - -B, A + B),
    "zero_minus_stays": lambda: (0.0 - A, op("subtract", 0.0, A)),
    "negative_zero_minus": lambda: ((-0.0) - A, -A),
    "zero_minus_int": lambda: (0 - K, -K),
    "subtract_itself_int": lambda: (K - K, op("broadcast_to", np.int64(0), shape=K.shape)),
    "subtract_itself_float_stays": lambda: (A - A, op("subtract", A, A)),
    "double_negation": lambda: (op("negative", op("negative", A)), A),
    "negated_product": lambda: (-(A * 3.0), A * -3.0),
    "negated_quotient": lambda: (-(A / 3.0), A / -3.0),
    "times_one": lambda: (A * 1.0, A),
    "one_times": lambda: (1.0 * A, A),
    "times_minus_one": lambda: (A * -1.0, -A),
    "times_zero_int": lambda: (K * 0, op("broadcast_to", np.int64(0), shape=K.shape)),
    "times_zero_float_stays": lambda: (A * 0.0, op("multiply", A, 0.0)),
    "bool_times_false": lambda: (
        op("multiply", P, np.False_),
        op("broadcast_to", np.False_, shape=P.shape),
    ),
    "times_itself": lambda: (A * A, op("square", A)),
    "signs_cancel": lambda: (-A * -B, A * B),
    "signs_cancel_quotient": lambda: (-A / -B, A / B),
    "sign_outwards": lambda: (-A * B, -(A * B)),
    "sign_outwards_quotient": lambda: (A / -B, -(A / B)),
    "sign_into_constant": lambda: (-A * 3.0, A * -3.0),
    "sign_into_numerator": lambda: (3.0 / -A, -3.0 / A),
    "powers_of_two": lambda: (A * 2.0 * 4.0, A * 8.0),
    "small_powers_of_two_stay": lambda: (
        A * 0.5 * 0.25,
        op("multiply", op("multiply", A, 0.5), 0.25),
    ),
    "integer_factors": lambda: (K * 3 * 5, K * 15),
    "divide_by_one": lambda: (A / 1.0, A),
    "divide_by_minus_one": lambda: (A / -1.0, -A),
    "divide_by_four": lambda: (A / 4.0, A * 0.25),
    "divide_by_three_stays": lambda: (A / 3.0, op("divide", A, 3.0)),
    "one_divided": lambda: (1.0 / A, op("reciprocal", A)),
    "reciprocal_of_negative": lambda: (op("reciprocal", -A), -op("reciprocal", A)),
    "floor_divide_by_one": lambda: (K // 1, K),
    "scaled_by_one": lambda: (op("scale_adjoint", A, 1.0), A),
    "scaled_by_positive": lambda: (op("scale_adjoint", A, 3.0), A * 3.0),
    "scaled_by_negative_stays": lambda: (
        op("scale_adjoint", A, -3.0),
        op("scale_adjoint", A, -3.0),
    ),
    "scaled_constant": lambda: (op("scale_adjoint", 2.0, A), A * 2.0),
    "power_zero": lambda: (op("power", A, 0.0), op("broadcast_to", 1.0, shape=A.shape)),
    "power_one": lambda: (op("power", A, 1.0), A),
    "power_two": lambda: (op("power", A, 2.0), op("square", A)),
    "power_two_int": lambda: (op("power", K, 2), op("square", K)),
    "power_minus_one": lambda: (op("power", A, -1.0), op("reciprocal", A)),
    "power_half": lambda: (op("power", A, 0.5), op("sqrt", A)),
    "power_half_of_square": lambda: (
        op("power", op("square", A), 0.5),
        op("sqrt", op("square", A)),
    ),
    "square_of_negative": lambda: (op("square", -A), op("square", A)),
    "absolute_of_negative": lambda: (op("absolute", -A), op("absolute", A)),
    "absolute_of_absolute": lambda: (op("absolute", op("absolute", A)), op("absolute", A)),
    "absolute_of_exp": lambda: (op("absolute", op("exp", A)), op("exp", A)),
    "absolute_of_int_product_stays": lambda: (
        op("absolute", op("square", K)),
        op("absolute", op("square", K)),
    ),
    "relu_of_relu": lambda: (op("relu", op("relu", A)), op("relu", A)),
    "relu_of_square": lambda: (op("relu", op("square", A)), op("square", A)),
    "floor_of_floor": lambda: (op("floor", op("floor", A)), op("floor", A)),
    "where_same": lambda: (op("where", P, A, A), A),
    "where_true": lambda: (op("where", np.True_, A, B), A),
    "where_false": lambda: (op("where", np.False_, A, B), B),
    "where_not": lambda: (op("where", op("logical_not", P), A, B), op("where", P, B, A)),
    "where_truths": lambda: (op("where", P, np.True_, np.False_), P),
    "where_truths_swapped": lambda: (
        op("where", P, np.False_, np.True_),
        op("logical_not", P),
    ),
    "where_in_where": lambda: (
        op("where", P, op("where", P, A, 2.0), B),
        op("where", P, A, B),
    ),
    "where_in_else": lambda: (
        op("where", P, A, op("where", P, 2.0, B)),
        op("where", P, A, B),
    ),
    "less_than_itself": lambda: (A < A, op("broadcast_to", np.False_, shape=A.shape)),
    "equal_itself_int": lambda: (
        op("equal", K, K),
        op("broadcast_to", np.True_, shape=K.shape),
    ),
    "equal_itself_float_stays": lambda: (op("equal", A, A), op("equal", A, A)),
    "at_most_itself_float_stays": lambda: (A <= A, op("less_equal", A, A)),
    "differ_from_itself": lambda: (op("not_equal", A, A), op("isnan", A)),
    "not_not": lambda: (op("logical_not", op("logical_not", P)), P),
    "not_equal": lambda: (op("logical_not", op("equal", A, B)), op("not_equal", A, B)),
    "not_less_stays": lambda: (op("logical_not", A < B), op("logical_not", A < B)),
    "and_itself": lambda: (op("logical_and", P, P), P),
    "and_true": lambda: (op("logical_and", np.True_, P), P),
    "and_false": lambda: (
        op("logical_and", P, np.False_),
        op("broadcast_to", np.False_, shape=P.shape),
    ),
    "or_false": lambda: (op("logical_or", P, np.False_), P),
    "or_true": lambda: (
        op("logical_or", P, np.True_),
        op("broadcast_to", np.True_, shape=P.shape),
    ),
    "maximum_of_itself": lambda: (op("maximum", A, A), A),
    "cast_same": lambda: (op("cast", A, dtype="float64"), A),
    "cast_widening_back": lambda: (
        op("cast", op("cast", S, dtype="int64"), dtype="float32"),
        op("cast", S, dtype="float32"),
    ),
    "cast_narrowing_stays": lambda: (
        op("cast", op("cast", A, dtype="float32"), dtype="float64"),
        op("cast", op("cast", A, dtype="float32"), dtype="float64"),
    ),
    "cast_bool": lambda: (
        op("cast", op("cast", P, dtype="float32"), dtype="int64"),
        op("cast", P, dtype="int64"),
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_rule(name):
    before, after = EXACT[name]()
    graph = simplified(before)
    assert text(graph) == text(canonical(after))
    given = values(canonical(before), feeds())
    for actual, expected in zip(values(graph, feeds()), given, strict=True):
        assert_same_bits(actual, expected)
