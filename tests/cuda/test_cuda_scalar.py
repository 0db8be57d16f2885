"""The scalar code of every elementwise op as CUDA C: the bits are those that NumPy computes."""

import functools
import shutil
import subprocess

import numpy as np
import pytest

from symgraph.compiler.cuda.scalar import MEMORY_TYPE, CudaBuilder, CudaValue, literal
from symgraph.runtime.cuda.prelude import PRELUDE
from symgraph.runtime.plan import Launch, cuda_kernel
from symgraph.scalar.numpy_builder import ArrayValue, NumpyBuilder
from symgraph.types import DTYPES, FLOATS
from tests.cuda.emulator import Emulator
from tests.op_harness import special_operands, special_values, ulp_distance
from tests.test_every_scalar_code import CASES, allowed_operands, ordinary

THREADS = 128
EXTREMES = {
    "float32": [0.0, -0.0, 1.5, -0.1, 1e-45, -3.4e38, np.inf, -np.inf, np.nan],
    "float64": [0.0, -0.0, 1.5, -0.1, 5e-324, -1.7e308, np.inf, -np.inf, np.nan],
    "int32": [0, 1, -1, 2**31 - 1, -(2**31)],
    "int64": [0, 1, -1, 2**63 - 1, -(2**63)],
    "bool": [False, True],
}


def _kernel(code, dtypes):
    """Return a kernel `for i: results = code(operands)` and the dtypes of its results."""
    builder = CudaBuilder()
    builder.flag = lambda condition, kind: None
    operands = [
        CudaValue(builder.emit(dtype, f"at<{MEMORY_TYPE[dtype]}>(a{n})[i]").text, dtype)
        for n, dtype in enumerate(dtypes)
    ]
    results = code(builder, *operands)
    results = results if isinstance(results, tuple) else (results,)
    for number, result in enumerate(results, len(dtypes)):
        builder.note(f"at<{MEMORY_TYPE[result.dtype]}>(a{number})[i] = {result.text};")
    words = len(dtypes) + len(results)
    index = "    const Word i = blockIdx.x * blockDim.x + threadIdx.x;"
    body = f"{index}\n    if (i >= a{words}) return;\n{builder.source()}"
    kernel = cuda_kernel("", body, words + 1, _launch)
    return kernel, tuple(result.dtype for result in results)


