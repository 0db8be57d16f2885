"""`mode="reference"`: calls of a function that NumPy computes, node by node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.compiler.specialise import Fed, is_open, specialise
from symgraph.errors import FeedError
from symgraph.interpret import evaluate
from symgraph.leaves import Parameter
from symgraph.node import Graph, Node, describe
from symgraph.shared_lock import run_alone, run_shared
from symgraph.variant import check_updates, parameters_of

Array = np.ndarray[Any, Any]
Updates = Sequence[tuple[Parameter, Node]]


def run_reference(
    graph: Graph,
    updates: Updates,
    feeds: Mapping[str, Array],
    call_index: int,
    *,
    check_finite: bool = False,
) -> list[Array]:
    """Evaluate a graph with NumPy, then write the updates, all or none.

    Args:
        graph: the placeholders; the user's outputs, and after them the new values of `updates`.
        updates: the parameters to write.
        feeds: an array for each placeholder.
        call_index: the number of the call.
        check_finite: refuse outputs and updates that are not finite.

    Returns:
        The user's outputs.

    Raises:
        SymGraphError: of the kind that the offending node raises; no parameter was changed.
    """
    if is_open(graph):
        shapes = {name: Fed(array.dtype.name, array.shape) for name, array in feeds.items()}
        graph = specialise(graph, shapes).graph
    graph = check_updates(graph, updates)
    parameters = parameters_of(graph, updates)
    locks = sorted((parameter.lock for parameter in parameters), key=id)
    run: Callable[..., list[Array]] = run_alone if updates else run_shared
    given = {leaf: feeds[leaf.name or ""] for leaf in graph.inputs}
    return run(locks, _evaluate, graph, parameters, updates, given, call_index, check_finite)


def _evaluate(
    graph: Graph,
    parameters: Sequence[Parameter],
    updates: Updates,
    feeds: Mapping[Node, Array],
    call_index: int,
    check_finite: bool,
) -> list[Array]:
    # Parameters are given, for reading `.value` would wait for the locks that are held.
    given: dict[Node, Array] = {parameter: parameter.storage for parameter in parameters}
    values = evaluate(graph.outputs, {**feeds, **given}, call_index=call_index)
    if check_finite and not all(map(_is_finite, values)):
        from symgraph.inspection.finite import non_finite_error

        updated = [parameter for parameter, _ in updates]
        known = {**feeds, **given}
        raise non_finite_error(graph, updated, known, call_index, "an output is not finite")
    count = len(values) - len(updates)
    for (parameter, node), value in zip(updates, values[count:], strict=True):
        if value.shape != parameter.shape:
            raise FeedError(
                f"the update of {describe(parameter)} has another shape: {describe(node)}, "
                f"here {value.shape}"
            )
    targets = [parameter.residence.on_host(write=True) for parameter, _ in updates]
    _overwrite(targets, values[count:])
    return values[:count]


def _is_finite(array: Array) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _overwrite(targets: Sequence[Array], values: Sequence[Array]) -> None:
    before = [target.copy() for target in targets]
    try:
        for target, value in zip(targets, values, strict=True):
            np.copyto(target, value)
    except BaseException:
        for target, value in zip(targets, before, strict=True):
            np.copyto(target, value)
        raise
