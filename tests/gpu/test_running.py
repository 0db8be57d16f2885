"""Training, calls, memory and control flow on the GPU."""

import pytest

from tests.gpu import calls, states, trained

pytestmark = [
    pytest.mark.gpu,
    # Other libraries on the machine may warn about each other.
    pytest.mark.filterwarnings("default"),
]


@pytest.mark.parametrize("name", trained.MODELS)
def test_training_is_that_of_the_cpu_and_repeats_to_the_bit(gpu, name):
    trained.check_training(gpu, name)


@pytest.mark.parametrize("name", trained.MODELS)
def test_replaying_a_graph_is_running_eagerly(gpu, name):
    trained.check_replay(gpu, name)


@pytest.mark.parametrize(
    "check",
    [
        calls.check_feeds,
        calls.check_torch_feeds,
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
