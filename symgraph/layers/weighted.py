"""What layers with weights share: parameters that are made when their sizes are known."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from symgraph.dims import Extent
from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.layers.base import Layer
from symgraph.layers.initial import Fans, Initialiser, Seed, constant, drawn, generator, settled
from symgraph.leaves import Parameter
from symgraph.location import user_location
from symgraph.node import Node, describe
from symgraph.types import FLOATS, check_dtype

NO_FANS = Fans(1, 1)
zeros, ones = constant(0.0), constant(1.0)


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

    def _make(self) -> None:
        """Set the attributes in `made`, `made[0]` last of those that other threads may ask for."""
        raise NotImplementedError

    def _parameter(
        self,
        key: str,
        shape: tuple[int, ...],
        initial: Initialiser,
        fans: Fans = NO_FANS,
        kind: type[Parameter] = Parameter,
    ) -> Parameter:
        """Return a new parameter, or state, of this layer.

        Its numbers are drawn when they are first needed, unless they come from a generator that
        others draw from too.
        """
        path = f"{self.path}/{key}" if self.path else key
        seed, dtype = self._seed, self.dtype
        made: Parameter
        if isinstance(seed, tuple):
            made = kind.deferred(
                shape, dtype, lambda: drawn(initial, generator(seed), shape, dtype, fans), path
            )
        else:
            made = kind(drawn(initial, seed, shape, dtype, fans), path)
        if self._frozen:
            made.trainable = False
        return made

    def __getattr__(self, name: str) -> Any:
        # Called only for attributes that are not there: parameters are made when first asked for.
        if name not in type(self).made:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self.prepare()
        return vars(self)[name]

    def _learned(self, known: int | None, x: Node, axis: int, argument: str, noun: str) -> int:
        """Return the extent of `x` along `axis`, or the size that is known already.

        Args:
            known: the size that the layer was made with or has learned.
            x: what the layer is called on.
            axis: the axis that the size is of; it counts from the end if it is negative.
            argument: the argument that gives the size when the layer is made.
            noun: what is counted, such as "inputs" or "channels".

        Raises:
            ShapeError: `x` has another extent there, or none that is known when it is needed.
        """
        extent = self._extent(x, axis)
        where = "the last axis" if axis == -1 else f"axis {axis}"
        if isinstance(extent, int):
            if known is None:
                return size_checked(argument, extent)
            if known != extent:
                raise ShapeError(
                    f"{self!r} is for {known} {noun}, but {where} has {extent}: {describe(x)}\n"
                    f"  at {user_location()}"
                )
        elif known is None:
            raise ShapeError(
                f"{self!r} takes its number of {noun} from {where}, which is not a known number "
                f"here: {describe(x)}\n  at {user_location()}\n"
                f"  give that axis of the placeholder a number, or give the layer {argument}"
            )
        assert known is not None, "an unknown size was learned or refused"
        return known

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

    def _needs(self, argument: str) -> ShapeError:
        """Return the error that says that parameters were asked for too early."""
        return ShapeError(
            f"{self!r} does not know its input size yet: call it on a node first, or give it "
            f"{argument}\n  at {user_location()}"
        )


def size_checked(what: str, value: object) -> int:
    """Return a size as an int.

    Raises:
        GraphError: it is no positive int.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value > 0:
        return int(value)
    raise GraphError(f"{what} is a positive int, not {value!r}\n  at {user_location()}")
