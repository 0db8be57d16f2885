"""Running plans on an NVIDIA GPU, through CuPy."""

from __future__ import annotations

from symgraph.residence import OPENERS, DeviceMemory


def _open(name: str) -> DeviceMemory:
    # What a GPU needs is imported where one is asked for.
    from symgraph.runtime.cuda.device import open_device

    return open_device(name)


OPENERS["cuda"] = _open
