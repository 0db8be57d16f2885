"""What the classes of ImageNet are called."""

from __future__ import annotations

import re
from pathlib import Path

from symgraph.data.source import Source, find_file
from symgraph.errors import DataError

URL = (
    "https://gist.githubusercontent.com/yrevar/942d3a0ac09ec9e5eb3a/raw/"
    "238f720ff059c1f82f368259d1ca4ffa5dd8f9f5/imagenet1000_clsidx_to_labels.txt"
)

# The file is a dictionary in Python's notation. Only that form is accepted, and nothing is run.
_ENTRY = re.compile(
    r"""\s*(\d{1,4})\s*:\s*('(?:[^'\\\n]|\\['"\\])*'|"(?:[^"\\\n]|\\['"\\])*")\s*"""
)
_ESCAPE = re.compile(r"""\\(['"\\])""")


class ImageNet:
    """Names of the thousand classes. The pictures themselves are not free to be fetched."""

    @staticmethod
    def labels(source: Source = None) -> dict[int, str]:
        """Return the names of the classes by their numbers.

        Args:
            source: path or address of a text such as `{0: 'tench', 1: 'goldfish'}`; None for the
                list that is usual, which is fetched once.

        Returns:
            Numbers from 0 on without a gap, and names.

        Raises:
            DownloadError: the text could not be fetched.
            DataError: there is no such file, or its form is another one.

        Example:
            >>> ImageNet.labels()[340]
            'zebra'
        """
        path = find_file(source, URL, None)
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is no text in UTF-8: {error}") from None
        return _parsed(text, path)


def _parsed(text: str, path: Path) -> dict[int, str]:
    stripped = text.strip()
    if not (stripped.startswith("{") and stripped.endswith("}")):
        raise DataError(f"{path} is no list of names in braces")
    names: dict[int, str] = {}
    position, end = 1, len(stripped) - 1
    while position < end:
        entry = _ENTRY.match(stripped, position, end)
        if entry is None or (entry.end() < end and stripped[entry.end()] != ","):
            start = end - len(stripped[position:end].lstrip())
            line = stripped.count("\n", 0, start) + 1
            raise DataError(f"{path} has no number with a name in quotes in line {line}")
        if int(entry[1]) != len(names):
            raise DataError(f"{path} goes on with {entry[1]} where {len(names)} was expected")
        names[len(names)] = _ESCAPE.sub(r"\1", entry[2][1:-1])
        position = entry.end() + 1
    if not names:
        raise DataError(f"{path} names no class")
    return names
