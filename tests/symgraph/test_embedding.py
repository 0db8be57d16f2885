"""Embedding: rows by id, the sum that comes back to each row, ids out of range."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import BoundsError, DTypeError, ShapeError

W = np.arange(10, dtype=np.float32).reshape(5, 2)
HERE = r"[\s\S]*at .*test_embedding\.py:\d+"


def test_rows_and_their_gradient():
    ids, w = sg.Placeholder("ids", ("N",), "int64"), sg.Parameter(W, name="w")
    y = sg.nn.embedding(ids, w)
    rows, slope = sg.compile((y, sg.grad(y.sum(), w)))(np.array([1, 3, 1]))
    np.testing.assert_array_equal(rows, [[2, 3], [6, 7], [2, 3]])
    np.testing.assert_array_equal(slope, [[0, 0], [2, 2], [0, 0], [1, 1], [0, 0]])


def test_ids_have_any_shape():
    ids = sg.Placeholder("ids", ("N", "T"), "int32")
    function = sg.compile(sg.nn.embedding(ids, W))
    for shape in ((2, 3), (0, 3), (7, 1)):
        chosen = np.random.default_rng(0).integers(0, 5, shape).astype(np.int32)
        np.testing.assert_array_equal(function(chosen), W[chosen])
    assert function.compile_count == 1


def test_second_derivatives_add_up():
    ids, w = sg.Placeholder("ids", ("N",), "int64"), sg.Placeholder("w", (5, 2), "float64")
    slope = sg.grad((sg.nn.embedding(ids, w) ** 3).sum(), w)
    second = sg.compile(sg.grad(slope.sum(), w))(ids=np.array([1, 3, 1]), w=W.astype(np.float64))
    counts = np.array([[0], [2], [0], [1], [0]])
    np.testing.assert_array_equal(second, 6 * counts * W)


@pytest.mark.parametrize("mode", ["native", "reference"])
@pytest.mark.parametrize("bad", [5, -1, -6, 2**40])
def test_ids_out_of_range_are_refused_when_called(bad, mode):
    function = sg.compile(sg.nn.embedding(sg.Placeholder("ids", ("N",), "int64"), W), mode=mode)
    with pytest.raises(BoundsError, match=rf"index {bad} is out of range[\s\S]*{HERE}"):
        function(np.array([0, bad]))


def test_a_bad_id_changes_no_parameter():
    ids, w = sg.Placeholder("ids", ("N",), "int64"), sg.Parameter(W, name="w")
    loss = sg.nn.embedding(ids, w).sum()
    step = sg.compile(loss, updates={w: w - sg.grad(loss, w)})
    with pytest.raises(
        BoundsError, match=rf"index 9 is out of[\s\S]*{HERE}[\s\S]*no parameter was changed"
    ):
        step(np.array([0, 9]))
    np.testing.assert_array_equal(w.value, W)


def test_floats_are_no_ids():
    with pytest.raises(DTypeError, match=f"ids are integers, not float32{HERE}"):
        sg.nn.embedding(sg.Placeholder("ids", ("N",), "float32"), W)


def test_rows_come_from_a_matrix():
    with pytest.raises(ShapeError, match=rf"w needs the axes \(ids, features\), but has{HERE}"):
        sg.nn.embedding(np.array([0]), np.ones(3, np.float32))
