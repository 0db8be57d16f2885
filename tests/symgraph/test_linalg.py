"""Products of matrices against NumPy."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Placeholder, grad
from symgraph.errors import DTypeError, ShapeError
from symgraph.interpret import evaluate
from symgraph.ops.assume import collect_assumptions
from symgraph.ops.linalg import BATCH_MATMUL

MATMUL = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (4, 3, 2)),
    ((0, 3), (3, 4)),
    ((2, 0), (0, 4)),
    ((1, 1), (1, 1)),
    ((0, 2, 3), (3, 4)),
]
DOT = [((), (2, 3)), ((2, 3), ()), ((2, 3), (4, 3, 5)), ((6, 2, 3), (4, 5, 3, 2)), *MATMUL[:5]]


def _value(node, **feeds):
    return evaluate([node], feeds)[0]


def _symbols(shape, letters):
    return tuple(letters[: len(shape)])


def _check(function, reference, x, w, rtol=1e-6):
    expected = np.asarray(reference(x, w))
    for open_shapes in (False, True):
        shapes = (None, None) if open_shapes else (x.shape, w.shape)
        nodes = [
            Placeholder(name, shape, array.dtype)
            for name, shape, array in zip("xw", shapes, (x, w), strict=True)
        ]
        node = function(*nodes)
        found = _value(node, x=x, w=w)
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=rtol)
    expanded = function(Constant(x), Constant(w))
    expanded = expanded.op.kind.expand(*expanded.inputs)
    np.testing.assert_allclose(_value(expanded), expected, rtol=rtol)


@pytest.mark.parametrize("shapes", MATMUL, ids=str)
@pytest.mark.parametrize("dtypes", [("float32",) * 2, ("int32", "float32"), ("bool",) * 2], ids=str)
def test_matmul_is_that_of_numpy(shapes, dtypes):
    rng = np.random.default_rng(0)
    x, w = (rng.integers(0, 3, s).astype(d) for s, d in zip(shapes, dtypes, strict=True))
    _check(sg.matmul, np.matmul, x, w)


@pytest.mark.parametrize("shapes", DOT, ids=str)
def test_dot_is_that_of_numpy(shapes):
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=shape) for shape in shapes)
    _check(sg.dot, np.dot, x, w, rtol=1e-12)


@pytest.mark.parametrize("shapes", [s for s in MATMUL if 0 not in (*s[0], *s[1])], ids=str)
def test_gradients_have_the_shapes_of_the_operands(shapes):
    x, w = (Placeholder(n, s, "float64") for n, s in zip("xw", shapes, strict=True))
    gradients = grad((sg.matmul(x, w) ** 2).sum(), [x, w])
    assert [g.shape for g in gradients] == [x.shape, w.shape]


def test_symbolic_extents():
    x, w = Placeholder("x", ("B", "N", 3), "float32"), Placeholder("w", (3, "M"), "float32")
    assert str((x @ w).type) == "float32[B, N, M]"
    assert str((x @ w[:, 0]).type) == "float32[B, N]"
    assert str(sg.outer(x, w).type) == "float32[3*B*N, 3*M]"
    with collect_assumptions() as found:
        y = Placeholder("y", (None, None), "float32") @ w
    assert str(y.type) == "float32[?, M]"
    assert [(a.relation, a.right) for a in found] == [("==", 3)]


def test_one_large_product_for_a_batch():
    node = Placeholder("x", ("B", 2, 3), "float32") @ Placeholder("w", (3, 4), "float32")
    expanded = node.op.kind.expand(*node.inputs)
    assert expanded.inputs[0].op is BATCH_MATMUL
    assert expanded.inputs[0].type.rank == 2


BUILD_ERRORS = [
    ((2, 3), (4, 5), "inner extents differ: 3 .* and 4"),
    ((3,), (4,), "inner extents differ"),
    ((), (3,), "an operand has no axes"),
    ((3,), (), "an operand has no axes"),
    ((2, 2, 3), (3, 3, 4), "axis 0 has extents 2 and 3"),
]


@pytest.mark.parametrize(("left", "right", "reason"), BUILD_ERRORS)
def test_operands_that_do_not_fit_are_refused(left, right, reason):
    x, w = Placeholder("x", left, "float32"), Placeholder("w", right, "float32")
    with pytest.raises(ShapeError, match=rf"(?s)matmul: .*{reason}.*'x'.*'w'.*test_linalg.py"):
        sg.matmul(x, w)


def test_the_core_op_takes_one_dtype():
    with pytest.raises(DTypeError, match="numbers of one dtype, not float32 and float64"):
        BATCH_MATMUL(np.ones((2, 2), "float32"), np.ones((2, 2)))
    with pytest.raises(ShapeError, match="two axes at least"):
        BATCH_MATMUL(np.ones(2), np.ones((2, 2)))


def test_linear_values():
    x, w = Constant(np.arange(6.0).reshape(2, 3)), Constant(np.arange(6.0).reshape(3, 2))
    b = Constant(np.array([1.0, -1.0]))
    y = sg.linear(x, w, b)
    np.testing.assert_array_equal(_value(y), [[11, 12], [29, 39]])
    np.testing.assert_array_equal(_value(sg.linear(x, w)), [[10, 13], [28, 40]])
    gx, gw, gb = evaluate(grad(y.sum(), [x, w, b]), {})
    np.testing.assert_array_equal(gx, [[1, 5, 9]] * 2)
    np.testing.assert_array_equal(gw, [[3, 3], [5, 5], [7, 7]])
    np.testing.assert_array_equal(gb, [2, 2])


def test_values_of_the_inventory():
    x = Constant(np.array([[1, 2, 3], [4, 5, 6]]))
    np.testing.assert_array_equal(_value(x @ x.T), [[14, 32], [32, 77]])
    np.testing.assert_array_equal(_value(sg.outer([1, 2], [3, 4])), [[3, 4], [6, 8]])
