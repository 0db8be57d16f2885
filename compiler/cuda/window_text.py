"""CUDA C for windows that slide over images; extents that are known are numbers in the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symgraph.compiler.cuda.matmul_kernel import ELEMENT, SUMMED
from symgraph.dims import Extent
from symgraph.ops.windows import Pair

MOST_UNROLLED = 49
"""Taps up to which the loops over a kernel are written out."""
_LARGEST_PLACE = 1 << 24
_EXTENTS = ("height", "width", "rows", "columns", "tall", "wide")


@dataclass(frozen=True)
class Window:
    """How windows lie over images.

    Args:
        images: height and width of the images.
        windows: how many windows there are downwards and across.
        kernel: taps downwards and across.
        stride: from one window to the next.
        pad: elements put before and after both axes.
        dilation: from one tap to the next.
    """

    images: tuple[Extent, Extent]
    windows: tuple[Extent, Extent]
    kernel: tuple[Extent, Extent]
    stride: Pair
    pad: Pair
    dilation: Pair

    @property
    def extents(self) -> tuple[Extent, ...]:
        """Return height, width, rows, columns and the two extents of the kernel."""
        return (*self.images, *self.windows, *self.kernel)

    @property
    def place(self) -> str:
        """Return the type of places in an image: short arithmetic where it is known to do."""
        known = [extent for extent in self.extents if isinstance(extent, int)]
        reach = max((*known, *self.stride, *self.pad, *self.dilation))
        taps = [extent for extent in self.kernel if isinstance(extent, int)]
        steps = max((*taps, 1)) * max(*self.stride, *self.dilation)
        small = len(known) == len(self.extents) and max(reach, steps) < _LARGEST_PLACE
        return "int" if small else "Word"

    @property
    def unroll(self) -> str:
        """Return what stands before loops over taps."""
        tall, wide = self.kernel
        few = isinstance(tall, int) and isinstance(wide, int) and tall * wide <= MOST_UNROLLED
        return "#pragma unroll" if few else ""

    def text(self) -> str:
        """Return all that makes kernels for these windows differ."""
        extents = ", ".join(str(e) if isinstance(e, int) else "?" for e in self.extents)
        return f"({extents}) stride={self.stride} pad={self.pad} dilation={self.dilation}"

    def declarations(self, first_word: int) -> str:
        """Return declarations of the extents, known or from words `first_word` and behind it."""
        values = dict(zip(_EXTENTS, self.extents, strict=True))
        return declare(self.place, values, first_word)


def declare(type_: str, values: dict[str, Extent], first_word: int) -> str:
    """Return declarations of numbers, each known or from its argument word.

    Args:
        type_: their type.
        values: what is declared, in the order of the words.
        first_word: the number of the first one's word.
    """
    return "\n".join(
        f"    const {type_} {name} = {value if isinstance(value, int) else f'({type_})a{word}'};"
        for word, (name, value) in enumerate(values.items(), start=first_word)
    )


def element_types(dtype: str) -> str:
    """Return the types of elements, `T`, and of sums, `S`, for which integers wrap."""
    return f"    typedef {ELEMENT[dtype]} T;\n    typedef {SUMMED[dtype]} S;"


def grid_stride(tasks: str, threads: int) -> str:
    """Return the head of a loop over tasks, shared among all threads."""
    return (
        f"for (Word task = (Word)blockIdx.x * {threads} + threadIdx.x; task < {tasks}; "
        f"task += (Word)gridDim.x * {threads})"
    )


def window_of(axis: int, window: Window, extent: str, tap: str) -> Sequence[str]:
    """Return statements that find the window of which a tap lies at `from_AXIS`, if there is one.

    They declare `to_AXIS`, the window, and `fits_AXIS`.

    Args:
        axis: 0 for downwards, 1 for across.
        window: how windows lie.
        extent: the number of windows.
        tap: which tap.
    """
    stride, pad, dilation = window.stride[axis], window.pad[axis], window.dilation[axis]
    before = f"const Place before_{axis} = from_{axis} + {pad} - {tap} * {dilation};"
    if stride == 1:
        return (
            before,
            f"const Place to_{axis} = before_{axis};",
            f"const bool fits_{axis} = to_{axis} >= 0 && to_{axis} < {extent};",
        )
    return (
        before,
        f"const Place to_{axis} = before_{axis} / {stride};",
        f"const bool fits_{axis} = before_{axis} >= 0 && before_{axis} % {stride} == 0 && "
        f"to_{axis} < {extent};",
    )
