"""The records that describe what is timed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from numpy.typing import NDArray

Values: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Settings:
    """What every peer of a run has in common."""

    threads: int
    device: str = "cpu"


@dataclass(frozen=True)
class Run:
    """A case that one peer has built, ready to be timed.

    `step` is the timed call. `read` turns what it returned, and any state that it moved, into named
    arrays; it is not timed, and the harness compares what it gives between peers.
    """

    step: Callable[[], Any]
    read: Callable[[Any], Values]


@dataclass(frozen=True)
class Peer:
    """One way to run a case: who does it, the module it needs, and how it is built."""

    name: str
    module: str
    build: Callable[[Settings], Run]

    @property
    def installed(self) -> bool:
        """Say whether the module that the peer needs can be imported."""
        return importlib.util.find_spec(self.module) is not None


@dataclass(frozen=True)
class Case:
    """A computation that several peers run, from the same inputs and initial state.

    The first peer is the one whose time the others are divided by. `tolerance` is the relative
    error within which all peers must agree after `check_steps` steps. `bars` holds, for some peers,
    how many times slower than the first they should be at least.
    """

    name: str
    title: str
    peers: tuple[Peer, ...]
    tolerance: float
    check_steps: int = 3
    bars: Mapping[str, float] = field(default_factory=dict)
