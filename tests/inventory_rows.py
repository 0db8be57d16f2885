"""Rows of numbers to reproduce: a program, what it is fed, and what it must give."""

from typing import Any, NamedTuple

import numpy as np

from symgraph import Placeholder, compile


class Row(NamedTuple):
    """A program and its values; `digits` is how many decimals the source prints, None for all."""

    outputs: list[Any]
    feeds: dict[str, Any]
    expected: list[Any]
    digits: int | None = None
    rtol: float = 1e-12


def check_row(program: Row) -> None:
    """Run a program in native code and compare."""
    f = compile(program.outputs)
    results = f(**{node.name: program.feeds[node.name] for node in f.inputs})
    assert len(results) == len(program.expected)
    rtol, atol = program.rtol, 1e-14
    if program.digits is not None:
        rtol, atol = 0.0, 0.51 * 10.0**-program.digits
    for result, expected in zip(results, program.expected, strict=True):
        np.testing.assert_allclose(result, expected, rtol=rtol, atol=atol)
        assert result.shape == np.shape(expected)


def scalars(names: str | list[str]) -> list[Placeholder]:
    return [Placeholder(name, (), "float64") for name in names]


def array(name: str, *shape: int | str) -> Placeholder:
    return Placeholder(name, shape, "float64")
