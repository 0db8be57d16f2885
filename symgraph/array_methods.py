"""NumPy's array methods and properties of nodes, each leading to the function of the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from symgraph.node import Node

Axis = int | tuple[int, ...] | None


def build_node(name: str, *args: Any, **kwargs: Any) -> Node:
    """Call the graph-building function called `name`."""
    from symgraph.numpy_protocol import function

    return cast("Node", function(name)(*args, **kwargs))


def _unpacked(entries: tuple[Any, ...]) -> Any:
    """Return the shape or axes of `x.reshape(2, 3)` as of `x.reshape((2, 3))`."""
    if len(entries) == 1 and (entries[0] is None or isinstance(entries[0], tuple | list)):
        return entries[0]
    return entries


class ArrayMethods:
    """The array methods of `Node`; see the functions of the same names for what they do."""

    __slots__ = ()

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Node:
        """Add the elements along `axis`, all of them for None."""
        return build_node("sum", self, axis=axis, keepdims=keepdims)

    def prod(self, axis: Axis = None, keepdims: bool = False) -> Node:
        """Multiply the elements along `axis`."""
        return build_node("prod", self, axis=axis, keepdims=keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Node:
        """Give the largest element along `axis`."""
        return build_node("max", self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Node:
        """Give the smallest element along `axis`."""
        return build_node("min", self, axis=axis, keepdims=keepdims)

    def any(self, axis: Axis = None, keepdims: bool = False) -> Node:
        """Tell whether any element along `axis` is true."""
        return build_node("any", self, axis=axis, keepdims=keepdims)

    def all(self, axis: Axis = None, keepdims: bool = False) -> Node:
        """Tell whether all elements along `axis` are true."""
        return build_node("all", self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Node:
        """Average the elements along `axis`."""
        return build_node("mean", self, axis=axis, keepdims=keepdims)

    def var(self, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Node:
        """Give the variance along `axis`, over n - ddof."""
        return build_node("var", self, axis=axis, ddof=ddof, keepdims=keepdims)

    def std(self, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Node:
        """Give the standard deviation along `axis`, over n - ddof."""
        return build_node("std", self, axis=axis, ddof=ddof, keepdims=keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Node:
        """Give the position of the first largest element along `axis`."""
        return build_node("argmax", self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Node:
        """Give the position of the first smallest element along `axis`."""
        return build_node("argmin", self, axis=axis, keepdims=keepdims)

    def cumsum(self, axis: int | None = None) -> Node:
        """Add up the elements along `axis`, keeping each partial sum."""
        return build_node("cumsum", self, axis=axis)

    def clip(self, min: Any = None, max: Any = None) -> Node:
        """Limit the elements to [min, max]."""
        return build_node("clip", self, min, max)

    def round(self, decimals: int = 0) -> Node:
        """Round to `decimals` decimals, ties to even."""
        return build_node("round", self, decimals)

    def astype(self, dtype: Any) -> Node:
        """Convert to another dtype."""
        return build_node("cast", self, dtype)

    def reshape(self, *shape: Any) -> Node:
        """Give the same elements in another shape; one extent may be -1."""
        return build_node("reshape", self, _unpacked(shape))

    def transpose(self, *axes: Any) -> Node:
        """Permute the axes; without arguments, reverse them."""
        return build_node("transpose", self, _unpacked(axes) if axes else None)

    @property
    def T(self) -> Node:  # NumPy's name
        """Return the node with its axes reversed."""
        return build_node("transpose", self)

    @property
    def mT(self) -> Node:  # NumPy's name
        """Return the node with its last two axes swapped."""
        return build_node("swapaxes", self, -1, -2)

    def swapaxes(self, axis1: int, axis2: int) -> Node:
        """Swap two axes."""
        return build_node("swapaxes", self, axis1, axis2)

    def squeeze(self, axis: Axis = None) -> Node:
        """Drop axes of extent 1."""
        return build_node("squeeze", self, axis)

    def ravel(self) -> Node:
        """Give all elements along one axis."""
        return build_node("ravel", self)

    def flatten(self) -> Node:
        """Give all elements along one axis."""
        return build_node("ravel", self)

    def repeat(self, repeats: int, axis: int | None = None) -> Node:
        """Repeat each element along `axis`."""
        return build_node("repeat", self, repeats, axis)

    def take(self, indices: Any, axis: int | None = None) -> Node:
        """Pick elements along `axis` by their positions."""
        return build_node("take", self, indices, axis)

    def dot(self, other: Any) -> Node:
        """Multiply as NumPy's `dot`."""
        return build_node("dot", self, other)
