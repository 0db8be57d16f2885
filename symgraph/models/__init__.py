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
from symgraph.models.resnet import BottleneckA as BottleneckA
from symgraph.models.resnet import BottleneckB as BottleneckB
from symgraph.models.resnet import BuildingBlock as BuildingBlock
from symgraph.models.resnet import ResNet as ResNet
from symgraph.models.resnet import ResNet50 as ResNet50
from symgraph.models.resnet import ResNet101 as ResNet101
from symgraph.models.resnet import ResNet152 as ResNet152
from symgraph.models.sequential import Sequential as Sequential
from symgraph.models.squeezenet import Fire as Fire
from symgraph.models.squeezenet import SqueezeNet as SqueezeNet
from symgraph.models.vgg import VGG16 as VGG16

__all__ = [
    "MLP",
    "VGG16",
    "BottleneckA",
    "BottleneckB",
    "BuildingBlock",
    "Fire",
    "Model",
    "ResNet",
    "ResNet50",
    "ResNet101",
    "ResNet152",
    "Sequential",
    "SqueezeNet",
]
