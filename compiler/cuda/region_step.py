"""One pass of a region at one position of its loops, as a function in CUDA C."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symgraph.compiler.codegen.nest import Nest, Pass
from symgraph.compiler.cuda.scalar import C_TYPE, MEMORY_TYPE, CudaBuilder, CudaValue
from symgraph.compiler.region import accumulator_dtype
from symgraph.leaves import CONSTANT, Constant
from symgraph.node import Node
from symgraph.op import Elementwise


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """A function that evaluates a pass at one position.

    Its parameters are, in this order: the operands read there, kept values, by reference what each
    reduction takes in and what each output becomes, and argument words.

    Args:
        name: of the function.
        text: the function.
        reads: the operands it is given.
        kept: the kept nodes it is given.
        reductions: the reductions it gives values for.
        writes: the outputs it gives values for.
        words: the argument words it is given.
    """

    name: str
    text: str
    reads: tuple[int, ...]
    kept: tuple[Node, ...]
    reductions: tuple[Node, ...]
    writes: tuple[int, ...]
    words: tuple[str, ...]


class Values:
    """The values at one position: those known, constants, and leaves that somebody provides."""

    def __init__(self, nest: Nest, builder: CudaBuilder) -> None:
        """Begin with nothing known."""
        self._nest = nest
        self._builder = builder
        self._leaves = {leaf: number for number, leaf in enumerate(nest.region.graph.inputs)}
        self.known: dict[Node, CudaValue] = {}
        self.inputs: dict[int, None] = {}
        self.kept: dict[Node, None] = {}

    def of(self, node: Node) -> CudaValue:
        """Return the value of a node."""
        if node in self.known:
            return self.known[node]
        if node.op is CONSTANT:
            assert isinstance(node, Constant), "only constants carry values"
            return self._builder.constant(node.value.reshape(()).item(), node.type.element)
        if node in self._leaves:
            number = self._leaves[node]
            self.inputs[number] = None
            return CudaValue(f"x{number}", node.type.element)
        assert self._nest.is_kept(node), f"{node.op.name} is not known here"
        self.kept[node] = None
        return CudaValue(kept_name(self._nest, node), node.type.element)

    def apply(self, node: Node) -> CudaValue:
        """Compute an elementwise node from its operands' values."""
        kind = node.op.kind
        assert isinstance(kind, Elementwise), f"{node.op.name} is not elementwise"
        operands = [self.of(child) for child in node.inputs]
        result: CudaValue = kind.scalar(self._builder, *operands, **node.attrs)
        self.known[node] = result
        return result

    def converted(self, node: Node, dtype: str) -> str:
        """Return the value of a node in a dtype."""
        return self._builder.convert(self.of(node), dtype).text


def kept_name(nest: Nest, node: Node) -> str:
    """Return the variable of a kept node's value."""
    return f"k{next(n for n, other in enumerate(nest.order) if other is node)}"


def make_step(
    nest: Nest,
    current: Pass,
    name: str,
    reports: Mapping[str, str],
    words: Sequence[str],
    *,
    stores: bool,
) -> Step:
    """Write the function of a pass.

    Args:
        nest: the loops.
        current: the pass.
        name: of the function.
        reports: for each kind of problem the statement that reports it.
        words: the argument words that those need.
        stores: whether outputs are written.
    """
    builder = CudaBuilder(reports=reports)
    values = Values(nest, builder)
    outputs, inputs = nest.region.graph.outputs, len(nest.inputs)
    for node, output in current.reload.items():
        values.known[node] = CudaValue(f"x{inputs + output}", node.type.element)
    for node in current.compute:
        values.apply(node)
    results = []
    for number, node in enumerate(current.reductions):
        dtype = accumulator_dtype(node)
        builder.note(f"r{number} = {values.converted(node.inputs[0], dtype)};")
        results.append(f"{C_TYPE[dtype]}& r{number}")
    written = current.store if stores else []
    for node, output in written:
        dtype = outputs[output].type.element
        builder.note(f"y{output} = {values.of(node).text};")
        results.append(f"{MEMORY_TYPE[dtype]}& y{output}")
    operands = [leaf.type.element for leaf in (*nest.region.graph.inputs, *outputs)]
    reads = (*values.inputs, *(inputs + output for output in current.reload.values()))
    parameters = [
        *(f"{C_TYPE[operands[number]]} x{number}" for number in reads),
        *(f"{C_TYPE[node.type.element]} {kept_name(nest, node)}" for node in values.kept),
        *results,
        *(f"Word {word}" for word in words),
    ]
    head = f"__device__ __forceinline__ void {name}({', '.join(parameters)})"
    return Step(
        name,
        f"{head}\n{{\n{builder.source()}\n}}\n",
        reads,
        tuple(values.kept),
        tuple(current.reductions),
        tuple(output for _, output in written),
        tuple(words),
    )
