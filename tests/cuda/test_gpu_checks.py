"""The checks of `tests/gpu` themselves, on an emulated GPU, small."""

import pytest

from tests.gpu import registry, states, trained
from tests.gpu.checks import CHECKS, name_of
from tests.gpu.machine import Gpu

FEW_ELEMENTWISE = ("add", "exp", "cast")
FEW_OTHERS = ("sum", "matmul", "embedding", "softmax", "cumsum")


@pytest.fixture
def gpu(cuda_machine):
    """Return an emulated GPU; there is another one beside it."""
    return Gpu(cuda_machine(devices=2).cupy, quick=True)


@pytest.mark.parametrize("name", FEW_ELEMENTWISE)
def test_elementwise_ops(gpu, name):
    (op,) = (op for op in registry.ELEMENTWISE if op.name == name)
    registry.check_elementwise(gpu, op)
    registry.check_broadcast(gpu, op)


@pytest.mark.parametrize("name", FEW_OTHERS)
def test_other_ops(gpu, name):
    (op,) = (op for op in registry.OTHERS if op.name == name)
    registry.check_samples(gpu, op)


@pytest.mark.parametrize("name", trained.MODELS)
def test_training(gpu, name):
    trained.check_training(gpu, name)
    trained.check_replay(gpu, name)


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_on_the_device(gpu, check):
    check(gpu)


def test_saving(gpu, tmp_path):
    states.check_saving(gpu, tmp_path)
