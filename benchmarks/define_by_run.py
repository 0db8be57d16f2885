"""A small Define-by-Run framework in the classical design: Variable, Function, backward.

Running an expression records it: each `Variable` knows the `Function` that made it, and `backward`
walks these links in reverse. Derivatives are written with differentiable functions, so they can be
differentiated again (`create_graph=True`). It is the peer that symgraph's benchmarks measure
against, hence written for speed within that design: a heap orders the functions, arrays keep their
dtype, and nothing is recorded while derivatives are not wanted.

This module holds the core and the algebra; `eager_functions` adds the elementwise functions and the
losses of neural networks, `eager_optimizers` the update rules.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import weakref
from collections.abc import Iterator
from typing import Any, TypeAlias

from benchmarks.array_module import Array, Arrays

Operand: TypeAlias = "Variable | Array | float"


class _Recording:
    """Says whether functions record what made their outputs."""

    enabled = True


@contextlib.contextmanager
def recording(enabled: bool) -> Iterator[None]:
    """Switch the recording of functions on or off within a `with` block.

    Args:
        enabled: Whether functions that run inside the block can be differentiated.

    Yields:
        Nothing.
    """
    before = _Recording.enabled
    _Recording.enabled = enabled
    try:
        yield
    finally:
        _Recording.enabled = before


class Variable:
    """Hold an array, the function that made it and, after `backward`, its gradient."""

    __array_priority__ = 200  # NumPy's operators leave mixed expressions to ours.
    __slots__ = ("__weakref__", "creator", "data", "generation", "grad")

    def __init__(self, data: Array) -> None:
        """Wrap an array.

        Args:
            data: The value; it is not copied.
        """
        self.data = data
        self.grad: Variable | None = None
        self.creator: Function | None = None
        self.generation = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the value."""
        shape: tuple[int, ...] = self.data.shape
        return shape

    def clear_grad(self) -> None:
        """Forget the gradient, which `backward` would otherwise add to."""
        self.grad = None

    def backward(self, *, retain_grad: bool = False, create_graph: bool = False) -> None:
        """Add the gradient of this variable's sum to `grad` of everything that it came from.

        Args:
            retain_grad: Keep the gradients of intermediate results too.
            create_graph: Record the derivatives, so that they can be differentiated again.
        """
        if self.grad is None:
            self.grad = Variable(Arrays.module.ones_like(self.data))
        order = _ReverseOrder()
        order.add(self.creator)
        with recording(create_graph):
            while function := order.pop():
                output = function.output()
                _add_gradients(function, output)
                for source in function.inputs:
                    order.add(source.creator)
                if not retain_grad:
                    output.grad = None

    def reshape(self, *shape: int) -> Variable:
        """Return the same elements in another shape."""
        return reshape(self, shape)

    @property
    def T(self) -> Variable:
        """Return the transposed matrix."""
        return transpose(self)

    def sum(self, axis: int | None = None, keepdims: bool = False) -> Variable:
        """Return the sum of the elements along an axis, or of all."""
        return sum_of(self, axis, keepdims)

    def __repr__(self) -> str:
        return f"Variable({self.data!r})"

    def __neg__(self) -> Variable:
        return _Negate()(self)

    def __add__(self, other: Operand) -> Variable:
        return _Add()(self, _lift(other, self))

    __radd__ = __add__

    def __sub__(self, other: Operand) -> Variable:
        return _Subtract()(self, _lift(other, self))

    def __rsub__(self, other: Operand) -> Variable:
        return _Subtract()(_lift(other, self), self)

    def __mul__(self, other: Operand) -> Variable:
        return _Multiply()(self, _lift(other, self))

    __rmul__ = __mul__

    def __truediv__(self, other: Operand) -> Variable:
        return _Divide()(self, _lift(other, self))

    def __rtruediv__(self, other: Operand) -> Variable:
        return _Divide()(_lift(other, self), self)

    def __pow__(self, exponent: float) -> Variable:
        return _Power(exponent)(self)

    def __matmul__(self, other: Operand) -> Variable:
        return matmul(self, _lift(other, self))


class Function:
    """Compute one output from inputs, and the gradients of the inputs from that of the output."""

    inputs: tuple[Variable, ...] = ()
    generation = 0
    _output: weakref.ref[Variable]

    def __call__(self, *inputs: Variable) -> Variable:
        """Run `forward` and, unless recording is off, link the result to this function."""
        # NumPy turns 0-d results into scalars; values stay arrays here.
        output = Variable(
            Arrays.module.asarray(self.forward(*[variable.data for variable in inputs]))
        )
        if _Recording.enabled:
            self.inputs = inputs
            self.generation = max([variable.generation for variable in inputs])
            output.generation = self.generation + 1
            output.creator = self
            # A strong link would close a cycle: memory would wait for the garbage collector.
            self._output = weakref.ref(output)
        return output

    def output(self) -> Variable:
        """Return the recorded output, which lives as long as anything that depends on it."""
        output = self._output()
        assert output is not None, "a function was reached from an output that is gone"
        return output

    def forward(self, *arrays: Array) -> Array:
        """Return the value of the output."""
        raise NotImplementedError(f"{type(self).__name__} has no forward rule")

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        """Return the gradient of each input, given that of the output."""
        raise NotImplementedError(f"{type(self).__name__} has no backward rule")


