"""Optimisers: each gives the new values of parameters as graph, so that they join the one step.

    >>> step = compile(loss, updates=Adam(1e-3).updates(loss, params))

An optimiser holds the state that its rule needs (velocities, moments) as parameters of its own,
which the same step updates. Nothing here runs at call time.
"""

from __future__ import annotations

from symgraph.optim.adam import Adam as Adam
from symgraph.optim.base import Optimizer as Optimizer
from symgraph.optim.descent import SGD as SGD
from symgraph.optim.descent import Momentum as Momentum

__all__ = ["SGD", "Adam", "Momentum", "Optimizer"]
