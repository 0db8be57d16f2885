"""Fused regions as CUDA C, emulated, against NumPy: every mode, odd sizes, memory as it comes."""

import re
import shutil
import subprocess

import numpy as np
import pytest

import symgraph as sg
from symgraph.interpret import evaluate
from symgraph.leaves import Placeholder
from symgraph.ops.identity import CHECK_INDEX
from symgraph.ops.index_leaves import arange
from tests.cuda.region_harness import FIRST_CODE, Program, Run, load

SIZES = [(1, 1), (3, 5), (31, 33), (32, 32), (33, 31), (2, 1000), (1000, 2), (64, 256), (3, 6002)]
EMPTY = [(0, 0), (0, 7), (7, 0)]
THIRD = 3


def leaf(name, *dims, dtype="float32"):
    return Placeholder(name, dims, dtype)


X, Y = leaf("x", "N", "C"), leaf("y", "C", "N")
B, Z = leaf("b", "C"), leaf("z", "N", "C", dtype="float64")
W, J = leaf("w", THIRD, "N", "C"), leaf("i", "N", "C", dtype="int32")
L, T = leaf("l", "N", "C", dtype="int64"), leaf("t", "N", "C", dtype="bool")
S, V = leaf("s"), leaf("v", "N", 1)


def layer_norm(x, axis):
    centred = x - sg.mean(x, axis=axis, keepdims=True)
    return centred / sg.sqrt(sg.mean(centred * centred, axis=axis, keepdims=True) + 1e-5)


def normalised(x):
    # Two reductions one after another over all axes but the first, as in a batch's statistics.
    most = sg.max(x, axis=(1, 2), keepdims=True)
    return sg.exp(x - most) / sg.sum(sg.exp(x - most), axis=(1, 2), keepdims=True)


