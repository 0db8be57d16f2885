"""Symbolic extents: integer polynomials over named dims, kept in a canonical form.

An extent is a Python int or a `Dim`. Equal extents compare equal by structure, so `N * 784`
computed in two ways is one key. Symbols stand for extents, hence are never negative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from operator import attrgetter
from typing import Any, NoReturn, Union

from symgraph.errors import GraphError
from symgraph.location import user_location
from symgraph.once import once

Extent = Union[int, "Dim"]
Monomial = tuple["Atom", ...]

_anonymous = count()
_NOTHING: Mapping[str, str] = {}
_names: ContextVar[Mapping[str, str]] = ContextVar("_names", default=_NOTHING)


@contextmanager
def open_dims_named(names: Mapping[str, str]) -> Iterator[None]:
    """Print open dims inside the block as `names` says, not as `?`: messages must tell them apart.

    Args:
        names: what to call anonymous symbols, by their own names.
    """
    token = _names.set(names)
    try:
        yield
    finally:
        _names.reset(token)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A named extent; anonymous ones (an open dim of one placeholder) begin with `?`."""

    name: str

    def evaluate(self, extents: Mapping[str, int]) -> int:
        """Return the extent bound to this symbol."""
        return extents[self.name]

    def substitute(self, replace: Callable[[Symbol], Extent]) -> Extent:
        """Return what `replace` gives for this symbol."""
        return replace(self)

    def symbols(self) -> Iterator[str]:
        """Yield the names inside."""
        yield self.name

    def never_negative(self) -> bool:
        """Tell that extents are never negative."""
        return True

    @property
    def key(self) -> str:
        """Return a text that no other atom has; polynomials are sorted by it."""
        return self.name

    def __str__(self) -> str:
        return _names.get().get(self.name, "?") if self.name.startswith("?") else self.name


@dataclass(frozen=True, slots=True)
class Compound:
    """A non-polynomial extent of two operands: `floordiv`, `max`, or an unresolved `broadcast`."""

    kind: str
    left: Extent
    right: Extent

    def evaluate(self, extents: Mapping[str, int]) -> int:
        """Return the value under `extents`; broadcasting takes the side that is not 1."""
        left, right = evaluate(self.left, extents), evaluate(self.right, extents)
        if self.kind == "floordiv":
            return left // right if right else 0
        if self.kind == "max":
            return max(left, right)
        return right if left == 1 else left

    def substitute(self, replace: Callable[[Symbol], Extent]) -> Extent:
        """Return the same operation on substituted operands."""
        return _COMBINE[self.kind](substitute(self.left, replace), substitute(self.right, replace))

    def symbols(self) -> Iterator[str]:
        """Yield the names inside."""
        yield from symbols(self.left)
        yield from symbols(self.right)

    def never_negative(self) -> bool:
        """Tell whether the value is provably >= 0."""
        signs = (never_negative(self.left), never_negative(self.right))
        return any(signs) if self.kind == "max" else all(signs)

    @property
    def key(self) -> str:
        """Return a text that no other atom has; polynomials are sorted by it."""
        return f"{self.kind}({_key(self.left)}, {_key(self.right)})"

    def __str__(self) -> str:
        if self.kind == "floordiv":
            return f"({self.left})//{self.right}"
        return f"{self.kind}({self.left}, {self.right})"


Atom = Symbol | Compound


def _key(extent: Extent) -> str:
    """Return a text that only equal extents share; what is printed shows all open dims as `?`."""
    return " + ".join(f"{value}*{_monomial_key(monomial)}" for monomial, value in _terms(extent))


def _monomial_key(monomial: Monomial) -> str:
    return "*".join(atom.key for atom in monomial)


