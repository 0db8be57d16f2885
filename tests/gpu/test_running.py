"""Training, calls, memory and control flow on the GPU."""

import pytest

from tests.gpu import calls, states, trained
from tests.gpu.checks import CHECKS, name_of

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


@pytest.mark.parametrize("check", [calls.check_torch_feeds, *CHECKS], ids=name_of)
def test_on_the_device(gpu, check):
    check(gpu)


def test_saving(gpu, tmp_path):
    states.check_saving(gpu, tmp_path)
