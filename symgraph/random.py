"""Seeded, counter-based random numbers; see `symgraph.ops.random`."""

from __future__ import annotations

from symgraph.ops.dropout import dropout_mask as dropout_mask
from symgraph.ops.random import bernoulli as bernoulli
from symgraph.ops.random import normal as normal
from symgraph.ops.random import uniform as uniform
from symgraph.ops.streams import seed as seed

__all__ = ["bernoulli", "dropout_mask", "normal", "seed", "uniform"]
