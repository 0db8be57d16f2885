"""Regions without reductions: each thread takes some elements; those of a warp lie side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod

from symgraph.compiler.costs import cost_of
from symgraph.compiler.cuda.region_code import LONG_BODY, RegionCode
from symgraph.compiler.cuda.region_step import Step, Values
from symgraph.compiler.cuda.region_walk import Walk
from symgraph.compiler.cuda.scalar import C_TYPE
from symgraph.op import Elementwise, Reduce
from symgraph.runtime.plan import Launch, blocks_for

THREADS = 256
ENOUGH_BLOCKS = 512
"""Blocks that occupy a large device; with fewer, smaller ones spread the work better."""


def flat_region(code: RegionCode) -> partial[Launch]:
    """Write the body of an elementwise region; return its launch rule."""
    nest, step, width = code.nest, code.steps[0], code.width
    count = positions_at_once(code, step, width)
    order = [loop for loop in range(len(nest.loops)) if loop != nest.vector] + [nest.vector]
    builder = code.builder
    fixed = load_fixed(code, order, {})
    if width == 1:
        builder.note(f"const Word first = (Word)blockIdx.x * ({count} * blockDim.x) + threadIdx.x;")
        _walk(code, step, 1, count, order, fixed)
        return partial(_launch, len(nest.loops), nest.vector, 1, count)
    builder.open(f"if ({code.aligned(width)})")
    builder.note(f"const Word first = (Word)blockIdx.x * ({count} * blockDim.x) + threadIdx.x;")
    _walk(code, step, width, count, order, fixed)
    builder.close()
    builder.open("else")
    # The same elements in all, but one at a time, so that those of a warp lie side by side again.
    each = count * width
    single = min(positions_at_once(code, step, 1), each)
    builder.note("#pragma unroll 1")
    builder.open(f"for (int part = 0; part < {each // single}; ++part)")
    start = f"((Word)blockIdx.x * {each} + part * {single}) * blockDim.x"
    builder.note(f"const Word first = {start} + threadIdx.x;")
    _walk(code, step, 1, single, order, fixed)
    builder.close()
    builder.close()
    return partial(_launch, len(nest.loops), nest.vector, width, count)


def _walk(
    code: RegionCode, step: Step, width: int, count: int, order: list[int], fixed: dict[int, str]
) -> None:
    length = code.extent(order[-1])
    code.builder.note(f"const Word packs = {packs_of(length, width)};")
    total = " * ".join(["packs", *(code.extent(loop) for loop in order[:-1])])
    code.builder.note(f"const Word total = {total};")
    lines = [
        "const Word position = first + (Word)u * blockDim.x;",
        *decomposed("position", order, [code.extent(loop) for loop in order[:-1]] + ["packs"]),
        *taken(f"i{order[-1]}", width, "position < total", length),
    ]
    indices = {loop: f"i{loop}" for loop in order}
    Walk(code, step, width, count, "true", indices, {}, fixed, {}).emit("\n".join(lines))


def packs_of(length: str, width: int) -> str:
    """Return how many packs a loop of some length has, the last of them perhaps not full."""
    return f"({length} + {width - 1}) / {width}" if width > 1 else length


def decomposed(position: str, order: Sequence[int], extents: Sequence[str]) -> list[str]:
    """Return statements that find the index of each loop, outermost first, from one number."""
    if len(order) == 1:
        return [f"Word i{order[0]} = {position};"]
    lines = [f"Word {', '.join(f'i{loop}' for loop in order)};"]
    rest = position
    for number in range(len(order) - 1, 0, -1):
        above = f"rest{number}" if number > 1 else f"i{order[0]}"
        if number > 1:
            lines.append(f"Word {above};")
        lines.append(f"split({rest}, {extents[number]}, {above}, i{order[number]});")
        rest = above
    return lines


def taken(index: str, width: int, there: str, length: str) -> list[str]:
    """Return statements that turn the index of a pack into that of its element, and set `left`."""
    if width == 1:
        return [f"if ({there}) left[u] = 1;"]
    rest = f"{length} - {index}"
    return [
        f"{index} *= {width};",
        f"if ({there}) left[u] = {rest} < {width} ? (int)({rest}) : {width};",
    ]


def positions_at_once(code: RegionCode, step: Step, width: int) -> int:
    """Return how many positions a thread has under way: about 32 bytes hide memory's latency."""
    work = sum(cost_of(node) for node in code.nest.order)
    if work > LONG_BODY:
        return 1
    loops = range(len(code.nest.loops))
    streams = sum(1 for n in step.reads if code.in_memory(n) and not code.stays(n, loops))
    most = 4 if width == 1 else 2 if width <= 4 else 1
    return most if streams <= 2 else max(1, most // 2)


def load_fixed(code: RegionCode, loops: Sequence[int], indices: dict[int, str]) -> dict[int, str]:
    """Write loads of the inputs that move along none of some loops; return their variables.

    Args:
        code: the kernel.
        loops: those that will be walked.
        indices: of the other loops.
    """
    fixed = {}
    for operand, leaf in enumerate(code.nest.region.graph.inputs):
        if code.stays(operand, loops):
            value = code.element(operand, code.place(operand, indices))
            dtype = leaf.type.element
            fixed[operand] = f"x{operand}"
            code.builder.note(f"const {C_TYPE[dtype]} x{operand} = {value};")
    return fixed


def _launch(loops: int, vector: int, width: int, count: int, words: Sequence[int]) -> Launch:
    extents = words[:loops]
    outer = prod(extent for loop, extent in enumerate(extents) if loop != vector)
    packs = outer * -(-extents[vector] // width)
    threads = THREADS
    while threads > 64 and blocks_for(packs, threads * count) < ENOUGH_BLOCKS:
        threads //= 2
    return Launch((blocks_for(packs, threads * count), 1, 1), (threads, 1, 1))


def single_region(code: RegionCode) -> partial[Launch]:
    """Write the body of a region of one element, over which reductions are identities."""
    builder, nest = code.builder, code.nest
    load_fixed(code, (), {})
    values = Values(nest, builder)
    for node in nest.order:
        if isinstance(node.op.kind, Elementwise):
            values.apply(node)
        else:
            assert isinstance(node.op.kind, Reduce), f"{node.op.name} in a region"
            operand = values.of(node.inputs[0])
            values.known[node] = builder.convert(operand, node.type.element)
    for output, node in enumerate(nest.region.graph.outputs):
        if code.stores:
            pointer = code.pointer(len(nest.inputs) + output, "0")
            builder.note(f"*({pointer}) = {values.of(node).text};")
    return partial(_launch_single)


def _launch_single(words: Sequence[int]) -> Launch:
    return Launch((1, 1, 1), (1, 1, 1))
