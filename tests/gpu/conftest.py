"""The fixture `gpu`: the first GPU of the machine; tests that name it are skipped without one."""

import pytest

from tests.gpu.machine import Gpu


@pytest.fixture(scope="session")
def gpu():
    """Return the GPU."""
    cupy = pytest.importorskip("cupy", reason="needs CuPy, which is not installed")
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"needs a CUDA device: {error}")
    if not count:
        pytest.skip("needs a CUDA device, and there is none")
    return Gpu(cupy)
