"""The argument block of a region's kernel: which slot holds what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from symgraph.compiler.codegen.nest import Nest

Kind = Literal["memory", "index", "extent"]
Slot = tuple[str, int] | tuple[str, int, int]


@dataclass(eq=False)
class Signature:
    """Numbers the slots of a kernel's argument block.

    Slots: `("extent", loop)`, `("chunk", 0)` the rows of a chunk, `("pointer", operand)` an address
    or, for an affine index or extent, its first value, `("stride", operand, loop)`, and
    `("status", 0)`, `("code", n)`: where to report the n-th kind of problem, and as what.

    Args:
        nest: the loops.
        kinds: for each input whether it is memory, an affine index, or an extent.
        flags: the kinds of problems that the body may report.
    """

    nest: Nest
    kinds: tuple[Kind, ...]
    flags: tuple[str, ...]
    slots: list[Slot] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Number the slots."""
        nest = self.nest
        self.slots += [("extent", number) for number in range(len(nest.loops))]
        if nest.region.chunk is not None:
            self.slots.append(("chunk", 0))
        for operand, entry in enumerate((*nest.inputs, *nest.outputs)):
            self.slots.append(("pointer", operand))
            for number, letter in enumerate(entry.classes(nest.vector)):
                if letter == "s":
                    self.slots.append(("stride", operand, number))
        if self.flags:
            self.slots.append(("status", 0))
            self.slots += [("code", number) for number in range(len(self.flags))]
        self._numbers = {slot: number for number, slot in enumerate(self.slots)}

    def index(self, slot: Slot) -> int:
        """Return the number of a slot."""
        return self._numbers[slot]
