"""Layers: functions from nodes to nodes that own their parameters.

    >>> layer = Linear(10, seed=0)
    >>> y = layer(Placeholder("x", shape=("N", 64), dtype="float32"))
    >>> [parameter.name for parameter in layer.parameters()]
    ['W', 'b']

A layer only builds graph; what it computes is compiled with all the rest.
"""

from __future__ import annotations

from symgraph.layers import initial as initial
from symgraph.layers.base import Layer as Layer
from symgraph.layers.conv import Conv2d as Conv2d
from symgraph.layers.conv import Deconv2d as Deconv2d
from symgraph.layers.dense import Dense as Dense
from symgraph.layers.dropping import Dropout as Dropout
from symgraph.layers.embedding import Embedding as Embedding
from symgraph.layers.embedding import EmbedID as EmbedID
from symgraph.layers.linear import Linear as Linear
from symgraph.layers.normalization import BatchNorm as BatchNorm
from symgraph.layers.normalization import LayerNorm as LayerNorm
from symgraph.layers.recurrent import GRU as GRU
from symgraph.layers.recurrent import LSTM as LSTM
from symgraph.layers.recurrent import RNN as RNN
from symgraph.layers.reshaping import Flatten as Flatten

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "BatchNorm",
    "Conv2d",
    "Deconv2d",
    "Dense",
    "Dropout",
    "EmbedID",
    "Embedding",
    "Flatten",
    "Layer",
    "LayerNorm",
    "Linear",
    "initial",
]
