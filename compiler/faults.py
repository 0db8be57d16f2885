"""Faults of the compiler itself: told apart from those of the user, and as precise as possible."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from symgraph.errors import CompileError, SymGraphError
from symgraph.node import Node, describe


@contextmanager
def reported(stage: str) -> Iterator[None]:
    """Turn what the compiler should never raise inside the block into a CompileError.

    Args:
        stage: what the compiler is doing: a pass, lowering or loading.

    Raises:
        CompileError: something went wrong that is no fault of the user. Typed errors pass as they
            are, and so do those of the system (no memory, no room on the disk) and warnings that
            the user turned into errors.
    """
    try:
        yield
    except (SymGraphError, MemoryError, OSError, Warning):
        raise
    # Whatever else comes out of a pass is a fault of ours, which users cannot know by its kind.
    except Exception as error:
        node = _latest_node(error.__traceback__)
        where = f"\n  while it was working on {describe(node)}" if node is not None else ""
        code = f": {node.loc.code}" if node is not None and node.loc.code else ""
        raise CompileError(
            f"the compiler failed in the stage {stage!r} with {type(error).__name__}: {error}"
            f"{where}{code}\n  this is a fault of symgraph: please report it, with the text in "
            ".details; mode='reference' may run the graph meanwhile",
            "".join(traceback.format_exception(error)),
        ) from error


def _latest_node(trace: TracebackType | None) -> Node | None:
    """Return the node that the innermost function which has one was working on."""
    found = None
    while trace is not None:
        names = trace.tb_frame.f_locals
        # `node` is what passes call the one they are at; any other is better than none.
        values = [names.get("node"), *names.values()]
        found = next((value for value in values if isinstance(value, Node)), found)
        trace = trace.tb_next
    return found