ELEMENTWISE = {
    "one loop": lambda: [sg.maximum(X * 2.0 + Z, 0.0)],
    "a row spread": lambda: [sg.tanh(X + B) * S],
    "a column spread": lambda: [X * V],
    "transposed": lambda: [X + sg.transpose(Y)],
    "all transposed": lambda: [sg.transpose(X) * 2.0 + Y],
    "colours": lambda: [sg.transpose(W, (1, 2, 0)) * 0.5],
    "permuted": lambda: [sg.transpose(W, (2, 0, 1)) * 2.0],
    "three loops": lambda: [W * B + V],
    "inner part": lambda: [X[1:, 1:] + X[:-1, :-1]],
    "every second": lambda: [X[:, ::2] * 3.0],
    "backwards": lambda: [X[::-1, ::-1] - X],
    "dtypes": lambda: [X + Z, X > Z, sg.where(T, J, L), ~T],
    "bytes": lambda: [T & ~T, T | T],
    "index": lambda: [sg.where(arange(X.shape[1]) > arange(X.shape[0])[:, None], X, 0.5)],
    "long": lambda: [sg.sin(sg.tanh(X)) ** 2.5 + sg.arctan2(X, X + 1.0)],
    "heads": lambda: [sg.transpose(sg.reshape(W, (3, -1, 1, 5)), (0, 2, 1, 3)) + 1.0],
}
ROWS = {
    "sum": lambda: [sg.sum(X, axis=1), sg.max(X, axis=1)],
    "sum of a product": lambda: [sg.sum(X * B, axis=1, keepdims=True) * S],
    "softmax": lambda: [sg.softmax(X, axis=1)],
    "log softmax": lambda: [sg.log_softmax(X, axis=1)],
    "softmax of a transpose": lambda: [sg.softmax(sg.transpose(Y), axis=1) + X],
    "layer norm": lambda: [layer_norm(X, 1)],
    "layer norm in float64": lambda: [layer_norm(Z, 1)],
    "integers": lambda: [sg.sum(J, axis=1), sg.prod(L, axis=1), sg.min(J, axis=1)],
    "truth": lambda: [sg.any(T, axis=1), sg.all(T, axis=1), sg.max(T, axis=1)],
    "two loops": lambda: [sg.sum(W, axis=(0, 2)), W + 1.0],
    "two passes over two loops": lambda: [normalised(sg.transpose(W, (1, 0, 2)))],
    "two kept loops": lambda: [sg.sum(sg.transpose(W, (1, 0, 2)) * X[:, None], axis=2)],
    "every second": lambda: [sg.sum(X[:, ::2], axis=1)],
    "index": lambda: [sg.sum(sg.where(arange(X.shape[1]) < L, X, 0.5), axis=1)],
    "part": lambda: [sg.sum(X[:, 1:], axis=1)],
}
WHOLE = {
    "sum": lambda: [sg.sum(X * X)],
    "mean and more": lambda: [sg.mean(Z), sg.max(Z), sg.sum(Z * Z)],
    "with an output": lambda: [sg.sum(X * B), X * B],
    "part": lambda: [sg.sum(X[:, 1:]) * 0.5],
    "transposed": lambda: [sg.sum(X * sg.transpose(Y))],
    "any": lambda: [sg.any(T), sg.sum(L)],
    "small": lambda: [sg.sum(leaf("w", THIRD, "N", "C")[:, :1, 0] * 2.0)],
}
COLUMNS = {
    "sum": lambda: [sg.sum(X * X, axis=0), sg.min(X, axis=0)],
    "of a transpose": lambda: [sg.sum(sg.transpose(Y), axis=1)],
    "softmax": lambda: [sg.softmax(X, axis=0)],
    "layer norm": lambda: [layer_norm(Z, 0), Z * 2.0],
    "middle": lambda: [sg.sum(W * 2.0, axis=1), sg.prod(W, axis=1)],
    "outer two": lambda: [sg.sum(W * X, axis=(0, 1))],
    "first of three": lambda: [sg.mean(sg.transpose(W, (1, 0, 2))[:, :, 1:], axis=0)],
    "truth": lambda: [sg.all(T, axis=0), sg.sum(T, axis=0)],
    "integers": lambda: [sg.sum(J, axis=0), sg.max(L, axis=0)],
}
SINGLE = {
    "one element": lambda: [sg.exp(S) + sg.sum(S * 2.0)],
    "of ones": lambda: [sg.sum(leaf("o", 1, 1) * S, axis=(0, 1)) + 1.0],
}
CASES = {
    (group, name): build
    for group, builders in {
        "elementwise": ELEMENTWISE, "rows": ROWS, "whole": WHOLE, "columns": COLUMNS, "one": SINGLE,
    }.items()
    for name, build in builders.items()
}  # fmt: skip
UNDEFINED = {
    *((group, name) for group in ("rows", "columns") for name in ("sum", "integers", "truth")),
    *((group, "softmax") for group in ("rows", "columns")),
    *(("rows", name) for name in ("log softmax", "softmax of a transpose")),
    *(("rows", "two passes over two loops"), ("whole", "mean and more"), ("whole", "small")),
    ("elementwise", "heads"),
}
"""What has no value without elements: maxima, and what indexes an element."""


@pytest.fixture(scope="module")
def programs():
    built = {}
    for key, build in CASES.items():
        outputs = build()
        built[key] = outputs, Program(*outputs)
    return load([program for _, program in built.values()]), built


def feeds(n, c, seed=0):
    rng = np.random.default_rng(seed)
    normal = lambda *shape: rng.normal(0, 1, shape).astype("float32")  # noqa: E731
    return {
        "x": normal(n, c), "y": normal(c, n), "b": normal(c), "w": normal(THIRD, n, c),
        "v": normal(n, 1), "z": rng.normal(0, 1, (n, c)), "s": normal(), "o": normal(1, 1),
        "t": rng.random((n, c)) < 0.3,
        "i": rng.integers(-9, 9, (n, c)).astype("int32"), "l": rng.integers(-9, 9, (n, c)),
    }  # fmt: skip


