"""Convolutions by matrix products, tile by tile: a tile is some images, as many as fit a memory.

What the windows of one tile hold is written out side by side as *columns*, by kernels that come
with the call. Two arrangements are known. "images": each image has a matrix of its own, with a row
for each channel and tap, so that a product with the weights lies where the output belongs.
"merged": all images of the tile share one matrix, image after image along its rows. That suits
windows too few for a product, and groups; what has one matrix for each image is rearranged then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from symgraph.runtime.arena import ITEM_BYTES
from symgraph.runtime.cuda.products import Operand, multiply
from symgraph.runtime.cuda.source import CudaCall

LEAST_SUMMED = 256
"""So many products are summed in one part of a weight's gradient at least, where it is cut."""


class ConvolutionWords(NamedTuple):
    """The argument words of a convolution, whichever of its three arrays is the result.

    Args:
        weight: the address of (groups * filters, inputs, tall, wide).
        images: of (batch, groups * inputs, height, width).
        outputs: of (batch, groups * filters, rows, columns).
        patches: of scratch memory for columns.
        swapped: of scratch memory for outputs, merged.
        parts: of scratch memory for parts of a weight's gradient.
        batch: how many images.
        groups: into how many independent convolutions it falls.
        inputs: channels of the images in a group.
        filters: channels of the outputs in a group.
        height: of an image.
        width: of an image.
        rows: of windows.
        columns: of windows.
        tall: taps of the kernel, downwards.
        wide: taps across.
        capacity: how many images the scratch memory holds the columns of.
    """

    weight: int
    images: int
    outputs: int
    patches: int
    swapped: int
    parts: int
    batch: int
    groups: int
    inputs: int
    filters: int
    height: int
    width: int
    rows: int
    columns: int
    tall: int
    wide: int
    capacity: int

    @property
    def positions(self) -> int:
        """Return how many windows an image has."""
        return self.rows * self.columns

    @property
    def taken(self) -> int:
        """Return how many elements a window takes from the channels of a group."""
        return self.inputs * self.tall * self.wide

    def tiles(self) -> list[tuple[int, int]]:
        """Return the first image and the number of images of each tile; all are about as large."""
        if self.batch == 0:
            return []
        number = -(-self.batch // self.capacity)
        size = -(-self.batch // number)
        return [(start, min(size, self.batch - start)) for start in range(0, self.batch, size)]


class Tile(NamedTuple):
    """Some images of a batch, and how their columns lie.

    Args:
        words: of the convolution.
        item: bytes of an element.
        first: the first image.
        size: how many there are.
        leading: elements from one row of columns to the next.
        step: from the windows of one image to those of the next.
        total: how many columns are written, including zeros behind the last image.
    """

    words: ConvolutionWords
    item: int
    first: int
    size: int
    leading: int
    step: int
    total: int

    @property
    def images(self) -> int:
        """Return the address of the first image."""
        words = self.words
        elements = words.groups * words.inputs * words.height * words.width
        return words.images + self.first * elements * self.item

    @property
    def outputs(self) -> int:
        """Return the address of the first image's outputs."""
        words = self.words
        elements = words.groups * words.filters * words.positions
        return words.outputs + self.first * elements * self.item

    def kernel_words(self, source: int, target: int, channels: int) -> tuple[int, ...]:
        """Return the words of a kernel that reads or writes columns: see `column_kernels`."""
        words = self.words
        return (
            source, target, self.size, channels, words.height, words.width, words.rows,
            words.columns, words.tall, words.wide, self.leading, self.step, self.total,
        )  # fmt: skip


def _aligned(extent: int, call: CudaCall) -> int:
    """Return the next extent with which rows of columns may begin."""
    aligned: int = call.options["aligned"]
    return -(-extent // aligned) * aligned


def _tiles(words: ConvolutionWords, call: CudaCall) -> Iterator[Tile]:
    """Yield the tiles of a batch, their columns as the call wants them."""
    item = ITEM_BYTES[call.options["dtype"]]
    positions = words.positions
    for first, count in words.tiles():
        if call.options["form"] == "merged":
            total = _aligned(count * positions, call)
            yield Tile(words, item, first, count, total, positions, total)
        else:
            leading = _aligned(positions, call)
            step = words.taken * leading
            yield Tile(words, item, first, count, leading, step, count * positions)


def convolve(device: Any, numbers: Sequence[int], call: CudaCall) -> None:
    """Compute a convolution.

    Args:
        device: where.
        numbers: see `ConvolutionWords`.
        call: its options are `dtype`, `precision`, the multiple at which rows are `aligned`, and
            `form`: "pointwise" (a window is one element), "images" or "merged". Its kernels: none
            for "pointwise"; else one that writes columns and, for "merged", one that puts merged
            outputs in their places.
    """
    words = ConvolutionWords(*numbers)
    if call.options["form"] == "pointwise":
        _pointwise(device, words, call, back=False)
        return
    for tile in _tiles(words, call):
        channels = words.groups * words.inputs
        device.launch(call.kernels[0], tile.kernel_words(tile.images, words.patches, channels))
        if call.options["form"] == "images":
            weight, extents, columns, outputs = _by_images(tile)
            multiply(device, call.options, extents, weight, columns, outputs)
            continue
        filters, taken, leading = words.filters, words.taken, tile.leading
        multiply(
            device,
            call.options,
            (filters, tile.total, taken, words.groups),
            Operand(words.weight, taken, filters * taken),
            Operand(words.patches, leading, taken * leading),
            Operand(words.swapped, leading, filters * leading),
        )
        channels = words.groups * filters
        device.launch(call.kernels[1], tile.kernel_words(words.swapped, tile.outputs, channels))


def _by_images(tile: Tile) -> tuple[Operand, tuple[int, int, int, int], Operand, Operand]:
    """Return the operands of a product for each image, which there are no groups of."""
    words = tile.words
    filters, taken, positions = words.filters, words.taken, words.positions
    return (
        Operand(words.weight, taken),
        (filters, positions, taken, tile.size),
        Operand(words.patches, tile.leading, tile.step),
        Operand(tile.outputs, positions, filters * positions),
    )


def _pointwise(device: Any, words: ConvolutionWords, call: CudaCall, *, back: bool) -> None:
    """Compute a convolution whose windows are single elements: images are their own columns."""
    inputs, filters, positions = words.inputs, words.filters, words.positions
    images = Operand(words.images, positions, inputs * positions)
    outputs = Operand(words.outputs, positions, filters * positions)
    weight = Operand(words.weight, inputs, transposed=back)
    if back:
        extents = (inputs, positions, filters, words.batch)
        multiply(device, call.options, extents, weight, outputs, images)
    else:
        extents = (filters, positions, inputs, words.batch)
        multiply(device, call.options, extents, weight, images, outputs)


def convolve_back(device: Any, numbers: Sequence[int], call: CudaCall) -> None:
    """Compute the transpose of a convolution: images from outputs.

    Args:
        device: where.
        numbers: see `ConvolutionWords`.
        call: its options are those of `convolve`. Its kernels: none for "pointwise"; else one that
            adds columns up where they lie in images and, for "merged", one that merges outputs.
    """
    words = ConvolutionWords(*numbers)
    if call.options["form"] == "pointwise":
        _pointwise(device, words, call, back=True)
        return
    filters, taken = words.filters, words.taken
    for tile in _tiles(words, call):
        if call.options["form"] == "images":
            weight, (_, positions, _, count), columns, outputs = _by_images(tile)
            weight = weight._replace(transposed=True)
            extents = (taken, positions, filters, count)
            multiply(device, call.options, extents, weight, outputs, columns)
        else:
            leading, channels = tile.leading, words.groups * filters
            device.launch(call.kernels[1], tile.kernel_words(tile.outputs, words.swapped, channels))
            multiply(
                device,
                call.options,
                (taken, tile.total, filters, words.groups),
                Operand(words.weight, taken, filters * taken, transposed=True),
                Operand(words.swapped, leading, filters * leading),
                Operand(words.patches, leading, taken * leading),
            )
        channels = words.groups * words.inputs
        device.launch(call.kernels[0], tile.kernel_words(words.patches, tile.images, channels))


def sum_over_windows(device: Any, numbers: Sequence[int], call: CudaCall) -> None:
    """Compute the gradient of a convolution's weight.

    Columns and outputs are merged, so one product sums over all windows of a tile. Its result is
    small and its sum is long: that is cut into parts of equal length, so that there is work for the
    whole device. Each part collects its products from tile to tile; the parts are added at last.

    Args:
        device: where.
        numbers: see `ConvolutionWords`.
        call: its options are `dtype`, `precision`, `aligned`, and the largest number of `parts`.
            Its kernels: one writes columns, one merges outputs, one adds parts.
    """
    words = ConvolutionWords(*numbers)
    item = ITEM_BYTES[call.options["dtype"]]
    size = words.groups * words.filters * words.taken
    tiles = words.tiles()
    if not tiles:
        device.fill(words.weight, size * item)
        return
    summed = tiles[0][1] * words.positions
    parts = max(1, min(call.options["parts"], summed // LEAST_SUMMED))
    target = words.weight if parts == 1 else words.parts
    for first, count in tiles:
        chunk = _aligned(-(-count * words.positions // parts), call)
        tile = Tile(words, item, first, count, chunk * parts, words.positions, chunk * parts)
        channels = words.groups * words.inputs
        device.launch(call.kernels[0], tile.kernel_words(tile.images, words.patches, channels))
        channels = words.groups * words.filters
        device.launch(call.kernels[1], tile.kernel_words(tile.outputs, words.swapped, channels))
        _add_products(device, call, tile, parts, target)
    if parts > 1:
        device.launch(call.kernels[2], (target, words.weight, size, parts))


def _add_products(device: Any, call: CudaCall, tile: Tile, parts: int, target: int) -> None:
    """Add the products of a tile to what the parts of the target hold, the first tile's to nothing.

    Both groups and parts are stacks of matrices; the larger number goes to one call.
    """
    words, leading, item = tile.words, tile.leading, tile.item
    filters, taken = words.filters, words.taken
    chunk, whole = leading // parts, words.groups * filters * taken
    # For outputs, columns and result: the steps from group to group, and from part to part.
    by_group = (filters * leading, taken * leading, filters * taken)
    by_part = (chunk, chunk, whole)
    if parts >= words.groups:
        loop, loop_steps, count, steps = words.groups, by_group, parts, by_part
    else:
        loop, loop_steps, count, steps = parts, by_part, words.groups, by_group
    for turn in range(loop):
        start = [turn * step * item for step in loop_steps]
        multiply(
            device,
            call.options,
            (filters, taken, chunk, count),
            Operand(words.swapped + start[0], leading, steps[0]),
            Operand(words.patches + start[1], leading, steps[1], transposed=True),
            Operand(target + start[2], taken, steps[2]),
            beta=1.0 if tile.first else 0.0,
        )
