import os
import random
import subprocess
import sys
import threading

import numpy as np
import pytest

from symgraph.runtime import cache, jit
from symgraph.runtime.loader import ObjectFormatError, load_object
from tests.runtime.kernels import KERNEL_TYPE, pointers, scale_source

WARM = """
import sys
from tests.runtime.kernels import scale_source
from symgraph.runtime import jit, native
jit.get_kernel(scale_source(11.0))
native.address("run")
print(jit.statistics().disk_hits, "numba" in sys.modules, "llvmlite" in sys.modules)
"""


def run_scale(address, size=37, lo=0, hi=None):
    x, y = np.linspace(-2, 2, size), np.zeros(size)
    KERNEL_TYPE(address)(pointers(x, y).ctypes.data, lo, size if hi is None else hi)
    return x, y


def test_a_kernel_computes():
    x, y = run_scale(jit.get_kernel(scale_source(5.0)))
    np.testing.assert_array_equal(y, x * 5.0 + x)


def test_a_slice_touches_nothing_else():
    x, y = run_scale(jit.get_kernel(scale_source(5.0)), lo=3, hi=9)
    expected = np.zeros_like(x)
    expected[3:9] = x[3:9] * 5.0 + x[3:9]
    np.testing.assert_array_equal(y, expected)


def test_a_kernel_is_compiled_once():
    before = jit.statistics()
    addresses = {jit.get_kernel(scale_source(6.0)) for _ in range(5)}
    after = jit.statistics()
    assert len(addresses) == 1
    assert after.compiled == before.compiled + 1
    assert after.memory_hits == before.memory_hits + 4


def test_forgotten_kernels_come_from_disk():
    first = jit.get_kernel(scale_source(7.0))
    before = jit.statistics()
    jit.forget()
    second = jit.get_kernel(scale_source(7.0))
    assert jit.statistics().compiled == before.compiled
    assert jit.statistics().disk_hits == before.disk_hits + 1
    np.testing.assert_array_equal(run_scale(first)[1], run_scale(second)[1])


def test_racing_threads_compile_once():
    before, found = jit.statistics().compiled, []
    barrier = threading.Barrier(8)

    def request():
        barrier.wait()
        found.append(jit.get_kernel(scale_source(8.0)))

    threads = [threading.Thread(target=request) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert jit.statistics().compiled == before + 1


def test_a_rejected_kernel_raises_one_type_with_the_details():
    def build(builder, args, lo, hi):
        builder.add(lo, args)

    with pytest.raises(jit.KernelBuildError, match="rejected") as caught:
        jit.get_kernel(jit.KernelSource("test bad", build))
    assert "ValueError" in caught.value.details


@pytest.mark.parametrize(
    ("form", "part"), [("listing", "y = x"), ("llvm", "fmul"), ("assembly", "ret")]
)
def test_a_kernel_can_be_read(form, part):
    assert part in jit.kernel_text(scale_source(9.0), form)


def test_an_unknown_form_is_named():
    with pytest.raises(ValueError, match="unknown form 'ptx'"):
        jit.kernel_text(scale_source(9.0), "ptx")


def test_a_warm_process_needs_neither_numba_nor_llvmlite():
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    for _ in range(2):
        result = subprocess.run(
            [sys.executable, "-c", WARM],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["2", "False", "False"]


def test_library_calls_that_llvm_invents_are_resolved():
    def build(builder, args, lo, hi):
        from llvmlite import ir
        from numba.core import cgutils

        word, byte = ir.IntType(64), ir.IntType(8)
        x, y = (
            builder.inttoptr(builder.load(builder.gep(args, [word(k)])), byte.as_pointer())
            for k in (0, 1)
        )
        size = builder.sub(hi, lo)
        cgutils.raw_memcpy(builder, y, x, size, word(1))

    address = jit.get_kernel(jit.KernelSource("test memcpy", build))
    jit.forget()
    assert jit.get_kernel(jit.KernelSource("test memcpy", build)) != address
    x, y = np.arange(100, dtype=np.uint8), np.zeros(100, np.uint8)
    KERNEL_TYPE(address)(pointers(x, y).ctypes.data, 0, 90)
    np.testing.assert_array_equal(y, np.where(np.arange(100) < 90, x, 0))


def test_both_loaders_place_the_same_object():
    from symgraph.runtime.loader import _load_with_llvm

    compiled = jit.compile_kernel(scale_source(10.0))
    own = run_scale(load_object(compiled.code, compiled.symbol))
    general = run_scale(_load_with_llvm(compiled.code, compiled.symbol))
    np.testing.assert_array_equal(own, general)


def test_a_missing_symbol_is_reported():
    compiled = jit.compile_kernel(scale_source(10.0))
    with pytest.raises(ObjectFormatError, match="does not define 'nothing'"):
        load_object(compiled.code, "nothing")


def test_without_a_disk_cache_kernels_still_compile(monkeypatch):
    monkeypatch.setenv("SYMGRAPH_CACHE", "0")
    x, y = run_scale(jit.get_kernel(scale_source(12.0)))
    np.testing.assert_array_equal(y, x * 12.0 + x)
    assert not cache.stats().enabled


def test_damaged_entries_never_change_a_result(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMGRAPH_CACHE_DIR", str(tmp_path / "cache"))
    source = scale_source(13.0)
    jit.get_kernel(source)
    (entry,) = (tmp_path / "cache").iterdir()
    data = entry.read_bytes()
    chooser = random.Random(2)
    for trial in range(12):
        damaged = bytearray(data)
        if trial % 2:
            del damaged[chooser.randrange(len(data)) :]
        else:
            damaged[chooser.randrange(len(data))] ^= 1 << chooser.randrange(8)
        entry.write_bytes(damaged)
        jit.forget()
        compiled = jit.statistics().compiled
        x, y = run_scale(jit.get_kernel(source))
        np.testing.assert_array_equal(y, x * 13.0 + x)
        assert jit.statistics().compiled == compiled + 1
        assert entry.read_bytes() != bytes(damaged)


def test_damaged_object_code_behind_a_right_checksum_is_rejected():
    code = bytearray(jit.compile_kernel(scale_source(14.0)).code)
    chooser = random.Random(3)
    for length in [*range(0, 64), *(chooser.randrange(len(code)) for _ in range(50))]:
        with pytest.raises(ObjectFormatError, match="damaged object"):
            load_object(bytes(code[:length]), "anything")


def test_processes_race_on_a_cold_cache(tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": os.getcwd(),
        "SYMGRAPH_CACHE_DIR": str(tmp_path / "cache"),
    }
    children = [
        subprocess.Popen(
            [sys.executable, "-c", WARM], env=environment, stderr=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    for child in children:
        _, errors = child.communicate(timeout=120)
        assert (child.returncode, errors) == (0, "")
    files = list((tmp_path / "cache").iterdir())
    assert sorted(file.suffix for file in files) == [".kernel", ".kernel"]
