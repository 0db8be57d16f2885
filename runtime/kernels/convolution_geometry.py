"""Where the windows of a convolution lie: as words in memory that its internal functions share.

Both directions are one problem. Row r of the result at grid position (n, a, b) is

    sum over channels c and taps (i, j) of weight[r, c, i, j]
        * source[n, c, a * stride + i * step + start, b * stride + j * step + start],

what lies outside the source being zero. A convolution is that as it stands. In its transpose, the
elements of the result whose coordinates leave the same residues modulo the strides see the same
taps, so each pair of residues is such a problem with stride 1 and a few of the taps.
"""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.convolution_shape import ConvolutionArgument
from symgraph.runtime.kernels.vectors import local

ZERO, ONE = emit.int64(0), emit.int64(1)


class Patches(NamedTuple):
    """How windows read the images of one group; distances in bytes, the rest in elements."""

    source: ir.Value
    image: ir.Value
    plane: ir.Value
    height: ir.Value
    width: ir.Value
    grid_height: ir.Value
    grid_width: ir.Value
    taps_height: ir.Value
    taps_width: ir.Value
    stride_height: ir.Value
    stride_width: ir.Value
    step_height: ir.Value
    step_width: ir.Value
    start_height: ir.Value
    start_width: ir.Value


class Placement(NamedTuple):
    """Where the columns (n, a, b) of a matrix lie in images, as runs of evenly spaced elements.

    Distances are in bytes. Where the elements of an image follow each other, it is one run.
    """

    start: ir.Value
    image: ir.Value
    row: ir.Value
    runs: ir.Value
    run: ir.Value
    length: ir.Value
    element: ir.Value


class Weights(NamedTuple):
    """How the weights of one group are read as a matrix; distances in bytes."""

    start: ir.Value
    row: ir.Value
    channel: ir.Value
    tap_height: ir.Value
    tap_width: ir.Value


class Taps(NamedTuple):
    """The taps of one residue along an axis: the first, their distance, and how they read."""

    count: ir.Value
    first: ir.Value
    period: ir.Value
    step: ir.Value
    start: ir.Value


def reserve(builder: ir.IRBuilder, count: int) -> ir.Value:
    """Allocate int64 words on the stack, in the entry block."""
    with builder.goto_entry_block():
        return builder.alloca(emit.INT64, count)


def write_words(builder: ir.IRBuilder, place: ir.Value, words: tuple[ir.Value, ...]) -> None:
    """Store int64 words one after another."""
    for index, word in enumerate(words):
        emit.store(builder, word, emit.offset(builder, place, emit.int64(8 * index)), 8)


def read_words(builder: ir.IRBuilder, place: ir.Value, count: int) -> list[ir.Value]:
    """Load int64 words that lie one after another."""
    return [
        emit.load(builder, emit.offset(builder, place, emit.int64(8 * index)), emit.INT64, 8)
        for index in range(count)
    ]


class Arguments:
    """Reads the argument block of a convolution."""

    def __init__(self, builder: ir.IRBuilder, args: ir.Value) -> None:
        """Load every word."""
        self._words = read_words(builder, args, len(ConvolutionArgument))

    def __getattr__(self, name: str) -> ir.Value:
        return self._words[ConvolutionArgument[name.upper()]]


def choose(
    builder: ir.IRBuilder, condition: ir.Value, yes: tuple[ir.Value, ...], no: tuple[ir.Value, ...]
) -> list[ir.Value]:
    """Return the one or the other of two tuples, entry by entry."""
    return [builder.select(condition, a, b) for a, b in zip(yes, no, strict=True)]


def residue_taps(
    builder: ir.IRBuilder,
    residue: ir.Value,
    kernel: ir.Value,
    stride: ir.Value,
    pad: ir.Value,
    dilation: ir.Value,
) -> Taps:
    """Emit the search for the taps that reach coordinates `residue` modulo the stride.

    These are the k with dilation * k = residue + pad modulo the stride: evenly spaced ones. Element
    stride * a + residue of the input meets, through tap k, element
    a + (residue + pad - dilation * k) / stride of the output.
    """
    count, first, period = (local(builder, ZERO) for _ in range(3))
    shifted = builder.add(residue, pad)
    with emit.counted_loop(builder, ZERO, kernel, ONE) as tap:
        distance = builder.sub(shifted, builder.mul(dilation, tap))
        meets = builder.icmp_signed("==", builder.srem(distance, stride), ZERO)
        with builder.if_then(meets):
            found = builder.load(count)
            is_first = builder.icmp_signed("==", found, ZERO)
            is_second = builder.icmp_signed("==", found, ONE)
            start = builder.load(first)
            builder.store(builder.select(is_first, tap, start), first)
            gap = builder.sub(tap, start)
            builder.store(builder.select(is_second, gap, builder.load(period)), period)
            builder.store(builder.add(found, ONE), count)
    begin, gap = builder.load(first), builder.load(period)
    step = builder.sub(ZERO, builder.sdiv(builder.mul(dilation, gap), stride))
    start = builder.sdiv(builder.sub(shifted, builder.mul(dilation, begin)), stride)
    return Taps(builder.load(count), begin, gap, step, start)


class Problem(NamedTuple):
    """One group and pair of residues of a convolution or of its transpose."""

    weights: Weights
    patches: Patches
    placement: Placement
    rows: ir.Value
    columns: ir.Value
    depth: ir.Value