class _ReverseOrder:
    """Hand out functions from the last generation to the first, each once."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Function]] = []
        self._seen: set[int] = set()
        self._ticket = itertools.count()  # Breaks ties, since functions have no order.

    def add(self, function: Function | None) -> None:
        if function is not None and id(function) not in self._seen:
            self._seen.add(id(function))
            heapq.heappush(self._heap, (-function.generation, next(self._ticket), function))

    def pop(self) -> Function | None:
        return heapq.heappop(self._heap)[2] if self._heap else None


def _add_gradients(function: Function, output: Variable) -> None:
    gradient = output.grad
    assert gradient is not None, "functions come after everything that uses their output"
    gradients = function.backward(gradient)
    for source, contribution in zip(function.inputs, gradients, strict=True):
        source.grad = contribution if source.grad is None else source.grad + contribution


def _lift(operand: Operand, partner: Variable) -> Variable:
    """Return an operand as a variable; Python numbers take the partner's dtype."""
    if isinstance(operand, Variable):
        return operand
    if isinstance(operand, Arrays.module.ndarray):
        return Variable(operand)
    # A scalar of NumPy's: CuPy passes it to its kernels by value, where an array would be copied.
    number: Any = partner.data.dtype.type(operand)
    return Variable(number)


class _Negate(Function):
    def forward(self, *arrays: Array) -> Array:
        return Arrays.module.negative(arrays[0])

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (-gradient,)


class _Add(Function):
    def forward(self, *arrays: Array) -> Array:
        return Arrays.module.add(*arrays)

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        x, y = self.inputs
        return sum_to(gradient, x.shape), sum_to(gradient, y.shape)


class _Subtract(Function):
    def forward(self, *arrays: Array) -> Array:
        return Arrays.module.subtract(*arrays)

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        x, y = self.inputs
        return sum_to(gradient, x.shape), sum_to(-gradient, y.shape)


class _Multiply(Function):
    def forward(self, *arrays: Array) -> Array:
        return Arrays.module.multiply(*arrays)

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        x, y = self.inputs
        return sum_to(gradient * y, x.shape), sum_to(gradient * x, y.shape)


class _Divide(Function):
    def forward(self, *arrays: Array) -> Array:
        return Arrays.module.divide(*arrays)

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        x, y = self.inputs
        return sum_to(gradient / y, x.shape), sum_to(-gradient * x / y**2, y.shape)


class _Power(Function):
    def __init__(self, exponent: float) -> None:
        self._exponent = exponent

    def forward(self, *arrays: Array) -> Array:
        result: Array = arrays[0] ** self._exponent  # np.power would not take x**2 as x*x.
        return result

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        (x,) = self.inputs
        return (gradient * (x ** (self._exponent - 1) * self._exponent),)


class _MatMul(Function):
    def forward(self, *arrays: Array) -> Array:
        return Arrays.module.matmul(*arrays)

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        x, y = self.inputs
        return matmul(gradient, y.T), matmul(x.T, gradient)


class _Transpose(Function):
    def forward(self, *arrays: Array) -> Array:
        return arrays[0].T

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (gradient.T,)


class _Reshape(Function):
    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape

    def forward(self, *arrays: Array) -> Array:
        return arrays[0].reshape(self._shape)

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (reshape(gradient, self.inputs[0].shape),)


class _Sum(Function):
    def __init__(self, axis: int | None, keepdims: bool) -> None:
        self._axis = axis
        self._keepdims = keepdims

    def forward(self, *arrays: Array) -> Array:
        return Arrays.module.asarray(arrays[0].sum(axis=self._axis, keepdims=self._keepdims))

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        shape = self.inputs[0].shape
        if self._axis is not None and not self._keepdims:
            kept = list(shape)
            kept[self._axis] = 1
            gradient = reshape(gradient, tuple(kept))
        return (broadcast_to(gradient, shape),)


class _BroadcastTo(Function):
    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape

    def forward(self, *arrays: Array) -> Array:
        return Arrays.module.broadcast_to(arrays[0], self._shape)

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (sum_to(gradient, self.inputs[0].shape),)


class _SumTo(Function):
    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape

    def forward(self, *arrays: Array) -> Array:
        array = arrays[0]
        added = array.ndim - len(self._shape)
        stretched = [
            added + axis
            for axis, extent in enumerate(self._shape)
            if extent == 1 and array.shape[added + axis] != 1
        ]
        summed: Array = array.sum(axis=(*range(added), *stretched), keepdims=True)
        return summed.reshape(self._shape)

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (broadcast_to(gradient, self.inputs[0].shape),)


def matmul(x: Variable, y: Variable) -> Variable:
    """Return the product of two matrices."""
    return _MatMul()(x, y)


def transpose(x: Variable) -> Variable:
    """Return the transposed matrix."""
    return _Transpose()(x)


def reshape(x: Variable, shape: tuple[int, ...]) -> Variable:
    """Return the same elements in another shape."""
    return x if x.shape == shape else _Reshape(shape)(x)


def sum_of(x: Variable, axis: int | None = None, keepdims: bool = False) -> Variable:
    """Return the sum of the elements along an axis, or of all."""
    return _Sum(axis, keepdims)(x)


def broadcast_to(x: Variable, shape: tuple[int, ...]) -> Variable:
    """Return the elements repeated along the dimensions that `shape` adds or stretches."""
    return x if x.shape == shape else _BroadcastTo(shape)(x)


def sum_to(x: Variable, shape: tuple[int, ...]) -> Variable:
    """Return the sums over the dimensions that broadcasting from `shape` added or stretched."""
    return x if x.shape == shape else _SumTo(shape)(x)
