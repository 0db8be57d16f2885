"""Placeholders, constants and parameters."""

import copy
import pickle
import threading

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Parameter, Placeholder, compile
from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.leaves import lift

HERE = r"(?s:.*)test_leaves\.py:"


def test_a_placeholder_answers_from_its_declaration():
    x = Placeholder("x", ("N", 784), "float32")
    assert repr(x) == "<placeholder 'x': float32[N, 784]>"
    assert (x.name, x.dtype, x.ndim, x.shape[1], str(x.size)) == ("x", "float32", 2, 784, "784*N")
    assert repr(Placeholder("a")) == "<placeholder 'a': ?[...]>"
    fixed = Placeholder("f", (2, 3), float)
    assert (fixed.shape, fixed.size, len(fixed)) == ((2, 3), 6, 2)


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        ((), "[]"),
        (3, "[3]"),
        (np.int64(3), "[3]"),
        ("N", "[N]"),
        ([2, "N"], "[2, N]"),
        ((None, 2), "[?, 2]"),
        ((0, 1), "[0, 1]"),
        (None, "[...]"),
        (("größe", "N"), "[größe, N]"),
    ],
)
def test_shapes_are_written_in_many_ways(shape, shown):
    assert str(Placeholder("x", shape, "int32").type) == f"int32{shown}"


def test_a_shape_is_made_of_the_extents_of_another_node():
    x = Placeholder("x", ("N", 3), "float64")
    y = Placeholder("y", (x.shape[0] + 1, x.shape[1]), "float64")
    f = compile(y[1:] - x)
    np.testing.assert_array_equal(f(x=np.ones((2, 3)), y=np.ones((3, 3))), np.zeros((2, 3)))
    with pytest.raises(sg.FeedError, match=r"'y' has extent 4 along axis 0, but N \+ 1 = 3 is exp"):
        f(x=np.ones((2, 3)), y=np.ones((4, 3)))


@pytest.mark.parametrize("wrong", [-1, "N M", "1", "", True, 2.0, "N+1", b"N", (2,), object()])
def test_what_is_no_extent_is_refused(wrong):
    with pytest.raises(ShapeError, match=f"placeholder 'a': an extent is a non-negative int{HERE}"):
        Placeholder("a", (wrong,))


@pytest.mark.parametrize("name", ["", None, 3, b"x"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(GraphError, match=rf"needs a non-empty name, not {name!r}"):
        Placeholder(name)


@pytest.mark.parametrize("dtype", ["float16", "complex64", "uint8", "str", "no dtype", object])
def test_what_is_no_dtype_is_refused(dtype):
    with pytest.raises(DTypeError, match="is not supported; use one of bool, int32, int64, float"):
        Placeholder("a", (), dtype)


def test_len_needs_a_fixed_extent():
    with pytest.raises(GraphError, match=f"no fixed length{HERE}"):
        len(Placeholder("a", ("N",), "float64"))
    with pytest.raises(GraphError, match=f"no fixed length{HERE}"):
        len(Placeholder("a", (), "float64"))
    with pytest.raises(GraphError, match=f"the rank of 'a' .*{HERE}.* is open"):
        len(Placeholder("a"))
    with pytest.raises(GraphError, match="is open until the first call"):
        Placeholder("a").shape  # noqa: B018  # the property raises


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1, "int64[]"),
        (True, "bool[]"),
        (1.5, "float64[]"),
        (np.float32(2), "float32[]"),
        ([1, 2], "int64[2]"),
        (np.ones((2, 0), "int32"), "int32[2, 0]"),
        (np.array(3, ">i4"), "int32[]"),
    ],
)
def test_constants_have_the_type_of_their_value(value, shown):
    constant = Constant(value)
    assert str(constant.type) == shown
    np.testing.assert_array_equal(constant.value, value)
    assert constant.type.weak == (type(value) in (int, float))
    assert not Constant(value, "float32").type.weak


def test_constants_are_copies_that_nobody_can_change():
    array = np.arange(3.0)
    constant = Constant(array)
    f = compile(constant * 2)
    array[:] = 9
    np.testing.assert_array_equal(f(), [0, 2, 4])
    with pytest.raises(ValueError, match="read-only"):
        constant.value[0] = 1


def test_big_integers_do_not_wrap():
    with pytest.raises(DTypeError, match=r"not supported|not an array"):
        Constant(2**70)
    assert compile(Constant(2**62))() == 2**62


def test_a_node_is_no_constant():
    with pytest.raises(GraphError, match="a node cannot be a constant"):
        Constant(Constant(1))