def emit_problem(
    builder: ir.IRBuilder,
    arguments: Arguments,
    batch: ir.Value,
    item: ir.Value,
    *,
    forward: bool = False,
) -> Problem:
    """Emit the description of one group and pair of residues.

    Args:
        builder: Where to emit.
        arguments: The argument block.
        batch: The number of the pair of residues times that of groups, plus the group.
        item: Size of one element.
        forward: Whether the direction is that of the convolution, whatever the variant.
    """
    transposed = builder.icmp_signed("!=", arguments.variant, ZERO)
    if forward:
        transposed = ir.Constant(emit.INT1, 0)
    group = builder.urem(batch, arguments.groups)
    residue = builder.udiv(batch, arguments.groups)
    row_residue = builder.udiv(residue, arguments.stride_width)
    column_residue = builder.urem(residue, arguments.stride_width)
    down = _axis(builder, arguments, "height", transposed, row_residue)
    across = _axis(builder, arguments, "width", transposed, column_residue)
    output_plane = builder.mul(arguments.output_height, arguments.output_width)
    input_plane = builder.mul(arguments.input_height, arguments.input_width)
    into_output = (arguments.outputs, output_plane, arguments.output)
    into_input = (arguments.inputs, input_plane, arguments.input)
    rows, target_plane, target = choose(builder, transposed, into_input, into_output)
    channels, source_plane, source = choose(builder, transposed, into_output, into_input)
    patches = Patches(
        *_images(builder, source, source_plane, channels, group, arguments.groups, item),
        height=down.source,
        width=across.source,
        grid_height=down.grid,
        grid_width=across.grid,
        taps_height=down.taps.count,
        taps_width=across.taps.count,
        stride_height=down.stride,
        stride_width=across.stride,
        step_height=down.taps.step,
        step_width=across.taps.step,
        start_height=down.taps.start,
        start_width=across.taps.start,
    )
    images = _images(builder, target, target_plane, rows, group, arguments.groups, item)
    return Problem(
        weights=_weights(builder, arguments, transposed, group, (down.taps, across.taps), item),
        patches=patches,
        placement=_placement(builder, images, down, across, item),
        rows=rows,
        columns=builder.mul(arguments.batch, builder.mul(down.grid, across.grid)),
        depth=builder.mul(channels, builder.mul(down.taps.count, across.taps.count)),
    )


class _Axis(NamedTuple):
    """One axis of a problem: extents, and how grid positions become coordinates of the target."""

    source: ir.Value
    target: ir.Value
    grid: ir.Value
    stride: ir.Value
    spread: ir.Value
    residue: ir.Value
    taps: Taps


def _axis(
    builder: ir.IRBuilder,
    arguments: Arguments,
    name: str,
    transposed: ir.Value,
    residue: ir.Value,
) -> _Axis:
    kernel, stride, pad, dilation, inside, outside = (
        getattr(arguments, f"{word}_{name}")
        for word in ("kernel", "stride", "pad", "dilation", "input", "output")
    )
    found = residue_taps(builder, residue, kernel, stride, pad, dilation)
    plain = Taps(kernel, ZERO, ONE, dilation, builder.sub(ZERO, pad))
    taps = Taps(*choose(builder, transposed, found, plain))
    # The elements residue, residue + stride ... below the extent.
    above = builder.sub(builder.add(inside, builder.sub(stride, ONE)), residue)
    own = (outside, inside, builder.udiv(above, stride), ONE, stride, residue)
    forward = (inside, outside, outside, stride, ONE, ZERO)
    source, target, grid, step, spread, first = choose(builder, transposed, own, forward)
    return _Axis(source, target, grid, step, spread, first, taps)


def _images(
    builder: ir.IRBuilder,
    start: ir.Value,
    plane: ir.Value,
    channels: ir.Value,
    group: ir.Value,
    groups: ir.Value,
    item: ir.Value,
) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Return where the images of a group begin, and the distances of images and of planes."""
    plane_bytes = builder.mul(plane, item)
    group_bytes = builder.mul(channels, plane_bytes)
    begin = builder.add(start, builder.mul(group, group_bytes))
    return begin, builder.mul(groups, group_bytes), plane_bytes


def _placement(
    builder: ir.IRBuilder,
    images: tuple[ir.Value, ir.Value, ir.Value],
    down: _Axis,
    across: _Axis,
    item: ir.Value,
) -> Placement:
    begin, image, plane = images
    width = builder.mul(across.target, item)
    first = builder.add(builder.mul(down.residue, width), builder.mul(across.residue, item))
    dense = builder.and_(
        builder.icmp_signed("==", down.spread, ONE), builder.icmp_signed("==", across.spread, ONE)
    )
    whole = builder.mul(down.grid, across.grid)
    runs, length = choose(builder, dense, (ONE, whole), (down.grid, across.grid))
    return Placement(
        start=builder.add(begin, first),
        image=image,
        row=plane,
        runs=runs,
        run=builder.mul(down.spread, width),
        length=length,
        element=builder.mul(across.spread, item),
    )


def _weights(
    builder: ir.IRBuilder,
    arguments: Arguments,
    transposed: ir.Value,
    group: ir.Value,
    taps: tuple[Taps, Taps],
    item: ir.Value,
) -> Weights:
    down, across = taps
    line = builder.mul(arguments.kernel_width, item)
    tile = builder.mul(arguments.kernel_height, line)
    filter_bytes = builder.mul(arguments.inputs, tile)
    row, channel = choose(builder, transposed, (tile, filter_bytes), (filter_bytes, tile))
    begin = builder.mul(builder.mul(group, arguments.outputs), filter_bytes)
    begin = builder.add(begin, builder.mul(down.first, line))
    begin = builder.add(begin, builder.mul(across.first, item))
    return Weights(
        start=builder.add(arguments.weight, begin),
        row=row,
        channel=channel,
        tap_height=builder.mul(down.period, line),
        tap_width=builder.mul(across.period, item),
    )