@dataclass(frozen=True)
class Dim:
    """A polynomial: pairs of (product of atoms, coefficient), sorted; never a plain integer."""

    terms: tuple[tuple[Monomial, int], ...]

    @once
    def _hash(self) -> int:
        return hash(self.terms)

    def __hash__(self) -> int:
        return self._hash

    def __add__(self, other: Extent) -> Extent:
        if not isinstance(other, int | Dim):
            return self._with_float("__add__", other)
        return _polynomial([*_terms(self), *_terms(other)])

    def __sub__(self, other: Extent) -> Extent:
        if not isinstance(other, int | Dim):
            return self._with_float("__sub__", other)
        return self + (-1 * other)

    def __mul__(self, other: Extent) -> Extent:
        if not isinstance(other, int | Dim):
            return self._with_float("__mul__", other)
        return _polynomial(
            [
                (tuple(sorted(left + right, key=attrgetter("key"))), a * b)
                for left, a in _terms(self)
                for right, b in _terms(other)
            ]
        )

    def __rsub__(self, other: int) -> Extent:
        return -1 * self + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Extent:
        return self * -1

    def __floordiv__(self, other: Extent) -> Extent:
        if not isinstance(other, int | Dim):
            return NotImplemented
        return floor_divide(self, other)

    # What is no longer an extent becomes a node.

    def __truediv__(self, other: object) -> Any:
        return self._node() / other if isinstance(other, int | float | Dim) else NotImplemented

    def __rtruediv__(self, other: object) -> Any:
        return other / self._node() if isinstance(other, int | float | Dim) else NotImplemented

    def __pow__(self, other: object) -> Any:
        return self._node() ** other if isinstance(other, int | float | Dim) else NotImplemented

    def _node(self) -> Any:
        from symgraph.op import REGISTRY

        return REGISTRY["extent"](value=self)

    def _with_float(self, name: str, other: object) -> Any:
        return getattr(self._node(), name)(other) if isinstance(other, float) else NotImplemented

    def __lt__(self, other: object) -> bool:
        self._refuse("be compared")

    __le__ = __gt__ = __ge__ = __lt__

    def __index__(self) -> int:
        self._refuse("be an int")

    def _refuse(self, wanted: str) -> NoReturn:
        raise GraphError(
            f"the extent {self} has no value while the graph is built, so it cannot {wanted}\n"
            f"  at {user_location()}\n  declare the extent as an int, or compute with it as a node"
        )

    def __str__(self) -> str:
        def term(monomial: Monomial, coefficient: int) -> str:
            factors = [str(atom) for atom in monomial]
            if coefficient != 1 or not factors:
                factors.insert(0, str(coefficient))
            return "*".join(factors)

        return " + ".join(term(*entry) for entry in self.terms).replace("+ -", "- ")

    __repr__ = __str__


def _terms(extent: Extent) -> tuple[tuple[Monomial, int], ...]:
    return extent.terms if isinstance(extent, Dim) else (((), extent),)


def _polynomial(terms: list[tuple[Monomial, int]]) -> Extent:
    collected: dict[Monomial, int] = {}
    for monomial, coefficient in terms:
        collected[monomial] = collected.get(monomial, 0) + coefficient
    kept = [(monomial, value) for monomial, value in collected.items() if value]
    if not kept:
        return 0
    if len(kept) == 1 and not kept[0][0]:
        return kept[0][1]
    if len(kept) > 1:
        kept.sort(key=lambda entry: (-len(entry[0]), _monomial_key(entry[0])))
    return Dim(tuple(kept))


def _atom(atom: Atom) -> Dim:
    return Dim((((atom,), 1),))


def _symmetric(kind: str, left: Extent, right: Extent) -> Dim:
    """Return an atom whose operands may be swapped, with its operands in one fixed order."""
    first, second = sorted((left, right), key=lambda entry: (isinstance(entry, int), _key(entry)))
    return _atom(Compound(kind, first, second))


def symbol(name: str) -> Dim:
    """Return the extent called `name`."""
    return _atom(Symbol(name))


def anonymous_symbol() -> Dim:
    """Return an extent that is equal to nothing but itself."""
    return _atom(Symbol(f"?{next(_anonymous)}"))


