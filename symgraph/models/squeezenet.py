"""SqueezeNet 1.0 (Iandola et al., 2016)."""

from __future__ import annotations

from typing import Any

from symgraph.layers.base import Layer
from symgraph.layers.conv import Conv2d
from symgraph.layers.initial import Seed, he_normal, normal, part_of
from symgraph.models.base import Model
from symgraph.node import Node, Operand
from symgraph.ops.activation import relu
from symgraph.ops.dropout import dropout
from symgraph.ops.joining import concatenate
from symgraph.ops.pooling import global_average_pool2d, max_pool2d

FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
"""For fire2 to fire9: the channels that squeeze leaves, and those that each expansion gives."""

POOLED_BEFORE = (2, 5, 9)
"""The modules that a max-pool comes before."""


class Fire(Layer):
    """Squeezes channels by a 1 x 1 convolution, and expands them by one of 1 x 1 and one of 3 x 3.

    Args:
        in_channels: channels of the images.
        squeezed: channels that are left in between.
        expanded: channels that either expansion gives; the result has twice as many.
        dtype: float32 or float64, of the parameters.
        seed: as for `Linear`; each layer gets numbers of its own.

    Raises:
        GraphError: a number of channels is no positive int, or the seed is none.

    Example:
        >>> Fire(96, 16, 64)(Placeholder("x", ("N", 96, 8, 8), "float32"))
        <concatenate: float32[N, 128, 8, 8]>
    """

    def __init__(
        self,
        in_channels: int,
        squeezed: int,
        expanded: int,
        *,
        dtype: Any = "float32",
        seed: Seed = None,
    ) -> None:
        """Make the layers."""

        def convolution(inputs: int, outputs: int, kernel: int, number: int) -> Conv2d:
            return Conv2d(
                outputs, kernel, pad=kernel // 2, in_channels=inputs, dtype=dtype,
                seed=part_of(seed, number), initial=he_normal,
            )  # fmt: skip

        self.squeeze = convolution(in_channels, squeezed, 1, 1)
        self.expand1x1 = convolution(squeezed, expanded, 1, 2)
        self.expand3x3 = convolution(squeezed, expanded, 3, 3)

    def forward(self, x: Operand) -> Node:
        """Build the result of images (N, C, H, W), of their height and width."""
        node = relu(self.squeeze(x))
        return concatenate([relu(self.expand1x1(node)), relu(self.expand3x3(node))], axis=1)


class SqueezeNet(Model):
    """Version 1.0: a convolution, eight fire modules between max-pools, a convolution, the mean.

    It has 1 248 424 parameters for 1000 classes.

    Args:
        classes: how many outputs there are.
        in_channels: channels of the images.
        dtype: float32 or float64, of the parameters.
        seed: as for `Linear`; each layer gets numbers of its own.
        name: begins the names of the parameters.

    Raises:
        GraphError: a size is no positive int, or the seed is none.

    Example:
        >>> SqueezeNet()(Placeholder("x", ("N", 3, 224, 224), "float32"))
        <global_average_pool2d: float32[N, 1000]>
    """

    def __init__(
        self,
        classes: int = 1000,
        *,
        in_channels: int = 3,
        dtype: Any = "float32",
        seed: Seed = None,
        name: str | None = None,
    ) -> None:
        """Make the layers; no memory is taken for weights before they are needed."""
        self.name = name
        self.conv1 = Conv2d(
            96, 7, 2, in_channels=in_channels, dtype=dtype, seed=part_of(seed, 1),
            initial=he_normal,
        )  # fmt: skip
        channels = 96
        for number, (squeezed, expanded) in enumerate(FIRES, start=2):
            own = part_of(seed, number)
            setattr(
                self, f"fire{number}", Fire(channels, squeezed, expanded, dtype=dtype, seed=own)
            )
            channels = 2 * expanded
        # The paper's own: without normalisation, the last layer starts with small outputs.
        self.conv10 = Conv2d(
            classes, 1, in_channels=channels, dtype=dtype, seed=part_of(seed, 10),
            initial=normal(0.01),
        )  # fmt: skip

    def forward(self, x: Operand) -> Node:
        """Build the logits.

        Args:
            x: images (N, C, H, W), at least 35 x 35. Pools leave out what does not fill a window.

        Returns:
            A node of shape (N, classes).

        Raises:
            ShapeError: the images have other channels, or are too small.
        """
        node = relu(self.conv1(x))
        for number in range(2, 10):
            if number in POOLED_BEFORE:
                node = max_pool2d(node, 3, 2)
            node = getattr(self, f"fire{number}")(node)
        return global_average_pool2d(relu(self.conv10(dropout(node))))
