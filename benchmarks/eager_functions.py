"""Elementwise functions, layers and losses of the Define-by-Run framework."""

from __future__ import annotations

from benchmarks.array_module import Array, Arrays
from benchmarks.define_by_run import Function, Variable, broadcast_to, matmul, sum_to


class _Exp(Function):
    def forward(self, *arrays: Array) -> Array:
        return Arrays.module.exp(arrays[0])

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (gradient * self.output(),)


class _Log(Function):
    def forward(self, *arrays: Array) -> Array:
        return Arrays.module.log(arrays[0])

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (gradient / self.inputs[0],)


class _Sin(Function):
    def forward(self, *arrays: Array) -> Array:
        return Arrays.module.sin(arrays[0])

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (gradient * cos(self.inputs[0]),)


class _Cos(Function):
    def forward(self, *arrays: Array) -> Array:
        return Arrays.module.cos(arrays[0])

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (gradient * -sin(self.inputs[0]),)


class _Tanh(Function):
    def forward(self, *arrays: Array) -> Array:
        return Arrays.module.tanh(arrays[0])

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        y = self.output()
        return (gradient * (1.0 - y * y),)


class _Sigmoid(Function):
    def forward(self, *arrays: Array) -> Array:
        # By tanh, which does not overflow, and in place, so that it takes one buffer.
        y = Arrays.module.tanh(arrays[0] * 0.5)
        y *= 0.5
        y += 0.5
        return y

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        y = self.output()
        return (gradient * y * (1.0 - y),)


class _Relu(Function):
    def forward(self, *arrays: Array) -> Array:
        return Arrays.module.maximum(arrays[0], 0.0)

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (gradient * (self.inputs[0].data > 0),)


class _Linear(Function):
    def forward(self, *arrays: Array) -> Array:
        x, weight, bias = arrays
        y = x @ weight
        y += bias
        return y

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        x, weight, bias = self.inputs
        return (
            matmul(gradient, weight.T),
            matmul(x.T, gradient),
            sum_to(gradient, bias.shape),
        )


class _Softmax(Function):
    def forward(self, *arrays: Array) -> Array:
        y: Array = arrays[0] - arrays[0].max(axis=1, keepdims=True)
        Arrays.module.exp(y, out=y)
        y /= y.sum(axis=1, keepdims=True)
        return y

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        y = self.output()
        scaled = y * gradient
        return (scaled - y * scaled.sum(axis=1, keepdims=True),)


class _SoftmaxCrossEntropy(Function):
    def __init__(self, labels: Array) -> None:
        self._labels = labels

    def forward(self, *arrays: Array) -> Array:
        logits = arrays[0]
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_of_sum = Arrays.module.log(Arrays.module.exp(shifted).sum(axis=1))
        picked = shifted[Arrays.module.arange(len(logits)), self._labels]
        return Arrays.module.asarray((log_of_sum - picked).mean())

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        (logits,) = self.inputs
        batch, classes = logits.shape
        one_hot = Arrays.module.eye(classes, dtype=logits.data.dtype)[self._labels]
        return ((softmax(logits) - one_hot) * (gradient * (1.0 / batch)),)


class _MeanSquaredError(Function):
    def forward(self, *arrays: Array) -> Array:
        difference = (arrays[0] - arrays[1]).ravel()
        return Arrays.module.asarray(
            difference.dot(difference) / difference.dtype.type(difference.size)
        )

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        prediction, target = self.inputs
        difference = prediction - target
        scaled = broadcast_to(gradient * (2.0 / difference.data.size), difference.shape)
        to_prediction = difference * scaled
        return to_prediction, -to_prediction


def exp(x: Variable) -> Variable:
    """Return e to the power of each element."""
    return _Exp()(x)


def log(x: Variable) -> Variable:
    """Return the natural logarithm of each element."""
    return _Log()(x)


def sin(x: Variable) -> Variable:
    """Return the sine of each element."""
    return _Sin()(x)


def cos(x: Variable) -> Variable:
    """Return the cosine of each element."""
    return _Cos()(x)


def tanh(x: Variable) -> Variable:
    """Return the hyperbolic tangent of each element."""
    return _Tanh()(x)


def sigmoid(x: Variable) -> Variable:
    """Return the logistic function of each element."""
    return _Sigmoid()(x)


def relu(x: Variable) -> Variable:
    """Return each element, or zero where it is negative."""
    return _Relu()(x)


def linear(x: Variable, weight: Variable, bias: Variable) -> Variable:
    """Return `x @ weight + bias`, recorded as one function.

    Args:
        x: Inputs, (batch, features).
        weight: Weights, (features, outputs).
        bias: Biases, (outputs,).

    Returns:
        The outputs, (batch, outputs).
    """
    return _Linear()(x, weight, bias)


def softmax(x: Variable) -> Variable:
    """Return the probabilities of the classes in each row of logits."""
    return _Softmax()(x)


def softmax_cross_entropy(logits: Variable, labels: Array) -> Variable:
    """Return the mean negative log-likelihood of labels.

    Args:
        logits: Scores of the classes, (batch, classes).
        labels: The right class of each row, (batch,), integers.

    Returns:
        The loss, a 0-d variable.
    """
    return _SoftmaxCrossEntropy(labels)(logits)


def mean_squared_error(prediction: Variable, target: Variable) -> Variable:
    """Return the mean over all elements of the squared difference."""
    return _MeanSquaredError()(prediction, target)