def never_negative(extent: Extent) -> bool:
    """Tell whether `extent` is provably >= 0 for all non-negative symbols."""
    return all(
        coefficient >= 0 and all(atom.never_negative() for atom in monomial)
        for monomial, coefficient in _terms(extent)
    )


def maximum(left: Extent, right: Extent) -> Extent:
    """Return max(left, right), decided now where the sign of the difference is known."""
    if isinstance(left, int) and isinstance(right, int):
        return max(left, right)
    if never_negative(left - right):
        return left
    if never_negative(right - left):
        return right
    return _symmetric("max", left, right)


def minimum(left: Extent, right: Extent) -> Extent:
    """Return min(left, right) as left + right - max(left, right)."""
    return left + right - maximum(left, right)


def floor_divide(left: Extent, right: Extent) -> Extent:
    """Return left // right, cancelling common factors where the division is exact."""
    if right == 1 or left == 0:
        return left
    if isinstance(left, int) and isinstance(right, int):
        return left // right if right else 0
    divisor = _terms(right)
    if len(divisor) == 1:
        exact = [_divide_term(term, divisor[0]) for term in _terms(left)]
        if all(term is not None for term in exact):
            return _polynomial([term for term in exact if term is not None])
    if left == right:
        return 1
    return _atom(Compound("floordiv", left, right))


def _divide_term(
    term: tuple[Monomial, int], divisor: tuple[Monomial, int]
) -> tuple[Monomial, int] | None:
    atoms = list(term[0])
    for atom in divisor[0]:
        if atom not in atoms:
            return None
        atoms.remove(atom)
    quotient, remainder = divmod(term[1], divisor[1]) if divisor[1] else (0, 1)
    return None if remainder else (tuple(atoms), quotient)


def broadcast(left: Extent, right: Extent) -> Extent | None:
    """Return the extent of two broadcast axes, None if they clash.

    Two extents that may or may not be equal give an unresolved `broadcast` atom, which
    specialisation decides when it sees real extents.
    """
    if left == right or right == 1:
        return left
    if left == 1:
        return right
    if isinstance(left, int) and isinstance(right, int):
        return None
    return _symmetric("broadcast", left, right)


_COMBINE: dict[str, Callable[[Extent, Extent], Extent]] = {
    "floordiv": floor_divide,
    "max": maximum,
    "broadcast": lambda left, right: (
        _symmetric("broadcast", left, right)
        if (extent := broadcast(left, right)) is None
        else extent
    ),
}


def evaluate(extent: Extent, extents: Mapping[str, int]) -> int:
    """Return the integer value of `extent` with each symbol bound by `extents`."""
    if isinstance(extent, int):
        return extent
    total = 0
    for monomial, coefficient in extent.terms:
        product = coefficient
        for atom in monomial:
            product *= atom.evaluate(extents)
        total += product
    return total


def substitute(extent: Extent, replace: Callable[[Symbol], Extent]) -> Extent:
    """Return `extent` with every symbol replaced."""
    if isinstance(extent, int):
        return extent
    total: Extent = 0
    for monomial, coefficient in extent.terms:
        product: Extent = coefficient
        for atom in monomial:
            product = product * atom.substitute(replace)
        total = total + product
    return total


def symbols(extent: Extent) -> Iterator[str]:
    """Yield the symbol names that occur in `extent`."""
    for monomial, _ in _terms(extent):
        for atom in monomial:
            yield from atom.symbols()


def unresolved(extent: Extent) -> Compound | None:
    """Return the first undecided broadcast inside `extent`, None if there is none."""
    for monomial, _ in _terms(extent):
        for atom in monomial:
            if isinstance(atom, Compound):
                inner = unresolved(atom.left) or unresolved(atom.right)
                if inner is not None:
                    return inner
                if atom.kind == "broadcast":
                    return atom
    return None


def product(extents: tuple[Extent, ...]) -> Extent:
    """Return the product of `extents`, 1 for none."""
    total: Extent = 1
    for extent in extents:
        total = total * extent
    return total
