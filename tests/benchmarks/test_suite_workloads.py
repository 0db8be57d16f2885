"""The workloads mean the same in every framework; here they are small."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.cuda.networks import Convolutional, Dense, Recurrent
from benchmarks.cuda.problem import SGD
from benchmarks.suite import with_symgraph, with_twin
from benchmarks.suite.networks import BranchingLoop, SmoothChain, WeightedSoftmax
from benchmarks.suite.peers import OURS, PEERS
from benchmarks.suite.workload import HessianVector, Train, Workload
from benchmarks.suite.workloads import WORKLOADS, workload_of

SMALL = {
    "mlp_small": Dense((1, 10, 1), 20, "sigmoid", labelled=False),
    "mlp_mnist": Dense((8, 16, 5), 12),
    "mlp_wide": Dense((8, 9, 9, 5), 6),
    "cnn_lenet": Convolutional((1, 8), ((4,), (6,)), (16, 5), 3),
    "cnn_vgg_cifar": Convolutional((3, 8), ((4, 4), (6, 6), (8, 8, 8)), (12, 7), 2),
    "lstm_sine": Recurrent(5, 3, 1, 6),
    "lstm_big": Recurrent(3, 2, 4, 8),
    "elementwise": SmoothChain(1001),
    "softmax_layernorm": WeightedSoftmax(12, 9),
    "hvp": Dense((8, 16, 5), 12),
    "cond_loop": BranchingLoop(50, 16),
}
MADE_SMALL = [replace(workload, network=SMALL[workload.name]) for workload in WORKLOADS]


def _results(build, workload, steps=3):
    built = build(workload, workload.data(), 1)
    results = []
    for _ in range(steps):
        result = built.step()
        built.wait()
        results.append([np.array(array) for array in built.read(result)])
    return results


@pytest.mark.parametrize("workload", MADE_SMALL, ids=lambda workload: workload.name)
def test_symgraph_and_the_twin_take_the_same_first_steps(workload):
    expected = _results(with_twin.build, workload)
    for found, wanted in zip(_results(with_symgraph.build, workload), expected, strict=True):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert one.dtype == np.float32
            scale = float(np.abs(other).max())
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("name", ["torch", "jax"])
@pytest.mark.filterwarnings("default")  # Peers warn about their own age.
def test_other_peers_take_the_same_first_steps(name):
    pytest.importorskip(name)
    (peer,) = (peer for peer in PEERS if peer.name == name)
    build = peer.load()
    for workload in MADE_SMALL:
        if workload.name in ("mlp_mnist", "cnn_lenet", "elementwise", "hvp", "cond_loop"):
            expected = _results(with_twin.build, workload)
            for found, wanted in zip(_results(build, workload), expected, strict=True):
                for one, other in zip(found, wanted, strict=True):
                    scale = float(np.abs(other).max())
                    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * scale)


def test_training_moves_the_loss_down():
    trained = [workload for workload in MADE_SMALL if isinstance(workload.task, Train)]
    assert len(trained) == 7
    for workload in trained:
        losses = [float(loss) for (loss,) in _results(with_twin.build, workload, steps=5)]
        assert losses[-1] < losses[0], workload.name


def test_the_gradient_of_the_chain_is_that_of_its_closed_form():
    workload = replace(MADE_SMALL[7], network=SmoothChain(5))
    ((_, gradient),) = _results(with_symgraph.build, workload, steps=1)
    x = np.linspace(-3, 3, 5)

    def chain(x):
        inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
        return np.exp(np.sin(0.5 * x * (1 + np.tanh(inner)))) / 5

    slope = (chain(x + 1e-6) - chain(x - 1e-6)) / 2e-6
    np.testing.assert_allclose(gradient, slope, rtol=1e-4, atol=1e-6)


def test_the_loop_takes_the_branch_that_the_sum_asks_for():
    workload = Workload("", "", BranchingLoop(3, 2), MADE_SMALL[-1].task)
    # -1 and 1.5, then -1.5 and -0.25, then -1.05 and 0.075, then -0.645 and 0.3675.
    ((value,),) = _results(with_symgraph.build, workload, steps=1)
    assert float(value) == pytest.approx(-0.2775, abs=1e-6)


def test_names_are_unique_and_a_size_may_stand_behind_them():
    names = [workload.name for workload in WORKLOADS]
    assert len(set(names)) == len(names) == 11
    assert set(names) == set(SMALL)
    assert workload_of("mlp_mnist@7").network.batch == 7
    assert workload_of("lstm_sine@9").network.steps == 9
    assert workload_of("hvp").task == HessianVector()
    with pytest.raises(KeyError, match="cond_loop does not grow"):
        workload_of("cond_loop@3")
    with pytest.raises(KeyError, match="nothing"):
        workload_of("nothing")


def test_a_floor_counts_products_and_what_is_read_and_written():
    dense = Dense((3, 5, 2), 4)
    trained = Workload("", "", dense, Train(SGD(0.1))).floor()
    assert trained.bytes == 4 * 12 + 8 * 4 + 2 * 4 * 32
    assert trained.operations == 2 * 4 * (2 * 3 * 5 + 3 * 5 * 2)
    curved = Workload("", "", dense, HessianVector()).floor()
    assert curved.operations == trained.operations * 3 // 2
    assert workload_of("elementwise").floor().bytes == 2 * 4 * (1 << 22)


def test_peers_have_names_of_their_own_and_symgraph_is_the_first():
    names = [peer.name for peer in PEERS]
    assert names[0] == OURS
    assert len(set(names)) == len(names)
