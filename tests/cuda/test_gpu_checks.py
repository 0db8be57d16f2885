"""The checks of `tests/gpu` themselves, on an emulated GPU, small."""

import pytest

from tests.gpu import calls, registry, states, trained
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


@pytest.mark.parametrize(
    "check",
    [
        calls.check_feeds,
        calls.check_refused_feeds,
        calls.check_results,
        calls.check_streams,
        calls.check_threads,
        calls.check_loader,
        calls.check_other_device,
        calls.check_missing_device,
        calls.check_dropped_function,
        calls.check_replayed_step,
        calls.check_failed_run,
        calls.check_extents,
        states.check_out_of_memory,
        states.check_parameters_move,
        states.check_fork,
        states.check_control,
        states.check_precision,
        states.check_random_numbers,
    ],
    ids=lambda check: check.__name__.removeprefix("check_"),
)
def test_on_the_device(gpu, check):
    check(gpu)


def test_saving(gpu, tmp_path):
    states.check_saving(gpu, tmp_path)
