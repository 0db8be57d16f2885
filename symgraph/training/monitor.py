"""Watching one column of the history for its best value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from symgraph.errors import GraphError
from symgraph.location import user_location
from symgraph.training.names import called


class Monitor:
    """Tells when a number was at its best.

    Args:
        name: a column of the history.
        mode: "min", "max" or "auto", which takes "max" for accuracies.
        min_delta: how much better a value must be.

    Raises:
        GraphError: an argument is out of range.
    """

    def __init__(self, name: str, mode: str, min_delta: float) -> None:
        """Check the arguments."""
        if mode not in ("auto", "min", "max"):
            raise GraphError(
                f"mode is 'auto', 'min' or 'max', not {mode!r}\n  at {user_location()}"
            )
        plain = isinstance(min_delta, int | float) and not isinstance(min_delta, bool)
        if not plain or not 0 <= min_delta < math.inf:
            raise GraphError(
                f"min_delta is a finite number, at least 0, not {min_delta!r}\n"
                f"  at {user_location()}"
            )
        if not isinstance(name, str):
            raise GraphError(f"monitor is a name, not {name!r}\n  at {user_location()}")
        self.name = name
        self.sign = -1.0 if mode == "max" or (mode == "auto" and "acc" in name) else 1.0
        self.min_delta = float(min_delta)

    def check(self, owner: Any, columns: Sequence[str]) -> None:
        """Refuse a name that the history will not have.

        Raises:
            GraphError: it is none of `columns`.
        """
        what = f"number that {type(owner).__name__} could watch"
        called(what, self.name, {name: name for name in columns})

    def epochs_since_best(self, rows: Sequence[dict[str, float]]) -> int:
        """Return how many epochs ago the number was at its best, their number if it never was.

        Args:
            rows: the numbers of the epochs of a run.
        """
        best, when = math.inf, -1
        for number, row in enumerate(rows):
            value = self.sign * row.get(self.name, math.nan)
            # False for a NaN. The first number is an improvement whatever min_delta says.
            if value < best - self.min_delta:
                best, when = value, number
        return len(rows) - 1 - when
