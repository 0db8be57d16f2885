"""The core ops of convolution: the form sum(g * conv(x, w)) solved for each of its three arrays.

`convolution` gives the adjoint of g, `convolution_input` that of x and `convolution_weight` that of
w. Each is linear in its two operands, so the derivatives of all three are these three again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.dims import Extent, floor_divide
from symgraph.errors import DTypeError, ShapeError
from symgraph.node import Node
from symgraph.op import Attrs, Library, Op, Sample
from symgraph.ops.arguments import Array
from symgraph.ops.assume import assume_at_least, assume_equal
from symgraph.ops.windows import Pair, conv_outsize, folded, padded, require_images, sliding
from symgraph.types import Shape, TensorType

Extents = tuple[Extent, Extent]


def _require_numbers(*operands: TensorType) -> None:
    first, second = (entry.element for entry in operands)
    if first != second or first == "bool":
        raise DTypeError(f"operands are numbers of one dtype, not {first} and {second}")


def _require_weight(w: TensorType, groups: int) -> None:
    """Check a weight (OC, C / groups, KH, KW).

    Raises:
        ShapeError: it has other axes, an empty kernel, or groups that do not divide OC.
    """
    if w.rank != 4:
        raise ShapeError(
            f"w needs the axes (outputs, inputs / groups, height, width), but has the type {w}"
        )
    for axis in (2, 3):
        assume_at_least(w.dims[axis], 1, f"the kernel is empty: axis {axis} of w ({w})")
    outputs = w.dims[0]
    whole = floor_divide(outputs, groups) * groups
    assume_equal(whole, outputs, f"{groups} groups do not divide axis 0 of w ({w})")


def _require_channels(images: TensorType, what: str, wanted: Extent, w: TensorType) -> None:
    have = images.dims[1]
    assume_equal(have, wanted, f"{what} has {have} channels ({images}), but w takes {wanted} ({w})")


def _windows(images: Extents, kernel: Extents, attrs: Attrs) -> Extents:
    """Return how many windows fit along both axes of images."""
    height, width = (
        conv_outsize(
            extent, taps, attrs["stride"][axis], attrs["pad"][axis], attrs["dilation"][axis],
            axis=axis + 2,
        )
        for axis, (extent, taps) in enumerate(zip(images, kernel, strict=True))
    )  # fmt: skip
    return height, width


def _spatial(declared: TensorType) -> Extents:
    return declared.dims[2], declared.dims[3]


def _infer_forward(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    x, w = types
    require_images(x)
    _require_weight(w, attrs["groups"])
    _require_numbers(x, w)
    _require_channels(x, "x", w.dims[1] * attrs["groups"], w)
    windows = _windows(_spatial(x), _spatial(w), attrs)
    return TensorType(x.element, (x.dims[0], w.dims[0], *windows))


def _infer_input(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    g, w = types
    require_images(g)
    _require_weight(w, attrs["groups"])
    _require_numbers(g, w)
    _require_channels(g, "x", w.dims[0], w)
    size: Extents = attrs["size"]
    _require_windows(g, _windows(size, _spatial(w), attrs), size)
    return TensorType(g.element, (g.dims[0], w.dims[1] * attrs["groups"], *size))


def _require_windows(g: TensorType, windows: Extents, size: Extents) -> None:
    for axis, (have, wanted) in enumerate(zip(_spatial(g), windows, strict=True)):
        assume_equal(
            have,
            wanted,
            f"axis {axis + 2} has extent {have}, but {wanted} windows fit over {size[axis]} ({g})",
        )


def _infer_weight(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    x, g = types
    require_images(x)
    require_images(g, "g")
    _require_numbers(x, g)
    kernel: Extents = attrs["kernel"]
    groups: int = attrs["groups"]
    reason = f"the batches differ: {x.dims[0]} and {g.dims[0]}"
    assume_equal(x.dims[0], g.dims[0], reason)
    _require_windows(g, _windows(_spatial(x), kernel, attrs), _spatial(x))
    shape: Shape = (g.dims[1], floor_divide(x.dims[1], groups), *kernel)
    _require_weight(TensorType(x.element, shape), groups)
    reason = f"{groups} groups do not divide the channels of x ({x})"
    assume_equal(floor_divide(x.dims[1], groups) * groups, x.dims[1], reason)
    return TensorType(x.element, shape)


def _grouped(images: Array, groups: int) -> Array:
    """Return an array (N, C, ...) as (N, groups, C / groups, ...)."""
    count, channels = images.shape[:2]
    return images.reshape(count, groups, channels // groups, *images.shape[2:])


def _taken(x: Array, kernel: Pair, stride: Pair, pad: Pair, dilation: Pair, groups: int) -> Array:
    """Return the windows of x: (N, groups, C / groups, OH, OW, KH, KW)."""
    return _grouped(sliding(padded(x, pad), kernel, stride, dilation), groups)


def _sum_of_products(subscripts: str, *operands: Array) -> Array:
    result = np.einsum(subscripts, *operands, optimize=True)
    return np.ascontiguousarray(result, dtype=operands[0].dtype)


def _forward(x: Array, w: Array, stride: Pair, pad: Pair, dilation: Pair, groups: int) -> Array:
    windows = _taken(x, (w.shape[2], w.shape[3]), stride, pad, dilation, groups)
    filters = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    result = _sum_of_products("ngcyxij,gocij->ngoyx", windows, filters)
    return result.reshape(x.shape[0], w.shape[0], *result.shape[3:])


def _input(
    g: Array, w: Array, stride: Pair, pad: Pair, dilation: Pair, groups: int, size: Pair
) -> Array:
    filters = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    columns = _sum_of_products("ngoyx,gocij->ngcijyx", _grouped(g, groups), filters)
    channels = groups * w.shape[1]
    columns = columns.reshape(g.shape[0], channels, *columns.shape[3:])
    return folded(columns, size, stride, pad, dilation)


def _weight(
    x: Array, g: Array, stride: Pair, pad: Pair, dilation: Pair, groups: int, kernel: Pair
) -> Array:
    windows = _taken(x, kernel, stride, pad, dilation, groups)
    result = _sum_of_products("ngcyxij,ngoyx->gocij", windows, _grouped(g, groups))
    return result.reshape(g.shape[1], *result.shape[2:])


def _forward_gradient(g: Node, y: Node, x: Node, w: Node, **attrs: Any) -> tuple[Node, Node]:
    return (
        CONVOLUTION_INPUT(g, w, size=_spatial(x.type), **attrs),
        CONVOLUTION_WEIGHT(x, g, kernel=_spatial(w.type), **attrs),
    )


def _input_gradient(
    g: Node, y: Node, x: Node, w: Node, *, size: Extents, **attrs: Any
) -> tuple[Node, Node]:
    weight = CONVOLUTION_WEIGHT(g, x, kernel=_spatial(w.type), **attrs)
    return CONVOLUTION(g, w, **attrs), weight


def _weight_gradient(
    g: Node, y: Node, x: Node, other: Node, *, kernel: Extents, **attrs: Any
) -> tuple[Node, Node]:
    return (
        CONVOLUTION_INPUT(other, g, size=_spatial(x.type), **attrs),
        CONVOLUTION(x, g, **attrs),
    )


def geometry(
    stride: Pair = (1, 1), pad: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1
) -> dict[str, Any]:
    """Return the attrs that all three ops have."""
    return {"stride": stride, "pad": pad, "dilation": dilation, "groups": groups}


_CASES: tuple[tuple[tuple[tuple[int, ...], ...], dict[str, Any]], ...] = (
    # shapes of x, w and g
    (((2, 2, 4, 5), (3, 2, 3, 2), (2, 3, 2, 4)), geometry()),
    (((1, 2, 5, 6), (2, 2, 3, 3), (1, 2, 3, 4)), geometry((2, 1), (1, 0))),
    (((2, 4, 6, 5), (2, 2, 2, 3), (2, 2, 3, 3)), geometry((2, 3), (1, 2), (2, 1), 2)),
    (((1, 3, 3, 1), (3, 1, 3, 1), (1, 3, 1, 1)), geometry(groups=3)),
)


def _samples(first: int, second: int, name: str, described: int) -> tuple[Sample, ...]:
    """Return one sample for each case: which arrays it takes, and the attr with another's size."""

    def sample(shapes: tuple[tuple[int, ...], ...], attrs: dict[str, Any]) -> Sample:
        given = {**attrs, name: shapes[described][2:]} if name else attrs
        return Sample(
            lambda rng: (rng.normal(size=shapes[first]), rng.normal(size=shapes[second])),
            given,
            (0, 1),
        )

    return tuple(sample(shapes, attrs) for shapes, attrs in _CASES)


