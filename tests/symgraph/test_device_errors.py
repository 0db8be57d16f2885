"""Asking for a GPU where something is missing, and options that make no sense: told at once."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import symgraph as sg
from symgraph.data import DataLoader
from symgraph.layers import Linear
from symgraph.models import MLP
from symgraph.runtime.cuda import device as devices

HERE = r"(?s:.*)\n  at .*test_device_errors\.py:\d+"
X = sg.Placeholder("x", ("N",), "float32")


class CUDARuntimeError(RuntimeError):
    pass


def _cupy(count=1, capability="90", error=None):
    """Return as much of CuPy as is needed to find out what is there."""

    def counted():
        if error is not None:
            raise CUDARuntimeError(error)
        return count

    runtime = SimpleNamespace(CUDARuntimeError=CUDARuntimeError, getDeviceCount=counted)
    kind = SimpleNamespace(compute_capability=capability)
    return SimpleNamespace(cuda=SimpleNamespace(runtime=runtime, Device=lambda index: kind))


@pytest.fixture
def machine(monkeypatch):
    """Return a function that says what CuPy finds; None for no CuPy at all."""
    monkeypatch.setattr(devices, "_devices", {})

    def install(cupy):
        monkeypatch.setitem(sys.modules, "cupy", cupy)

    return install


ASKING = {
    "compile": lambda device: sg.compile(X + 1, device=device),
    "loader": lambda device: DataLoader(np.arange(9.0), 3, device=device),
    "model": lambda device: MLP((2,), in_size=3).compile("sgd", "mse", device=device),
    "parameter": lambda device: sg.Parameter(np.ones(3), "w").to(device),
    "layer": lambda device: Linear(2, 3).to(device),
}


@pytest.mark.parametrize("asking", ASKING)
def test_without_cupy(machine, asking):
    machine(None)
    with pytest.raises(
        sg.DeviceError,
        match=rf"device 'cuda' needs CuPy, which does not load{HERE}\n  install it with: pip inst",
    ):
        ASKING[asking]("cuda")


NO_DRIVER = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime"
NO_DEVICE = "cudaErrorNoDevice: no CUDA-capable device is detected"


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("error", [NO_DRIVER, NO_DEVICE])
def test_without_driver_or_device(machine, asking, error):
    machine(_cupy(error=error))
    with pytest.raises(
        sg.DeviceError, match=rf"device 'cuda:1' cannot be used: {error}.*\n.*nvidia-smi{HERE}"
    ):
        ASKING[asking]("cuda:1")


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize(("count", "listed"), [(0, "none at all"), (2, "'cuda:0', 'cuda:1'")])
def test_a_number_that_no_device_has(machine, asking, count, listed):
    machine(_cupy(count))
    with pytest.raises(
        sg.DeviceError, match=rf"there is no device 'cuda:2': there are {listed}{HERE}"
    ):
        ASKING[asking]("cuda:2")


@pytest.mark.parametrize("asking", ASKING)
def test_a_device_that_is_too_old(machine, asking):
    machine(_cupy(capability="61"))
    with pytest.raises(
        sg.DeviceError,
        match=rf"'cuda:0' has compute capability 6\.1, but at least \d\.\d is needed{HERE}",
    ):
        ASKING[asking]("cuda")


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize(
    "device", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1.0", "CUDA", "cpu:0", "", 5, None, 0]
)
def test_what_is_no_name_of_a_device(machine, asking, device):
    machine(None)
    with pytest.raises(
        sg.DeviceError, match=rf"a device is 'cpu', 'cuda', or 'cuda:1' .* not {device!r}{HERE}"
    ):
        ASKING[asking](device)


def test_a_device_that_is_not_there_is_asked_for_again(machine):
    machine(None)
    with pytest.raises(sg.DeviceError, match="which does not load"):
        sg.compile(X + 1, device="cuda")
    machine(_cupy(0))
    with pytest.raises(sg.DeviceError, match="there are none at all"):
        sg.compile(X + 1, device="cuda")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "tf32"}, "precision='tf32' is for device='cuda'; the CPU always"),
        ({"precision": "bfloat16"}, "precision='bfloat16' is for device='cuda'"),
        ({"precision": "half"}, "precision is 'float32', 'tf32' or 'bfloat16', not 'half'"),
        ({"precision": None}, "precision is .* not None"),
        ({"precision": []}, r"precision is .* not \[\]"),
        ({"results": "device"}, "results='device' is for device='cuda'; the results of a function"),
        ({"results": "cupy"}, "results is 'numpy' or 'device', not 'cupy'"),
        ({"device": "cuda", "results": "cupy"}, "results is 'numpy' or 'device', not 'cupy'"),
        ({"device": "cuda", "precision": "x"}, "precision is 'float32', 'tf32' or .* not 'x'"),
        ({"device": "cuda", "mode": "reference"}, "mode='reference' evaluates with NumPy; it know"),
    ],
)
def test_options_that_make_no_sense(machine, options, message):
    machine(None)
    with pytest.raises(sg.GraphError, match=f"{message}{HERE}"):
        sg.compile(X + 1, **options)


def test_nothing_is_compiled_or_moved_before_the_device_is_known(machine):
    machine(None)
    parameter = sg.Parameter(np.ones(3), "w")
    with pytest.raises(sg.DeviceError, match="needs CuPy"):
        sg.compile(parameter, updates={parameter: parameter + 1}, device="cuda")
    assert parameter.device == "cpu"
    np.testing.assert_array_equal(parameter.value, np.ones(3))


POISONED = 'raise AssertionError("cupy was imported")\n'
PROGRAM = """
import numpy as np
import symgraph as sg
from symgraph.data import DataLoader
from symgraph.models import MLP

x = sg.Placeholder("x", ("N", 3), "float32")
weight = sg.Parameter(np.ones((3, 2), "float32"), "weight")
f = sg.compile(x @ weight, updates={weight: weight * 2}, inputs=[x])
f(np.ones((2, 3), "float32")), f([[1, 2, 3]])
f.explain(), f.profile(x=np.ones((2, 3), "float32")), f.trace(x=np.ones((2, 3), "float32"))
model = MLP((4, 2), in_size=3).compile("adam", "softmax_cross_entropy", ["accuracy"])
loader = DataLoader((np.ones((8, 3), "float32"), np.zeros(8, int)), 4, prefetch=2)
model.fit(loader, epochs=2, verbose=0)
model.evaluate(loader), model.predict(np.ones((2, 3), "float32"))
model.save_weights("weights.npz"), model.load_weights("weights.npz")
weight.to("cpu"), model.to("cpu")
print("done")
"""


def test_the_cpu_never_imports_cupy(tmp_path):
    (tmp_path / "cupy.py").write_text(POISONED)
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), root])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.stdout, ended.stderr) == ("done\n", "")
