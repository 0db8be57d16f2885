"""Cutting arrays into pieces and padding them: split and pad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.dims import Extent, floor_divide
from symgraph.errors import GraphError, ShapeError
from symgraph.leaves import lift
from symgraph.location import user_location
from symgraph.node import Node, Operand
from symgraph.op import Sample
from symgraph.ops.arguments import Array, as_extent, as_int
from symgraph.ops.assume import assume_at_least, assume_equal
from symgraph.ops.composite import composite
from symgraph.ops.joining import ASSEMBLE
from symgraph.ops.slices import SLICE
from symgraph.types import normalise_axis


def _expand_split_part(x: Node, sections: int, part: int, axis: int) -> Node:
    axis = normalise_axis(axis, x.type.rank)
    whole = x.type.dims[axis]
    length = floor_divide(whole, sections)
    assume_equal(
        length * sections, whole, f"axis {axis} of extent {whole} has no {sections} equal parts"
    )
    dims = x.type.dims
    return SLICE(
        x,
        starts=tuple(length * part if i == axis else 0 for i in range(len(dims))),
        steps=(1,) * len(dims),
        lengths=tuple(length if i == axis else extent for i, extent in enumerate(dims)),
    )


SPLIT_PART = composite(
    "split_part",
    expand=_expand_split_part,
    numpy=lambda x, sections, part, axis: np.split(x, sections, axis)[part],
    samples=(
        Sample(
            lambda rng: (rng.normal(size=(2, 6)),), {"sections": 3, "part": 1, "axis": -1}, (0,)
        ),
    ),
    doc="One of several equal parts of x along an axis.",
)


def split(x: Operand, indices_or_sections: int | Sequence[Extent], axis: int = 0) -> list[Node]:
    """Cut an array into pieces along an axis.

    Args:
        x: any array.
        indices_or_sections: how many equal pieces, or the positions at which to cut.
        axis: the axis to cut.

    Returns:
        The pieces, as nodes.

    Raises:
        ShapeError: the axis is out of range or has no such equal pieces.

    Example:
        >>> split(Placeholder("x", ("N", 6), "float32"), 2, axis=1)
        [<split_part: float32[N, 3]>, <split_part: float32[N, 3]>]
    """
    from symgraph.ops.indexing import index

    node, axis = lift(x), as_int(axis, "an axis")
    if isinstance(indices_or_sections, Sequence):
        cuts = [as_extent(cut) for cut in indices_or_sections]
        pieces = [slice(low, high) for low, high in zip([0, *cuts], [*cuts, None], strict=True)]
        return [index(node, _along(piece, axis)) for piece in pieces]
    sections = as_int(indices_or_sections, "the number of sections")
    if sections < 1:
        raise ShapeError(f"split needs at least one section\n  at {user_location()}")
    return [SPLIT_PART(node, sections=sections, part=part, axis=axis) for part in range(sections)]


def _along(piece: slice, axis: int) -> tuple[Any, ...]:
    whole = slice(None)
    if axis >= 0:
        return (*([whole] * axis), piece)
    return (Ellipsis, piece, *([whole] * (-axis - 1)))


Widths = tuple[tuple[Extent, Extent], ...]


def _expand_pad(x: Node, widths: Widths, fill: float) -> Node:
    dims = x.type.dims
    if len(widths) == 1:
        widths = widths * len(dims)
    if len(widths) != len(dims):
        raise ShapeError(f"{len(widths)} pairs of widths do not fit {len(dims)} axes")
    for pair in widths:
        for width in pair:
            assume_at_least(width, 0, f"a pad width is negative: {width}")
    shape = tuple(
        before + extent + after for (before, after), extent in zip(widths, dims, strict=True)
    )
    starts = tuple(before for before, _ in widths)
    return ASSEMBLE(x, shape=shape, fill=fill, placements=((starts, (1,) * len(dims)),))


def _pad(x: Array, widths: tuple[tuple[int, int], ...], fill: float) -> Array:
    widths = widths * x.ndim if len(widths) == 1 else widths
    # NumPy has no pad for arrays without axes.
    return np.pad(x, widths, constant_values=fill) if x.ndim else x


PAD = composite(
    "pad",
    expand=_expand_pad,
    numpy=_pad,
    samples=(
        Sample(
            lambda rng: (rng.normal(size=(2, 3)),), {"widths": ((1, 0), (2, 1)), "fill": 0.5}, (0,)
        ),
        Sample(lambda rng: (rng.normal(size=(2, 3)),), {"widths": ((1, 1),), "fill": 0}, (0,)),
    ),
    doc="x with `fill` before and after the elements of each axis.",
)


def pad(x: Operand, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Node:
    """Surround an array with a constant.

    Args:
        x: any array.
        pad_width: one width for all sides; a pair (before, after) for all axes; or such a pair
            for each axis. Widths are ints or symbolic extents.
        mode: only "constant".
        constant_values: the number around `x`, cast to its dtype.

    Returns:
        A node of the dtype of `x`.

    Raises:
        GraphError: another mode.
        ShapeError: a width is negative, or the pairs do not fit the axes.

    Example:
        >>> pad(Placeholder("x", ("N", 3), "float32"), ((0, 1), (2, 2)))
        <pad: float32[N + 1, 7]>
    """
    if mode != "constant" or not isinstance(constant_values, int | float | np.number):
        raise GraphError(
            f"pad takes mode='constant' and one number\n  at {user_location()}\n"
            "  other modes: concatenate slices of x"
        )
    fill = constant_values if isinstance(constant_values, bool | int) else float(constant_values)
    return PAD(x, widths=_widths(pad_width), fill=fill)


def _widths(pad_width: Any) -> Widths:
    if not isinstance(pad_width, Sequence | np.ndarray):
        width = as_extent(pad_width)
        return ((width, width),)
    if len(pad_width) == 2 and not any(isinstance(w, Sequence | np.ndarray) for w in pad_width):
        return ((as_extent(pad_width[0]), as_extent(pad_width[1])),)
    pairs = []
    for entry in pad_width:
        pair = [entry, entry] if not isinstance(entry, Sequence | np.ndarray) else list(entry)
        if len(pair) != 2:
            raise ShapeError(f"pad widths come in pairs, not {entry!r}\n  at {user_location()}")
        pairs.append((as_extent(pair[0]), as_extent(pair[1])))
    return tuple(pairs)