def test_lift_keeps_nodes_and_wraps_the_rest():
    x = Placeholder("x", ("N",), "float64")
    assert lift(x) is x
    assert isinstance(lift([1, 2]), Constant)
    count = lift(x.shape[0])
    assert (count.op.name, count.type.weak) == ("extent", True)


def test_extents_are_numbers_in_expressions():
    x = Placeholder("x", ("N", "M"), "float32")
    n, m = x.shape
    outputs = [x.sum() / n, x / x.size, n * x, 1 / n, n / m, n**2, 0.5 * n, 2.5 - n, n + 1, m - x]
    results = compile(outputs, inputs=[x])(x=np.ones((4, 2), "f4"))
    expected = [2, 1 / 8, 4, 1 / 4, 2, 16, 2, -1.5, 5, 1]
    for found, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(found, wanted)
    assert [r.dtype.name for r in results[:3]] == ["float32"] * 3


def test_a_parameter_owns_its_value():
    start = np.arange(3.0)
    p = Parameter(start, "p")
    start[:] = 9
    shown = p.value
    shown[:] = 8
    np.testing.assert_array_equal(p.value, np.arange(3.0))
    assert repr(p) == "<parameter 'p': float64[3]>"


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(1, "float64"), ([1, 2], "int64"), (True, "bool"), (np.float32(1), "float32")],
)
def test_parameters_take_the_dtype_of_their_value(value, dtype):
    assert Parameter(value).dtype == dtype


def test_setting_a_value_converts_within_its_kind():
    p = Parameter(np.zeros(3, "f4"), "p")
    for new in ([1, 2, 3], np.arange(1, 4), np.array([1.0, 2.0, 3.0]), (True, 2, 3)):
        p.value = new
        assert p.value.tolist() == [1, 2, 3]
        assert p.value.dtype == np.float32
    read_only = np.ones(3)
    read_only.flags.writeable = False
    p.value = read_only
    p.value = np.ones((2, 3))[0][::-1]
    p.value += 1
    assert p.value.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("new", "kind", "message"),
    [
        (1.0, ShapeError, r"parameter 'p' has shape \(3,\), the new value \(\)"),
        (np.ones((3, 1)), ShapeError, r"the new value \(3, 1\) \(parameter made at"),
        ([1, [2], 3], ShapeError, "no array"),
        (None, ShapeError, "has shape"),
        (np.ones(3) * 1j, DTypeError, "holds float32, the new value complex128; cast it"),
        (["1", "2", "3"], DTypeError, "holds float32, the new value <U1"),
        (Placeholder("x", (3,), "float32"), GraphError, "no value while the graph is built"),
    ],
)
def test_setting_a_value_that_does_not_fit_changes_nothing(new, kind, message):
    p = Parameter(np.arange(3, dtype="f4"), "p")
    with pytest.raises(kind, match=message):
        p.value = new
    assert p.value.tolist() == [0, 1, 2]


def test_integers_take_no_floats():
    p = Parameter(np.zeros(2, int), "k")
    with pytest.raises(DTypeError, match="'k' holds int64, the new value float64"):
        p.value = [0.5, 1.5]


def test_parameters_refuse_other_attributes():
    p = Parameter(1.0, "p")
    with pytest.raises(GraphError, match="immutable: 'name' cannot be set"):
        p.name = "q"
    with pytest.raises(GraphError, match="a parameter's name is a str, not 3"):
        Parameter(1.0, 3)


def test_values_set_between_calls_are_seen():
    p = Parameter(np.zeros(1000))
    f = compile(p.sum() + 1)
    for n in range(4):
        p.value = np.full(1000, float(n))
        assert f() == 1000 * n + 1


def test_setting_a_value_to_a_view_of_itself():
    p = Parameter(np.arange(5.0))
    p.value = p.storage[::-1]
    np.testing.assert_array_equal(p.value, np.arange(5.0)[::-1])


def test_values_read_while_another_thread_writes_are_whole():
    p = Parameter(np.zeros(10_000))
    done = threading.Event()

    def write():
        for n in range(200):
            p.value = np.full(10_000, float(n))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        seen = p.value
        assert (seen == seen[0]).all()
    writer.join()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_nodes_are_not_duplicated(duplicate):
    for node in (Placeholder("x", ("N",), "float64"), Parameter(1.0, "p"), Constant(1) + 2):
        with pytest.raises(GraphError, match=f"neither copied nor pickled: .*{HERE}"):
            duplicate(node)
