"""What may be done to gradients between the loss and an optimiser's rule.

A hook is a function of the parameters and their gradients, all nodes, that gives the gradients to
go on with; None in place of one leaves that parameter alone. An optimiser applies its hooks in the
order in which they are listed, each to what the one before it gave. They build graph, and what they
do element by element is fused into the update, which reads the gradient anyway.

    >>> def centred(parameters, gradients):
    ...     return [gradient - gradient.mean() for gradient in gradients]
    >>> SGD(0.1, hooks=[WeightDecay(1e-4), centred, ClipGrad(1.0)])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from symgraph.errors import GraphError
from symgraph.leaves import Parameter, lift
from symgraph.location import user_location
from symgraph.node import Node, Operand, describe
from symgraph.ops.arithmetic import sqrt, square
from symgraph.ops.elementwise import cast
from symgraph.ops.extremes import minimum
from symgraph.ops.reduce import sum as sum_of
from symgraph.optim.checks import check_gradient, number_checked, positive_checked

Hook = Callable[[Sequence[Parameter], Sequence[Node]], Sequence[Operand | None]]
Pairs = list[tuple[Parameter, Node]]


@runtime_checkable
class HasParameters(Protocol):
    """What a layer is to a hook, so that optimisers can be loaded without layers."""

    def parameters(self) -> Iterable[Parameter]:
        """Return the parameters that it owns."""


class WeightDecay:
    """Pulls weights to zero: g <- g + rate w, as if rate / 2 times the sum of w^2 were in the loss.

    Krogh and Hertz, "A simple weight decay can improve generalization" (1992). With rules that
    scale gradients it is not the same as making weights smaller, which is what `AdamW` does.

    Args:
        rate: how strong the pull is.

    Raises:
        GraphError: the rate is no finite number of at least 0.

    Example:
        >>> Momentum(0.1, hooks=[WeightDecay(1e-4)])
    """

    def __init__(self, rate: float) -> None:
        """Check the number."""
        self.rate = number_checked("the rate of WeightDecay", rate, 0.0)

    def __call__(self, parameters: Sequence[Parameter], gradients: Sequence[Node]) -> list[Node]:
        """Return the gradients with the pull added."""
        return [
            gradient + self.rate * parameter
            for parameter, gradient in zip(parameters, gradients, strict=True)
        ]


class ClipGrad:
    """Shortens all gradients by one factor where their common norm is above a limit.

    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013),
    algorithm 1, over all gradients together: g <- g min(1, max_norm / (norm + 1e-6)) with
    norm^2 the sum of all squares, which are computed in float64, so that none overflows.

    Args:
        max_norm: the largest norm that gradients keep.

    Raises:
        GraphError: it is no finite number above 0.

    Example:
        >>> Adam(hooks=[ClipGrad(1.0)])
    """

    def __init__(self, max_norm: float) -> None:
        """Check the number."""
        self.max_norm = positive_checked("the max_norm of ClipGrad", max_norm)

    def __call__(self, parameters: Sequence[Parameter], gradients: Sequence[Node]) -> list[Node]:
        """Return the gradients, shortened where that is needed."""
        total = lift(0.0)
        for gradient in gradients:
            total = total + sum_of(square(cast(gradient, dtype="float64")))
        factor = minimum(1.0, self.max_norm / (sqrt(total) + 1e-6))
        return [
            gradient * cast(factor, dtype=parameter.dtype)
            for parameter, gradient in zip(parameters, gradients, strict=True)
        ]


class FreezeParam:
    """Leaves some parameters alone: they stay as they are, and later hooks do not see them.

    To freeze a parameter for all optimisers, set its `trainable` to False instead.

    Args:
        frozen: parameters, and layers, all of whose parameters are meant.

    Raises:
        GraphError: nothing is given, or what is neither.

    Example:
        >>> SGD(0.1, hooks=[FreezeParam(model.l0, model.l1.b)])
    """

    def __init__(self, *frozen: Parameter | HasParameters) -> None:
        """Check the arguments; layers are asked for parameters when gradients are there."""
        for entry in frozen:
            if not isinstance(entry, Parameter | HasParameters):
                raise GraphError(
                    f"parameters and layers can be frozen, not {entry!r}\n  at {user_location()}"
                )
        if not frozen:
            raise GraphError(f"FreezeParam is told what to freeze\n  at {user_location()}")
        self.frozen = frozen

    def __call__(
        self, parameters: Sequence[Parameter], gradients: Sequence[Node]
    ) -> list[Node | None]:
        """Return the gradients, None for those of frozen parameters."""
        frozen = set(self._parameters())
        return [
            None if parameter in frozen else gradient
            for parameter, gradient in zip(parameters, gradients, strict=True)
        ]

    def _parameters(self) -> Iterator[Parameter]:
        for entry in self.frozen:
            if isinstance(entry, Parameter):
                yield entry
            else:
                yield from entry.parameters()


def checked_hooks(hooks: Iterable[Hook]) -> tuple[Hook, ...]:
    """Return the hooks as a tuple.

    Raises:
        GraphError: they are no list, or an entry is no function.
    """
    if callable(hooks) or not isinstance(hooks, Iterable):
        raise GraphError(
            f"hooks is a list of hooks, not {hooks!r}; write [...] around it\n"
            f"  at {user_location()}"
        )
    found = tuple(hooks)
    for hook in found:
        if not callable(hook) or isinstance(hook, type):
            raise GraphError(f"a hook is a function, not {hook!r}\n  at {user_location()}")
    return found


def apply_hooks(hooks: Sequence[Hook], pairs: Pairs) -> Pairs:
    """Return parameters and gradients after all hooks; frozen parameters are left out.

    Raises:
        GraphError: a hook gives another number of gradients, or leaves no parameter to train.
        ShapeError: it gives one of another shape.
        DTypeError: it gives one of another dtype.
    """
    for hook in hooks:
        parameters = [parameter for parameter, _ in pairs]
        changed = _changed(hook, pairs)
        pairs = []
        for parameter, gradient in zip(parameters, changed, strict=True):
            if gradient is None:
                continue
            node = lift(gradient)
            check_gradient(parameter, node, f" from {hook_name(hook)}")
            pairs.append((parameter, node))
        if not pairs:
            names = ", ".join(map(describe, parameters[:3]))
            raise GraphError(
                f"{hook_name(hook)} leaves no parameter to train, of {names}\n"
                f"  at {user_location()}"
            )
    return pairs


def _changed(hook: Hook, pairs: Pairs) -> list[Operand | None]:
    """Return what a hook gives.

    Raises:
        GraphError: it is no list with an entry for each parameter.
    """
    given = hook([parameter for parameter, _ in pairs], [gradient for _, gradient in pairs])
    if isinstance(given, Node) or not isinstance(given, Sequence) or len(given) != len(pairs):
        raise GraphError(
            f"{hook_name(hook)} was given {len(pairs)} gradients and gives a list of as many, "
            f"not {given!r}\n  at {user_location()}"
        )
    return list(given)


def hook_name(hook: Hook) -> str:
    """Return how messages name a hook."""
    return f"the hook {getattr(hook, '__name__', type(hook).__name__)}"
