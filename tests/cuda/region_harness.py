"""Runs the region kernels of a graph emulated, one by one, on arrays in host memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from symgraph.compiler.codegen.nest import build_nest
from symgraph.compiler.cuda.region import cuda_region
from symgraph.compiler.lower_region import _kind
from symgraph.compiler.pipeline import run_pipeline
from symgraph.compiler.region import FUSED
from symgraph.compiler.specialise import specialise
from symgraph.dims import Dim, evaluate
from symgraph.leaves import CONSTANT
from symgraph.node import Graph, Node
from symgraph.ops.control import PROJECT
from symgraph.runtime.cuda.prelude import PRELUDE
from symgraph.variant import placeholders_of
from tests.cuda.emulator import Emulator

MARGIN = 64
MARK = 0x5A
FIRST_CODE = 5


class Program:
    """The kernels of a graph of fusible ops.

    Args:
        outputs: what it computes.
    """

    def __init__(self, *outputs: Node) -> None:
        inputs = tuple(placeholders_of(outputs))
        self.graph = run_pipeline(specialise(Graph(inputs, outputs), None).graph)["fuse"]
        self.nests, self.kernels, self.probes = {}, {}, {}
        for node in self.graph:
            if node.op is FUSED:
                nest = self.nests[node] = build_nest(node.attrs["region"])
                kinds = tuple(_kind(child) for child in node.inputs)
                self.kernels[node] = cuda_region(nest, kinds)
                if not nest.region.reduced:
                    self.probes[node] = cuda_region(nest, kinds, stores=False)

    @property
    def texts(self) -> list[str]:
        """The canonical text of each kernel."""
        return [kernel.key_text for kernel, _ in self.kernels.values()]


def load(programs: Iterable[Program]) -> Emulator:
    """Return one module of the kernels of several programs."""
    codes = {}
    for program in programs:
        for kernel, _ in (*program.kernels.values(), *program.probes.values()):
            codes[kernel.name] = kernel.code
    return Emulator.load(PRELUDE + "\n".join(codes.values()))


class Run:
    """One run of a program.

    Args:
        program: what runs.
        module: its kernels.
        feeds: arrays by name.
        reverse: whether blocks and threads run backwards.
        shift: elements by which arrays are displaced from a boundary of 64 bytes.
        probe: whether the kernels that only report are run.
        in_place: the input (by its name) over which the single output is written.
    """

    def __init__(
        self,
        program: Program,
        module: Emulator,
        feeds: Mapping[str, Any],
        *,
        reverse: bool = False,
        shift: int = 0,
        probe: bool = False,
        in_place: str = "",
    ) -> None:
        self.status = np.zeros(1, np.int64)
        self._program, self._module, self._reverse = program, module, reverse
        self._shift, self._probe, self._in_place = shift, probe, in_place
        self._dims: dict[str, int] = {}
        self._values: dict[Node, Any] = {}
        self._margins: list[np.ndarray] = []
        for leaf in program.graph.inputs:
            array = np.asarray(feeds[leaf.name])
            self._values[leaf] = self._copy(array)
            self._dims |= {
                str(dim): extent
                for dim, extent in zip(leaf.type.dims, array.shape, strict=True)
                if isinstance(dim, Dim)
            }
        for node in program.graph:
            if node not in self._values:
                self._values[node] = self._value(node)
        self.outputs = [self._values[node] for node in program.graph.outputs]
        assert all((margin == MARK).all() for margin in self._margins), "written out of bounds"

    def _number(self, extent: Any) -> int:
        return evaluate(extent, self._dims)

    def _array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """Return an array between margins that nobody may write."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        memory = np.full(size + 4 * MARGIN, MARK, np.uint8)
        start = -memory.ctypes.data % MARGIN + MARGIN + self._shift * np.dtype(dtype).itemsize
        self._margins += [memory[:start], memory[start + size :]]
        return memory[start : start + size].view(dtype).reshape(shape)

    def _copy(self, array: np.ndarray) -> np.ndarray:
        copy = self._array(array.shape, array.dtype.name)
        copy[...] = array
        return copy

    def _value(self, node: Node) -> Any:
        if node.op is CONSTANT:
            return node.value
        if node.op is FUSED:
            return self._fused(node)
        values = [self._values[child] for child in node.inputs]
        if node.op is PROJECT:
            return values[0][node.attrs["index"]]
        if node.op.name in ("affine_index", "extent"):
            return None
        assert node.op.name == "reshape", f"{node.op.name} is not fusible"
        return values[0].reshape(tuple(map(self._number, node.type.dims)))

    def _fused(self, node: Node) -> list[np.ndarray]:
        nest = self._program.nests[node]
        kernels = self._program.probes if self._probe else self._program.kernels
        kernel, signature = kernels[node]
        outputs = [
            self._array(tuple(map(self._number, item.dims)), item.element)
            for item in node.type.items
        ]
        if self._in_place:
            outputs = [self._values[c] for c in node.inputs if c.name == self._in_place]
        arrays = [*(self._values[child] for child in node.inputs), *outputs]
        operands = (*nest.inputs, *nest.outputs)

        def word(name: str, which: int, last: int) -> int:
            match name:
                case "extent":
                    return self._number(nest.loops[which].extent)
                case "chunk":
                    return self._number(nest.region.chunk)
                case "stride":
                    return self._number(operands[which].strides[last])
                case "status":
                    return self.status.ctypes.data
                case "code":
                    return FIRST_CODE + which
            offset = self._number(operands[which].offset)
            if which < len(nest.inputs) and signature.kinds[which] != "memory":
                child = node.inputs[which]
                return self._number(child.attrs["value"]) if child.op.name == "extent" else offset
            return arrays[which].ctypes.data + offset * arrays[which].itemsize

        words = [word(slot[0], slot[1], slot[-1]) for slot in signature.slots]
        launch = kernel.launch(words)
        if all(launch.grid):
            self._module.launch(
                kernel.name, *launch[:2], [*words, 0], launch.shared, reverse=self._reverse
            )
        return outputs