CONVOLUTION = Op(
    name="convolution",
    kind=Library("convolution"),
    infer=_infer_forward,
    numpy=_forward,
    grad=_forward_gradient,
    samples=_samples(0, 1, "", 0),
    doc="Sums of the windows of x (N, C, H, W), padding as zeros, times each filter of "
    "w (OC, C / groups, KH, KW), which is not mirrored: (N, OC, OH, OW).",
)
CONVOLUTION_INPUT: Op = Op(
    name="convolution_input",
    kind=Library("convolution_input"),
    infer=_infer_input,
    numpy=_input,
    grad=_input_gradient,
    samples=_samples(2, 1, "size", 0),
    doc="The adjoint of convolution in x: each element of g (N, OC, OH, OW) times its filter of "
    "w (OC, C / groups, KH, KW), added up where the window lies: (N, C, *size).",
)
CONVOLUTION_WEIGHT: Op = Op(
    name="convolution_weight",
    kind=Library("convolution_weight"),
    infer=_infer_weight,
    numpy=_weight,
    grad=_weight_gradient,
    samples=_samples(0, 2, "kernel", 1),
    doc="The adjoint of convolution in w: the windows of x (N, C, H, W) times the elements of "
    "g (N, OC, OH, OW), summed over both and the batch: (OC, C / groups, *kernel).",
)
