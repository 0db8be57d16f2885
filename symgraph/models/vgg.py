"""VGG16 (Simonyan and Zisserman, "Very deep convolutional networks", 2015)."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.layers.conv import Conv2d
from symgraph.layers.initial import Seed, he_normal, part_of
from symgraph.layers.linear import Linear
from symgraph.leaves import lift
from symgraph.models.base import Model
from symgraph.models.preprocessing import Array, Size, rgb_pixels
from symgraph.node import Node, Operand
from symgraph.ops.activation import relu
from symgraph.ops.dropout import dropout
from symgraph.ops.layout import flatten
from symgraph.ops.pooling import max_pool2d
from symgraph.types import check_dtype

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""The channels of each convolution; a pool follows each block."""

MEAN_BGR = (103.939, 116.779, 123.68)
"""The mean colour of the images that the published weights were trained on."""


class VGG16(Model):
    """13 convolutions of 3 x 3, five max-pools, three fully connected layers with dropout.

    The layers are conv1_1 to conv5_3, fc6, fc7 and fc8; the size of fc6, and with it the number of
    parameters, follows from the images that the model is first called on: 138 357 544 for
    224 x 224.

    Args:
        classes: how many outputs there are.
        in_channels: channels of the images.
        dtype: float32 or float64, of the parameters.
        seed: as for `Linear`; each layer gets numbers of its own.
        name: begins the names of the parameters.

    Raises:
        GraphError: a size is no positive int, or the seed is none.

    Example:
        >>> VGG16()(Placeholder("x", ("N", 3, 224, 224), "float32"))
        <linear: float32[N, 1000]>
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
        self._convolutions: list[list[str]] = []
        channels, number = in_channels, 0
        for block, sizes in enumerate(BLOCKS, start=1):
            names = [f"conv{block}_{position}" for position in range(1, len(sizes) + 1)]
            for key, size in zip(names, sizes, strict=True):
                number += 1
                layer = Conv2d(
                    size, 3, pad=1, in_channels=channels, dtype=dtype, seed=part_of(seed, number),
                    initial=he_normal,
                )  # fmt: skip
                setattr(self, key, layer)
                channels = size
            self._convolutions.append(names)
        self.fc6 = Linear(4096, None, True, dtype, part_of(seed, 14), initial=he_normal)
        self.fc7 = Linear(4096, 4096, True, dtype, part_of(seed, 15), initial=he_normal)
        self.fc8 = Linear(classes, 4096, True, dtype, part_of(seed, 16))

    def forward(self, x: Operand) -> Node:
        """Build the logits.

        Args:
            x: images (N, C, H, W) of known height and width, at least 32 x 32.

        Returns:
            A node of shape (N, classes).

        Raises:
            ShapeError: the images have other channels, are too small, or of unknown size, or of
                another size than those that the model was first called on.
        """
        node = self.feature_maps(x)["pool5"]
        node = dropout(relu(self.fc6(flatten(node))))
        node = dropout(relu(self.fc7(node)))
        return self.fc8(node)  # type: ignore[no-any-return]  # a layer may return anything

    def feature_maps(self, x: Operand) -> dict[str, Node]:
        """Build what the convolutions make of images.

        Args:
            x: images (N, C, H, W), of any height and width from 32 on.

        Returns:
            The output of each convolution, after its relu, as `conv1_1` to `conv5_3`, and of each
            pool, as `pool1` to `pool5`.

        Raises:
            ShapeError: the images have other channels, or are too small.

        Example:
            >>> x = Placeholder("x", ("N", 3, 64, 64), "float32")
            >>> VGG16().feature_maps(x)["conv5_3"]
            <relu: float32[N, 512, 4, 4]>
        """
        maps: dict[str, Node] = {}
        node = lift(x)
        for block, names in enumerate(self._convolutions, start=1):
            for key in names:
                node = maps[key] = relu(getattr(self, key)(node))
            node = maps[f"pool{block}"] = max_pool2d(node, 2)
        return maps

    @staticmethod
    def preprocess(image: Any, size: Size | None = (224, 224), dtype: Any = "float32") -> Array:
        """Turn a picture into the numbers that the published weights were trained on.

        Args:
            image: of Pillow, or an array (H, W, 3) of red, green and blue from 0 to 255.
            size: width and height that it is resized to; None to leave it as it is.
            dtype: of the result.

        Returns:
            An array (3, H, W): blue, green and red less their means. For a batch of one, index it
            with `[None]`.

        Raises:
            DataError: `image` is no picture.
            MissingPackageError: an array is to be resized and Pillow is not installed.

        Example:
            >>> VGG16.preprocess(np.zeros((224, 224, 3), "uint8"))[:, 0, 0]
            array([-103.939, -116.779, -123.68 ], dtype=float32)
        """
        pixels = rgb_pixels(image, size, check_dtype(dtype))
        return np.ascontiguousarray((pixels[:, :, ::-1] - _means(dtype)).transpose(2, 0, 1))


def _means(dtype: Any) -> Array:
    return np.array(MEAN_BGR, dtype)
