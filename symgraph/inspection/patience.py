"""Bounds the time for which the reference interpreter repeats a call to explain a failure."""

from __future__ import annotations

import time
from typing import Any

from symgraph.interpret import Observer
from symgraph.node import Node

PATIENCE = 20.0
"""Seconds after which a failure is explained with what is known: long loops take NumPy hours."""


class OutOfPatienceError(Exception):
    """Says that repeating a call has taken too long."""


def within(seconds: float, observe: Observer | None = None) -> Observer:
    """Return an observer that ends an evaluation when its time is over.

    Args:
        seconds: from now on.
        observe: what is told the values until then.

    Raises:
        OutOfPatienceError: by the observer, when the time is over.

    Example:
        >>> evaluate(outputs, feeds, observe=within(20.0))
    """
    deadline = time.monotonic() + seconds

    def watched(node: Node, value: Any, turns: tuple[int, ...]) -> None:
        if time.monotonic() > deadline:
            raise OutOfPatienceError(
                f"the search for the value where it begins was given up after {seconds:.0f} s"
            )
        if observe is not None:
            observe(node, value, turns)

    return watched
