"""Looking things up by the names that users write."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

from symgraph.errors import GraphError
from symgraph.location import user_location

Value = TypeVar("Value")


def called(what: str, name: str, table: Mapping[str, Value]) -> Value:
    """Return the entry of a table, whose keys are in lower case.

    Args:
        what: what messages call an entry.
        name: what the user wrote, in capitals or not, with hyphens or not.
        table: the entries.

    Raises:
        GraphError: there is no such entry; the message suggests one.
    """
    key = name.strip().lower().replace("-", "_").replace(" ", "_")
    if key in table:
        return table[key]
    near = get_close_matches(key, table, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise GraphError(
        f"there is no {what} called {name!r}; {hint}known are {', '.join(table)}\n"
        f"  at {user_location()}"
    )
