"""Feeds: every kind of array that NumPy knows, and what is refused before anything runs."""

import numpy as np
import pytest

from symgraph import Parameter, Placeholder, compile
from symgraph.errors import FeedError, GraphError

HERE = r"(?s:.*)test_feeds\.py:"
VALUES = np.arange(12.0).reshape(3, 4)
MODES = ("native", "reference")


class Subclass(np.ndarray):
    pass


class Convertible:
    def __array__(self, dtype=None, copy=None):
        return VALUES.copy()


def _unaligned():
    memory = np.frombuffer(b"\0" + VALUES.tobytes(), np.uint8).copy()
    return memory[1:].view("f8").reshape(3, 4)


def _read_only():
    values = VALUES.copy()
    values.flags.writeable = False
    return values


LAYOUTS = {
    "plain": lambda: VALUES.copy(),
    "Fortran": lambda: np.asfortranarray(VALUES),
    "strided": lambda: np.repeat(np.repeat(VALUES, 2, 0), 3, 1)[::2, ::3],
    "reversed": lambda: VALUES[::-1, ::-1].copy()[::-1, ::-1],
    "broadcast": lambda: np.broadcast_to(VALUES[0], (3, 4)) + VALUES - VALUES[0],
    "read-only": _read_only,
    "unaligned": _unaligned,
    "big-endian": lambda: VALUES.astype(">f8"),
    "subclass": lambda: VALUES.view(Subclass),
    "list": lambda: VALUES.tolist(),
    "nested tuple": lambda: tuple(map(tuple, VALUES.tolist())),
    "list of rows": lambda: list(VALUES),
    "integers": lambda: VALUES.astype(int).tolist(),
    "with metadata": lambda: VALUES.astype(np.dtype("f8", metadata={"unit": "m"})),
    "buffer": lambda: np.asarray(memoryview(VALUES)),
    "convertible": Convertible,
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_as_numpy_reads_it(layout, mode):
    x = Placeholder("x", ("N", "M"), "float64")
    f = compile([x * 2, x.sum(axis=0)], mode=mode)
    for _ in range(2):
        doubled, total = f(x=LAYOUTS[layout]())
        np.testing.assert_array_equal(doubled, VALUES * 2)
        np.testing.assert_array_equal(total, VALUES.sum(axis=0))


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "float32", "float64"])
def test_scalars_of_every_kind(dtype):
    f = compile(Placeholder("x", (), dtype))
    swapped = np.array(1, np.dtype(dtype).newbyteorder("S"))
    for value in (True, np.dtype(dtype).type(1), np.array(1, dtype), swapped):
        result = f(x=value)
        assert (result.dtype, result.shape, result.item()) == (np.dtype(dtype), (), 1)
        assert result.dtype.isnative


def test_longlong_is_int64():
    assert compile(Placeholder("x", (), "int64") + 1)(x=np.array(3, np.longlong)) == 4


