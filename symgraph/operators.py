"""Python's operators and NumPy's array methods, as a mix-in of `Node`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from symgraph.array_methods import ArrayMethods, build_node
from symgraph.errors import GraphError
from symgraph.op import REGISTRY

if TYPE_CHECKING:
    import numpy as np

    from symgraph.node import Node, Operand


def _apply(name: str, *operands: Any, **attrs: Any) -> Node:
    return REGISTRY[name](*operands, **attrs)


class Operators(ArrayMethods):
    """Operators that build graph nodes, with NumPy's meaning."""

    __slots__ = ()
    __array_priority__ = 1000

    def __add__(self, other: Operand) -> Node:
        return _apply("add", self, other)

    def __radd__(self, other: Operand) -> Node:
        return _apply("add", other, self)

    def __sub__(self, other: Operand) -> Node:
        return _apply("subtract", self, other)

    def __rsub__(self, other: Operand) -> Node:
        return _apply("subtract", other, self)

    def __mul__(self, other: Operand) -> Node:
        return _apply("multiply", self, other)

    def __rmul__(self, other: Operand) -> Node:
        return _apply("multiply", other, self)

    def __truediv__(self, other: Operand) -> Node:
        return _apply("divide", self, other)

    def __rtruediv__(self, other: Operand) -> Node:
        return _apply("divide", other, self)

    def __floordiv__(self, other: Operand) -> Node:
        return _apply("floor_divide", self, other)

    def __rfloordiv__(self, other: Operand) -> Node:
        return _apply("floor_divide", other, self)

    def __mod__(self, other: Operand) -> Node:
        return _apply("mod", self, other)

    def __rmod__(self, other: Operand) -> Node:
        return _apply("mod", other, self)

    def __pow__(self, other: Operand) -> Node:
        return build_node("power", self, other)

    def __rpow__(self, other: Operand) -> Node:
        return build_node("power", other, self)

    def __matmul__(self, other: Operand) -> Node:
        return build_node("matmul", self, other)

    def __rmatmul__(self, other: Operand) -> Node:
        return build_node("matmul", other, self)

    def __divmod__(self, other: Operand) -> tuple[Node, Node]:
        return self // other, self % other

    def __neg__(self) -> Node:
        return _apply("negative", self)

    def __pos__(self) -> Operators:
        return self

    def __abs__(self) -> Node:
        return _apply("absolute", self)

    def __invert__(self) -> Node:
        return _apply("invert", self)

    def __and__(self, other: Operand) -> Node:
        return _apply("bitwise_and", self, other)

    def __rand__(self, other: Operand) -> Node:
        return _apply("bitwise_and", other, self)

    def __or__(self, other: Operand) -> Node:
        return _apply("bitwise_or", self, other)

    def __ror__(self, other: Operand) -> Node:
        return _apply("bitwise_or", other, self)

    def __xor__(self, other: Operand) -> Node:
        return _apply("bitwise_xor", self, other)

    def __rxor__(self, other: Operand) -> Node:
        return _apply("bitwise_xor", other, self)

    def __eq__(self, other: object) -> Node:  # type: ignore[override]  # elementwise, as in NumPy
        return _apply("equal", self, other)

    def __ne__(self, other: object) -> Node:  # type: ignore[override]  # elementwise, as in NumPy
        return _apply("not_equal", self, other)

    def __lt__(self, other: Operand) -> Node:
        return _apply("less", self, other)

    def __le__(self, other: Operand) -> Node:
        return _apply("less_equal", self, other)

    def __gt__(self, other: Operand) -> Node:
        return _apply("greater", self, other)

    def __ge__(self, other: Operand) -> Node:
        return _apply("greater_equal", self, other)

    def __getitem__(self, key: Any) -> Node:
        return build_node("index", self, key)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from symgraph.numpy_protocol import array_ufunc

        return array_ufunc(ufunc, method, *inputs, **kwargs)

    def __array_function__(
        self, called: Callable[..., Any], types: Any, args: Any, kwargs: Mapping[str, Any]
    ) -> Any:
        from symgraph.numpy_protocol import array_function

        return array_function(called, args, kwargs)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        self._refuse("an array", "compile the node and call the result")

    def __bool__(self) -> bool:
        self._refuse(
            "a truth value",
            "use cond(pred, then_fn, else_fn), or where for arrays; while_loop or scan for loops",
        )

    def __int__(self) -> int:
        self._refuse("an int", "compile the node and call the result")

    def __float__(self) -> float:
        self._refuse("a float", "compile the node and call the result")

    def __index__(self) -> int:
        self._refuse("an index", "compile the node and call the result, or index with the node")

    def __contains__(self, item: object) -> bool:
        self._refuse("the answer to `in`", "use (x == item).any()")

    def __setitem__(self, key: object, value: object) -> None:
        self._refuse(
            "a place to assign to", "build a new node with where, concatenate or scatter_add"
        )

    def __format__(self, specification: str) -> str:
        if specification:
            self._refuse("a formatted number", "compile the node and format the result")
        return repr(self)

    def __round__(self, decimals: int = 0) -> Node:
        from symgraph.ops.arithmetic import round as rounded

        return rounded(self, decimals)  # type: ignore[arg-type]  # every operand is a node

    def __iter__(self) -> NoReturn:
        self._refuse("an iterator", "use scan or while_loop, or index it: x[0], x[1]")

    def _refuse(self, wanted: str, remedy: str) -> NoReturn:
        from symgraph.location import user_location
        from symgraph.node import Node, describe

        assert isinstance(self, Node), "only nodes carry operators"
        raise GraphError(
            f"a symbolic node has no value while the graph is built, so it cannot give {wanted}: "
            f"{describe(self)}\n  at {user_location()}\n  {remedy}"
        )
