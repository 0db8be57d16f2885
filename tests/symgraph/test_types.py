"""Types: dtypes, promotion with weak numbers, broadcasting, axes."""

import itertools

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Placeholder
from symgraph.dims import symbol
from symgraph.errors import DTypeError, ShapeError
from symgraph.types import (
    DTYPES,
    UNKNOWN,
    TensorType,
    TupleType,
    broadcast_shapes,
    check_dtype,
    normalise_axes,
    normalise_axis,
    promote,
)

N = symbol("N")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (float, "float64"),
        (int, "int64"),
        (bool, "bool"),
        (np.float32, "float32"),
        (np.dtype(">i4"), "int32"),
        ("f8", "float64"),
        ("?", "bool"),
        (np.longlong, "int64"),
    ],
)
def test_dtypes_have_one_name(given, name):
    assert check_dtype(given) == name


@pytest.mark.parametrize("given", ["float16", "x", object, "M8", None.__class__, "uint64", complex])
def test_other_dtypes_are_refused(given):
    with pytest.raises(DTypeError, match="not supported; use one of bool, int32, int64, float32"):
        check_dtype(given)


@pytest.mark.parametrize(("one", "other"), list(itertools.product(DTYPES, DTYPES)))
def test_promotion_is_that_of_numpy(one, other):
    expected = np.result_type(np.dtype(one), np.dtype(other)).name
    assert promote([TensorType(one, ()), TensorType(other, (3,))]) == expected
    x, y = Placeholder("x", (), one), Placeholder("y", (3,), other)
    assert (x + y).dtype == (np.ones((), one) + np.ones(3, other)).dtype.name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [2, 2.5])
def test_python_numbers_are_weak(dtype, number):
    x = Placeholder("x", (3,), dtype)
    expected = (np.ones(3, dtype) * number).dtype.name
    for node in (x * number, number * x, x * Constant(number), x * (Constant(number) + 1)):
        assert node.dtype == expected
        assert not node.type.weak


def test_numbers_alone_stay_weak():
    assert (Constant(1) + 2).type.weak
    assert not (Constant(1) + np.int64(2)).type.weak
    assert (Placeholder("x", (), "float32") * (Constant(1) + 2.5)).dtype == "float32"


@pytest.mark.parametrize(
    ("shapes", "result"),
    [
        ([], ()),
        ([(), (3,)], (3,)),
        ([(2, 1), (3,)], (2, 3)),
        ([(N, 1), (1, 4)], (N, 4)),
        ([(N,), (N,)], (N,)),
        ([(0,), (1,)], (0,)),
    ],
)
def test_shapes_broadcast_as_in_numpy(shapes, result):
    assert broadcast_shapes(shapes) == result


def test_clashing_shapes_are_refused():
    with pytest.raises(ShapeError, match="axis 1 has extents 3 and 4, which do not broadcast"):
        broadcast_shapes([(2, 3), (4,)])


def test_axes():
    assert normalise_axis(-1, 3) == 2
    assert normalise_axes(None, 3) == (0, 1, 2)
    assert normalise_axes((-1, 0), 3) == (0, 2)
    assert normalise_axes((), 3) == ()
    with pytest.raises(ShapeError, match="axis 3 is out of range for an array of rank 3"):
        normalise_axis(3, 3)
    with pytest.raises(ShapeError, match="names the same axis twice"):
        normalise_axes((0, -3), 3)


def test_what_is_known():
    assert TensorType("float32", (N, 3)).known
    assert not UNKNOWN.known
    assert not TensorType("float32", None).known
    assert not TensorType(None, (3,)).known
    undecided = (Placeholder("a", ("N",), int) + Placeholder("b", ("M",), int)).type
    assert undecided.undecided
    assert not undecided.known
    assert str(TupleType((TensorType("bool", ()), UNKNOWN))) == "(bool[], ?[...])"


def test_types_are_inferred_without_memory():
    video = Placeholder("video", (4, 240, 144, 256, 3), "float32")
    assert (video.size, video.ndim) == (106_168_320, 5)
    big = Placeholder("big", (10**6, 10**6), "float64")
    assert ((big @ big).sum(axis=0)[::2] * 2).shape == (500_000,)


def test_open_dtypes_and_ranks_stay_open():
    a = Placeholder("a")
    for node in (a + 1, a.sum(), a[0], sg.tanh(a), a @ a, sg.where(a > 0, a, 0)):
        assert node.type == UNKNOWN
    b = Placeholder("b", (2, 3))
    assert (b.shape, b.dtype) == ((2, 3), None)
