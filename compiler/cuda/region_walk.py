"""Loads, computes and stores at some positions of one thread, several of them under way at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from symgraph.compiler.cuda.region_code import RegionCode
from symgraph.compiler.cuda.region_step import Step, kept_name
from symgraph.compiler.cuda.scalar import C_TYPE, MEMORY_TYPE
from symgraph.compiler.region import accumulator_dtype
from symgraph.node import Node


@dataclass(frozen=True, eq=False)
class Walk:
    """What a thread does at `count` positions, each a pack of `width` elements.

    All positions are loaded before the first is computed: the compiler may not do that by itself,
    because it has to assume that a store changes what is loaded later.

    Args:
        code: the kernel.
        step: the pass.
        width: elements of a position, along the vector loop; 1 for single elements.
        count: positions.
        aligned: the condition under which packs are loaded whole.
        indices: the index of each loop at position `u`; those of a pack's first element.
        bases: the part of an operand's offset that other loops make.
        fixed: the operands whose values are in variables already.
        totals: the variables of the reductions.
    """

    code: RegionCode
    step: Step
    width: int
    count: int
    aligned: str
    indices: Mapping[int, str]
    bases: Mapping[int, str]
    fixed: Mapping[int, str]
    totals: Mapping[Node, str]

    def emit(self, position: str) -> None:
        """Write it.

        Args:
            position: statements that define the indices and set `left[u]`, how many elements of
                position `u` there are; it starts as 0.
        """
        builder = self.code.builder
        self._declare()
        builder.note("#pragma unroll")
        builder.open(f"for (int u = 0; u < {self.count}; ++u)")
        builder.note("left[u] = 0;")
        for line in position.splitlines():
            builder.note(line)
        self._load()
        builder.close()
        builder.note("#pragma unroll")
        builder.open(f"for (int u = 0; u < {self.count}; ++u)")
        builder.open("if (left[u] > 0)")
        self._compute()
        builder.close()
        builder.close()

    def pack(self, operand: int) -> str:
        """Return the type of an operand's elements at one position."""
        dtype = MEMORY_TYPE[self.code.operands[operand].dtype]
        return f"Pack<{dtype}, {self.width}>" if self.width > 1 else dtype

    def moving(self) -> list[int]:
        """Return the arrays that are loaded at each position."""
        return [n for n in self.step.reads if n not in self.fixed and self.code.in_memory(n)]

    def _placed(self) -> list[int]:
        """Return the operands whose places the second part needs."""
        reads, inputs = self.step.reads, len(self.code.nest.inputs)
        computed = [n for n in reads if not self.code.in_memory(n) and n not in self.fixed]
        return [*computed, *(inputs + output for output in self.step.writes)]

    def _is_pack(self, operand: int) -> bool:
        """Tell whether an operand differs along a position."""
        return self.width > 1 and self.code.letter(operand, self.code.nest.vector) != "0"

    def place(self, operand: int) -> str:
        """Return the offset of an operand at position `u`."""
        base, own = self.bases.get(operand, "0"), self.code.place(operand, self.indices)
        return own if base == "0" else base if own == "0" else f"{base} + {own}"

    def _declare(self) -> None:
        builder = self.code.builder
        builder.note(f"int left[{self.count}];")
        for operand in self.loaded():
            memory = MEMORY_TYPE[self.code.operands[operand].dtype]
            kind = self.pack(operand) if self._is_pack(operand) else memory
            builder.note(f"{kind} x{operand}[{self.count}];")
        for operand in self._placed():
            builder.note(f"Word p{operand}[{self.count}];")

    def loaded(self) -> list[int]:
        """Return the arrays that are loaded at each position by itself."""
        return self.moving()

    def _load(self) -> None:
        builder, vector = self.code.builder, self.code.nest.vector
        builder.open("if (left[u] > 0)")
        for operand in self._placed():
            builder.note(f"p{operand}[u] = {self.place(operand)};")
        for operand in self.loaded():
            pointer = self.code.pointer(operand, self.place(operand))
            if not self._is_pack(operand):
                builder.note(f"x{operand}[u] = *({pointer});")
            elif self.code.letter(operand, vector) == "1":
                builder.note(f"load_pack(x{operand}[u], {pointer}, left[u], {self.aligned});")
            else:
                stride = self.code.stride(operand, vector)
                builder.note("#pragma unroll")
                builder.note(f"for (int k = 0; k < {self.width}; ++k)")
                item = f"({pointer})[(k < left[u] ? k : left[u] - 1) * {stride}]"
                builder.note(f"    x{operand}[u].item[k] = {item};")
        builder.close()

    def _compute(self) -> None:
        builder, inputs = self.code.builder, len(self.code.nest.inputs)
        written = [inputs + output for output in self.step.writes]
        for operand in written:
            builder.note(f"{self.pack(operand)} y{operand};")
        if self.width > 1:
            builder.note("#pragma unroll")
            builder.open(f"for (int k = 0; k < {self.width}; ++k)")
        self._call()
        if self.width > 1:
            builder.close()
        for operand in written:
            self._store(operand)

    def _call(self) -> None:
        builder, inputs = self.code.builder, len(self.code.nest.inputs)
        for number, node in enumerate(self.step.reductions):
            builder.note(f"{C_TYPE[accumulator_dtype(node)]} r{number};")
        results = [f"r{number}" for number in range(len(self.step.reductions))]
        item = ".item[k]" if self.width > 1 else ""
        arguments = [
            *(self.argument(operand) for operand in self.step.reads),
            *(kept_name(self.code.nest, node) for node in self.step.kept),
            *results,
            *(f"y{inputs + output}{item}" for output in self.step.writes),
            *self.step.words,
        ]
        builder.note(f"{self.step.name}({', '.join(arguments)});")
        for result, node in zip(results, self.step.reductions, strict=True):
            total = self.totals[node]
            new = self.code.combined(node, total, result)
            masked = f"k < left[u] ? {new} : {total}" if self.width > 1 else new
            builder.note(f"{total} = {masked};")

    def argument(self, operand: int) -> str:
        """Return what the pass is given of an operand: its element `k` at position `u`."""
        if operand in self.fixed:
            return self.fixed[operand]
        dtype = self.code.operands[operand].dtype
        if not self.code.in_memory(operand):
            place = f"p{operand}[u]"
            if self._is_pack(operand):
                # Elements that are not there repeat the last one, as in packs.
                stride = self.code.stride(operand, self.code.nest.vector)
                place += f" + (k < left[u] ? k : left[u] - 1) * {stride}"
            return f"({C_TYPE[dtype]})({self.code.word(('pointer', operand))} + {place})"
        item = f"x{operand}[u]" + (".item[k]" if self._is_pack(operand) else "")
        return f"{item} != 0" if dtype == "bool" else item

    def _store(self, operand: int) -> None:
        builder = self.code.builder
        pointer = self.code.pointer(operand, f"p{operand}[u]")
        if self.width == 1:
            builder.note(f"*({pointer}) = y{operand};")
        elif self.code.letter(operand, self.code.nest.vector) == "1":
            builder.note(f"store_pack({pointer}, y{operand}, left[u], {self.aligned});")
        else:
            stride = self.code.stride(operand, self.code.nest.vector)
            builder.note("#pragma unroll")
            builder.note(f"for (int k = 0; k < {self.width}; ++k)")
            builder.note(f"    if (k < left[u]) ({pointer})[k * {stride}] = y{operand}.item[k];")
