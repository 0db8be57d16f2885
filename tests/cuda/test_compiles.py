"""Every generated source compiles with CUDA's compiler, with the options of the product."""

import re

import pytest

import symgraph
from symgraph.runtime.cuda.modules import OPTIONS, ModuleTable
from symgraph.runtime.cuda.prelude import PRELUDE
from symgraph.runtime.cuda.source import CudaCall
from tests.cuda.compilers import RejectedError, cuda_compiler
from tests.cuda.op_cases import ELEMENTWISE, OTHERS, elementwise_cases, other_cases
from tests.cuda.small_models import NAMES, training_step

BATCH = 100
ROUNDING = re.compile(r"\.(approx|full|ftz)\b")
FLOAT_ATOMIC = re.compile(r"\b(atom|red)\.[\w.]*\.(f16|bf16|f32|f64)\b")

pytestmark = pytest.mark.skipif(
    cuda_compiler() is None, reason="neither NVRTC nor nvcc is installed"
)


@pytest.fixture
def kernels(cuda, monkeypatch):
    """Return a dict, to which the code of all kernels that are compiled is added."""
    found = {}

    def load(_, entries):
        for entry in entries:
            for kernel in entry.kernels if isinstance(entry, CudaCall) else (entry,):
                found[kernel.name] = kernel.code
        return 0

    monkeypatch.setattr(ModuleTable, "load", load)
    return found


def _compile(code, architecture):
    """Compile kernels, many at a time, and look for what they must not do."""
    names = list(code)
    for start in range(0, len(names), BATCH):
        part = names[start : start + BATCH]
        ptx = cuda_compiler().ptx(PRELUDE + "".join(map(code.get, part)), OPTIONS, architecture)
        assert all(f".entry {name}(" in ptx for name in part)
        assert not ROUNDING.search(ptx)
        assert not FLOAT_ATOMIC.search(ptx)


@pytest.mark.parametrize("architecture", ["compute_75", "compute_90"])
def test_kernels_of_all_ops(kernels, architecture):
    cases = [elementwise_cases(op) for op in ELEMENTWISE]
    for is_open in (False, True):
        cases += [other_cases(op, open_extents=is_open) for op in OTHERS]
    for group in filter(None, cases):
        symgraph.compile([case.node for case in group], device="cuda")
    assert len(kernels) > 500
    _compile(kernels, architecture)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_kernels_of_models(kernels, precision):
    for name in NAMES:
        training_step(name).compiled("cuda", precision=precision)
        training_step(name).compiled("cuda", check_finite=True)
    _compile(kernels, "compute_90")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("return nothing;", "nothing"),
        ("int never_used = 3;", "never_used"),
        ('asm volatile("");  std::max(1, 2);', "std"),
    ],
)
def test_the_compiler_is_heard(statement, message):
    code = f'{PRELUDE}\nextern "C" __global__ void k(long long guard) {{ {statement} }}'
    with pytest.raises(RejectedError, match=message):
        cuda_compiler().ptx(code, OPTIONS, "compute_75")


def test_the_patterns_find_what_they_look_for():
    assert ROUNDING.search("ex2.approx.ftz.f32 %f1, %f2;")
    assert ROUNDING.search("div.full.f32 %f1, %f2;")
    assert not ROUNDING.search("div.rn.f32 %f1, %f2; fma.rn.f64 %fd1, %fd2;")
    assert FLOAT_ATOMIC.search("atom.global.add.f32 %f1, [%rd1], %f2;")
    assert FLOAT_ATOMIC.search("red.global.add.f64 [%rd1], %fd1;")
    assert not FLOAT_ATOMIC.search("atom.global.max.s64 %rd1, [%rd2], %rd3;")
