"""Views: how transposes, slices, broadcasts and reshapes read an array without copying it."""

from __future__ import annotations

from dataclasses import dataclass

from symgraph.dims import Extent, floor_divide, product
from symgraph.node import Node
from symgraph.op import View as ViewKind
from symgraph.types import Shape

Strides = tuple[Extent, ...]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Element [i...] of a node lies at `offset + sum(i_k * strides_k)` of the array `base`.

    Args:
        base: a node that is no view.
        offset: in elements.
        strides: in elements, one for each axis; 0 where the axis is broadcast.
        shape: the extents of the view.
    """

    base: Node
    offset: Extent
    strides: Strides
    shape: Shape

    @property
    def contiguous(self) -> bool:
        """Tell whether the elements lie in row-major order without gaps from the start."""
        return self.offset == 0 and all(
            extent == 1 or stride == wanted
            for extent, stride, wanted in zip(
                self.shape, self.strides, row_major(self.shape), strict=True
            )
        )

    def broadcast_strides(self, rank: int) -> Strides:
        """Return the strides with which NumPy broadcasting reads this view at a higher rank."""
        own = tuple(
            0 if extent == 1 else stride
            for extent, stride in zip(self.shape, self.strides, strict=True)
        )
        return (0,) * (rank - len(own)) + own


def row_major(shape: Shape) -> Strides:
    """Return the strides of a dense row-major array."""
    strides: list[Extent] = []
    step: Extent = 1
    for extent in reversed(shape):
        strides.append(step)
        step = step * extent
    return tuple(reversed(strides))


class ViewResolver:
    """Finds the view that each node is of its base, remembering what it found."""

    def __init__(self) -> None:
        """Begin with nothing resolved."""
        self._known: dict[Node, View | None] = {}

    def resolve(self, node: Node) -> View | None:
        """Return the view `node` is; None if it is a reshape that needs a copy of its input."""
        chain = []
        while node not in self._known and isinstance(node.op.kind, ViewKind):
            chain.append(node)
            node = node.inputs[0]
        view = (
            self._known[node]
            if node in self._known
            else self._known.setdefault(node, _of_base(node))
        )
        for outer in reversed(chain):
            view = None if view is None else _apply(outer, view)
            self._known[outer] = view
        return view


def _of_base(node: Node) -> View:
    if node.op.name == "affine_index":
        return View(node, node.attrs["offset"], node.attrs["strides"], node.type.dims)
    shape: Shape = node.type.dims if hasattr(node.type, "dims") else ()
    return View(node, 0, row_major(shape), shape)


def _apply(node: Node, view: View) -> View | None:
    shape: Shape = node.type.dims
    match node.op.name:
        case "transpose":
            axes = node.attrs["axes"]
            axes = tuple(reversed(range(len(shape)))) if axes is None else axes
            strides = tuple(view.strides[axis] for axis in axes)
            return View(view.base, view.offset, strides, shape)
        case "broadcast_to":
            return View(view.base, view.offset, _broadcast(view, shape), shape)
        case "slice":
            offset = view.offset
            starts, steps = node.attrs["starts"], node.attrs["steps"]
            for start, stride in zip(starts, view.strides, strict=True):
                offset = offset + start * stride
            strides = tuple(stride * step for stride, step in zip(view.strides, steps, strict=True))
            return View(view.base, offset, strides, shape)
        case "reshape":
            if view.contiguous:
                return View(view.base, view.offset, row_major(shape), shape)
            reshaped = reshape_strides(view.shape, view.strides, shape)
            return None if reshaped is None else View(view.base, view.offset, reshaped, shape)
    raise AssertionError(f"{node.op.name} is registered as a view without a stride rule")


def _broadcast(view: View, shape: Shape) -> Strides:
    own = view.broadcast_strides(len(shape))
    padded = (1,) * (len(shape) - len(view.shape)) + view.shape
    return tuple(
        0 if extent == 1 != wanted else stride
        for stride, extent, wanted in zip(own, padded, shape, strict=True)
    )


def reshape_strides(old: Shape, strides: Strides, new: Shape) -> Strides | None:
    """Return the strides of the same elements under shape `new`, None if a copy is needed.

    Works through both shapes in groups of axes with equal products; within a group the old axes
    must be dense among themselves.
    """
    kept = [(extent, stride) for extent, stride in zip(old, strides, strict=True) if extent != 1]
    wanted = [extent for extent in new if extent != 1]
    found: list[Extent] = []
    i = j = 0
    while i < len(kept) and j < len(wanted):
        i_end, j_end = _group(kept, wanted, i, j)
        if product(tuple(e for e, _ in kept[i:i_end])) != product(tuple(wanted[j:j_end])):
            return None
        if any(kept[k][1] != kept[k + 1][1] * kept[k + 1][0] for k in range(i, i_end - 1)):
            return None
        step = kept[i_end - 1][1]
        found += [step * inner for inner in row_major(tuple(wanted[j:j_end]))]
        i, j = i_end, j_end
    if i < len(kept) or j < len(wanted):
        return None
    remaining = iter(found)
    return tuple(0 if extent == 1 else next(remaining) for extent in new)


def _group(
    kept: list[tuple[Extent, Extent]], wanted: list[Extent], i: int, j: int
) -> tuple[int, int]:
    """Return the ends of the shortest groups from i and j with equal products."""
    i_end, j_end = i + 1, j + 1
    left, right = kept[i][0], wanted[j]
    while left != right:
        if j_end < len(wanted) and _divides(right, left):
            right, j_end = right * wanted[j_end], j_end + 1
        elif i_end < len(kept):
            left, i_end = left * kept[i_end][0], i_end + 1
        elif j_end < len(wanted):
            right, j_end = right * wanted[j_end], j_end + 1
        else:
            break
    return i_end, j_end


def _divides(divisor: Extent, extent: Extent) -> bool:
    if divisor == 0:
        return False
    return floor_divide(extent, divisor) * divisor == extent