def test_empty_lists_take_the_declared_dtype():
    assert compile(Placeholder("x", ("N",), "int64"))(x=[]).dtype == np.int64


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("int64", 2.7, "values of dtype float64, which do not fit int64"),
        ("int64", [1.5], "values of dtype float64"),
        ("bool", 1, "values of dtype int64, which do not fit bool"),
        ("float32", "3.5", "values of dtype <U3"),
        ("float32", None, "values of dtype object"),
        ("float32", 1j, "values of dtype complex128"),
        ("float32", 1e300, "overflow"),
        ("int32", 2**40, "too large|out of bounds"),
        ("int64", 2**70, "values of dtype object"),
        ("float64", [[1], [1, 2]], "inhomogeneous"),
        ("float64", [print], "values of dtype object"),
        ("float32", np.float64(1), r"got dtype float64; convert it with \.astype\('float32'\)"),
        ("float64", np.float32(1), r"got dtype float32; convert it with \.astype\('float64'\)"),
        ("int64", np.int32(1), r"got dtype int32; convert it with \.astype\('int64'\)"),
        ("int64", np.True_, "got dtype bool"),
        ("float64", np.ma.array([1.0], mask=[True]), "masked array; fill it"),
        ("float64", np.array(["a"]), "got dtype <U1"),
        (None, np.float16(1), r"got dtype float16; convert it with \.astype\('float32'\)"),
        (None, np.uint8(1), "got dtype uint8"),
        (None, "text", "got dtype <U4"),
        (None, {}, "got dtype object"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_a_wrong_dtype_is_refused(dtype, value, message, mode):
    x = Placeholder("x", None, dtype)
    p = Parameter(0.0)
    f = compile(x, updates={p: p + 1}, mode=mode)
    with pytest.raises(FeedError, match=rf"placeholder 'x' \({HERE}(?s:.*)({message})"):
        f(x=value)
    assert p.value == 0


def test_a_node_is_no_feed():
    x = Placeholder("x", ("N",), "float64")
    f = compile(x)
    with pytest.raises(FeedError, match=rf"placeholder 'x' \({HERE}.*arrays, not nodes"):
        f(x=x)
    with pytest.raises(FeedError, match=rf"placeholder 'x' \({HERE}(?s:.*)no value while"):
        f(x=[x, x])


def test_unknown_and_missing_feeds():
    a, b = Placeholder("a", (), "float64"), Placeholder("b", (2,), "float32")
    f = compile([a, b])
    with pytest.raises(
        FeedError,
        match=rf"no placeholder 'c'; placeholder 'b' was not fed \(float32\[2\], made at {HERE}"
        r".*this function takes 'a', 'b'",
    ):
        f(a=1.0, c=2)
    with pytest.raises(FeedError, match=r"'a' was not fed .*; placeholder 'b' was not fed"):
        f()
    with pytest.raises(FeedError, match=r"no placeholder 'd'"):
        f(1.0, [1, 2], d=4)
    with pytest.raises(FeedError, match=r"this function takes no feeds"):
        compile(Parameter(1.0))(x=1)


def test_positional_feeds():
    a, b, c = (Placeholder(name, (), "float64") for name in "abc")
    f = compile(a - b * c)
    assert [node.name for node in f.inputs] == ["a", "b", "c"]
    assert f(7.0, 2.0, 3.0) == f(7.0, c=3.0, b=2.0) == 1
    g = compile(a - b * c, inputs=[c, a, b])
    assert g(3.0, 7.0, 2.0) == g(3.0, a=7.0, b=2.0) == 1
    with pytest.raises(FeedError, match=r"4 positional feeds .* takes 'a', 'b', 'c'"):
        f(1, 2, 3, 4)
    with pytest.raises(FeedError, match="'a' was fed twice: by position and by name"):
        f(1.0, a=1.0, b=1.0, c=1.0)


@pytest.mark.parametrize("mode", MODES)
def test_inputs_that_nothing_needs(mode):
    x = Placeholder("x", ("N",), "float64")
    spare, fixed = Placeholder("spare"), Placeholder("fixed", (2, "K"), "int32")
    f = compile(x * 2, inputs=[fixed, x, spare], mode=mode)
    for value in (3, np.ones((2, 2)), np.ones(4, bool)):
        np.testing.assert_array_equal(f(np.ones((2, 5), "i4"), [1.0, 2.0], value), [2, 4])
    with pytest.raises(FeedError, match="'fixed' has extent 3 along axis 0, but 2 is declared"):
        f(np.ones((3, 5), "i4"), [1.0], 1)


def test_inputs_must_be_placeholders_and_complete():
    x, y = Placeholder("x", (), "float64"), Placeholder("y", (), "float64")
    with pytest.raises(FeedError, match=rf"inputs leaves out 'y' \(.*made at {HERE}"):
        compile(x + y, inputs=[x])
    with pytest.raises(GraphError, match=f"names a placeholder twice{HERE}"):
        compile(x, inputs=[x, x])
    with pytest.raises(GraphError, match=f"inputs are placeholders, not <add{HERE}"):
        compile(x + y, inputs=[x, x + y])
    with pytest.raises(GraphError, match="inputs are placeholders, not 'x'"):
        compile(x, inputs=["x"])


@pytest.mark.parametrize("name", ["self", "args", "feeds", "class", "lambda", "None", "def", "if"])
def test_names_that_mean_something_to_python(name):
    f = compile(Placeholder(name, (), "float64") + Placeholder("other", (), "float64"))
    assert f(**{name: 1.0, "other": 2.0}) == 3
    assert f(1.0, 2.0) == 3


def test_two_placeholders_of_one_name():
    first = Placeholder("same", (), "float64")
    with pytest.raises(GraphError, match=rf"two placeholders are called 'same'{HERE}.*and{HERE}"):
        compile(first + Placeholder("same", (), "float64"))
    assert compile(first + first)(same=2.0) == 4


@pytest.mark.parametrize("mode", MODES)
def test_a_wrong_rank_is_refused_also_after_a_right_one(mode):
    x = Placeholder("x", ("N",), "float64")
    f = compile(x * 2, mode=mode)
    for _ in range(2):
        with pytest.raises(
            FeedError, match=rf"'x' \(float64\[N\]{HERE}.*has 1 axes, .* shape \(2, 2\)"
        ):
            f(x=np.ones((2, 2)))
        with pytest.raises(FeedError, match=r"has 1 axes, but was fed an array of shape \(\)"):
            f(x=np.array(1.0))
        np.testing.assert_array_equal(f(x=np.ones(2)), [2, 2])


@pytest.mark.parametrize("mode", MODES)
def test_wrong_extents_are_refused_also_after_right_ones(mode):
    x = Placeholder("x", ("N", 3), "float64")
    y = Placeholder("y", ("N",), "float64")
    f = compile(x.sum(axis=1) + y, mode=mode)
    for _ in range(2):
        with pytest.raises(FeedError, match=rf"'x' has extent 4 along axis 1, but 3 is{HERE}"):
            f(x=np.ones((2, 4)), y=np.ones(2))
        with pytest.raises(FeedError, match=rf"'y' has extent 3 .* but N is 2 in 'x'{HERE}"):
            f(x=np.ones((2, 3)), y=np.ones(3))
        np.testing.assert_array_equal(f(x=np.ones((2, 3)), y=np.ones(2)), [4, 4])


def test_two_ranks_of_one_dtype_take_turns():
    a = Placeholder("a")
    f = compile(a * 2)
    for _ in range(3):
        assert f(a=np.ones(3)).shape == (3,)
        assert f(a=np.ones((3, 2))).shape == (3, 2)
        assert f(a=np.ones(())).shape == ()
    assert f.compile_count == 3
