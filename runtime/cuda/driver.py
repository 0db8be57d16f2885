"""The one place where CuPy is imported, when it is first needed."""

from __future__ import annotations

from typing import Any

from symgraph.errors import DeviceError
from symgraph.location import user_location


def cupy() -> Any:
    """Return the module.

    Raises:
        DeviceError: it is not installed, or does not load.
    """
    try:
        import cupy as module
    except ImportError as error:
        raise DeviceError(
            f"device 'cuda' needs CuPy, which does not load: {error}\n"
            f"  at {user_location()}\n  install it with: pip install 'symgraph[gpu]'"
        ) from None
    return module
