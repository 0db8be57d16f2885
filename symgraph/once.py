"""Properties computed once. `functools.cached_property` has a lock until Python 3.12.

That lock belongs to the class, so a fork while another thread computes any such property leaves the
child waiting for it for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

Value = TypeVar("Value")


class once(Generic[Value]):
    """Make a method a property whose value is kept in the instance's `__dict__`.

    Two threads that ask first may both compute it; it must not matter whose value is kept.

    Args:
        compute: the method.

    Example:
        >>> class Circle:
        ...     @once
        ...     def area(self) -> float:
        ...         return 3.14 * self.radius**2
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        """Keep the method and its docstring."""
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> once[Value]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...

    def __get__(self, instance: object | None, owner: type) -> once[Value] | Value:
        if instance is None:
            return self
        # From now on the instance's own entry is found before this descriptor.
        value = instance.__dict__[self._name] = self._compute(instance)
        return value
