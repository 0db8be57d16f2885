"""What type rules take for granted about symbolic extents, for the compiler to check at each call.

A type rule refuses extents that cannot fit. Extents that may or may not fit (`N` against 784) are
accepted and noted here; a compiler that infers types inside `collect_assumptions` learns what it
has to check once the real extents are known.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from symgraph.dims import Extent, evaluate, never_negative
from symgraph.errors import ShapeError

Relation = Literal["==", ">="]


@dataclass(frozen=True, slots=True)
class Assumption:
    """A relation between two extents that must hold in every call.

    Args:
        left: an extent.
        relation: `==` or `>=`.
        right: an extent.
        reason: what is wrong where the relation does not hold.
    """

    left: Extent
    relation: Relation
    right: Extent
    reason: str

    def holds(self, extents: Mapping[str, int]) -> bool:
        """Tell whether the relation holds for these extents."""
        left, right = evaluate(self.left, extents), evaluate(self.right, extents)
        return left == right if self.relation == "==" else left >= right


class _Collector(threading.local):
    active: list[Assumption] | None = None


_collector = _Collector()


@contextmanager
def collect_assumptions() -> Iterator[list[Assumption]]:
    """Give a list that receives every assumption made by type rules inside the block."""
    previous = _collector.active
    found: list[Assumption] = []
    _collector.active = found
    try:
        yield found
    finally:
        _collector.active = previous


def assume_equal(left: Extent, right: Extent, reason: str) -> None:
    """Note that two extents must be equal.

    Raises:
        ShapeError: they differ for all extents.
    """
    if left == right:
        return
    if never_negative(left - right - 1) or never_negative(right - left - 1):
        raise ShapeError(reason)
    _note(Assumption(left, "==", right, reason))


def assume_at_least(
    extent: Extent, smallest: Extent, reason: str, error: type[Exception] = ShapeError
) -> None:
    """Note that an extent must not be below another.

    Raises:
        ShapeError: it is below for all extents (or `error`, where that is given).
    """
    if never_negative(extent - smallest):
        return
    if never_negative(smallest - extent - 1):
        raise error(reason)
    _note(Assumption(extent, ">=", smallest, reason))


def _note(assumption: Assumption) -> None:
    if _collector.active is None:
        return
    left, relation, right = assumption.left, assumption.relation, assumption.right
    # The reason says which op found it first, and does not make it another assumption.
    if all((a.left, a.relation, a.right) != (left, relation, right) for a in _collector.active):
        _collector.active.append(assumption)
