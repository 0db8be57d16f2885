"""The binding of cuBLAS: against the library's own header, and against a fake of the library."""

import ctypes
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from symgraph.errors import DeviceError
from symgraph.runtime.cuda import cublas
from symgraph.runtime.cuda.cublas import SIGNATURES, WIDE_SIGNATURES, Cublas, Matrices

C_TYPES = {
    "int": ctypes.c_int,
    "int64_t": ctypes.c_longlong,
    "long long int": ctypes.c_longlong,
    "size_t": ctypes.c_size_t,
    "cublasHandle_t": ctypes.c_void_p,
    "cudaStream_t": ctypes.c_void_p,
    "cublasMath_t": ctypes.c_int,
    "cublasOperation_t": ctypes.c_int,
    "cudaDataType": ctypes.c_int,
    "cublasComputeType_t": ctypes.c_int,
    "cublasGemmAlgo_t": ctypes.c_int,
}


@pytest.fixture(scope="module")
def library_path():
    """Return where the wheel nvidia-cublas has put the library."""
    for folder in sys.path:
        found = sorted(Path(folder).glob("nvidia/cu*/lib/libcublas.so.1?"))
        if found:
            return found[-1]
    pytest.skip("the wheel nvidia-cublas is not installed")


@pytest.fixture(scope="module")
def header(library_path):
    """Return the text of the header that the wheel brings."""
    path = library_path.parents[1] / "include" / "cublas_api.h"
    if not path.exists():
        pytest.skip("the wheel nvidia-cublas has no header")
    return path.read_text()


def _parameter_types(header, name):
    found = re.search(rf"cublasStatus_t CUBLASWINAPI {name}\((.*?)\);", header, re.DOTALL)
    assert found, f"the header has no {name}"
    types = []
    for parameter in found.group(1).split(","):
        words = parameter.replace("const ", "").split()
        type_ = " ".join(words[:-1])
        types.append(ctypes.c_void_p if "*" in parameter else C_TYPES[type_])
    return types


@pytest.mark.parametrize("name", [*SIGNATURES, *WIDE_SIGNATURES])
def test_types_are_those_of_the_header(header, name):
    assert {**SIGNATURES, **WIDE_SIGNATURES}[name] == _parameter_types(header, name)


def test_numbers_are_those_of_the_header(header):
    values = dict(re.findall(r"(CUBLAS_\w+) = (-?\d+)", header))
    assert {number: name for number, name in cublas._STATUS.items()} == {
        int(value): name for name, value in values.items() if name in cublas._STATUS.values()
    }
    compute = {
        ("float32", "float32"): "CUBLAS_COMPUTE_32F",
        ("float32", "tf32"): "CUBLAS_COMPUTE_32F_FAST_TF32",
        ("float32", "bfloat16"): "CUBLAS_COMPUTE_32F_FAST_16BF",
    }
    assert {key: int(values[name]) for key, name in compute.items()} == cublas._COMPUTE
    assert int(values["CUBLAS_COMPUTE_64F"]) == cublas._COMPUTE_64F
    assert int(values["CUBLAS_GEMM_DEFAULT"]) == cublas._DEFAULT_ALGORITHM
    assert int(values["CUBLAS_DEFAULT_MATH"]) == cublas._DEFAULT_MATH
    assert (int(values["CUBLAS_OP_N"]), int(values["CUBLAS_OP_T"])) == (0, 1)


def test_the_library_has_all_functions(library_path):
    library = cublas.bound(ctypes.CDLL(str(library_path)))
    for name, types in {**SIGNATURES, **WIDE_SIGNATURES}.items():
        assert getattr(library, name).argtypes == types


def test_the_library_is_found_where_packages_have_put_it(library_path):
    if not cublas._packaged():
        pytest.skip("NVIDIA's finder of libraries is not installed")
    assert hasattr(cublas.load_library(), "cublasGemmStridedBatchedEx")


def test_no_library(monkeypatch):
    def refuse(name, mode=0):
        raise OSError(f"{name}: no such file")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    monkeypatch.setattr(cublas, "_packaged", list)
    with pytest.raises(DeviceError, match=r"cuBLAS, which does not load(.|\n)*libcublas.so.13"):
        cublas.load_library()


