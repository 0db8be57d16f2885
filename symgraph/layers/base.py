"""What all layers share: finding parameters, and their names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

from symgraph.errors import GraphError
from symgraph.leaves import Parameter, State, move_all
from symgraph.location import user_location
from symgraph.node import describe


class _Scope(NamedTuple):
    """The layer that a layer is an attribute of, and that attribute's name."""

    owner: Layer
    key: str


class Layer(ABC):
    """Builds a node from nodes, with parameters of its own.

    A layer is a class with a method `forward`. Parameters and other layers that are assigned to
    its attributes, also in lists and tuples, belong to it: `parameters` finds them in the order in
    which they were assigned, and names them by the path of attributes that leads there. What is a
    `State` is not trained, and comes from `states`.

    Attributes:
        name: takes the place of the attribute's name in that path, if it is not None.

    Example:
        >>> class Scale(Layer):
        ...     def __init__(self):
        ...         self.factor = Parameter(2.0, "factor")
        ...
        ...     def forward(self, x):
        ...         return self.factor * x
        >>> list(Scale().named_parameters())
        ['factor']
    """

    name: str | None = None
    _scope: _Scope | None = None
    _frozen = False

    def __call__(self, *operands: Any) -> Any:
        """Build the layer's output; parameters are made at the first call, if they were not yet.

        Raises:
            ShapeError: an operand does not fit, or says too little about its shape.
        """
        self._adopt()
        return self.forward(*operands)

    @abstractmethod
    def forward(self, *operands: Any) -> Any:
        """Build the output from nodes; `__call__` is what users call."""

    def prepare(self) -> None:
        """Make parameters that were waiting to be named or sized.

        Raises:
            ShapeError: their size is not known yet.
        """
        return

    def parameters(self) -> list[Parameter]:
        """Return the parameters of this layer and of all within it, in the order of definition.

        Frozen ones are among them: optimisers leave those out.

        Raises:
            ShapeError: a layer was not called yet and does not know its input size.
        """
        return list(self.named_parameters().values())

    def states(self) -> list[State]:
        """Return the states of this layer and of all within it, in the order of definition.

        Raises:
            ShapeError: a layer was not called yet and does not know its input size.
        """
        return list(self.named_states().values())

    def named_parameters(self) -> dict[str, Parameter]:
        """Return the parameters by path, such as `l0/W`; one that is shared comes once.

        Paths begin at this layer, with its name if it has one.

        Raises:
            ShapeError: a layer was not called yet and does not know its input size.
            GraphError: two parameters or states have one path.
        """
        return {path: leaf for path, leaf in self._named().items() if not isinstance(leaf, State)}

    def named_states(self) -> dict[str, State]:
        """Return the states by path, such as `bn1/avg_mean`; as `named_parameters`."""
        return {path: leaf for path, leaf in self._named().items() if isinstance(leaf, State)}

    def freeze(self) -> None:
        """Have optimisers leave the parameters of this layer, and of all within it, as they are.

        Those that are not made yet will be frozen when they are. Functions that are compiled
        already go on as they are, and so do states.
        """
        self._set_frozen(True)

    def unfreeze(self) -> None:
        """Let optimisers train the parameters of this layer, and of all within it, again."""
        self._set_frozen(False)

    def _set_frozen(self, frozen: bool) -> None:
        for _, layer in self._inside("", {self}):
            layer._frozen = frozen
            for _, value in _entries(vars(layer)):
                if isinstance(value, Parameter) and not isinstance(value, State):
                    value.trainable = not frozen

    def to(self, device: str) -> Self:
        """Move all parameters and states to a device, or back, and return the layer itself.

        Compiled functions fetch values by themselves; see `Parameter.to`.

        Args:
            device: "cpu", "cuda", or "cuda:1" and so on.

        Raises:
            DeviceError: there is no such device, or it has no room for all; no value is lost.
            ShapeError: a layer was not called yet and does not know its input size.
        """
        move_all(self._named().values(), device)
        return self

    def learn_sizes(self, shapes: Mapping[str, tuple[int, ...]]) -> Callable[[], None]:
        """Take input sizes that are not known yet from the shapes of arrays, saved ones say.

        Args:
            shapes: by path, as in `named_parameters`. What does not tell a size is ignored.

        Returns:
            A function that forgets what was learned here, and the parameters that it made possible.

        Example:
            >>> model = MLP((10, 3))
            >>> forget = model.learn_sizes({"l0/W": (4, 10), "l1/W": (10, 3)})
            >>> [parameter.shape for parameter in model.parameters()]
            [(4, 10), (10,), (10, 3), (3,)]
        """
        undone = []
        for path, layer in self._inside(f"{self.name}/" if self.name else "", {self}):
            own = {k.removeprefix(path): shapes[k] for k in shapes if k.startswith(path)}
            undone.append(layer._learn_size(own))

        def forget() -> None:
            for undo in undone:
                undo()

        return forget

    def _learn_size(self, shapes: Mapping[str, tuple[int, ...]]) -> Callable[[], None]:
        """Take this layer's input size from the shapes of its own arrays; return the way back."""
        return lambda: None

    def _inside(self, prefix: str, seen: set[Any]) -> Iterator[tuple[str, Layer]]:
        """Yield this layer and all within it, each once, and what their paths begin with."""
        yield prefix, self
        for key, value in _entries(vars(self)):
            if isinstance(value, Layer) and value not in seen:
                seen.add(value)
                yield from value._inside(f"{prefix}{value.name or key}/", seen)

    def _named(self) -> dict[str, Parameter]:
        """Return parameters and states by path, in the order of definition."""
        found: dict[str, Parameter] = {}
        self._collect(f"{self.name}/" if self.name else "", found, {self})
        return found

    def _collect(self, prefix: str, found: dict[str, Parameter], seen: set[Any]) -> None:
        """Put the parameters and states that are not in `seen` into `found`."""
        self._adopt()
        self.prepare()
        for key, value in _entries(vars(self)):
            if value in seen:
                continue
            seen.add(value)
            if isinstance(value, Layer):
                value._collect(f"{prefix}{value.name or key}/", found, seen)
            else:
                _insert(found, prefix + key, value)

    @property
    def path(self) -> str:
        """Return where this layer is, seen from the outermost: `block/l0`, or '' for that one."""
        parts: list[str] = []
        layer: Layer = self
        while layer._scope is not None:
            parts.append(layer.name or layer._scope.key)
            layer = layer._scope.owner
        parts.append(layer.name or "")
        return "/".join(part for part in reversed(parts) if part)

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if not isinstance(value, _Scope):
            self._adopt()

    def _adopt(self) -> None:
        """Tell the layers in attributes where they are; one that has a place already keeps it."""
        for key, value in _entries(vars(self)):
            if isinstance(value, Layer) and value._scope is None and not _within(self, value):
                value._scope = _Scope(self, key)

    def __repr__(self) -> str:
        place = f" {self.path!r}" if self.path else ""
        return f"<{type(self).__name__}{place}>"


def _entries(attributes: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Return the parameters and layers among attributes, with their keys, also those in lists."""
    for key, value in attributes.items():
        if isinstance(value, _Scope):
            continue
        if isinstance(value, Layer | Parameter):
            yield key, value
        elif isinstance(value, list | tuple):
            yield from _entries({f"{key}/{i}": item for i, item in enumerate(value)})


def _within(layer: Layer, outer: Layer) -> bool:
    """Tell whether `outer` is `layer` or one that it is in, so that it cannot be in `layer`."""
    while layer is not outer:
        if layer._scope is None:
            return False
        layer = layer._scope.owner
    return True


def _insert(found: dict[str, Parameter], path: str, parameter: Parameter) -> None:
    if path in found:
        raise GraphError(
            f"two parameters are called {path!r}: {describe(found[path])} and "
            f"{describe(parameter)}; give a layer another name\n  at {user_location()}"
        )
    found[path] = parameter
