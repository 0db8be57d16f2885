"""Why two kernels that hand over a value are not one: the grouping rules, read backwards."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.compiler.costs import cost_of
from symgraph.compiler.grouping import MAX_COST
from symgraph.compiler.lower_copy import COPY_INTO_PARAMETER
from symgraph.compiler.region import FUSED, Region
from symgraph.compiler.views import row_major
from symgraph.dims import product
from symgraph.inspection.rows import Row
from symgraph.inspection.text import formula
from symgraph.op import Reduce
from symgraph.runtime.plan import Opcode
from symgraph.types import Shape


def find_producers(rows: Sequence[Row]) -> list[list[Row]]:
    """Return for each row the rows that wrote what it reads, each the last one before it."""
    writers: dict[int, Row] = {}
    found = []
    for row in rows:
        read = (writers[buffer] for buffer in row.instruction.reads if buffer in writers)
        found.append(sorted(dict.fromkeys(read), key=lambda producer: producer.number))
        writers.update(dict.fromkeys(row.instruction.writes, row))
    return found


def find_levels(producers: Sequence[Sequence[Row]]) -> list[int]:
    """Return for each row how many calls, one after another, it waits for.

    Args:
        producers: for each row those that it reads from.
    """
    levels: list[int] = []
    for before in producers:
        levels.append(max((1 + levels[row.number] for row in before), default=0))
    return levels


def boundary_reason(
    producer: Row,
    consumer: Row,
    producers: Sequence[Row],
    levels: Sequence[int],
    names: dict[str, str],
) -> str:
    """Return why `consumer`, which reads what `producer` writes, is a kernel of its own.

    Args:
        producer: the earlier call.
        consumer: the later one.
        producers: all calls that `consumer` reads from.
        levels: how many calls each call waits for.
        names: what open extents are called.
    """
    if producer.around != consumer.around:
        return _across_a_loop(producer, consumer)
    for row in (producer, consumer):
        if row.instruction.opcode is not Opcode.CALL:
            return "a branch is entered or left between them"
        if row.title == COPY_INTO_PARAMETER:
            return "a parameter is overwritten only after everything else has succeeded"
        if row.node is None:
            return "a carry is handed over when all that reads the one before is done"
        if row.node.op is not FUSED:
            return f"{row.title} has a kernel of its own"
    first, second = producer.region, consumer.region
    assert first is not None and second is not None, "both are fused regions"
    reason = _between_regions(producer, consumer, first, second, names)
    if reason is not None:
        return reason
    later = [row for row in producers if levels[row.number] > levels[producer.number]]
    if later:
        return (
            f"it also reads #{later[-1].number}, which is ready later: that waits for "
            f"{levels[later[-1].number]} calls, the other for {levels[producer.number]}"
        )
    if sum(map(cost_of, (*first.members, *second.members))) > MAX_COST:
        return f"together they would exceed {MAX_COST} primitives, the most that one kernel holds"
    return "the grouping, which goes through the ops in their order, had closed the other"


def _across_a_loop(producer: Row, consumer: Row) -> str:
    """Return how two calls lie that different loops repeat."""
    shared = sum(
        1 for one, other in zip(producer.around, consumer.around, strict=False) if one == other
    )
    inside = consumer.around[shared:]
    if inside:
        return f"the loop at #{inside[0].first} runs this once for each step, the other before it"
    left = producer.around[shared:][0]
    return f"the loop at #{left.first} runs the other once for each step, this comes behind it"


def _between_regions(
    producer: Row,
    consumer: Row,
    first: Region,
    second: Region,
    names: dict[str, str],
) -> str | None:
    if first.chunk is not None and set(second.members) <= set(first.members):
        return "it adds up partial results, so it waits until every chunk has given its own"
    if _whole(first):
        return f"it needs the finished result over all of {_loops(first.domain, names)}"
    if not _read_in_place(producer, consumer):
        return "it reads the values at other positions than they are computed at"
    if first.domain != second.domain:
        return (
            f"it loops over {_loops(second.domain, names)}, "
            f"the other over {_loops(first.domain, names)}"
        )
    if first.reduced and second.reduced and first.reduced != second.reduced:
        return f"it reduces along {_axes(second.reduced)}, the other along {_axes(first.reduced)}"
    return None


def _whole(region: Region) -> bool:
    """Tell whether all loops are reduced, so that one element is left."""
    return bool(region.reduced) and all(
        extent == 1 or axis in region.reduced for axis, extent in enumerate(region.domain)
    )


def _read_in_place(producer: Row, consumer: Row) -> bool:
    """Tell whether each iteration reads what the same iteration of the producer wrote."""
    region = consumer.region
    assert consumer.node is not None and region is not None, "a fused region"
    for base, access in zip(consumer.node.inputs, region.reads, strict=True):
        source = base.inputs[0] if base.op.name == "project" else base
        if source is not producer.node or _is_reduction(base, producer):
            continue
        strides = tuple(
            0 if extent == 1 else stride
            for extent, stride in zip(region.domain, row_major(region.domain), strict=True)
        )
        same_size = product(base.type.dims) == product(region.domain)
        if access.offset != 0 or (same_size and access.strides != strides):
            return False
    return True


def _is_reduction(base: object, producer: Row) -> bool:
    region = producer.region
    index = getattr(base, "attrs", {}).get("index")
    if region is None or index is None:
        return False
    return isinstance(region.graph.outputs[index].op.kind, Reduce)


def _loops(domain: Shape, names: dict[str, str]) -> str:
    return " x ".join(formula(extent, names) for extent in domain) or "one element"


def _axes(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"
