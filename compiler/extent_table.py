"""Turns symbolic extents into the rules of a plan, each distinct one once."""

from __future__ import annotations

from collections.abc import Mapping

from symgraph.dims import Compound, Extent, Symbol
from symgraph.errors import CompileError
from symgraph.runtime.plan import ExtentRule


class ExtentTable:
    """Numbers extents.

    Args:
        sources: for each symbol the (feed, axis) it is read from.
    """

    def __init__(self, sources: Mapping[str, tuple[int, int]]) -> None:
        """Begin with no rules."""
        self.sources = sources
        self.rules: list[ExtentRule] = []
        self._numbers: dict[object, int] = {}

    def index(self, extent: Extent) -> int:
        """Return the index of the rule for `extent`, adding it and what it needs.

        Raises:
            CompileError: a symbol in it belongs to no placeholder.
        """
        if isinstance(extent, int):
            return self._add(("int", extent), ExtentRule("constant", (extent,)))
        known = self._numbers.get(extent)
        if known is not None:
            return known
        terms = tuple(
            (coefficient, tuple(self._atom(atom) for atom in monomial))
            for monomial, coefficient in extent.terms
        )
        if len(terms) == 1 and terms[0][0] == 1 and len(terms[0][1]) == 1:
            number = terms[0][1][0]
        else:
            number = self._add(("sum", terms), ExtentRule("sum", terms))
        self._numbers[extent] = number
        return number

    def _atom(self, atom: Symbol | Compound) -> int:
        if isinstance(atom, Symbol):
            if atom.name not in self.sources:
                raise CompileError(
                    f"no placeholder has an axis that is just {atom}, so its extent is unknown"
                )
            return self.feed(*self.sources[atom.name])
        operands = (self.index(atom.left), self.index(atom.right))
        return self._add((atom.kind, operands), ExtentRule(atom.kind, operands))

    def feed(self, number: int, axis: int) -> int:
        """Return the index of the rule for an axis of a feed."""
        return self._add(("feed", number, axis), ExtentRule("feed", (number, axis)))

    def _add(self, key: object, rule: ExtentRule) -> int:
        if key not in self._numbers:
            self._numbers[key] = len(self.rules)
            self.rules.append(rule)
        return self._numbers[key]

    def product(self, *extents: Extent) -> int:
        """Return the index of the rule for a product."""
        total: Extent = 1
        for extent in extents:
            total = total * extent
        return self.index(total)
