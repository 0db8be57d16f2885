"""Errors: one tree; each message names the node, and the user's file and line."""

import linecache
import operator
import warnings

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Parameter, Placeholder, compile, cond, errors, grad

HERE = r"(?s:.*)test_errors\.py:\d+"
X = Placeholder("x", (3,), "float64")
Y = Placeholder("y", (4,), "float64")
K = Placeholder("k", (3,), "int64")
OPEN = Placeholder("open")


def test_there_is_one_tree():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert len(kinds) >= 11
    assert all(issubclass(kind, errors.SymGraphError) for kind in kinds)
    assert all(getattr(sg, kind.__name__) is kind for kind in kinds)


@pytest.mark.parametrize(
    ("kind", "python"),
    [
        ("GraphError", TypeError),
        ("ShapeError", ValueError),
        ("DTypeError", TypeError),
        ("FeedError", ValueError),
        ("BoundsError", IndexError),
        ("GradientError", ValueError),
        ("CompileError", RuntimeError),
        ("NonFiniteError", FloatingPointError),
        ("CheckpointError", ValueError),
    ],
)
def test_errors_are_also_what_python_code_expects(kind, python):
    assert issubclass(getattr(errors, kind), python)


@pytest.mark.parametrize(
    "use",
    [
        bool,
        int,
        float,
        list,
        operator.index,
        np.asarray,
        np.array,
        lambda node: 1 if node else 2,
        lambda node: [0, 1, 2][node],
        lambda node: node in [1, 2],
        lambda node: max(node, 3),
        lambda node: [*node],
        lambda node: 0 < node < 1,
        lambda node: not node,
        lambda node: range(node),
        lambda node: math_sin(node),
    ],
)
def test_a_node_has_no_value_while_the_graph_is_built(use):
    node = Placeholder("flag", (), "int64")
    with pytest.raises(sg.GraphError, match=rf"no value while the graph.*\(.*made at {HERE}"):
        use(node)


def math_sin(node):
    import math

    return math.sin(node)


def test_a_truth_value_names_the_remedy():
    with pytest.raises(
        sg.GraphError,
        match=rf"a truth value: less \(bool\[3\], made at {HERE}\)\n  at {HERE}\n  use cond\(",
    ):
        if X < 1:
            pass
    with pytest.raises(sg.GraphError, match=rf"an iterator: 'x' {HERE}\n  use scan or while_loop"):
        for _ in X:
            pass


def test_a_shape_clash_names_both_operands_and_the_line():
    with pytest.raises(
        sg.ShapeError,
        match=(
            r"add: axis 0 has extents 3 and 4, which do not broadcast\n"
            rf"  operand 0: 'x' \(float64\[3\], made at {HERE}\)\n"
            rf"  operand 1: 'y' \(float64\[4\], made at {HERE}\)\n"
            rf"  at {HERE}: X \+ Y  # the culprit"
        ),
    ):
        X + Y  # the culprit


@pytest.mark.parametrize(
    "build",
    [
        lambda: X @ Y,
        lambda: sg.concatenate([X, Y.reshape(2, 2)]),
        lambda: X.reshape(5),
        lambda: X.sum(axis=1),
        lambda: sg.where(X > 0, X, Y),
        lambda: X[0, 0],
        lambda: sg.stack([X, Y]),
        lambda: X.transpose(1, 0),
        lambda: sg.broadcast_to(X, (4,)),
        lambda: sg.squeeze(X, 0),
    ],
)
def test_shape_errors_name_the_line(build):
    with pytest.raises(sg.ShapeError, match=rf"'[xy]' \(float64\[[34]\]{HERE}{HERE}"):
        build()


@pytest.mark.parametrize(
    "build",
    [
        lambda: X[X],
        lambda: sg.nn.softmax_cross_entropy(X.reshape(1, 3), X[:1]),
        lambda: ~X,
        lambda: X & K,
    ],
)
def test_dtype_errors_name_the_line(build):
    with pytest.raises(sg.SymGraphError, match=f"{HERE}") as caught:
        build()
    assert isinstance(caught.value, sg.DTypeError | sg.GraphError)


@pytest.mark.parametrize("value", ["text", 1j, object(), [[1], [1, 2]], None, {1: 2}])
def test_what_is_no_array_is_refused(value):
    for build in (Constant, lambda v: X + v, Parameter):
        with pytest.raises((sg.DTypeError, sg.GraphError), match=f"{HERE}"):
            build(value)


def test_branches_of_different_types_name_both_lines():
    flag = Placeholder("flag", (), "bool")
    with pytest.raises(
        sg.DTypeError,
        match=rf"cond: .*then gives 'x' {HERE}\), else gives 'k' {HERE}\).*cast.*\n  at {HERE}",
    ):
        cond(flag, lambda: X, lambda: K)
    with pytest.raises(
        sg.ShapeError,
        match=rf"then gives 'x' {HERE}\), else gives 'y' {HERE}\)(?s:.*)\n  at {HERE}",
    ):
        cond(flag, lambda: X, lambda: Y)
    with pytest.raises(sg.GraphError, match=rf"different structures: then .*{HERE}.*else.*{HERE}"):
        cond(flag, lambda: (X, X), lambda: X)
    with pytest.raises(sg.ShapeError, match=rf"{HERE}"):
        cond(X > 0, lambda: X, lambda: X)