def _compared(programs, key, values, **options):
    module, built = programs
    outputs, program = built[key]
    wanted = {placeholder.name for placeholder in program.graph.inputs}
    values = {name: array for name, array in values.items() if name in wanted}
    found = Run(program, module, values, **options).outputs
    return found, evaluate(outputs, values)


def _expect_close(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        if other.dtype.kind == "f":
            # NumPy adds float32 up in float32, which gets worse than what is tested.
            rtol, atol = (3e-5, 3e-4) if other.dtype == np.float32 else (1e-12, 1e-12)
            np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)
        else:
            np.testing.assert_array_equal(one, other)


def _bits(arrays):
    return [array.tobytes() for array in arrays]


@pytest.mark.parametrize("key", CASES, ids="-".join)
def test_regions_compute_what_numpy_does(programs, key):
    for n, c in SIZES:
        if "heads" in key:
            c = 5
        found, expected = _compared(programs, key, feeds(n, c))
        _expect_close(found, expected)


@pytest.mark.parametrize("key", CASES, ids="-".join)
def test_bits_depend_neither_on_order_nor_on_alignment(programs, key):
    for n, c in [(33, 64), (3, 6001), (5, 4)]:
        if "heads" in key:
            c = 5
        values = feeds(n, c)
        found = _bits(_compared(programs, key, values)[0])
        assert found == _bits(_compared(programs, key, values, reverse=True)[0])
        assert found == _bits(_compared(programs, key, values, shift=1)[0])
        assert found == _bits(_compared(programs, key, values, shift=2)[0])


@pytest.mark.parametrize("key", [key for key in CASES if key not in UNDEFINED], ids="-".join)
def test_regions_without_elements(programs, key):
    for n, c in EMPTY:
        with np.errstate(all="ignore"):
            found, expected = _compared(programs, key, feeds(n, c))
        _expect_close(found, expected)


def test_a_row_is_the_same_in_any_batch(programs):
    for key in (("rows", "softmax"), ("rows", "sum")):
        for c in (7, 100, 1024):
            values = feeds(70, c)
            (whole, *_), _ = _compared(programs, key, values)
            for row in (0, 69):
                one = values | {"x": values["x"][row : row + 1]}
                (alone, *_), _ = _compared(programs, key, one)
                assert alone.tobytes() == whole[row : row + 1].tobytes()


def test_nan_and_infinity_go_through(programs):
    values = feeds(40, 50)
    values["x"][3, 4], values["x"][5, 6], values["x"][7, :] = np.nan, np.inf, -np.inf
    for key in (("rows", "sum"), ("columns", "sum"), ("rows", "softmax"), ("columns", "softmax")):
        with np.errstate(all="ignore"):
            found, expected = _compared(programs, key, values)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
            np.testing.assert_array_equal(np.isinf(one), np.isinf(other))


def test_an_output_may_lie_over_its_input(programs):
    module, built = programs
    for size in SIZES:
        values = feeds(*size)
        program = built["elementwise", "a row spread"][1]
        given = {name: values[name] for name in ("x", "b", "s")}
        (apart,) = Run(program, module, given).outputs
        for reverse in (False, True):
            (over,) = Run(program, module, given, in_place="x", reverse=reverse).outputs
            assert over.tobytes() == apart.tobytes()


@pytest.fixture(scope="module")
def checked():
    index = CHECK_INDEX(J, 7)
    program = Program(index * 2, leaf("p", "N", "C", dtype="int32") ** J)
    return load([program]), program


@pytest.mark.parametrize("probe", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (40, 64)])
def test_problems_are_reported(checked, size, probe):
    module, program = checked
    good = {"i": np.full(size, 3, "int32"), "p": np.full(size, 2, "int32")}
    run = Run(program, module, good, probe=probe)
    assert run.status[0] == 0
    for shift in (0, 1):
        for value in (-1, 7):
            bad = {name: array.copy() for name, array in good.items()}
            bad["i"][-1, -1] = value
            run = Run(program, module, bad, probe=probe, shift=shift)
            assert run.status[0] >= FIRST_CODE


