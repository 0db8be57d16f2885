"""Import DeZero as its users would, if NumPy had stood still."""

from __future__ import annotations

import importlib
from typing import Any
from unittest import mock

import numpy as np


def import_dezero() -> Any:
    """Return the module `dezero`, with `dezero.functions` loaded.

    DeZero 0.0.13, the last release, names `numpy.int` while it is imported, and NumPy removed that
    in 1.24. Its arithmetic is left as it is, also where it turns float32 into float64.
    """
    with mock.patch.object(np, "int", int, create=True):
        return importlib.import_module("dezero")