def test_an_index_out_of_range_is_found_when_the_graph_is_built():
    with pytest.raises(sg.BoundsError, match=rf"5 is out of range for axis 0 of extent 3{HERE}"):
        X[5]
    with pytest.raises(sg.BoundsError, match=rf"-4 is out of range{HERE}: X\[-4\]"):
        X[-4]


def test_branches_of_open_types_are_checked_at_the_call():
    flag = Placeholder("flag", (), "bool")
    f = compile(cond(flag, lambda: OPEN, lambda: X))
    np.testing.assert_array_equal(f(flag=True, open=np.ones(3), x=np.zeros(3)), np.ones(3))
    with pytest.raises(sg.DTypeError, match=rf"then gives .*\(int64.*else gives .*float64{HERE}"):
        f(flag=True, open=np.ones(3, int), x=np.zeros(3))
    with pytest.raises(sg.FeedError, match=rf"then gives .*open\.shape\[0\].*float64\[3\]{HERE}"):
        f(flag=False, open=np.ones(4), x=np.zeros(3))
    with pytest.raises(sg.ShapeError, match=rf"then gives .*open\.shape\[1\].*{HERE}"):
        f(flag=True, open=np.ones((3, 1)), x=np.zeros(3))


def test_gradients_that_do_not_exist():
    with pytest.raises(
        sg.GradientError, match=rf"a scalar, and this has shape \(3,\): multiply \({HERE}\)\n  at"
    ):
        grad(X * 2, X)
    with pytest.raises(
        sg.GradientError,
        match=rf"no derivative flows from sum \(.*{HERE}\) to 'y' \(.*{HERE}\)\n"
        rf"  it is computed from 'x'\n  at {HERE}\n  pass allow_unused",
    ):
        grad(X.sum(), Y)
    with pytest.raises(sg.GradientError, match=rf"only floats .* int64: sum{HERE}\n  cast it"):
        grad(K.sum(), K)
    with pytest.raises(sg.GradientError, match=rf"every path is cut, at:\n    stop_gradient{HERE}"):
        grad(sg.stop_gradient(X).sum(), X)
    with pytest.raises(sg.GradientError, match=rf"every path is cut, at:\n    floor{HERE}"):
        grad(sg.floor(X).sum(), X)
    with pytest.raises(sg.GradientError, match=rf"nodes, not on ndarray\n  at {HERE}"):
        grad(X.sum(), [np.ones(3)])
    with pytest.raises(sg.GradientError, match=rf"nodes, not on float\n  at {HERE}"):
        grad(1.0, X)


def test_gradients_of_open_graphs_are_checked_at_the_call():
    f = compile(grad(OPEN * OPEN, OPEN))
    assert f(open=3.0) == 6
    with pytest.raises(sg.GradientError, match=rf"only floats have gradients, .*int64{HERE}"):
        f(open=3)
    with pytest.raises(sg.GradientError, match=rf"a scalar, and this has shape{HERE}"):
        f(open=np.ones(3))


def test_open_operands_that_do_not_fit_are_named_at_the_call():
    f = compile(OPEN + X)
    with pytest.raises(sg.ShapeError, match=rf"extents? .*3.*do not broadcast{HERE}"):
        f(open=np.ones(5), x=np.ones(3))
    with pytest.raises(sg.FeedError, match=rf"matmul: the inner extents differ{HERE}.*5 and 3"):
        compile(OPEN @ X)(open=np.ones((2, 2, 5, 5)), x=np.ones(3))


def test_two_symbolic_extents_that_do_not_fit_are_named_at_the_call():
    a, b = Placeholder("a", ("N",), "float32"), Placeholder("b", ("M",), "float32")
    f = compile(a * b)
    f(a=np.ones(2, "f4"), b=np.ones(2, "f4"))
    with pytest.raises(sg.ShapeError, match=rf"M = 4 and N = 3 do not broadcast in mul{HERE}"):
        f(a=np.ones(3, "f4"), b=np.ones(4, "f4"))


@pytest.mark.parametrize(
    ("option", "kind", "message"),
    [
        ({"device": "tpu"}, sg.DeviceError, "a device is 'cpu', 'cuda'.*not 'tpu'"),
        ({"mode": "fast"}, sg.GraphError, "mode is 'native' or 'reference', not 'fast'"),
        ({"threads": 0}, sg.GraphError, "threads is a positive int or None, not 0"),
        ({"threads": 1.5}, sg.GraphError, "threads is a positive int or None, not 1.5"),
    ],
)
def test_wrong_options_are_refused(option, kind, message):
    with pytest.raises(kind, match=message):
        compile(X, **option)


def test_nodes_are_immutable():
    with pytest.raises(sg.GraphError, match="immutable: 'shape' cannot be set on <placeholder 'x'"):
        X.shape = (2,)
    with pytest.raises(sg.GraphError, match="immutable: 'anything'"):
        X.anything = 1


def test_a_line_without_source_is_still_named():
    code = "import symgraph as sg\na = sg.Placeholder('a', (2,), 'bool')\na @ a.sum()\n"
    with pytest.raises(sg.SymGraphError, match=r"no such file\.py:3"):
        exec(builtin_compile(code, "no such file.py", "exec"), {})
    linecache.clearcache()


builtin_compile = __builtins__["compile"] if isinstance(__builtins__, dict) else None


def test_nothing_warns_on_the_way_to_an_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(sg.FeedError, match="overflow"):
            compile(Placeholder("a", (), "float32"))(a=1e300)
