"""Convolutional layers."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from symgraph.errors import ShapeError
from symgraph.layers.initial import Fans, Initialiser, Seed, lecun_normal
from symgraph.layers.weighted import IMAGES, InputSize, Weighted, size_checked, zeros
from symgraph.leaves import Parameter, lift
from symgraph.location import user_location
from symgraph.node import Node, Operand
from symgraph.ops.arguments import ShapeLike
from symgraph.ops.convolution import conv2d, deconv2d
from symgraph.ops.windows import PairLike, pair


class _Convolution(Weighted):
    """What convolution and its transpose share: everything but the order of the axes of W."""

    made = ("W", "b")
    W: Parameter
    b: Parameter | None

    def __init__(
        self,
        out_channels: int,
        kernel_size: PairLike,
        stride: PairLike,
        pad: PairLike,
        dilation: PairLike,
        groups: int,
        in_channels: int | None,
        bias: bool,
        dtype: Any,
        seed: Seed,
        initial: Initialiser,
        name: str | None,
    ) -> None:
        """Check the arguments; parameters are made when one is asked for."""
        self.out_channels = size_checked("out_channels", out_channels)
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = pair(stride, "stride", 1)
        self.pad = pair(pad, "pad")
        self.dilation = pair(dilation, "dilation", 1)
        self.groups = size_checked("groups", groups)
        self.in_channels = None if in_channels is None else size_checked("in_channels", in_channels)
        self.bias = bool(bias)
        self.initial = initial
        super().__init__(dtype, seed, name)
        self._check_groups("out_channels", self.out_channels)
        if self.in_channels is not None:
            self._check_groups("in_channels", self.in_channels)

    def _check_groups(self, what: str, channels: int) -> None:
        if channels % self.groups:
            raise ShapeError(
                f"{self!r}: {self.groups} groups do not divide {what}, {channels}\n"
                f"  at {user_location()}"
            )

    def _size_checked(self, size: int) -> int:
        self._check_groups("the channels of the images", size)
        return super()._size_checked(size)

    def _make(self) -> None:
        height, width = self.kernel_size
        inputs, outputs = self._known_size() // self.groups, self.out_channels // self.groups
        fans = Fans(inputs * height * width, outputs * height * width)
        self.W = self._parameter("W", self._weight_shape(), self.initial, fans)
        self.b = self._parameter("b", (self.out_channels,), zeros) if self.bias else None

    @abstractmethod
    def _weight_shape(self) -> tuple[int, ...]:
        """Return the shape of the filters."""


class Conv2d(_Convolution):
    """Convolves images (N, C, H, W) with filters, see `sg.nn.conv2d`.

    W (out_channels, C / groups, KH, KW) starts as normal numbers times
    sqrt(1 / (C / groups * KH * KW)), b (out_channels,) as zeros.

    Args:
        out_channels: channels of the result.
        kernel_size: height and width of the filters, a pair or one int for both.
        stride: from one window to the next.
        pad: rows and columns of zeros put around the images.
        dilation: from one element of a window to the next.
        groups: into how many parts the channels are cut, each with filters of its own.
        in_channels: channels of the images; None to take them from the first node that the layer is
            called on.
        bias: whether there is a b.
        dtype: float32 or float64, of W and b.
        seed: as for `Linear`.
        initial: draws W; one of `symgraph.layers.initial`.
        name: begins the parameters' names; a layer inside another is named by its attribute.

    Attributes:
        W: the filters.
        b: the offset of each channel, None without bias.

    Raises:
        GraphError: a number of channels or groups is no positive int, or the seed is none.
        ShapeError: the groups do not divide the channels, or an argument is out of range.
        DTypeError: the dtype is no float.

    Example:
        >>> layer = Conv2d(8, 3, pad=1)
        >>> layer(Placeholder("x", ("N", 5, 15, 15), "float32"))
        <conv2d: float32[N, 8, 15, 15]>
    """

    input_size = InputSize("in_channels", 1, "channels", "W", 4, 1, (IMAGES,))

    def __init__(
        self,
        out_channels: int,
        kernel_size: PairLike,
        stride: PairLike = 1,
        pad: PairLike = 0,
        *,
        dilation: PairLike = 1,
        groups: int = 1,
        in_channels: int | None = None,
        bias: bool = True,
        dtype: Any = "float32",
        seed: Seed = None,
        initial: Initialiser = lecun_normal,
        name: str | None = None,
    ) -> None:
        """Check the arguments; parameters are made when one is asked for."""
        super().__init__(
            out_channels, kernel_size, stride, pad, dilation, groups, in_channels, bias, dtype,
            seed, initial, name,
        )  # fmt: skip

    def forward(self, x: Operand) -> Node:
        """Build the convolution of `x`.

        Args:
            x: shape (N, C, H, W).

        Returns:
            A node of shape (N, out_channels, OH, OW).

        Raises:
            ShapeError: `x` has other axes or channels, or is smaller than the filters.
        """
        node = lift(x)
        self._take_size(node)
        return conv2d(node, self.W, self.b, self.stride, self.pad, self.dilation, self.groups)

    def _size_told(self, shape: tuple[int, ...], position: int) -> int:
        return shape[position] * self.groups

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.out_channels, self._known_size() // self.groups, *self.kernel_size)


class Deconv2d(_Convolution):
    """Convolves images (N, C, H, W) transposed, see `sg.nn.deconv2d`.

    W (C, out_channels / groups, KH, KW) starts as normal numbers times
    sqrt(1 / (C / groups * KH * KW)), b (out_channels,) as zeros.

    Args:
        out_channels: channels of the result.
        kernel_size: height and width of the filters, a pair or one int for both.
        stride: from one window to the next.
        pad: rows and columns that are cut off around the result.
        dilation: from one element of a window to the next.
        groups: into how many parts the channels are cut, each with filters of its own.
        outsize: height and width of the result, where a stride leaves a choice.
        in_channels: channels of the images; None to take them from the first node that the layer is
            called on.
        bias: whether there is a b.
        dtype: float32 or float64, of W and b.
        seed: as for `Linear`.
        initial: draws W; one of `symgraph.layers.initial`.
        name: begins the parameters' names; a layer inside another is named by its attribute.

    Attributes:
        W: the filters.
        b: the offset of each channel, None without bias.

    Raises:
        GraphError: a number of channels or groups is no positive int, or the seed is none.
        ShapeError: the groups do not divide the channels, or an argument is out of range.
        DTypeError: the dtype is no float.

    Example:
        >>> layer = Deconv2d(3, 4, stride=2, pad=1)
        >>> layer(Placeholder("x", ("N", 8, 14, 14), "float32"))
        <deconv2d: float32[N, 3, 28, 28]>
    """

    input_size = InputSize("in_channels", 1, "channels", "W", 4, 0, (IMAGES,))

    def __init__(
        self,
        out_channels: int,
        kernel_size: PairLike,
        stride: PairLike = 1,
        pad: PairLike = 0,
        *,
        dilation: PairLike = 1,
        groups: int = 1,
        outsize: ShapeLike | None = None,
        in_channels: int | None = None,
        bias: bool = True,
        dtype: Any = "float32",
        seed: Seed = None,
        initial: Initialiser = lecun_normal,
        name: str | None = None,
    ) -> None:
        """Check the arguments; parameters are made when one is asked for."""
        self.outsize = outsize
        super().__init__(
            out_channels, kernel_size, stride, pad, dilation, groups, in_channels, bias, dtype,
            seed, initial, name,
        )  # fmt: skip

    def forward(self, x: Operand) -> Node:
        """Build the transposed convolution of `x`.

        Args:
            x: shape (N, C, H, W).

        Returns:
            A node of shape (N, out_channels, OH, OW).

        Raises:
            ShapeError: `x` has other axes or channels, or `outsize` does not fit.
        """
        node = lift(x)
        self._take_size(node)
        return deconv2d(
            node, self.W, self.b, self.stride, self.pad, self.dilation, self.groups, self.outsize
        )

    def _weight_shape(self) -> tuple[int, ...]:
        return (self._known_size(), self.out_channels // self.groups, *self.kernel_size)
