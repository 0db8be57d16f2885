"""ResNet (He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2016)."""

from __future__ import annotations

from typing import Any

from symgraph.errors import GraphError
from symgraph.layers.base import Layer
from symgraph.layers.conv import Conv2d
from symgraph.layers.initial import Seed, he_normal, part_of
from symgraph.layers.linear import Linear
from symgraph.layers.normalization import BatchNorm
from symgraph.layers.weighted import size_checked
from symgraph.location import user_location
from symgraph.models.base import Model
from symgraph.node import Node, Operand
from symgraph.ops.activation import relu
from symgraph.ops.pooling import global_average_pool2d, max_pool2d
from symgraph.ops.windows import PairLike

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""How many bottlenecks each of the four building blocks has."""


class _Bottleneck(Layer):
    """Three convolutions, 1 x 1, 3 x 3 and 1 x 1, and what is added to their result."""

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        strides: tuple[PairLike, PairLike],
        dtype: Any,
        seed: Seed,
    ) -> None:
        self.dtype, self.seed = dtype, seed
        self.conv1 = self._convolution(in_channels, mid_channels, 1, strides[0], 1)
        self.bn1 = BatchNorm(mid_channels, dtype=dtype)
        self.conv2 = self._convolution(mid_channels, mid_channels, 3, strides[1], 2)
        self.bn2 = BatchNorm(mid_channels, dtype=dtype)
        self.conv3 = self._convolution(mid_channels, out_channels, 1, 1, 3)
        self.bn3 = BatchNorm(out_channels, dtype=dtype)

    def _convolution(
        self, inputs: int, outputs: int, kernel: int, stride: PairLike, number: int
    ) -> Conv2d:
        return Conv2d(
            outputs, kernel, stride, kernel // 2, in_channels=inputs, bias=False, dtype=self.dtype,
            seed=part_of(self.seed, number), initial=he_normal,
        )  # fmt: skip

    def _residual(self, x: Node) -> Node:
        node = relu(self.bn1(self.conv1(x)))
        node = relu(self.bn2(self.conv2(node)))
        residual: Node = self.bn3(self.conv3(node))
        return residual


class BottleneckA(_Bottleneck):
    """A bottleneck that changes the number of channels, and by a stride the size of images.

    Args:
        in_channels: channels of the images.
        mid_channels: channels between the convolutions.
        out_channels: channels of the result.
        stride: of the first convolution, and of the projection that is added to the result.
        downsample_fb: whether the second convolution has the stride instead of the first.
        dtype: float32 or float64, of the parameters.
        seed: as for `Linear`; each layer gets numbers of its own.

    Raises:
        GraphError: a number of channels is no positive int, or the seed is none.
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        stride: PairLike = 2,
        downsample_fb: bool = False,
        *,
        dtype: Any = "float32",
        seed: Seed = None,
    ) -> None:
        """Make the layers."""
        strides = (1, stride) if downsample_fb else (stride, 1)
        super().__init__(in_channels, mid_channels, out_channels, strides, dtype, seed)
        self.conv4 = self._convolution(in_channels, out_channels, 1, stride, 4)
        self.bn4 = BatchNorm(out_channels, dtype=dtype)

    def forward(self, x: Node) -> Node:
        """Build relu(residual of x + projection of x)."""
        return relu(self._residual(x) + self.bn4(self.conv4(x)))


class BottleneckB(_Bottleneck):
    """A bottleneck whose result has the shape of its input, which is added to it.

    Args:
        in_channels: channels of the images and of the result.
        mid_channels: channels between the convolutions.
        dtype: float32 or float64, of the parameters.
        seed: as for `Linear`; each layer gets numbers of its own.

    Raises:
        GraphError: a number of channels is no positive int, or the seed is none.
    """

    def __init__(
        self, in_channels: int, mid_channels: int, *, dtype: Any = "float32", seed: Seed = None
    ) -> None:
        """Make the layers."""
        super().__init__(in_channels, mid_channels, in_channels, (1, 1), dtype, seed)

    def forward(self, x: Node) -> Node:
        """Build relu(residual of x + x)."""
        return relu(self._residual(x) + x)


