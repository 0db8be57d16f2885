"""Running library kernels over arrays whose surroundings are watched."""

import ctypes
import itertools
import math
import mmap

import numpy as np

from symgraph.runtime.jit import get_kernel
from tests.runtime.kernels import KERNEL_TYPE

# What surrounds every output, to see writes outside of it.
GUARD = 64


def random_array(rng, dtype, shape):
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype.startswith("int"):
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return rng.standard_normal(shape).astype(dtype)


class Guarded:
    """An array of ones bits in the middle of more of them."""

    def __init__(self, shape, dtype):
        size = math.prod(shape) * np.dtype(dtype).itemsize
        self.memory = np.full(size + 2 * GUARD, 255, np.uint8)
        self.array = self.memory[GUARD : GUARD + size].view(dtype).reshape(shape)

    def check(self):
        assert (self.memory[:GUARD] == 255).all()
        assert (self.memory[self.memory.size - GUARD :] == 255).all()


def fenced(array, *, at_end):
    """Return a copy right before (or after) a page that ends the process when it is read."""
    page = mmap.PAGESIZE
    pages = max(-(-array.nbytes // page), 1) + 2
    memory = mmap.mmap(-1, pages * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for address in (start, start + (pages - 1) * page):
        assert protect(ctypes.c_void_p(address), ctypes.c_size_t(page), 0) == 0
    offset = (pages - 1) * page - array.nbytes if at_end else page
    copy = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
    copy[...] = array
    return copy


def word(argument):
    return argument.ctypes.data if isinstance(argument, np.ndarray) else argument


def run(source, arguments, extent, pieces=()):
    """Run a kernel over [0, extent), cut at `pieces`, last slice first."""
    words = np.array([word(argument) for argument in arguments], np.int64)
    edges = [0, *sorted(pieces), extent]
    kernel = KERNEL_TYPE(get_kernel(source))
    for lo, hi in reversed(list(itertools.pairwise(edges))):
        kernel(words.ctypes.data, lo, hi)


def run_both_ways(source, make_arguments, shape, dtype, extent, rng):
    """Return what the kernel writes, having checked that slicing does not matter."""
    results = []
    for pieces in ((), rng.integers(0, extent + 1, 3).tolist()):
        out = Guarded(shape, dtype)
        run(source, make_arguments(out.array), extent, pieces)
        out.check()
        results.append(out.array)
    assert results[0].tobytes() == results[1].tobytes()
    return results[0]
