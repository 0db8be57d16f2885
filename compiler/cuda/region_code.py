"""What all parts of a region's CUDA C share: its words, addresses, and helper functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgraph.compiler.codegen.nest import Nest, Operand, Pass
from symgraph.compiler.codegen.reducers import combine, combiner
from symgraph.compiler.codegen.signature import Signature, Slot
from symgraph.compiler.costs import cost_of
from symgraph.compiler.cuda.region_step import Step, make_step
from symgraph.compiler.cuda.scalar import C_TYPE, ITEM_BYTES, MEMORY_TYPE, CudaBuilder, CudaValue
from symgraph.compiler.region import accumulator_dtype
from symgraph.node import Node

PACK_BYTES = 16
"""What one instruction of a thread loads or stores at most."""
LONG_BODY = 64
"""Primitives from which a thread has enough to do with few elements."""
LONG_WIDTH = 4
"""Elements of a pack in a long body: more, of bools, would be one chain of work for each thread."""
MOST_PACKS = 24
"""Operands whose packs a thread's registers have room for; with more it takes single elements."""


class RegionCode:
    """The kernel of one region while it is written.

    Attributes:
        nest: its loops.
        builder: writes the body of the entry point.
        operands: the inputs and, behind them, the outputs.
        steps: each pass as a function.
        width: elements of a pack; 1 if no operand is dense along the vector loop.
    """

    def __init__(self, nest: Nest, signature: Signature, *, stores: bool) -> None:
        """Write the functions of all passes.

        Args:
            nest: the loops.
            signature: which word holds what.
            stores: whether outputs are written.
        """
        self.nest = nest
        self.signature = signature
        self.stores = stores
        self.operands: tuple[Operand, ...] = (*nest.inputs, *nest.outputs)
        self.builder = CudaBuilder(reports=self._reports())
        self._letters = [operand.classes(nest.vector) for operand in self.operands]
        self._combiners: dict[tuple[str, str], str] = {}
        self._functions: list[str] = []
        self.steps = [self._step(number, current) for number, current in enumerate(nest.passes)]
        self.width = self._width()

    def helpers(self) -> str:
        """Return the functions that the body calls."""
        return "\n".join(self._functions)

    def body(self) -> str:
        """Return the body of the entry point."""
        return self.builder.source()

    # Words.

    def word(self, slot: Slot) -> str:
        """Return the argument word of a slot."""
        return f"a{self.signature.index(slot)}"

    def extent(self, loop: int) -> str:
        """Return the extent of a loop."""
        return self.word(("extent", loop))

    def letter(self, operand: int, loop: int) -> str:
        """Return how an operand moves along a loop: 0 not, 1 densely, s by a stride."""
        return self._letters[operand][loop]

    def in_memory(self, operand: int) -> bool:
        """Tell whether an operand is an array; if not, it is an affine index or an extent."""
        inputs = len(self.nest.inputs)
        return operand >= inputs or self.signature.kinds[operand] == "memory"

    def stays(self, operand: int, loops: Sequence[int]) -> bool:
        """Tell whether an operand moves along none of some loops."""
        return all(self.letter(operand, loop) == "0" for loop in loops)

    def stride(self, operand: int, loop: int) -> str:
        """Return the stride of an operand along a loop, in elements."""
        letter = self.letter(operand, loop)
        return letter if letter in "01" else self.word(("stride", operand, loop))

    def place(self, operand: int, indices: Mapping[int, str]) -> str:
        """Return the offset, in elements, of an operand at the given indices of loops."""
        terms = []
        for loop, index in indices.items():
            stride = self.stride(operand, loop)
            if stride != "0":
                terms.append(index if stride == "1" else f"{index} * {stride}")
        return " + ".join(terms) or "0"

    def pointer(self, operand: int, place: str) -> str:
        """Return a pointer to an element of an operand."""
        base = f"at<{MEMORY_TYPE[self.operands[operand].dtype]}>({self.word(('pointer', operand))})"
        return base if place == "0" else f"{base} + {place}"

    def element(self, operand: int, place: str) -> str:
        """Return an element of an operand, as C."""
        if self.in_memory(operand):
            return f"*({self.pointer(operand, place)})"
        start, dtype = self.word(("pointer", operand)), C_TYPE[self.operands[operand].dtype]
        return f"({dtype})({start} + {place})"

    def aligned(self, width: int) -> str:
        """Return the condition under which packs can be loaded and stored whole."""
        vector = self.nest.vector
        dense = {n: vector for n in range(len(self.operands)) if self.is_dense(n)}
        return self.aligned_along(dense, width)

    def aligned_along(self, dense: Mapping[int, int], width: int) -> str:
        """Return the condition under which packs of some operands can be loaded whole.

        Args:
            dense: for each operand the loop along which its elements lie side by side.
            width: elements of a pack.
        """
        alike: dict[int, list[str]] = {}
        for operand, loop in dense.items():
            size = ITEM_BYTES[self.operands[operand].dtype]
            terms = alike.setdefault(size * width, [])
            terms.append(self.word(("pointer", operand)))
            terms += [
                f"{self.word(slot)} * {size}"
                for slot in self.signature.slots
                if slot[:2] == ("stride", operand) and slot[-1] != loop
            ]
        return " && ".join(f"(({' | '.join(t)}) & {size - 1}) == 0" for size, t in alike.items())

    def is_dense(self, operand: int) -> bool:
        """Tell whether packs of an operand's elements lie side by side in memory."""
        vector = self.nest.vector
        return vector >= 0 and self.in_memory(operand) and self.letter(operand, vector) == "1"

    def _width(self) -> int:
        sizes = [ITEM_BYTES[o.dtype] for n, o in enumerate(self.operands) if self.is_dense(n)]
        if not sizes or len(sizes) > MOST_PACKS:
            return 1
        work = sum(cost_of(node) for node in self.nest.order)
        return min(PACK_BYTES // max(sizes), LONG_WIDTH if work > LONG_BODY else PACK_BYTES)

    # Functions.

    def _reports(self) -> dict[str, str]:
        return {
            kind: f"report({self.word(('status', 0))}, {self.word(('code', number))});"
            for number, kind in enumerate(self.signature.flags)
        }

    def _step(self, number: int, current: Pass) -> Step:
        words = []
        if self.signature.flags:
            codes = range(len(self.signature.flags))
            words = [self.word(("status", 0)), *(self.word(("code", n)) for n in codes)]
        step = make_step(
            self.nest, current, f"KERNEL_pass{number}", self._reports(), words, stores=self.stores
        )
        self._functions.append(step.text)
        return step

    def combined(self, node: Node, total: str, value: str) -> str:
        """Return a call that takes one more value into the total of a reduction."""
        dtype = accumulator_dtype(node)
        key = combiner(node), dtype
        if key not in self._combiners:
            self._combiners[key] = f"KERNEL_combine{len(self._combiners)}"
            self._functions.append(_combiner(self._combiners[key], *key))
        return f"{self._combiners[key]}({total}, {value})"


def _combiner(function: str, name: str, dtype: str) -> str:
    builder, kind = CudaBuilder(), C_TYPE[dtype]
    result = combine(builder, name, CudaValue("total", dtype), CudaValue("value", dtype))
    return (
        f"__device__ __forceinline__ {kind} {function}({kind} total, {kind} value)\n"
        f"{{\n{builder.source()}\n    return {result.text};\n}}\n"
    )
