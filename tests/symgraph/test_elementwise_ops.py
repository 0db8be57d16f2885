"""What is particular to single elementwise ops: errors, ties, masks, stable formulas."""

import math

import numpy as np
import pytest

import symgraph.ops.activation as activation
import symgraph.ops.identity as identity
from symgraph.compiler.autodiff import grad
from symgraph.errors import BoundsError, DTypeError, GraphError, ShapeError
from symgraph.interpret import evaluate
from symgraph.leaves import Constant, Placeholder
from symgraph.op import REGISTRY
from symgraph.ops.adjoint import behind_selection, scale_adjoint
from symgraph.ops.arithmetic import power
from symgraph.ops.elementwise import cast
from symgraph.ops.extremes import clip

INF, NAN = math.inf, math.nan


def _gradient(build, *points):
    nodes = [Placeholder(f"x{i}", np.shape(p), "float64") for i, p in enumerate(points)]
    found = grad(build(*nodes).sum(), nodes)
    feeds = dict(zip(nodes, points, strict=True))
    return [values.tolist() for values in evaluate(found, feeds)]


def _value(build, *operands):
    return evaluate([build(*(Constant(operand) for operand in operands))])[0]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda b: np.exp(b), r"exp: .*bool in float16.*astype"),
        (lambda b: b - b, r"subtract does not take bool and bool; cast"),
        (lambda b: -b, r"negative does not take bool"),
        (lambda b: b // b, r"floor_divide of bool and bool in int8"),
        (lambda b: np.round(b), r"rounds bools to float16"),
        (lambda b: b.astype("float32") & b, r"bitwise_and does not take float32 and bool"),
        (lambda b: b.astype("complex64"), r"'complex64' is not supported"),
    ],
)
def test_dtypes_that_numpy_has_and_we_have_not_are_refused(build, message):
    with pytest.raises(DTypeError, match=message):
        build(Placeholder("b", (3,), "bool"))


def test_errors_name_the_operand_and_the_line():
    x, y = Placeholder("x", ("N", 3), "float32"), Placeholder("y", (4,), "float32")
    with pytest.raises(ShapeError, match=r"(?s)'x' \(float32\[N, 3\].*'y'.*test_elementwise_ops"):
        x + y


def test_a_wrong_number_of_operands_is_refused():
    x = Placeholder("x", (3,), "float32")
    with pytest.raises(GraphError, match="add: it takes 2 operands, not 1"):
        REGISTRY["add"](x)


def test_python_numbers_do_not_widen():
    x, i = Placeholder("x", (3,), "float32"), Placeholder("i", (3,), "int32")
    assert (2.5 * x + 1).dtype == "float32"
    assert (2 * i).dtype == "int32"
    assert (2.5 * i).dtype == "float64"
    assert (x * np.float64(2)).dtype == "float64"
    assert (Constant(1) + Constant(2)).type.weak
    assert not (Constant(1) < Constant(2)).type.weak


def test_integers_refuse_constant_negative_powers():
    i = Placeholder("i", (3,), "int32")
    with pytest.raises(DTypeError, match=r"(?s)negative integer powers.*cast the base.*'i'"):
        i**-1
    with pytest.raises(DTypeError, match="negative integer powers"):
        power(2, Constant([1, -1]))
    assert (i**-1.0).dtype == "float64"
    exponent = Placeholder("j", (3,), "int32")
    with pytest.raises(DTypeError, match="negative integer powers"):
        evaluate([i**exponent], {i: np.ones(3, "int32"), exponent: np.full(3, -1, "int32")})


def test_power_has_finite_gradients_at_zero():
    assert _gradient(lambda x: x**2, [0.0, 3.0]) == [[0.0, 6.0]]
    assert _gradient(lambda x: x**0, [0.0, 3.0]) == [[0.0, 0.0]]
    assert _gradient(lambda x: x**1, [0.0, -2.0]) == [[1.0, 1.0]]
    assert _gradient(lambda x, y: x**y, [0.0, 0.0, 2.0], [0.0, 2.0, 0.0])[0] == [0.0, 0.0, 0.0]
    by_exponent = _gradient(lambda x, y: x**y, [0.0, 0.0, 2.0], [0.0, 2.0, 0.0])[1]
    assert by_exponent == [0.0, 0.0, math.log(2)]
    assert _gradient(lambda y: 2.0**y, [3.0])[0] == pytest.approx([8 * math.log(2)])


def test_ties_follow_the_conventions():
    assert _gradient(activation.relu, [-1.0, 0.0, 2.0]) == [[0.0, 0.0, 1.0]]
    assert _gradient(lambda x: activation.leaky_relu(x, 0.2), [-1.0, 0.0]) == [[0.2, 0.2]]
    assert _gradient(abs, [-2.0, 0.0, 2.0]) == [[-1.0, 0.0, 1.0]]
    ends = [-1.0, 0.0, 0.5, 1.0, 2.0]
    assert _gradient(lambda x: clip(x, 0, 1), ends) == [[0.0, 1.0, 1.0, 1.0, 0.0]]
    assert _gradient(lambda x: clip(x, 0), ends) == [[0.0, 1.0, 1.0, 1.0, 1.0]]
    assert _gradient(lambda x: clip(x, high=1), ends) == [[1.0, 1.0, 1.0, 1.0, 0.0]]
    for extreme in (np.maximum, np.minimum):
        assert _gradient(extreme, [1.0], [1.0]) == [[0.5], [0.5]]
    assert _gradient(np.maximum, [1.0], [2.0]) == [[0.0], [1.0]]
    assert _gradient(np.minimum, [1.0], [2.0]) == [[1.0], [0.0]]


