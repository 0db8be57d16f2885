"""A recurrent layer of the Define-by-Run framework."""

from __future__ import annotations

from benchmarks.array_module import Array, Arrays
from benchmarks.define_by_run import Function, Variable
from benchmarks.eager_functions import linear, sigmoid, tanh


class _Columns(Function):
    def __init__(self, start: int, stop: int) -> None:
        self._start = start
        self._stop = stop

    def forward(self, *arrays: Array) -> Array:
        return arrays[0][:, self._start : self._stop]

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        (x,) = self.inputs
        return (_PlacedColumns(self._start, self._stop, x.shape[1])(gradient),)


class _PlacedColumns(Function):
    def __init__(self, start: int, stop: int, width: int) -> None:
        self._start = start
        self._stop = stop
        self._width = width

    def forward(self, *arrays: Array) -> Array:
        placed = Arrays.module.zeros((len(arrays[0]), self._width), arrays[0].dtype)
        placed[:, self._start : self._stop] = arrays[0]
        return placed

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (columns(gradient, self._start, self._stop),)


def columns(x: Variable, start: int, stop: int) -> Variable:
    """Return the columns of a matrix from `start` to before `stop`."""
    return _Columns(start, stop)(x)


class LSTM:
    """Carry a state from step to step, with one product for all four gates."""

    def __init__(self, wx: Variable, wh: Variable, b: Variable) -> None:
        """Take the parameters, with the gates side by side: forget, write, read, what is written.

        Args:
            wx: Weights of the input, (inputs, 4 * hidden).
            wh: Weights of the state, (hidden, 4 * hidden).
            b: Biases, (4 * hidden,).
        """
        self._wx = wx
        self._wh = wh
        self._b = b
        self.reset_state()

    def reset_state(self) -> None:
        """Begin again with a state of zeros."""
        self._h: Variable | None = None
        self._c: Variable | None = None

    def cut(self) -> None:
        """Keep the state but not how it came about: gradients of what follows end here."""
        if self._h is not None and self._c is not None:
            self._h, self._c = Variable(self._h.data), Variable(self._c.data)

    def __call__(self, x: Variable) -> Variable:
        """Return the output after one step.

        Args:
            x: Inputs, (batch, inputs).

        Returns:
            The new state, (batch, hidden).
        """
        sums = linear(x, self._wx, self._b)
        if self._h is not None:
            sums = sums + self._h @ self._wh
        size = self._wh.shape[0]
        parts = [columns(sums, place, place + size) for place in range(0, 4 * size, size)]
        forget, write, read = (sigmoid(part) for part in parts[:3])
        cell = write * tanh(parts[3])
        if self._c is not None:
            cell = forget * self._c + cell
        self._h, self._c = read * tanh(cell), cell
        return self._h
