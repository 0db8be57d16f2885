"""Memory planning: no two slots that live at the same time may overlap."""

import numpy as np
import pytest

from symgraph.runtime.arena import ALIGNMENT, MANY_SLOTS, Slot, assign_offsets


def _random_slots(count, seed):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, count, count)
    last = first + rng.integers(0, 20, count)
    sizes = [int(size) for size in rng.choice([0, 8, 64, 100, 4096, 10_000], count)]
    slots = [Slot((i,), int(a), int(b)) for i, (a, b) in enumerate(zip(first, last, strict=True))]
    return slots, sizes


@pytest.mark.parametrize("count", [0, 1, 2, 50, MANY_SLOTS, MANY_SLOTS + 1, 2000])
def test_living_slots_never_overlap(count):
    slots, sizes = _random_slots(count, count)
    offsets, total = assign_offsets(slots, sizes)
    assert all(offset % ALIGNMENT == 0 for offset in offsets)
    assert all(o + s <= total for o, s in zip(offsets, sizes, strict=True))
    events = sorted(range(count), key=lambda i: slots[i].first)
    for position, one in enumerate(events):
        for other in events[position + 1 :]:
            if slots[other].first > slots[one].last:
                break
            below = offsets[one] + sizes[one] <= offsets[other]
            above = offsets[other] + sizes[other] <= offsets[one]
            assert below or above or not sizes[one] or not sizes[other]


def test_one_after_the_other_shares_memory():
    slots = [Slot((i,), i, i) for i in range(600)]
    for some in (slots[:10], slots):
        assert assign_offsets(some, [1000] * len(some))[1] == 1024
