"""Limits of running on a GPU that explanations name too."""

from __future__ import annotations

MOST_RECORDED = 200_000
"""Calls of kernels above which a run is not recorded, with those of each step of a loop: the graph
would take too much memory."""
WORKSPACE_BYTES = 32 << 20
"""What cuBLAS works in, the size that it asks for on Hopper. Of its own it would allocate while a
step is recorded."""
