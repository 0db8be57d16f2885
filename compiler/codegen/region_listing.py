"""Fused kernels as readable loops, for people: the same structure as the native code.

Ops whose scalar code is one expression stand in the loops as that expression; longer ones are
listed as functions below. Made only when somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from symgraph.compiler.codegen.listing import ListedValue, ListingBuilder
from symgraph.compiler.codegen.nest import Nest, Operand, Pass
from symgraph.compiler.codegen.signature import Kind
from symgraph.compiler.region import accumulator_dtype
from symgraph.dims import Dim, Extent
from symgraph.leaves import CONSTANT, Constant
from symgraph.node import Node
from symgraph.op import Elementwise, Reduce

Comment = Callable[[Node], str]
Formula = Callable[[Extent], str]
_LETTERS = "ijklmnpq"
_COLUMN = 56
_START = {"sum": "0", "prod": "1", "max": "lowest", "min": "highest", "any": "False", "all": "True"}
_SYMBOL = {"sum": "+", "prod": "*", "any": "|", "all": "&"}


def region_listing(
    nest: Nest, inputs: Sequence[Kind | Extent], lanes: int, comment: Comment, formula: Formula
) -> str:
    """Return the loops of a region as text.

    Args:
        nest: the loops.
        inputs: for each input "memory", "index" for an affine index, or the extent that it is.
        lanes: elements that one vector holds.
        comment: what to say behind the line that computes a node.
        formula: how to write an extent.
    """
    return _RegionListing(nest, inputs, lanes, comment, formula).text()


class _RegionListing:
    """Writes one region."""

    def __init__(
        self,
        nest: Nest,
        inputs: Sequence[Kind | Extent],
        lanes: int,
        comment: Comment,
        formula: Formula,
    ) -> None:
        self._nest = nest
        self._kinds = inputs
        self._lanes = lanes
        self._comment = comment
        self._formula = formula
        self._lines: list[str] = []
        self._depth = 0
        self._values: dict[Node, str] = {}
        self._numbers = {node: number for number, node in enumerate(nest.order)}
        self._inputs = {leaf: n for n, leaf in enumerate(nest.region.graph.inputs)}
        self._functions = _Functions()
        self._loops = [
            _LETTERS[n] if n < len(_LETTERS) else f"i{n}" for n in range(len(nest.loops))
        ]

    def text(self) -> str:
        """Return the whole listing."""
        inputs = [
            f"in{number}: {operand.dtype}"
            for number, operand in enumerate(self._nest.inputs)
            if self._kinds[number] == "memory"
        ]
        outputs = [f"out{n}: {operand.dtype}" for n, operand in enumerate(self._nest.outputs)]
        with self._block(f"def kernel({', '.join([*inputs, *outputs])}, lo, hi):"):
            modes = {
                "scalar": self._single,
                "elementwise": self._elementwise,
                "trailing": self._trailing,
                "leading": self._leading,
            }
            modes[self._nest.mode]()
        return "\n\n".join(["\n".join(self._lines), *self._functions.texts()])

    # Lines.

    def _write(self, text: str, comment: str = "") -> None:
        line = "    " * self._depth + text
        self._lines.append(f"{line.ljust(_COLUMN)}  # {comment}" if comment else line)

    @contextmanager
    def _block(self, head: str, comment: str = "") -> Iterator[None]:
        self._write(head, comment)
        self._depth += 1
        yield
        self._depth -= 1

    @contextmanager
    def _nested(self, loops: Sequence[int], first: str | None = None) -> Iterator[None]:
        """Write scalar loops; the outermost runs over `first` if that is given."""
        if not loops:
            yield
            return
        number, *rest = loops
        bounds = first or self._formula(self._nest.loops[number].extent)
        with (
            self._block(f"for {self._loops[number]} in range({bounds}):", self._about(number)),
            self._nested(rest),
        ):
            yield

    @contextmanager
    def _vectors(self, first: str | None = None) -> Iterator[None]:
        """Write the vector loop."""
        number = self._nest.vector
        bounds = first or f"0, {self._formula(self._nest.loops[number].extent)}"
        step = f", {self._lanes}" if self._lanes > 1 else ""
        about = self._about(number)
        if self._lanes > 1:
            about += f"; {self._lanes} at a time, the last ones masked"
        with self._block(f"for {self._loops[number]} in range({bounds}{step}):", about):
            yield

    def _about(self, number: int) -> str:
        entry = self._nest.loops[number]
        return self._formula(entry.extent) + (", reduced" if entry.reduced else "")

    # The loop structure of each mode.

    def _single(self) -> None:
        for node in self._nest.order:
            self._compute(node)
        for number, node in enumerate(self._nest.region.graph.outputs):
            self._store(number, node)

    def _elementwise(self) -> None:
        vector = self._nest.vector
        outer = [n for n in range(len(self._nest.loops)) if n != vector]
        with self._nested(outer, "lo, hi"), self._vectors(None if outer else "lo, hi"):
            self._pass(self._nest.passes[0])

    def _trailing(self) -> None:
        nest = self._nest
        kept = [n for n, entry in enumerate(nest.loops) if not entry.reduced]
        middle = [n for n, e in enumerate(nest.loops) if e.reduced and n != nest.vector]
        if nest.region.chunk is not None:
            rows = self._formula(nest.region.chunk)
            bracketed = f"({rows})" if " " in rows else rows
            head = "for chunk in range(lo, hi):"
            with self._block(head, f"partial results of {rows} iterations each"):
                stop = self._formula(nest.loops[0].extent)
                self._row(middle, f"chunk*{bracketed}, min((chunk + 1)*{bracketed}, {stop})")
            return
        with self._nested(kept, "lo, hi"):
            self._row(middle, None)

    def _row(self, middle: Sequence[int], first: str | None) -> None:
        """Write all passes at one position of the kept loops."""
        self._kept(self._early())
        for number, current in enumerate(self._nest.passes):
            if len(self._nest.passes) > 1:
                self._write(f"# pass {number + 1}")
            self._open(current.reductions)
            with self._nested(middle, first), self._vectors(None if middle else first):
                self._pass(current)
            self._close(current)
        self._store_kept()

    def _leading(self) -> None:
        nest = self._nest
        reduced = [n for n, entry in enumerate(nest.loops) if entry.reduced]
        outer = [n for n, e in enumerate(nest.loops) if not e.reduced and n != nest.vector]
        own = None if outer else f"lo*{self._lanes}, hi*{self._lanes}"
        with self._nested(outer, "lo, hi"), self._vectors(own):
            self._kept(self._early())
            for current in nest.passes:
                self._open(current.reductions)
                with self._nested(reduced):
                    self._pass(current)
                self._close(current)
            self._store_kept()

    # One position of the loops.

    def _pass(self, current: Pass) -> None:
        for node, output in current.reload.items():
            self._values[node] = self._place(self._nest.outputs[output], f"out{output}")
        for node in current.compute:
            self._compute(node)
        for node in current.reductions:
            self._accumulate(node)
        for node, output in current.store:
            self._store(output, node)

    def _early(self) -> list[Node]:
        nest = self._nest
        return [n for n in nest.order if nest.is_kept(n) and nest.stages[n] == 0]

    def _kept(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            self._compute(node)

    def _open(self, reductions: Sequence[Node]) -> None:
        for node in reductions:
            start = _START[_combiner(node)]
            self._write(f"total{self._numbers[node]}: {accumulator_dtype(node)} = {start}")

    def _accumulate(self, node: Node) -> None:
        total, value = f"total{self._numbers[node]}", self._operand(node.inputs[0])
        combine = _combiner(node)
        if combine in _SYMBOL:
            text = f"{total} {_SYMBOL[combine]}= {value}"
        else:
            text = f"{total} = {combine}imum({total}, {value})"
        self._write(text, self._comment(node))

    def _close(self, current: Pass) -> None:
        for node in current.reductions:
            total, dtype = f"total{self._numbers[node]}", node.type.element
            if self._nest.region.chunk is None and accumulator_dtype(node) != dtype:
                total = f"{dtype}({total})"
            self._values[node] = total
        self._kept(current.kept)

    def _store_kept(self) -> None:
        for number, node in enumerate(self._nest.region.graph.outputs):
            if not self._nest.is_kept(node):
                continue
            if self._nest.region.chunk is not None:
                self._write(f"out{number}[chunk] = {self._operand(node)}")
            else:
                self._store(number, node)

    def _store(self, output: int, node: Node) -> None:
        place = self._place(self._nest.outputs[output], f"out{output}")
        self._write(f"{place} = {self._operand(node)}")

    def _compute(self, node: Node) -> None:
        if isinstance(node.op.kind, Reduce):  # over one element
            self._values[node] = self._operand(node.inputs[0])
            return
        operands = [ListedValue(self._operand(c), c.type.element) for c in node.inputs]
        name = f"v{self._numbers[node]}"
        expression = self._functions.expression(node, operands)
        self._write(f"{name}: {node.type.element} = {expression}", self._comment(node))
        self._values[node] = name

    def _operand(self, node: Node) -> str:
        if node in self._values:
            return self._values[node]
        if node.op is CONSTANT:
            assert isinstance(node, Constant), "only constants carry values"
            return str(node.value.reshape(()).item())
        number = self._inputs[node]
        operand = self._nest.inputs[number]
        kind = self._kinds[number]
        if kind == "memory":
            return self._place(operand, f"in{number}")
        text = self._position(operand) if isinstance(kind, str) else self._formula(kind)
        return f"({text})" if " " in text else text

    def _place(self, operand: Operand, name: str) -> str:
        return f"{name}[{self._position(operand)}]"

    def _position(self, operand: Operand) -> str:
        terms = [] if operand.offset == 0 else [self._formula(operand.offset)]
        for letter, stride in zip(self._loops, operand.strides, strict=True):
            if stride == 0:
                continue
            text = self._formula(stride)
            text = f"({text})" if isinstance(stride, Dim) and len(stride.terms) > 1 else text
            terms.append(letter if stride == 1 else f"{letter}*{text}")
        return " + ".join(terms) or "0"


def _combiner(node: Node) -> str:
    assert isinstance(node.op.kind, Reduce), f"{node.op.name} is no reduction"
    return node.op.kind.combine


class _Functions:
    """The ops that take more than one expression, each written out once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, tuple[str, ...], str], tuple[str, str]] = {}

    def expression(self, node: Node, operands: Sequence[ListedValue]) -> str:
        """Return the expression that computes a node from its operands."""
        kind = node.op.kind
        assert isinstance(kind, Elementwise), f"{node.op.name} is not elementwise"
        builder = ListingBuilder()
        result = kind.scalar(builder, *operands, **node.attrs)
        if not builder.lines:
            return str(result.text)
        if len(builder.lines) == 1 and " = " in builder.lines[0]:
            return builder.lines[0].partition(" = ")[2]
        name = self._name(node, tuple(operand.dtype for operand in operands))
        return f"{name}({', '.join(operand.text for operand in operands)})"

    def _name(self, node: Node, dtypes: tuple[str, ...]) -> str:
        key = node.op.name, dtypes, repr(sorted(node.attrs.items()))
        if key not in self._known:
            taken = {name for name, _ in self._known.values()}
            name, count = node.op.name, 1
            while name in taken:
                count += 1
                name = f"{node.op.name}_{count}"
            self._known[key] = name, _function_text(name, node, dtypes)
        return self._known[key][0]

    def texts(self) -> list[str]:
        """Return the functions."""
        return [text for _, text in self._known.values()]


def _function_text(name: str, node: Node, dtypes: tuple[str, ...]) -> str:
    kind = node.op.kind
    assert isinstance(kind, Elementwise), f"{node.op.name} is not elementwise"
    builder = ListingBuilder(depth=1)
    operands = [ListedValue("xyzw"[n] if n < 4 else f"x{n}", d) for n, d in enumerate(dtypes)]
    result = kind.scalar(builder, *operands, **node.attrs)
    builder.note(f"return {result.text}")
    head = ", ".join(f"{operand.text}: {operand.dtype}" for operand in operands)
    return f"def {name}({head}) -> {node.type.element}:\n{builder.source()}"
