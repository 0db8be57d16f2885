"""`compile`: from nodes to a function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from symgraph.compiler.specialise import is_open
from symgraph.errors import FeedError, GraphError
from symgraph.function import Function, Mode, Options
from symgraph.leaves import ARGUMENT, PLACEHOLDER, Parameter, State, lift
from symgraph.location import user_location
from symgraph.node import Graph, Node, Operand, describe, shown, topological
from symgraph.ops.state import check_new_value
from symgraph.placement import Placement, Precision, Results, placement_of
from symgraph.structure import flatten
from symgraph.tracking import with_tracked
from symgraph.variant import placeholders_of

# A Mapping's keys are invariant, so one from states must be named too.
Updates = (
    Mapping[Parameter, Operand] | Mapping[State, Operand] | Iterable[tuple[Parameter, Operand]]
)


def compile(
    outputs: Any,
    *,
    updates: Updates | None = None,
    inputs: Sequence[Node] | None = None,
    device: str = "cpu",
    threads: int | None = None,
    check_finite: bool = False,
    mode: Mode = "native",
    precision: Precision = "float32",
    results: Results = "numpy",
) -> Function:
    """Compile a graph to a function of its placeholders.

    The work is done here when ranks and dtypes are known, else at the first call. One compilation
    serves every batch size.

    Args:
        outputs: a node, or a nested tuple, list or dict of nodes; results are nested alike.
        updates: new values of parameters, written together after all outputs are computed from the
            old ones, and together with what `track` says.
        inputs: the placeholders in the order of positional calls; by default in the order in which
            the outputs meet them.
        device: "cpu", "cuda", or "cuda:1" and so on. Parameters follow the functions that use them.
        threads: how many threads may work on one call; None for all that the process may use. The
            results do not depend on it.
        check_finite: raise NonFiniteError when an output or update holds a NaN or an infinity.
        mode: "native", or "reference" for the NumPy interpreter, which defines the semantics.
        precision: on a GPU, "tf32" or "bfloat16" let float32 matrix products and convolutions round
            their factors to 10 or 7 binary digits, which is faster.
        results: on a GPU, "device" returns CuPy arrays, and a call does not wait for them.

    Returns:
        A function; see `Function`.

    Raises:
        GraphError: outputs, updates or inputs are not what they should be.
        DeviceError: the device is not there, or cannot be used.
        SymGraphError: of the kind the offending node's type rule raises.

    Example:
        >>> a, b = Placeholder("a"), Placeholder("b")
        >>> f = compile(a * b + Constant(1))
        >>> f(a=2, b=3)
        array(7)
    """
    placement = _checked_placement(placement_of(device, precision, results), threads, mode)
    nodes, restore = flatten(outputs)
    pairs = with_tracked(nodes, _checked_updates(updates))
    feeds, closed = _feeds(nodes, pairs, inputs)
    options = Options(threads, mode, check_finite, placement)
    return Function(nodes, restore, pairs, feeds, options, closed=closed and mode == "native")


def _feeds(
    nodes: Sequence[Node], pairs: Sequence[tuple[Parameter, Node]], inputs: Sequence[Node] | None
) -> tuple[list[Node], bool]:
    """Return the placeholders in call order, and whether all types are known already."""
    computed = [*nodes, *(node for _, node in pairs)]
    _refuse_escaped(computed)
    feeds = _ordered(placeholders_of(computed), inputs)
    return feeds, not is_open(Graph(tuple(feeds), (*computed, *feeds)))


def _checked_placement(placement: Placement, threads: int | None, mode: str) -> Placement:
    """Return the placement, having seen that the device is there and that options go together."""
    if mode not in ("native", "reference"):
        raise GraphError(f"mode is 'native' or 'reference', not {mode!r}\n  at {user_location()}")
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise GraphError(
            f"threads is a positive int or None, not {threads!r}\n  at {user_location()}"
        )
    if placement.device == "cpu":
        return placement
    if mode == "reference":
        raise GraphError(
            "mode='reference' evaluates with NumPy; it knows no device but 'cpu'\n"
            f"  at {user_location()}"
        )
    # What a GPU needs is imported where one is asked for.
    from symgraph.runtime.cuda.device import open_device

    open_device(placement.device)
    return placement


def _refuse_escaped(computed: Sequence[Node]) -> None:
    """Refuse what one step of a loop computes where there is no step.

    Raises:
        GraphError: a node depends on a carry or row of a loop without being in its body.
    """
    leaf = next((node for node in topological(computed) if node.op is ARGUMENT), None)
    if leaf is not None:
        raise GraphError(
            "a carry or a row of a loop is used outside of the loop's body: "
            f"{describe(leaf)}\n  at {user_location()}\n"
            "  return what is needed from the body, and use what the loop gives"
        )


def _checked_updates(updates: Updates | None) -> list[tuple[Parameter, Node]]:
    pairs = updates.items() if isinstance(updates, Mapping) else updates
    if pairs is None:
        return []
    if not isinstance(pairs, Iterable) or isinstance(pairs, Node):
        raise GraphError(
            f"updates map parameters to their new values, which {pairs!r} does not\n"
            f"  at {user_location()}\n  those of an optimiser are updates(loss, parameters)"
        )
    checked: dict[Parameter, Node] = {}
    for entry in pairs:
        if not isinstance(entry, tuple) or len(entry) != 2:
            raise GraphError(
                f"updates are pairs (parameter, new value), not {entry!r}\n  at {user_location()}"
            )
        parameter, value = entry
        if not isinstance(parameter, Parameter):
            raise GraphError(
                f"only parameters can be updated, not {parameter!r}\n  at {user_location()}"
            )
        if parameter in checked:
            raise GraphError(f"{describe(parameter)} is updated twice\n  at {user_location()}")
        node = lift(value)
        check_new_value(parameter, node)
        checked[parameter] = node
    return list(checked.items())


def _ordered(reachable: Sequence[Node], inputs: Sequence[Node] | None) -> list[Node]:
    """Return the placeholders in call order.

    Raises:
        GraphError: two share a name, or an entry of `inputs` is no placeholder.
        FeedError: `inputs` leaves one out.
    """
    feeds = list(reachable if inputs is None else inputs)
    for node in feeds:
        if not isinstance(node, Node) or node.op is not PLACEHOLDER:
            raise GraphError(f"inputs are placeholders, not {node!r}\n  at {user_location()}")
    known = set(feeds)
    if len(known) < len(feeds):
        raise GraphError(f"inputs names a placeholder twice\n  at {user_location()}")
    missing = [node for node in reachable if node not in known]
    if missing:
        raise FeedError(
            f"inputs leaves out {', '.join(map(describe, missing))}\n  at {user_location()}"
        )
    seen: dict[str, Node] = {}
    for node in feeds:
        other = seen.setdefault(node.name or "", node)
        if other is not node:
            raise GraphError(
                f"two placeholders are called {shown(node.name)}: made at {other.loc} "
                f"and {node.loc}; give one another name\n  at {user_location()}"
            )
    return feeds
