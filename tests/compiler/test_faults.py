"""Faults of the compiler itself are reported as such, with the stage and the user's line."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Placeholder, compile
from symgraph.compiler import pipeline


def _failing_with(error):
    def transform(graph):
        for node in graph:
            if node.op.name == "exp":
                raise error
        return graph

    return transform


def _replace_pass(monkeypatch, transform):
    stages = tuple(
        (name, transform if name == "cse" else given, invariant)
        for name, given, invariant in pipeline.PIPELINE
    )
    monkeypatch.setattr(pipeline, "PIPELINE", stages)


@pytest.mark.parametrize(
    "error", [KeyError("w"), IndexError("3"), AssertionError("no"), NameError("spam")], ids=repr
)
def test_what_a_pass_should_never_raise(monkeypatch, error):
    _replace_pass(monkeypatch, _failing_with(error))
    x = Placeholder("x", ("N",), "float64")
    message = (
        rf"(?s)failed in the stage 'cse' with {type(error).__name__}: .*working on exp \(float64"
        r"\[N\], made at .*test_faults\.py:\d+\): compile\(sg\.exp\(x\).*fault of symgraph: please"
    )
    with pytest.raises(sg.CompileError, match=message) as caught:
        compile(sg.exp(x) + 1)
    assert caught.value.__cause__ is error
    assert "Traceback" in caught.value.details


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt("stop"), MemoryError("much"), OSError("full"), sg.ShapeError("typed")],
)
def test_what_is_no_fault_of_the_compiler_passes(monkeypatch, error):
    _replace_pass(monkeypatch, _failing_with(error))
    with pytest.raises(type(error), match=str(error)) as caught:
        compile(sg.exp(Placeholder("x", ("N",), "float64")))
    assert caught.value is error


def test_a_fault_in_lowering_leaves_nothing_behind(monkeypatch):
    x = Placeholder("x", dtype="float64")
    f = compile(sg.exp(x))
    with monkeypatch.context() as patched:
        patched.setattr("symgraph.variant.lower", lambda program: [][0])
        with pytest.raises(sg.CompileError, match="failed in the stage 'lower' with IndexError"):
            f(1.0)
    assert f.compile_count == 0
    np.testing.assert_allclose(f(1.0), np.e)
