"""Which module's arrays the Define-by-Run framework computes with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""An array of the module that computes."""


class Arrays:
    """Says which module's functions compute: NumPy, or CuPy, which has them by the same names."""

    module: Any = np


@contextlib.contextmanager
def computing_with(module: Any) -> Iterator[None]:
    """Let functions compute with the arrays of another module within a `with` block.

    Args:
        module: `cupy`, say; variables must hold its arrays.

    Yields:
        Nothing.
    """
    before = Arrays.module
    Arrays.module = module
    try:
        yield
    finally:
        Arrays.module = before
