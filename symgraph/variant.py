"""A variant: one graph specialised for ranks and dtypes, lowered, loaded, ready to call."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from symgraph.compiler.faults import reported
from symgraph.compiler.lower import Program, lower
from symgraph.compiler.pipeline import run_pipeline
from symgraph.compiler.specialise import Fed, Guard, Specialised, specialise
from symgraph.compiler.target import Target, cpu_target, cuda_target
from symgraph.dims import Dim, open_dims_named, symbols
from symgraph.errors import CompileError, GraphError
from symgraph.leaves import PARAMETER, PLACEHOLDER, Parameter
from symgraph.location import user_location
from symgraph.node import Graph, Node, describe
from symgraph.ops.assume import collect_assumptions
from symgraph.ops.elementwise import cast
from symgraph.ops.loop import CAPACITY
from symgraph.ops.state import check_new_value
from symgraph.placement import ON_CPU, Placement
from symgraph.relations import (
    Relation,
    assumed_relations,
    axes_of_symbols,
    open_names,
    relation_of,
)
from symgraph.runtime.arena import Slot
from symgraph.runtime.calls import CallCounter
from symgraph.runtime.executable import Executable
from symgraph.runtime.jit import KernelBuildError, Statistics, statistics
from symgraph.runtime.plan import Plan
from symgraph.types import TensorType

Array = np.ndarray[Any, Any]


class Loaded(Protocol):
    """A plan with its kernels, on whatever device."""

    capacity: int
    calls: CallCounter
    slots: tuple[Slot, ...]

    def call(self, feeds: tuple[Any, ...]) -> list[Any]:
        """Run the plan on dense arrays of the right dtypes and ranks, and return the outputs."""

    def wait(self) -> None:
        """Wait for calls that have returned before their work was done."""

    def profile(self, feeds: tuple[Any, ...], repeats: int) -> Array:
        """Return the nanoseconds spent in each instruction and how often it ran."""


@dataclass(frozen=True, slots=True)
class BuildRecord:
    """What one compilation cost.

    Args:
        seconds: from the graph to a function that can be called.
        compiled: kernels that the back end compiled.
        compile_seconds: the part of `seconds` that it took for them.
        from_disk: kernels found in the disk cache.
        from_memory: kernels that this process had already.
    """

    seconds: float
    compiled: int
    compile_seconds: float
    from_disk: int
    from_memory: int


@dataclass(frozen=True, eq=False, slots=True)
class Variant:
    """What one compilation made.

    Args:
        executable: runs it.
        plan: what runs.
        guards: the equalities of extents that it was specialised on.
        stages: the graph after each pass.
        kernels: for each kernel call its label and the nodes it computes.
        feeds: the type of each feed.
        names: the name of each feed.
        parameters: the parameters of the plan, in its order.
        updated: the parameters that a call changes.
        build: what making it cost.
        device: where it runs.
    """

    executable: Loaded
    plan: Plan
    guards: tuple[Guard, ...]
    stages: Mapping[str, Graph]
    kernels: tuple[tuple[str, tuple[Node, ...]], ...]
    feeds: tuple[TensorType, ...]
    names: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    updated: tuple[Parameter, ...]
    build: BuildRecord
    device: str = "cpu"


def build_variant(
    outputs: Sequence[Node],
    updates: Sequence[tuple[Parameter, Node]],
    inputs: Sequence[Node],
    fed: Mapping[str, Fed] | None,
    threads: int | None,
    options: frozenset[str] = frozenset(),
    placement: Placement = ON_CPU,
) -> Variant:
    """Compile a graph.

    Args:
        outputs: the user's outputs.
        updates: parameters and their new values.
        inputs: the placeholders in call order.
        fed: dtypes and shapes of the feeds where the graph leaves something open.
        threads: how many threads kernels may use; None for all.
        options: the optional passes to run.
        placement: where it is to run.

    Raises:
        SymGraphError: of the kind that the offending node's type rule raises.
        CompileError: the compiler failed.
    """
    started, before = time.perf_counter(), statistics()
    user_graph = Graph(tuple(inputs), (*outputs, *(node for _, node in updates)))
    with reported("specialise"), open_dims_named(open_names(inputs, fed)):
        specialised = specialise(user_graph, fed)
        with collect_assumptions() as found:
            graph = check_updates(specialised.graph, updates)
        feeds = graph.inputs
        relations = [relation_of(entry, entry.reason, feeds) for entry in found]
    stages = run_pipeline(graph, options)
    with reported("lower"):
        with open_dims_named(open_names(inputs, fed)):
            relations += assumed_relations(feeds, graph, stages["expand"])
        target = _target(placement)
        program = _program(stages["fuse"], feeds, updates, specialised, relations, target)
        _check_decided(graph, program.sources)
        lowered = lower(program)
    with reported("load"):
        executable = _load(lowered.plan, program, threads, placement)
    return Variant(
        executable,
        lowered.plan,
        specialised.guards,
        stages,
        lowered.members,
        tuple(feed.type for feed in feeds),
        tuple(feed.name or "" for feed in feeds),
        program.parameters,
        program.updated,
        _build_record(started, before),
        placement.device,
    )


def _program(
    fused: Graph,
    feeds: tuple[Node, ...],
    updates: Sequence[tuple[Parameter, Node]],
    specialised: Specialised,
    relations: Sequence[Relation],
    target: Target,
) -> Program:
    sources = _sources(feeds)
    return Program(
        fused,
        feeds,
        parameters_of(fused, updates),
        tuple(parameter for parameter, _ in updates),
        (*_guard_relations(specialised, sources), *relations),
        sources,
        target,
    )


def _target(placement: Placement) -> Target:
    return cpu_target() if placement.device == "cpu" else cuda_target(placement.precision)


def _load(plan: Plan, program: Program, threads: int | None, placement: Placement) -> Loaded:
    """Compile or load the kernels of a plan.

    Raises:
        CompileError: the back end rejected one.
    """
    locks = [parameter.lock for parameter in program.parameters]
    residences = [parameter.residence for parameter in program.parameters]
    try:
        if placement.device != "cpu":
            # What a GPU needs is imported where one is asked for.
            from symgraph.runtime.cuda.device import open_device
            from symgraph.runtime.cuda.executable import CudaExecutable

            device, on_device = open_device(placement.device), placement.results == "device"
            return CudaExecutable(plan, residences, locks, device, on_device=on_device)
        written = [parameter.residence for parameter in program.updated]
        return Executable(plan, residences, locks, written, threads)
    except KernelBuildError as error:
        raise CompileError(
            f"{error}; please report this (the back end's own text is in .details)", error.details
        ) from error


def _build_record(started: float, before: Statistics) -> BuildRecord:
    after = statistics()
    return BuildRecord(
        seconds=time.perf_counter() - started,
        compiled=after.compiled - before.compiled,
        compile_seconds=after.seconds - before.seconds,
        from_disk=after.disk_hits - before.disk_hits,
        from_memory=after.memory_hits - before.memory_hits,
    )


def check_updates(graph: Graph, updates: Sequence[tuple[Parameter, Node]]) -> Graph:
    """Return `graph` with each new value in its parameter's dtype.

    Raises:
        ShapeError: a new value has another shape than its parameter.
        DTypeError: it has a dtype that does not convert to the parameter's.
    """
    count = len(graph.outputs) - len(updates)
    values = []
    for (parameter, _), node in zip(updates, graph.outputs[count:], strict=True):
        check_new_value(parameter, node)
        same = node.type.dtype == parameter.dtype
        values.append(node if same else cast(node, dtype=parameter.dtype))
    return Graph(graph.inputs, (*graph.outputs[:count], *values))


def _sources(feeds: Sequence[Node]) -> dict[str, tuple[int, int]]:
    """Return the feed and axis at which each symbol is read."""
    # The capacity of loops follows the feeds, as one more that has one axis.
    return dict.fromkeys(symbols(CAPACITY), (len(feeds), 0)) | axes_of_symbols(
        [feed.type for feed in feeds]
    )


def _check_decided(graph: Graph, sources: Mapping[str, tuple[int, int]]) -> None:
    """Refuse extents that no feed tells, such as those of a placeholder that nothing else needs."""
    for node in graph:
        extents = node.type.shape if isinstance(node.type, TensorType) else ()
        for extent in (*(extents or ()), node.attrs.get("value", 0), node.attrs.get("length", 0)):
            if not isinstance(extent, Dim):
                continue
            missing = [name for name in symbols(extent) if name not in sources]
            if missing:
                raise GraphError(
                    f"no feed has an axis that is just {missing[0]}, so the shape of "
                    f"{describe(node)} is unknown; name a placeholder that has it in inputs=\n"
                    f"  at {user_location()}"
                )


def _guard_relations(
    specialised: Specialised, sources: Mapping[str, tuple[int, int]]
) -> list[Relation]:
    return [
        ("equal", guard.left, guard.right, "specialised for other extents")
        for guard in specialised.guards
        if all(name in sources for name in (*symbols(guard.left), *symbols(guard.right)))
    ]


def parameters_of(graph: Graph, updates: Sequence[tuple[Parameter, Node]]) -> tuple[Parameter, ...]:
    """Return the parameters that a graph reads, also inside branches and bodies, or updates."""
    found: dict[Parameter, None] = {}
    stack = [graph]
    while stack:
        for node in stack.pop():
            if node.op is PARAMETER and isinstance(node, Parameter):
                found[node] = None
            stack.extend(value for value in node.attrs.values() if isinstance(value, Graph))
    found.update(dict.fromkeys(parameter for parameter, _ in updates))
    return tuple(found)


def placeholders_of(nodes: Sequence[Node]) -> list[Node]:
    """Return the placeholders that `nodes` are computed from, also inside branches and bodies."""
    found: dict[Node, None] = {}
    stack = [Graph((), tuple(nodes))]
    while stack:
        for node in stack.pop():
            if node.op is PLACEHOLDER:
                found[node] = None
            stack.extend(value for value in node.attrs.values() if isinstance(value, Graph))
    return list(found)