def test_clip_with_crossed_bounds_gives_the_upper_one_its_gradient():
    assert _gradient(clip, [0.0, 2.0, 9.0], [5.0] * 3, [1.0] * 3) == [
        [0.0] * 3,
        [0.0] * 3,
        [1.0] * 3,
    ]


@pytest.mark.parametrize(
    "unsafe",
    [
        np.log,
        np.sqrt,
        lambda x: 1 / x,
        lambda x: x**-0.5,
        lambda x: x**1.5,
        np.arcsin,
        lambda x: np.tanh(np.log(x)),
        lambda x: np.exp(x) * np.log(x),
        lambda x: x * NAN,
        lambda x: np.log(x) / x,
        REGISTRY["rsqrt"],
        np.log1p,
    ],
)
def test_no_nan_leaks_from_the_side_that_is_not_selected(unsafe):
    points = np.array([-2.0, -1.0, 0.0, NAN, INF, -INF])
    x = Placeholder("x", (6,), "float64")
    guarded = np.where(np.zeros(6, bool), unsafe(x), 3 * x)
    first = grad(guarded.sum(), x)
    second = grad((first * first).sum(), x, allow_unused=True)
    found = evaluate([first, second], {x: points})
    assert found[0].tolist() == [3.0] * 6
    assert found[1].tolist() == [0.0] * 6


def test_a_nan_that_is_selected_stays_visible():
    always = np.ones(1, bool)
    assert np.isnan(_gradient(lambda x: np.where(always, np.log(x), x), [NAN])).all()


def test_scale_adjoint_is_used_only_behind_a_selection():
    x = Placeholder("x", (3,), "float64")
    plain = grad(np.tanh(x).sum(), x)
    chosen = grad(np.where(x > 0, np.tanh(x), 0).sum(), x)
    assert not behind_selection(plain)
    assert behind_selection(chosen)
    assert chosen.op is scale_adjoint
    assert plain.op is REGISTRY["multiply"]


def test_scale_adjoint_differentiates_at_zero():
    assert _gradient(scale_adjoint, [0.0, 2.0], [5.0, 7.0]) == [[5.0, 7.0], [0.0, 2.0]]


def test_activations_are_stable():
    extremes = [-1000.0, -INF, 1000.0, INF]
    assert _value(activation.sigmoid, extremes).tolist() == [0.0, 0.0, 1.0, 1.0]
    assert _value(activation.softplus, extremes).tolist() == [0.0, 0.0, 1000.0, INF]
    assert np.isnan(_value(activation.relu, [NAN])).all()
    assert _value(activation.sigmoid, 3 * 0.5 + 2) == pytest.approx(0.9706877692486438, rel=1e-15)
    assert _gradient(lambda x: activation.sigmoid(3 * x + 2), 0.5)[0] == pytest.approx(
        0.0853590716392, rel=1e-10
    )


def test_gelu_has_two_forms():
    points = np.array([-1.0, 0.0, 2.0])
    exact = [0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in points]
    assert _value(activation.gelu, points) == pytest.approx(exact, rel=1e-15)
    near = _value(lambda x: activation.gelu(x, approximate="tanh"), points)
    assert 0 < np.max(np.abs(near - exact)) < 1e-3
    with pytest.raises(GraphError, match="approximate is 'none' or 'tanh', not 'fast'"):
        activation.gelu(Constant(points), approximate="fast")


@pytest.mark.parametrize("order", range(1, 9))
def test_derivatives_of_tanh(order):
    expected = [
        0.41997434161402614,
        -0.6397000084492246,
        0.6216266807712962,
        0.6650910447505024,
        -5.556893558473722,
        13.6240754413121,
        12.2883678943204,
        -277.062135603031,
    ]
    x = Placeholder("x", (), "float64")
    y = np.tanh(x)
    for _ in range(order):
        y = grad(y, x)
    assert evaluate([y], {x: 1.0})[0] == pytest.approx(expected[order - 1], rel=1e-11)


def test_check_index_passes_or_raises():
    labels = Placeholder("labels", ("N",), "int32")
    checked = identity.check_index(labels, 3)
    assert checked.dtype == "int32"
    assert evaluate([checked], {labels: np.array([0, 2], "int32")})[0].tolist() == [0, 2]
    for wrong in (3, -1):
        with pytest.raises(BoundsError, match=f"index {wrong} is out of range .* extent 3"):
            evaluate([checked], {labels: np.array([0, wrong], "int32")})
    x = Placeholder("x", ("N", 3), "float32")
    symbolic = identity.check_index(labels, x.shape[0])
    with pytest.raises(BoundsError, match="extent 1"):
        evaluate([symbolic], {labels: np.array([1], "int32"), x: np.zeros((1, 3), "float32")})
    with pytest.raises(DTypeError, match="integers, not float32"):
        identity.check_index(x, 3)


def test_stop_gradient_and_casts_to_integers_cut():
    assert _gradient(lambda x: x * identity.stop_gradient(x), [3.0]) == [[3.0]]
    assert _gradient(lambda x: x + cast(cast(x, "int32"), "float64"), [3.7]) == [[1.0]]
    assert _gradient(lambda x: cast(cast(x, "float32"), "float64"), [3.5]) == [[1.0]]


def test_rounding_to_decimals_is_that_of_numpy():
    points = np.array([-1.255, 0.5, 1.5, 1234.5678])
    for decimals in (-2, 0, 2):
        found = _value(lambda x, d=decimals: np.round(x, d), points)
        np.testing.assert_array_equal(found, np.round(points, decimals))
    assert _value(lambda x: np.round(x, -1), np.array([14, 15, 25])).tolist() == [10, 20, 20]
