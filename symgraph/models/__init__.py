"""Models: layers put together.

    >>> model = MLP((32, 10), seed=0)
    >>> y = model(Placeholder("x", shape=("N", 64), dtype="float32"))
    >>> list(model.named_parameters())
    ['l0/W', 'l0/b', 'l1/W', 'l1/b']

A model only builds graph, as every layer does.
"""

from __future__ import annotations

from symgraph.models.base import Model as Model
from symgraph.models.mlp import MLP as MLP
from symgraph.models.sequential import Sequential as Sequential
from symgraph.models.squeezenet import Fire as Fire
from symgraph.models.squeezenet import SqueezeNet as SqueezeNet
from symgraph.models.vgg import VGG16 as VGG16

__all__ = ["MLP", "Fire", "Model", "Sequential", "SqueezeNet", "VGG16"]
