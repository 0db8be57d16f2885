"""Conditions: laziness, captured nodes, structures, gradients, and branches that disagree."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Parameter, Placeholder, cond, grad
from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.interpret import evaluate
from symgraph.node import topological
from symgraph.ops.control import COND


def _value(node, **feeds):
    return evaluate([node], feeds)[0]


def _cond_of(node):
    return next(n for n in topological([node]) if n.op is COND)


@pytest.fixture
def x():
    return Placeholder("x", ("N",), "float64")


@pytest.fixture
def flag():
    return Placeholder("flag", (), "bool")


ON, OFF = np.array(True), np.array(False)


def test_chooses_a_branch(x, flag):
    y = cond(flag, lambda: x + 1, lambda: x * 10)
    assert str(y.type) == "float64[N]"
    np.testing.assert_array_equal(_value(y, x=np.array([1.0, 2]), flag=ON), [2, 3])
    np.testing.assert_array_equal(_value(y, x=np.array([1.0, 2]), flag=OFF), [10, 20])


def test_only_one_side_runs(x, flag):
    picked = Placeholder("i", (), "int64")
    y = cond(flag, lambda: x[picked], lambda: Constant(-1.0))
    assert _value(y, x=np.zeros(2), i=np.array(99), flag=OFF) == -1


@pytest.mark.parametrize("pred", [True, False, 0, 2, 0.0, np.bool_(True)])
def test_conditions_may_be_numbers(pred):
    assert _value(cond(pred, lambda: 1.0, lambda: 2.0)) == (1 if pred else 2)


def test_conditions_of_any_dtype():
    number = Placeholder("n")
    y = cond(number, lambda: 1, lambda: 2)
    for value in (3, 0, 0.5, False):
        assert _value(y, n=np.array(value)) == (1 if value else 2)


def test_outer_nodes_are_computed_outside(x, flag):
    outer = sg.exp(x)
    used_once = sg.sin(x)
    y = cond(flag, lambda: sg.cos(outer) + used_once, lambda: outer * 2)
    node = _cond_of(y)
    assert set(node.inputs[1:]) == {outer, used_once}
    inner = {n.op.name for n in node.attrs["then_graph"]}
    assert "cos" in inner
    assert not inner & {"exp", "sin", "placeholder"}


def test_an_unchanged_outer_node_may_be_a_result(x, flag):
    y = cond(flag, lambda: x, lambda: -x)
    np.testing.assert_array_equal(_value(y, x=np.array([1.0]), flag=ON), [1])
    (g,) = evaluate([grad(y.sum(), x)], {"x": np.array([1.0, 2]), "flag": ON})
    np.testing.assert_array_equal(g, [1, 1])


def test_leaves_made_in_a_branch(flag):
    late = Placeholder("late", (), "float64")
    y = cond(flag, lambda: Parameter(np.array(2.0)) * late, lambda: Placeholder("o", (), "float64"))
    assert _value(y, flag=ON, late=np.array(3.0), o=np.array(0.0)) == 6
    assert all(n.op.name != "parameter" for n in _cond_of(y).attrs["then_graph"])


def test_tuples_and_structures(x, flag):
    total, (one, two) = cond(flag, lambda: (x.sum(), (x, 1)), lambda: [sg.prod(x), (x * 2, 0)])
    feeds = {"x": np.array([2.0, 5]), "flag": OFF}
    found = evaluate([total, one, two], feeds)
    assert found[0] == 10
    np.testing.assert_array_equal(found[1], [4, 10])
    assert found[2] == 0
    assert cond(flag, lambda: (x,), lambda: (x,))[0].shape == x.shape


def test_weak_numbers_take_the_dtype_of_the_other_branch(flag):
    y = cond(flag, lambda: 1, lambda: Placeholder("z", (), "float32"))
    assert y.dtype == "float32"
    assert not y.type.weak
    found = _value(y, flag=ON, z=np.float32(0).reshape(()))
    assert found.dtype == np.float32
    assert cond(flag, lambda: 1, lambda: 2.5).type.weak


def test_nested_conditions(x, flag):
    other = Placeholder("other", (), "bool")
    h = x * 3

    def inner():
        k = h + 1
        return cond(other, lambda: k * h, lambda: k - h)

    y = cond(flag, inner, lambda: h)
    array = np.array([1.0, 2])
    for a in (ON, OFF):
        for b in (ON, OFF):
            t = array * 3
            expected = ((t + 1) * t if b else np.ones(2)) if a else t
            slope = ((2 * t + 1) * 3 if b else np.zeros(2)) if a else np.full(2, 3.0)
            found = evaluate([y, grad(y.sum(), x)], {"x": array, "flag": a, "other": b})
            np.testing.assert_array_equal(found[0], expected)
            np.testing.assert_array_equal(found[1], slope)


def test_gradient_flows_through_the_chosen_branch_only():
    x = Placeholder("x", (), "float64")
    y = cond(x > 0, lambda: sg.log(x), lambda: x * x)
    first = grad(y, x)
    second = grad(first, x)
    for value, expected in ((-3.0, (9, -6, 2)), (2.0, (np.log(2), 0.5, -0.25))):
        found = evaluate([y, first, second], {"x": np.array(value)})
        np.testing.assert_allclose(found, expected)
    assert _cond_of(first).attrs["then_graph"].outputs[0].shape == ()


def test_gradient_by_outer_nodes_and_unused_ones(x, flag):
    h, unused = x * 2, Placeholder("u", (), "float64")
    y = cond(flag, lambda: (h * h).sum(), lambda: unused)
    found = evaluate(
        grad(y, [h, x, unused]), {"x": np.array([1.0, 3]), "flag": ON, "u": np.array(0.0)}
    )
    np.testing.assert_array_equal(found[0], [4, 12])
    np.testing.assert_array_equal(found[1], [8, 24])
    assert found[2] == 0


def test_gradient_of_one_result_of_several(x, flag):
    a, b = cond(flag, lambda: (x * 2, x * 3), lambda: (x * 5, x * 7))
    feeds = {"x": np.ones(2), "flag": OFF}
    (found,) = evaluate([grad(b.sum(), x)], feeds)
    np.testing.assert_array_equal(found, [7, 7])
    (found,) = evaluate([grad((a * b).sum(), x)], feeds)
    np.testing.assert_array_equal(found, [70, 70])


def test_random_numbers_in_a_branch_take_one_stream(flag):
    sg.random.seed(5)
    y = cond(flag, lambda: sg.random.uniform((3,)), lambda: sg.zeros((3,), "float32"))
    after = sg.random.uniform((3,))
    sg.random.seed(5)
    first, second = sg.random.uniform((3,)), sg.random.uniform((3,))
    np.testing.assert_array_equal(_value(y, flag=ON), _value(first))
    np.testing.assert_array_equal(_value(after), _value(second))


def test_open_types_are_settled_by_the_call(flag):
    x = Placeholder("x")
    y = cond(flag, lambda: x + 1, lambda: x * 2)
    assert y.dtype is None
    for array in (np.array(3), np.array([1.5, 2.5])):
        np.testing.assert_array_equal(_value(y, x=array, flag=ON), array + 1)
        np.testing.assert_array_equal(_value(y, x=array, flag=OFF), array * 2)


def test_branches_that_disagree_name_both_lines(x, flag):
    lines = r"(?s)then gives .*test_control.py:\d+.*else gives .*test_control.py:\d+"
    with pytest.raises(ShapeError, match=lines):
        cond(flag, lambda: x, lambda: x.sum())
    with pytest.raises(DTypeError, match=lines + ".*cast one of them"):
        cond(flag, lambda: x, lambda: x.astype("float32"))
    with pytest.raises(DTypeError, match=lines):
        cond(flag, lambda: 1.5, lambda: sg.argmax(x))
    with pytest.raises(GraphError, match=r"different structures: then array .*else \('array'"):
        cond(flag, lambda: x, lambda: (x, x))


def test_what_is_no_condition_or_branch_is_refused(x, flag):
    with pytest.raises(ShapeError, match=r"(?s)one truth value, not bool\[N\].*use where"):
        cond(x > 0, lambda: x, lambda: x)
    with pytest.raises(GraphError, match="then branch must be a function without arguments"):
        cond(flag, x, lambda: x)
    with pytest.raises(GraphError, match="else branch must be a function"):
        cond(flag, lambda: x, 3)
    with pytest.raises(GraphError, match="the then branch returns nothing"):
        cond(flag, lambda: None, lambda: x)
