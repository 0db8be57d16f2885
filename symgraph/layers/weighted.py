"""What layers with weights share: parameters that are made when their sizes are known."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.dims import Extent
from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.layers.base import Layer
from symgraph.layers.initial import (
    Array,
    Fans,
    Initialiser,
    Seed,
    constant,
    drawn,
    generator,
    settled,
)
from symgraph.leaves import Parameter, State
from symgraph.location import user_location
from symgraph.node import Node, describe
from symgraph.types import FLOATS, check_dtype

NO_FANS = Fans(1, 1)
zeros, ones = constant(0.0), constant(1.0)


@dataclass(frozen=True, slots=True)
class InputSize:
    """The size of a layer's input, which may be learned after the layer was made.

    Args:
        argument: the argument, and attribute, that holds it; None there while it is not known.
        axis: the axis of the input that it is the extent of.
        noun: what it counts, in messages.
        array: the parameter whose shape tells it too.
        rank: how many axes that has.
        position: which of them tells it.
        layouts: the axes that an input may have; empty where its rank is free.
    """

    argument: str
    axis: int
    noun: str
    array: str
    rank: int
    position: int
    layouts: tuple[tuple[str, ...], ...] = ()


ROWS, IMAGES = ("N", "C"), ("N", "C", "H", "W")
"""Layouts of inputs."""


class Weighted(Layer):
    """A layer that makes its parameters in `prepare`, at the latest when one is asked for.

    Args:
        dtype: float32 or float64, of all parameters.
        seed: an int, a tuple of ints, a generator of NumPy that the numbers are drawn from, or None
            for a stream of the process' own, which `sg.random.seed` makes repeat.
        name: begins the parameters' names; a layer inside another is named by its attribute.

    Raises:
        GraphError: the seed is none.
        DTypeError: the dtype is no float.
    """

    made: ClassVar[tuple[str, ...]]
    """The attributes that `_make` fills."""

    input_size: ClassVar[InputSize | None] = None
    """The size that calls may tell; None if there is no such size."""

    def __init__(self, dtype: Any, seed: Seed, name: str | None) -> None:
        """Check the arguments."""
        self.dtype = check_dtype(dtype)
        if self.dtype not in FLOATS:
            raise DTypeError(
                f"a layer's weights are floats, not {self.dtype}\n  at {user_location()}"
            )
        self.name = name
        self._seed = settled(seed)

    def prepare(self) -> None:
        """Make the parameters, once.

        Raises:
            ShapeError: the input size is not known yet.
        """
        if self.made[0] not in vars(self):
            self._make()

    @abstractmethod
    def _make(self) -> None:
        """Set the attributes in `made`."""

    def _parameter(
        self,
        key: str,
        shape: tuple[int, ...],
        initial: Initialiser,
        fans: Fans = NO_FANS,
    ) -> Parameter:
        """Return a new parameter of this layer.

        Its numbers are drawn when they are first needed, unless they come from a generator that
        others draw from too.
        """
        seed, dtype = self._seed, self.dtype
        if isinstance(seed, tuple):
            made = Parameter.deferred(
                shape,
                dtype,
                lambda: drawn(initial, generator(seed), shape, dtype, fans),
                self._path_of(key),
            )
        else:
            made = Parameter(drawn(initial, seed, shape, dtype, fans), self._path_of(key))
        made.trainable = not self._frozen
        return made

    def _state(self, key: str, value: Array) -> State:
        """Return a new state of this layer."""
        return State(value.astype(self.dtype), self._path_of(key))

    def _path_of(self, key: str) -> str:
        return f"{self.path}/{key}" if self.path else key

    def __getattr__(self, name: str) -> Any:
        # Called only for attributes that are not there: parameters are made when first asked for.
        if name not in type(self).made:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self.prepare()
        return vars(self)[name]

    def _take_size(self, x: Node) -> None:
        """Learn the input size from `x`, or compare it with what is known.

        Raises:
            ShapeError: `x` has another extent there, or none that is known when it is needed.
        """
        rule = self.input_size
        assert rule is not None, "only layers with an input size ask"
        self._check_layout(x, rule.layouts)
        known, extent = getattr(self, rule.argument), self._extent(x, rule.axis)
        where = "the last axis" if rule.axis == -1 else f"axis {rule.axis}"
        if isinstance(extent, int):
            if known is None:
                setattr(self, rule.argument, self._size_checked(extent))
            elif known != extent:
                raise ShapeError(
                    f"{self!r} is for {known} {rule.noun}, but {where} has {extent}: "
                    f"{describe(x)}\n  at {user_location()}{_hint(x, rule, known)}"
                )
        elif known is None:
            raise ShapeError(
                f"{self!r} takes its number of {rule.noun} from {where}, which is not a known "
                f"number here: {describe(x)}\n  at {user_location()}\n"
                f"  give that axis of the placeholder a number, or give the layer {rule.argument}"
            )

    def _size_checked(self, size: int) -> int:
        """Return an input size that is about to be learned; layers may refuse some."""
        assert self.input_size is not None, "only layers with an input size ask"
        return size_checked(self.input_size.argument, size)

    def _learn_size(self, shapes: Mapping[str, tuple[int, ...]]) -> Callable[[], None]:
        rule = self.input_size
        if rule is not None and getattr(self, rule.argument) is None:
            shape = shapes.get(rule.array, ())
            size = self._size_told(shape, rule.position) if len(shape) == rule.rank else 0
            if size > 0:
                setattr(self, rule.argument, size)
                return lambda: self._forget_size(rule)
        return super()._learn_size(shapes)

    def _size_told(self, shape: tuple[int, ...], position: int) -> int:
        """Return the input size that the shape of a saved array tells."""
        return shape[position]

    def _forget_size(self, rule: InputSize) -> None:
        setattr(self, rule.argument, None)
        for key in self.made:
            vars(self).pop(key, None)

    def _check_layout(self, x: Node, layouts: tuple[tuple[str, ...], ...]) -> None:
        """Refuse an input of another rank before anything is learned from it."""
        dims = x.type.shape
        if layouts and dims is not None and len(dims) not in map(len, layouts):
            wanted = " or ".join(f"({', '.join(layout)})" for layout in layouts)
            raise ShapeError(
                f"{self!r} needs the axes {wanted}, but has {describe(x)}\n  at {user_location()}"
            )

    def _extent(self, x: Node, axis: int) -> Extent | None:
        """Return the extent of `x` along `axis`, None while the rank is open."""
        dims = x.type.shape
        if dims is None:
            return None
        if not -len(dims) <= axis < len(dims):
            raise ShapeError(
                f"{self!r} works along axis {axis}, which is not there: {describe(x)}\n"
                f"  at {user_location()}"
            )
        extent: Extent = dims[axis]
        return extent

    def _known_size(self) -> int:
        """Return the input size.

        Raises:
            ShapeError: it is not known yet.
        """
        assert self.input_size is not None, "only layers with an input size ask"
        size: int | None = getattr(self, self.input_size.argument)
        if size is None:
            raise ShapeError(
                f"{self!r} does not know its input size yet: call it on a node first, or give it "
                f"{self.input_size.argument}\n  at {user_location()}"
            )
        return size


def _hint(x: Node, rule: InputSize, known: int) -> str:
    """Return what helps where channels are the last axis of images, '' elsewhere."""
    dims = x.type.shape
    if IMAGES not in rule.layouts or dims is None or len(dims) != 4 or dims[3] != known:
        return ""
    return "\n  images are (N, C, H, W): .transpose(0, 3, 1, 2) moves the channels there"


def size_checked(what: str, value: object) -> int:
    """Return a size as an int.

    Raises:
        GraphError: it is no positive int.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value > 0:
        return int(value)
    raise GraphError(f"{what} is a positive int, not {value!r}\n  at {user_location()}")