def test_a_library_that_is_too_old():
    with pytest.raises(DeviceError, match="has no cublasCreate_v2"):
        cublas.bound(SimpleNamespace())


class _Library:
    """Notes its calls; functions return the statuses that it is given, 0 for others."""

    def __init__(self, wide=True, **statuses):
        self.calls = []
        for name in (*SIGNATURES, *(WIDE_SIGNATURES if wide else ())):
            setattr(self, name, self._function(name, statuses.get(name, 0)))

    def _function(self, name, status):
        def function(*arguments):
            if name == "cublasCreate_v2":
                arguments[0]._obj.value = 77
            self.calls.append((name, arguments))
            return status

        return function


def test_a_handle_gets_its_stream_before_its_workspace():
    library = _Library()
    handle = Cublas(5, 4096, 1024, library)
    names = [name for name, _ in library.calls]
    assert names == [
        "cublasCreate_v2", "cublasSetStream_v2", "cublasSetWorkspace_v2", "cublasSetMathMode",
    ]  # fmt: skip
    assert library.calls[1][1][1] == 5
    assert library.calls[2][1][1:] == (4096, 1024)
    handle.destroy()
    handle.destroy()
    assert [name for name, _ in library.calls].count("cublasDestroy_v2") == 1


def test_arguments_of_a_product():
    library = _Library()
    handle = Cublas(0, 0, 0, library)
    first, second = Matrices(100, 4, 12), Matrices(200, 5, 15, transposed=True)
    handle.gemm_strided_batched(
        "float32", "tf32", (2, 3, 4, 6), (first, second), Matrices(300, 2, 6), beta=1.0
    )
    name, (_, *numbers) = library.calls[-1]
    one, beta = numbers.pop(5), numbers.pop(13)
    assert name == "cublasGemmStridedBatchedEx"
    assert numbers == [
        0, 1, 2, 3, 4, 100, 0, 4, 12, 200, 0, 5, 15, 300, 0, 2, 6, 6, 77, -1,
    ]  # fmt: skip
    assert (one._obj.value, beta._obj.value) == (1.0, 1.0)


def test_a_single_product_may_be_cut_by_the_library():
    library = _Library()
    handle = Cublas(0, 0, 0, library)
    matrices = Matrices(0, 2)
    handle.gemm_strided_batched("float64", "float64", (2, 2, 2, 1), (matrices, matrices), matrices)
    name, numbers = library.calls[-1]
    assert name == "cublasGemmEx"
    assert len(numbers) == len(SIGNATURES[name])


def test_extents_beyond_32_bits():
    long = (1 << 31) + 1
    for count, name in ((1, "cublasGemmEx_64"), (2, "cublasGemmStridedBatchedEx_64")):
        library = _Library()
        matrices = Matrices(0, 2)
        Cublas(0, 0, 0, library).gemm_strided_batched(
            "float32", "float32", (2, long, 2, count), (matrices, matrices), matrices
        )
        assert library.calls[-1][0] == name
    handle = Cublas(0, 0, 0, _Library(wide=False))
    with pytest.raises(DeviceError, match=r"extent 2,147,483,649.*CUDA 12 or newer is needed"):
        handle.gemm_strided_batched(
            "float32", "float32", (2, long, 2, 1), (matrices, matrices), matrices
        )


def test_a_failed_call_names_its_status():
    matrices = Matrices(0, 2)
    for status, name in ((15, "CUBLAS_STATUS_NOT_SUPPORTED"), (99, "an unknown status")):
        handle = Cublas(0, 0, 0, _Library(cublasGemmEx=status))
        with pytest.raises(DeviceError, match=rf"cublasGemmEx returned {name} \({status}\)"):
            handle.gemm_strided_batched(
                "float32", "float32", (2, 2, 2, 1), (matrices, matrices), matrices
            )
    with pytest.raises(DeviceError, match="cublasCreate_v2 returned CUBLAS_STATUS_NOT_INITIALIZED"):
        Cublas(0, 0, 0, _Library(cublasCreate_v2=1))
