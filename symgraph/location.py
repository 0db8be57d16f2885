"""Where in the user's program a node was made."""

from __future__ import annotations

import linecache
import os
import sys
import threading
from typing import NamedTuple

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class SourceLoc(NamedTuple):
    """A file and a line; `derived` says how a node that nobody wrote came about (a gradient)."""

    file: str
    line: int
    derived: str = ""

    @property
    def code(self) -> str:
        """Return the text of the line, empty where the source is gone."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}"
        return f"{text} ({self.derived})" if self.derived else text


class _Override(threading.local):
    loc: SourceLoc | None = None


_override = _Override()


def user_location() -> SourceLoc:
    """Return the innermost frame outside this package, or what `located_at` has set."""
    if _override.loc is not None:
        return _override.loc
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return SourceLoc(frame.f_code.co_filename, frame.f_lineno)


class located_at:
    """Give every node made inside the block the location `loc`.

    Passes enter one for each node, so this is no generator, which takes three times as long.
    """

    __slots__ = ("_loc", "_previous")

    def __init__(self, loc: SourceLoc) -> None:
        """Keep the location."""
        self._loc = loc

    def __enter__(self) -> None:
        self._previous, _override.loc = _override.loc, self._loc

    def __exit__(self, *_: object) -> None:
        _override.loc = self._previous
