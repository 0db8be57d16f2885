"""How kernels become machine code, and what happens where a recording does not succeed."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import DeviceError
from symgraph.runtime import cache, jit
from symgraph.runtime.cuda import device, frame
from symgraph.runtime.cuda.modules import OPTIONS
from symgraph.runtime.cuda.walk import walk


@pytest.fixture
def compiled(cuda, monkeypatch):
    """Return a list to which the options of every compilation are added."""
    given = []
    real = cuda.cupy.cuda.compiler.compile_using_nvrtc

    def compile_using_nvrtc(source, options):
        given.append(options)
        return real(source, options)

    monkeypatch.setattr(cuda.cupy.cuda.compiler, "compile_using_nvrtc", compile_using_nvrtc)
    cache.clear()
    return given


def _run():
    x = sg.Placeholder("x", (3,), "float32")
    return sg.compile(x * 2 + 1, device="cuda")(x=np.ones(3, "float32"))


def test_machine_code_is_kept_on_the_disk(compiled):
    found = jit.statistics().disk_hits
    np.testing.assert_array_equal(_run(), 3)
    assert compiled == [OPTIONS]
    device._devices.clear()
    np.testing.assert_array_equal(_run(), 3)
    assert compiled == [OPTIONS]
    assert jit.statistics().disk_hits == found + 1


@pytest.mark.parametrize("what", ["version of the compiler", "capability"])
def test_other_machine_code_is_not_taken(cuda, compiled, monkeypatch, what):
    _run()
    device._devices.clear()
    if what == "capability":
        cuda.machine.capability = "75"
    else:
        monkeypatch.setattr(cuda.cupy.cuda.nvrtc, "getVersion", lambda: (0, 1))
    _run()
    assert len(compiled) == 2


def test_without_a_compiler_there_are_no_kernels(cuda, monkeypatch):
    def missing():
        raise RuntimeError("no nvrtc")

    monkeypatch.setattr(cuda.cupy.cuda.nvrtc, "getVersion", missing)
    with pytest.raises(DeviceError, match=r"need NVRTC, which does not load: no nvrtc(.|\n)*\[ctk"):
        _run()


@pytest.mark.parametrize("when", ["during the recording", "at its end"])
def test_a_recording_that_is_broken_off_is_made_up_for(cuda, monkeypatch, when):
    total = sg.State(np.zeros(3, "float32"), "total")
    x = sg.Placeholder("x", (3,), "float32")
    add = sg.compile(total + x, updates={total: total + x}, device="cuda")
    ones = np.ones(3, "float32")
    add(x=ones)

    def broken(rows, opened):
        walk(rows, opened)
        for queue in cuda.machine.queues.values():
            if queue.captured is not None and when == "at its end":
                queue.invalid = True
            elif queue.captured is not None:
                opened.synchronize()

    with monkeypatch.context() as patch:
        patch.setattr(frame, "walk", broken)
        np.testing.assert_array_equal(add(x=ones), 2)
    assert cuda.counts["graph_launch"] == 0
    np.testing.assert_array_equal(add(x=ones), 3)
    assert cuda.counts["graph_launch"] == 1
    np.testing.assert_array_equal(total.value, 3)
