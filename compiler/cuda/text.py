"""What the kernels of library ops share: C's types, and how many threads work side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Template

from symgraph.types import FLOATS

THREADS = 256
"""Threads of a block, unless a kernel says otherwise."""

ELEMENT = {
    "bool": "unsigned char",
    "int32": "int",
    "int64": "long long",
    "float32": "float",
    "float64": "double",
}
"""The types in which elements are compared."""

SUMMED = {**ELEMENT, "int32": "unsigned", "int64": "unsigned long long"}
"""The types that are added up: integers wrap, which signed ones may not."""

WIDENED = {**SUMMED, "float32": "double"}
"""The types of sums that take a whole axis or window."""

COPIED = {1: "unsigned char", 4: "unsigned", 8: "unsigned long long"}
"""The types of elements that are only copied, by size: so one kernel serves several dtypes."""

ITEM_BYTES = {"bool": 1, "int32": 4, "int64": 8, "float32": 4, "float64": 8}


def filled(text: str, **values: object) -> str:
    """Return a text with every `$name` replaced."""
    return Template(text).substitute({name: str(value) for name, value in values.items()})


def named(text: str, words: Mapping[str, int]) -> str:
    """Return a text behind declarations of those argument words that it calls by a name.

    Args:
        text: of a body.
        words: for each name the number of the word.
    """
    used = set(re.findall(r"\w+", text))
    lines = [f"    const Word {name} = a{word};\n" for name, word in words.items() if name in used]
    return "".join((*lines, text))


def neutral(dtype: str) -> str:
    """Return what leaves every number as it is when added: 0.0 would change -0.0."""
    return "-0.0" if dtype in FLOATS else "0"


def power_of_two(number: int, most: int) -> int:
    """Return the least power of two that is not below a number, but at most `most`."""
    return min(1 << max(number - 1, 0).bit_length(), most)


def better(dtype: str, *, largest: bool, name: str) -> str:
    """Return the function that tells whether `one` replaces `other`: it is further, or a first NaN.

    Args:
        dtype: of the elements, the C type of which is ELEMENT's.
        largest: whether the largest is wanted, or else the smallest.
        name: of the function.
    """
    relation = ">" if largest else "<"
    test = f"one {relation} other"
    if dtype in FLOATS:
        test = f"other == other && ({test} || one != one)"
    return filled(
        """\
__device__ __forceinline__ bool $name($element one, $element other)
{
    return $test;
}
""",
        name=name,
        element=ELEMENT[dtype],
        test=test,
    )


def worst(dtype: str, *, largest: bool) -> str:
    """Return the value than which none is less (or, for the smallest, more)."""
    sign = "-" if largest else ""
    if dtype == "float32":
        return f"{sign}INFINITE_FLOAT"
    if dtype == "float64":
        return f"{sign}INFINITE_DOUBLE"
    if dtype == "bool":
        return "0" if largest else "1"
    most = {"int32": "2147483647", "int64": "9223372036854775807LL"}[dtype]
    return f"-{most} - 1" if largest else most
