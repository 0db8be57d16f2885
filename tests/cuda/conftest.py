"""A GPU that is emulated, for tests that name the fixture `cuda` or `cuda_machine`."""

import sys
from contextlib import contextmanager

import pytest

from tests.cuda import emulator
from tests.cuda.fake_cupy import FakeCupy
from tests.cuda.fake_machine import Machine


class Fake:
    """What tests see: the fake of CuPy, that of cuBLAS, and the machine behind both."""

    def __init__(self, cupy, cublas):
        self.cupy, self.cublas, self.machine = cupy, cublas, cupy.machine

    @property
    def counts(self):
        return self.machine.counts

    @contextmanager
    def reverse(self):
        """Run blocks and threads of kernels backwards."""
        self.machine.check()
        emulator.Emulator.reverse = True
        try:
            yield
            self.machine.check()
        finally:
            emulator.Emulator.reverse = False


@pytest.fixture
def cuda_machine(monkeypatch):
    """Return a function that installs a machine with given devices; see `Machine`."""
    if emulator.compiler() is None:
        pytest.skip("kernels are emulated with g++, and there is none on PATH")
    from symgraph.runtime.cuda import cublas, device
    from tests.cuda.fake_cublas import FakeCublas

    machines = []

    def install(**options):
        machine = Machine(**options)
        machines.append(machine)
        fake = FakeCupy(machine)
        library = FakeCublas(machine)
        monkeypatch.setitem(sys.modules, "cupy", fake)
        monkeypatch.setattr(cublas, "load_library", lambda: cublas.bound(library))
        device._devices.clear()
        return Fake(fake, library)

    yield install
    device._devices.clear()
    for machine in machines:
        machine.check()


@pytest.fixture
def cuda(cuda_machine):
    """Install a machine with one device."""
    return cuda_machine()
