"""What tests of library kernels for CUDA share: emulated runs, watched on all sides."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.runtime.cuda.prelude import PRELUDE
from tests.cuda.emulator import Emulator, compiler
from tests.runtime.guarded import Guarded, word

NUMBERS = ("int32", "int64", "float32", "float64")
FLOATS = NUMBERS[2:]
DTYPES = ("bool", *NUMBERS)

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no g++ on PATH")


def joined(*kernels):
    """Return a module of kernels."""
    codes = {kernel.name: kernel.code for kernel in kernels}
    return Emulator.load("\n".join([PRELUDE, *codes.values()]))


def run(module, kernel, *arguments, reverse=False):
    """Run one kernel on arrays and numbers."""
    words = [word(argument) for argument in arguments]
    assert len(words) == kernel.words
    launch = kernel.launch(words)
    if 0 not in launch.grid:
        module.launch(
            kernel.name, launch.grid, launch.block, [*words, 0], launch.shared, reverse=reverse
        )


def written(module, kernel, before, shape, dtype, after):
    """Return what a kernel writes, whichever block and thread come first, and nothing around it."""
    results = []
    for reverse in (False, True):
        out = Guarded(shape, dtype)
        run(module, kernel, *before, out.array, *after, reverse=reverse)
        out.check()
        results.append(out.array)
    assert results[0].tobytes() == results[1].tobytes()
    return results[0]


def agree(nodes, feeds, arrays, rtol):
    """Compare nodes, and their gradients in the floats among the feeds, with the host's."""
    floats = [node for node in nodes if node.type.element in FLOATS]
    total = sum((sg.sum(sg.sin(node)) for node in floats), start=0.0)
    outputs = [*nodes, *sg.grad(total, [feed for feed in feeds if feed.type.element in FLOATS])]
    host, device = (
        sg.compile(outputs, inputs=feeds, device=name)(*arrays) for name in ("cpu", "cuda")
    )
    for number, (found, expected) in enumerate(zip(device, host, strict=True)):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol, err_msg=str(number))
