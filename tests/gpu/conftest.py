"""The fixture `gpu`: the first GPU of the machine; tests that name it are skipped without one."""

import numpy as np
import pytest

import symgraph as sg
from tests.gpu.machine import Gpu


@pytest.fixture(scope="session")
def gpu():
    """Return the GPU."""
    # CuPy may be installed and fail to load.
    cupy = pytest.importorskip(
        "cupy", reason="needs CuPy, which cannot be loaded", exc_type=ImportError
    )
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"needs a CUDA device: {error}")
    if not count:
        pytest.skip("needs a CUDA device, and there is none")
    return Gpu(cupy, native=_compiles_for_the_cpu())


def _compiles_for_the_cpu():
    """Say whether numba is there and goes with NumPy's version."""
    x = sg.Placeholder("x", ("N",), "float32")
    try:
        sg.compile(sg.exp(x))(x=np.ones(3, "float32"))
    except (ImportError, sg.CompileError):
        return False
    return True
