"""The rows of the GPU suite mean the same in every framework; here all of them run on the CPU."""

import dataclasses
import types

import numpy as np
import pytest

from benchmarks.case import Settings
from benchmarks.cuda import with_cupy, with_jax, with_symgraph, with_torch
from benchmarks.cuda.networks import Convolutional, Dense, Elementwise, Recurrent
from benchmarks.cuda.peers import OURS, PEERS, REFERENCES
from benchmarks.cuda.problem import SGD, Problem
from benchmarks.cuda.problems import AHEAD, NEAR, PROBLEMS, RIVALS
from tests.benchmarks.small_problems import PROBLEMS_MADE_SMALL, SMALL

SETTINGS = Settings(threads=1, device="cpu")
BUILDS = {
    "symgraph": (None, with_symgraph.build_from_host),
    "torch": ("torch", with_torch.build),
    "jax": ("jax", with_jax.build),
}


def _results(build, problem, steps=3):
    run = build(problem, SETTINGS)
    return [run.read(run.step()) for _ in range(steps)]


@pytest.mark.parametrize("peer", BUILDS)
@pytest.mark.parametrize("problem", PROBLEMS_MADE_SMALL, ids=lambda problem: problem.name)
@pytest.mark.filterwarnings("default")  # Peers warn about their own age.
def test_all_peers_compute_the_same(peer, problem):
    module, build = BUILDS[peer]
    if module:
        pytest.importorskip(module)
    expected = _results(with_cupy.build, problem)
    for found, wanted in zip(_results(build, problem), expected, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=1e-7)


def test_losses_fall():
    for problem in PROBLEMS_MADE_SMALL:
        if problem.rule is not None:
            losses = _results(with_cupy.build, problem, steps=5)
            assert losses[-1] < losses[0], problem.name


def test_the_twin_computes_with_the_arrays_of_another_module():
    used = set()

    class Recorded(types.ModuleType):
        def __getattr__(self, name):
            used.add(name)
            return getattr(np, name)

    for problem in PROBLEMS_MADE_SMALL:
        run = with_cupy.build_with(problem, Recorded("arrays"))
        (expected,) = _results(with_cupy.build, problem, steps=1)
        np.testing.assert_array_equal(run.read(run.step()), expected)
    assert {"asarray", "exp", "matmul", "maximum", "zeros", "eye", "broadcast_to"} <= used


def test_rows_and_peers_have_names_of_their_own():
    assert {problem.name for problem in PROBLEMS} == set(SMALL)
    names = [peer.name for peer in PEERS]
    assert len(set(names)) == len(names)
    assert {OURS, *REFERENCES, *RIVALS} <= set(names)
    assert AHEAD.keys() == NEAR.keys() == set(RIVALS)


def test_a_floor_counts_products_and_what_is_read_and_written():
    dense = Problem("", "", Dense((3, 5, 2), 4), SGD(0.1))
    # x (4, 3) and labels (4,), 32 parameters read and written, the loss.
    assert dense.floor.bytes == 4 * 12 + 8 * 4 + 2 * 4 * 32 + 4
    # The first layer's input needs no gradient.
    assert dense.floor.operations == 2 * 4 * (2 * 3 * 5 + 3 * 5 * 2)
    plain = Problem("", "", Elementwise(10), None)
    assert (plain.floor.bytes, plain.floor.operations) == (3 * 40, 100)
    recurrent = Recurrent(7, 2, 3, 5)
    assert recurrent.operations == 2 * 14 * (2 * 3 * 20 + 3 * 5 * 20 + 3 * 5 * 3)
    images = Convolutional((2, 8), ((3,),), (4,), 5)
    first = 2 * 2 * 9 * 2 * 3 * 64 * 5
    assert images.operations == first + 3 * 2 * 5 * (3 * 16) * 4


def test_the_frozen_rows_cannot_be_changed_by_accident():
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        PROBLEMS[0].tolerance = 1.0
