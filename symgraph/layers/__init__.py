"""Layers: functions from nodes to nodes that own their parameters.

    >>> layer = Linear(10, seed=0)
    >>> y = layer(Placeholder("x", shape=("N", 64), dtype="float32"))
    >>> [parameter.name for parameter in layer.params()]
    ['W', 'b']

A layer only builds graph; what it computes is compiled with all the rest.
"""

from __future__ import annotations

from symgraph.layers.base import Layer as Layer
from symgraph.layers.linear import Linear as Linear

__all__ = ["Layer", "Linear"]
