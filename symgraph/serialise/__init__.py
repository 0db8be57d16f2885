"""Saving and loading: values by name, in `.npz` or `.safetensors` files, never as pickles.

    >>> save(model, "weights.npz")
    >>> load(model, "weights.npz")
    Loaded(missing=[], unexpected=[])

Files are written whole or not at all, and compared with what they are loaded into before anything
is changed. A checkpoint holds a whole training run; see `save_checkpoint`.
"""

from __future__ import annotations

from symgraph.serialise.checkpoint import load_checkpoint as load_checkpoint
from symgraph.serialise.checkpoint import save_checkpoint as save_checkpoint
from symgraph.serialise.weights import Loaded as Loaded
from symgraph.serialise.weights import load as load
from symgraph.serialise.weights import load_arrays as load_arrays
from symgraph.serialise.weights import save as save

__all__ = ["Loaded", "load", "load_arrays", "load_checkpoint", "save", "save_checkpoint"]