def test_a_probe_writes_nothing(checked):
    module, program = checked
    values = {"i": np.full((4, 8), 3, "int32"), "p": np.full((4, 8), 2, "int32")}
    untouched = np.frombuffer(b"Z" * 128, "int32").reshape(4, 8)
    for output in Run(program, module, values, probe=True).outputs:
        np.testing.assert_array_equal(output, untouched)


def test_threads_walk_along_what_lies_dense(programs):
    _, built = programs

    def head(*key):
        return built[key][1].texts[0].splitlines()[0]

    assert "turned=(0, {" in head("elementwise", "transposed")
    assert "turned=None elementwise" in head("elementwise", "colours")
    assert "turned=None elementwise vector=1" in head("elementwise", "every second")
    # A row reduction of a transposed array goes down the columns of that array.
    assert "turned=None leading vector=0" in head("columns", "of a transpose")
    assert "turned=None trailing vector=1" in head("rows", "sum")


def _launches(programs, key, sizes):
    (kernel, signature) = next(iter(programs[1][key][1].kernels.values()))
    for extents in sizes:
        words = [0] * len(signature.slots)
        words[: len(extents)] = extents
        yield kernel.launch(words)


def test_launches_follow_from_extents(programs):
    rows = [(0, 5), (1, 0), (10, 10), (10, 4096), (10**6, 4096), (1, 10**7)]
    found = list(_launches(programs, ("rows", "sum"), rows))
    assert [launch.grid[0] for launch in found] == [0, 1, 3, 10, 10**6, 1]
    assert [launch.block[0] for launch in found] == [8, 1, 16, 512, 512, 512]
    columns = [(0, 5), (3, 10**6), (64, 10**6), (10**4, 10**4), (64, 1), (10**6, 7)]
    found = list(_launches(programs, ("columns", "sum"), columns))
    assert [launch.grid[0] for launch in found] == [0, 2, 32, 313, 1, 7813]
    assert [launch.block[:2] for launch in found] == [
        (1, 1), (2, 256), (2, 256), (32, 16), (64, 1), (128, 1),
    ]  # fmt: skip
    flat = [(0, 0), (1, 1), (1000, 1000), (10**6, 10**4)]
    found = list(_launches(programs, ("elementwise", "a row spread"), flat))
    assert [launch.grid[0] for launch in found] == [0, 1, 977, 4882813]
    for launch in found:
        assert launch.block[0] <= 256
        assert launch.shared == 0


def test_many_operands_are_taken_one_element_at_a_time():
    total = X
    for number in range(30):
        total = total + leaf(f"x{number}", "N", "C")
    program = Program(total)
    ((kernel, _),) = program.kernels.values()
    assert "Pack<" not in kernel.code
    values = {"x": np.ones((5, 8), "float32")}
    values |= {f"x{number}": np.full((5, 8), number, "float32") for number in range(30)}
    (found,) = Run(program, load([program]), values).outputs
    np.testing.assert_array_equal(found, np.full((5, 8), 436, "float32"))


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs the CUDA compiler")
@pytest.mark.parametrize("target", ["-arch=sm_75 -ptx", "-arch=sm_90 -cubin -Xptxas -v"])
def test_the_compiler_for_gpus_takes_them(programs, target, tmp_path):
    source = tmp_path / "regions.cu"
    source.write_text(programs[0].code)
    options = ["--fmad=false", "-std=c++17", *target.split(), "-o", str(tmp_path / "made")]
    command = ["nvcc", *options, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Packs are in registers, and these are enough but for a word, where more would cost threads.
    assert all(int(size) <= 8 for size in re.findall(r"(\d+) bytes stack frame", done.stderr))
