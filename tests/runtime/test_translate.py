import pytest
from llvmlite import ir
from numba import types

from symgraph.runtime import native
from symgraph.runtime.jit import compile_ir
from symgraph.runtime.loader import load_object
from symgraph.runtime.translate import UntranslatableError, translate

SOURCE = '''
LIMIT = 10

def collatz(start: int, rounds: int) -> int:
    """Counts steps to one."""
    steps = 0
    while start != 1 and steps < rounds:
        if start & 1:
            start = 3 * start + 1
        else:
            start = half(start)
        steps += 1
    return steps

def half(value: int) -> int:
    result = 0
    while True:
        if not result + result < value:
            break
        result += 1
    return result

def triangle(count: int, bound: int) -> int:
    total = 0
    for index in range(count):
        if 0 <= index < bound:
            total = total + index
            continue_here = 1 if index == native.HALT else 0
            total -= continue_here * LIMIT
    return total

def refused(a: int, b: int) -> int:
    return [a, b]
'''


def build(name):
    import ctypes

    names = {"LIMIT": 10, "native": native}

    def emit(builder, *values):
        return builder.call(translate(SOURCE, names, name, builder.module), values)

    word = types.int64
    compiled = compile_ir(emit, word(word, word))
    kind = ctypes.CFUNCTYPE(*[ctypes.c_int64] * 3)
    return kind(load_object(compiled.code, compiled.symbol))


def meaning(name):
    names = {"native": native}
    exec(SOURCE, names)  # the constant text above
    return names[name]


@pytest.mark.parametrize("name", ["collatz", "triangle"])
def test_compiled_and_interpreted_agree(name):
    compiled, interpreted = build(name), meaning(name)
    for first in range(1, 30):
        for second in (0, 3, 200):
            assert compiled(first, second) == interpreted(first, second)


def test_anything_else_is_refused():
    with pytest.raises(UntranslatableError, match="a, b"):
        translate(SOURCE, {}, "refused", ir.Module())
