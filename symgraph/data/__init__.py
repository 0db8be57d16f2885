"""Data sets, and ways to cut them up. Everything here is NumPy arrays; no graph is built."""

from __future__ import annotations

from symgraph.data.batching import Batches as Batches
from symgraph.data.batching import batches as batches
from symgraph.data.digits import digits as digits
from symgraph.data.splitting import train_test_split as train_test_split

__all__ = ["Batches", "batches", "digits", "train_test_split"]
