"""The harness, on peers whose times and results are known."""

import math
import time

import numpy as np
import pytest

from benchmarks import measure
from benchmarks.case import Case, Peer, Run, Settings

SETTINGS = Settings(threads=1)


def _sleeper(seconds, value=1.0):
    """Return a build function of a peer that takes so long and gives this value."""
    return lambda settings: Run(lambda: time.sleep(seconds), lambda _: {"y": np.array(value)})


def _counter(start=0.0, error=0.0):
    """Return a build function of a peer with state that each step moves."""

    def build(settings):
        state = np.array([start, 10.0])

        def step():
            state[0] += 1.0 + error

        return Run(step, lambda _: {"state": state})

    return build


def _case(*peers, tolerance=1e-6, check_steps=3):
    return Case("fake", "A fake case", peers, tolerance, check_steps)


def test_ratios_are_to_the_first_peer():
    case = _case(
        Peer("fast", "numpy", _sleeper(0.002)),
        Peer("slow", "numpy", _sleeper(0.006)),
    )
    result = measure.measure_case(case, SETTINGS, repeats=5)
    fast, slow = result.times
    assert fast.peer == "fast"
    assert fast.ratio == measure.Spread(1.0, 1.0, 1.0)
    assert fast.microseconds.median >= 2000
    # Sleeping overshoots on a busy machine, but not by as much as the peers differ.
    assert 1.2 < slow.ratio.median < 3.5


def test_a_peer_that_is_not_installed_is_named_and_not_built():
    case = _case(
        Peer("here", "numpy", _sleeper(0.0)),
        Peer("elsewhere", "no_such_module_at_all", lambda settings: pytest.fail("was built")),
    )
    result = measure.measure_case(case, SETTINGS, repeats=1)
    assert result.absent == ("elsewhere",)
    assert [peer_time.peer for peer_time in result.times] == ["here"]


def test_peers_that_agree_pass_the_check():
    runs = {"a": _counter()(SETTINGS), "b": _counter(error=1e-9)(SETTINGS)}
    measure.check_agreement(_case(), runs)


def test_a_peer_that_drifts_away_is_not_timed():
    case = _case(Peer("a", "numpy", _counter()), Peer("b", "numpy", _counter(error=1e-3)))
    with pytest.raises(
        measure.DisagreementError, match=r"fake: 'state' of b differs from that of a by 0\.0003"
    ):
        measure.measure_case(case, SETTINGS, repeats=1)


@pytest.mark.parametrize("value", [math.nan, [1.0, 1.0]])
def test_nan_and_another_shape_are_disagreements(value):
    runs = {"a": _sleeper(0.0)(SETTINGS), "b": _sleeper(0.0, value)(SETTINGS)}
    with pytest.raises(measure.DisagreementError, match="'y' of b differs"):
        measure.check_agreement(_case(), runs)


def test_rounds_are_interleaved_and_start_with_each_peer_in_turn(monkeypatch):
    order = []
    monkeypatch.setattr(measure, "calls_per_sample", lambda step: 1)
    steps = {name: (lambda name=name: order.append(name)) for name in "abc"}
    samples = measure.sample_interleaved(steps, repeats=4)
    # Each turn is a call that warms the peer up again, then the timed one.
    assert "".join(order) == "aabbcc" + "bbccaa" + "ccaabb" + "aabbcc"
    assert {name: len(values) for name, values in samples.items()} == {"a": 4, "b": 4, "c": 4}


def test_samples_of_short_calls_average_many_and_of_long_calls_one():
    assert measure.calls_per_sample(lambda: None) > 1000
    assert measure.calls_per_sample(lambda: time.sleep(0.05)) == 1


def test_spread_gives_quartiles():
    assert measure.spread([5.0, 1.0, 4.0, 2.0, 3.0]) == measure.Spread(2.0, 3.0, 4.0)