class BuildingBlock(Layer):
    """Bottlenecks in a row: one that changes the shape, called a, and then b1, b2, ...

    Args:
        layers: how many bottlenecks there are.
        in_channels: channels of the images.
        mid_channels: channels between the convolutions of a bottleneck.
        out_channels: channels of the result.
        stride: of the first bottleneck.
        downsample_fb: as for `BottleneckA`.
        dtype: float32 or float64, of the parameters.
        seed: as for `Linear`; each layer gets numbers of its own.

    Raises:
        GraphError: a number of layers or channels is no positive int, or the seed is none.

    Example:
        >>> block = BuildingBlock(3, 64, 64, 256, 1)
        >>> block(Placeholder("x", (1, 64, 8, 8), "float32"))
        <relu: float32[1, 256, 8, 8]>
    """

    def __init__(
        self,
        layers: int,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        stride: PairLike,
        downsample_fb: bool = False,
        *,
        dtype: Any = "float32",
        seed: Seed = None,
    ) -> None:
        """Make the bottlenecks."""
        self.a = BottleneckA(
            in_channels, mid_channels, out_channels, stride, downsample_fb, dtype=dtype,
            seed=part_of(seed, 1),
        )  # fmt: skip
        self._keys = ["a"]
        for number in range(1, size_checked("layers", layers)):
            own = part_of(seed, number + 1)
            setattr(
                self, f"b{number}", BottleneckB(out_channels, mid_channels, dtype=dtype, seed=own)
            )
            self._keys.append(f"b{number}")

    def forward(self, x: Operand) -> Operand:
        """Build the last bottleneck's output from the first one's input."""
        for key in self._keys:
            x = getattr(self, key)(x)
        return x


class ResNet(Model):
    """A convolution, a max-pool, four building blocks, the mean of each channel, one linear layer.

    As in DeZero the first convolution has a bias and the pool no padding, unlike in torchvision.

    Args:
        depth: 50, 101 or 152 layers.
        classes: how many outputs there are.
        in_channels: channels of the images.
        downsample_fb: as for `BottleneckA`.
        dtype: float32 or float64, of the parameters.
        seed: as for `Linear`; each layer gets numbers of its own.
        name: begins the names of the parameters.

    Raises:
        GraphError: there is no such depth, a size is no positive int, or the seed is none.

    Example:
        >>> ResNet(50)(Placeholder("x", ("N", 3, 64, 64), "float32"))
        <linear: float32[N, 1000]>
    """

    def __init__(
        self,
        depth: int = 152,
        classes: int = 1000,
        *,
        in_channels: int = 3,
        downsample_fb: bool = False,
        dtype: Any = "float32",
        seed: Seed = None,
        name: str | None = None,
    ) -> None:
        """Make the layers; no memory is taken for weights before they are needed."""
        if depth not in DEPTHS:
            raise GraphError(
                f"a ResNet has {', '.join(map(str, DEPTHS))} layers, not {depth!r}\n"
                f"  at {user_location()}"
            )
        self.name = name
        self.conv1 = Conv2d(
            64, 7, 2, 3, in_channels=in_channels, dtype=dtype, seed=part_of(seed, 1),
            initial=he_normal,
        )  # fmt: skip
        self.bn1 = BatchNorm(64, dtype=dtype)
        channels, mid_channels = 64, 64
        for number, layers in enumerate(DEPTHS[depth], start=2):
            block = BuildingBlock(
                layers, channels, mid_channels, 4 * mid_channels, 1 if number == 2 else 2,
                downsample_fb, dtype=dtype, seed=part_of(seed, number),
            )  # fmt: skip
            setattr(self, f"res{number}", block)
            channels, mid_channels = 4 * mid_channels, 2 * mid_channels
        self.fc6 = Linear(classes, channels, True, dtype, part_of(seed, 6))

    def forward(self, x: Operand) -> Node:
        """Build the logits.

        Args:
            x: images (N, C, H, W).

        Returns:
            A node of shape (N, classes).

        Raises:
            ShapeError: the images have other channels, or are too small.
        """
        node = max_pool2d(relu(self.bn1(self.conv1(x))), 3, 2)
        for number in range(2, 6):
            node = getattr(self, f"res{number}")(node)
        logits: Node = self.fc6(global_average_pool2d(node))
        return logits


class ResNet50(ResNet):
    """A `ResNet` of 50 layers: 25 557 096 parameters for 1000 classes."""

    def __init__(self, classes: int = 1000, **arguments: Any) -> None:
        """Make the layers; see `ResNet`."""
        super().__init__(50, classes, **arguments)


class ResNet101(ResNet):
    """A `ResNet` of 101 layers: 44 549 224 parameters for 1000 classes."""

    def __init__(self, classes: int = 1000, **arguments: Any) -> None:
        """Make the layers; see `ResNet`."""
        super().__init__(101, classes, **arguments)


class ResNet152(ResNet):
    """A `ResNet` of 152 layers: 60 192 872 parameters for 1000 classes."""

    def __init__(self, classes: int = 1000, **arguments: Any) -> None:
        """Make the layers; see `ResNet`."""
        super().__init__(152, classes, **arguments)