def _launch(words):
    return Launch((-(-words[-1] // THREADS), 1, 1), (THREADS, 1, 1))


def _run(module, kernel, dtypes, arrays):
    results = [np.empty(arrays[0].shape, dtype) for dtype in dtypes]
    words = [array.ctypes.data for array in (*arrays, *results)] + [arrays[0].size]
    launch = kernel.launch(words)
    module.launch(kernel.name, launch.grid, launch.block, [*words, 0])
    return results


def _module(kernels):
    return Emulator.load(PRELUDE + "\n".join({k.name: k.code for k, _ in kernels}.values()))


@functools.cache
def _fused():
    """Return kernels of a fused multiply-add, and their module."""
    kernels = {d: _kernel(lambda s, x, y, z: s.fma(x, y, z), (d,) * 3) for d in FLOATS}
    return _module(kernels.values()), kernels


class _Evaluate(NumpyBuilder):
    """Evaluates with NumPy; only what it does not have comes from C's library."""

    def fma(self, x, y, z):
        arrays = np.broadcast_arrays(x.array, y.array, z.array)
        flat = [np.ascontiguousarray(array).ravel() for array in arrays]
        module, kernels = _fused()
        (result,) = _run(module, *kernels[x.dtype], flat)
        return ArrayValue(result.reshape(arrays[0].shape))

    def flag(self, condition, kind):
        pass


@pytest.fixture(scope="module")
def every_op():
    """Return a kernel for each case, all in one module."""
    kernels = {}
    for case in CASES:
        op, attrs, dtypes = case.values
        code = functools.partial(op.kind.scalar, **attrs)
        kernels[op, tuple(attrs.items()), dtypes] = _kernel(code, dtypes)
    return _module(kernels.values()), kernels


def _expect_same_bits(found, expected):
    assert found.dtype == expected.dtype
    assert ulp_distance(found, np.broadcast_to(expected, found.shape)) == 0


@pytest.mark.parametrize(("op", "attrs", "dtypes"), CASES)
def test_every_op_gives_the_bits_of_its_definition(every_op, op, attrs, dtypes):
    module, kernels = every_op
    kernel = kernels[op, tuple(attrs.items()), dtypes]
    rng = np.random.default_rng(5)
    for arrays in (
        special_operands(dtypes),
        tuple(ordinary(rng, dtype, 300) for dtype in dtypes),
        tuple(ordinary(rng, dtype, 0) for dtype in dtypes),
    ):
        operands = [np.ascontiguousarray(array) for array in allowed_operands(op, arrays)]
        if not operands[0].size:
            continue
        (found,) = _run(module, *kernel, operands)
        with np.errstate(all="ignore"):
            expected = op.kind.scalar(_Evaluate(), *map(ArrayValue, operands), **attrs)
        _expect_same_bits(found, expected.array)


def _conversions():
    return [(source, target) for source in DTYPES for target in DTYPES]


def test_conversions_are_those_of_numpy():
    kernels = {
        pair: _kernel(lambda s, x, target=pair[1]: s.convert(x, target), pair[:1])
        for pair in _conversions()
    }
    module = _module(kernels.values())
    edges = [2.0**31, 2.0**31 - 0.5, -(2.0**31) - 0.5, -(2.0**31) - 1, 2.0**63, -(2.0**63), 1e300]
    for (source, target), kernel in kernels.items():
        values = special_values(source)
        with np.errstate(all="ignore"):
            if source in FLOATS:
                values = np.concatenate([values, np.array(edges, source)])
            (found,) = _run(module, *kernel, [values])
            _expect_same_bits(found, values.astype(target))


def test_literals_are_exact():
    kernels = {
        dtype: _kernel(
            lambda s, x, values=values: tuple(s.constant(v, x.dtype) for v in values), (dtype,)
        )
        for dtype, values in EXTREMES.items()
    }
    module = _module(kernels.values())
    for dtype, kernel in kernels.items():
        found = _run(module, *kernel, [np.zeros(1, dtype)])
        expected = np.array(EXTREMES[dtype], dtype)
        assert np.concatenate(found).tobytes() == expected.tobytes()


def test_integers_wrap():
    def code(s, x, y):
        return s.add(x, y), s.sub(x, y), s.mul(x, y), s.neg(x), s.absolute(x)

    kernels = {dtype: _kernel(code, (dtype, dtype)) for dtype in ("int32", "int64")}
    module = _module(kernels.values())
    for dtype, kernel in kernels.items():
        x, y = special_operands((dtype, dtype))
        with np.errstate(all="ignore"):
            expected = (x + y, x - y, x * y, -x, np.abs(x))
        for one, other in zip(_run(module, *kernel, [x, y]), expected, strict=True):
            _expect_same_bits(one, other)


def test_a_loop_sets_its_state_at_once():
    def code(s, x, y):
        return s.repeat(3, lambda state: (state[1], s.add(state[0], state[1])), (x, y))

    kernel = _kernel(code, ("int32", "int32"))
    found = _run(_module([kernel]), *kernel, [np.array([1], "int32"), np.array([1], "int32")])
    assert [array.item() for array in found] == [3, 5]


def test_a_rare_path_is_a_branch():
    builder = CudaBuilder()
    x = CudaValue("x", "float32")
    condition = builder.is_nan(x)
    (chosen,) = builder.select_rare(condition, lambda: (builder.sqrt(x),), (x,))
    lines = [line.strip() for line in builder.lines]
    assert f"if ({condition.text}) {{" in lines
    assert lines.index(f"float {chosen.text} = x;") < lines.index(f"if ({condition.text}) {{")


def test_a_flag_is_a_report():
    builder = CudaBuilder(reports={"bounds": "report(a3, a4);"})
    builder.flag(CudaValue("v", "bool"), "bounds")
    assert builder.source().strip() == "if (v) report(a3, a4);"


def test_literals_are_readable():
    assert literal(0.5, "float32") == "0x1.0000000000000p-1f"
    assert literal(-1, "float64") == "(-0x1.0000000000000p+0)"
    assert literal(-(2**31), "int32") == "(-2147483647 - 1)"
    assert literal(float("nan"), "float32") == "__int_as_float(2143289344)"


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs the CUDA compiler")
def test_the_compiler_for_gpus_takes_all_of_it(every_op, tmp_path):
    source = tmp_path / "every.cu"
    source.write_text(every_op[0].code)
    options = [
        "-ptx",
        "-arch=sm_75",
        "--fmad=false",
        "-std=c++17",
        "-o",
        str(tmp_path / "every.ptx"),
    ]
    done = subprocess.run(
        ["nvcc", *options, str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "fma.rn" in (tmp_path / "every.ptx").read_text()
