"""The passes, in order: one literal tuple, and the runner that checks and dumps after each."""

from __future__ import annotations

import os
from collections.abc import Callable

from symgraph.compiler.expand import expand
from symgraph.compiler.faults import reported
from symgraph.compiler.fuse import fuse
from symgraph.compiler.passes.cse import cse
from symgraph.compiler.passes.finite import check_outputs
from symgraph.compiler.passes.loops import tidy_loops
from symgraph.compiler.passes.parts import compute_parts
from symgraph.compiler.passes.simplify import simplify_final
from symgraph.compiler.verify import verify
from symgraph.node import Graph, Node

Pass = Callable[[Graph], Graph]

PIPELINE: tuple[tuple[str, Pass, str], ...] = (
    ("expand", expand, "canonical"),
    ("simplify", simplify_final, "canonical"),
    ("cse", cse, "canonical"),
    ("loops", tidy_loops, "canonical"),
    ("parts", compute_parts, "canonical"),
    ("check_finite", check_outputs, "canonical"),
    ("fuse", fuse, "built"),
)
"""From a specialised graph to a fused one: a name, a pass, and what must hold after it.

Simplification folds constants as it goes."""

OPTIONAL = frozenset({"check_finite"})
"""The passes that are run only where the user asks for them."""


def run_pipeline(specialised: Graph, options: frozenset[str] = frozenset()) -> dict[str, Graph]:
    """Return the graph after each pass, by name, in order; the last one is ready to lower.

    With `SYMGRAPH_DUMP=dir` set, each stage is also written there as text and DOT.

    Args:
        specialised: a graph whose types are all known.
        options: the optional passes to run.

    Raises:
        CompileError: a pass broke the graph.
    """
    stages = {"specialise": specialised}
    graph = specialised
    sound: dict[Node, str] = {}
    with reported("specialise"):
        verify(graph, "specialised", sound)
    for name, transform, invariant in PIPELINE:
        if name in OPTIONAL - options:
            continue
        with reported(name):
            graph = verify(transform(graph), invariant, sound)
        stages[name] = graph
    dump_stages(stages)
    return stages


def dump_stages(stages: dict[str, Graph]) -> None:
    """Write each stage as `NN_name.txt` and `NN_name.dot` if `SYMGRAPH_DUMP` names a folder."""
    folder = os.environ.get("SYMGRAPH_DUMP")
    if not folder:
        return
    from pathlib import Path

    from symgraph.pictures.graphviz import to_dot
    from symgraph.printer import format_graph

    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    taken = len(list(target.glob("*.txt")))
    for number, (name, graph) in enumerate(stages.items(), start=taken):
        stem = target / f"{number:02}_{name}"
        stem.with_suffix(".txt").write_text(format_graph(graph) + "\n", encoding="utf-8")
        to_dot(graph, stem.with_suffix(".dot"))
