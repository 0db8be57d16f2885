"""Sizes that convolutions are cut into, and the layout of their argument blocks.

Imports nothing heavy: the compiler asks for task counts while it lays out a plan.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from symgraph.runtime.kernels.gemm_shape import ITEM_BYTES

PATCH_ROWS = 144
"""Rows of the weight's gradient, seen as (C KH KW, OC), that one task of it covers."""

SUM_BLOCK = 4096
"""Elements that one task of a sum of parts covers."""

_TASKS = 24  # of the weight's gradient, if its positions are to be cut for that
_MOST_PARTS = 16
_SCATTER_COLUMNS = 384
_SCATTER_ROWS = 384


class ConvolutionArgument(IntEnum):
    """Positions in the argument block of `convolution_source` and `convolution_weight_source`.

    The convolution with images of INPUT_HEIGHT x INPUT_WIDTH and results of OUTPUT_HEIGHT x
    OUTPUT_WIDTH is described, whichever of its three arrays is computed.
    """

    WEIGHT = 0  # (GROUPS * OUTPUTS, INPUTS, KERNEL_HEIGHT, KERNEL_WIDTH)
    INPUT = 1  # (BATCH, GROUPS * INPUTS, INPUT_HEIGHT, INPUT_WIDTH)
    OUTPUT = 2  # (BATCH, GROUPS * OUTPUTS, OUTPUT_HEIGHT, OUTPUT_WIDTH)
    BATCH = 3
    GROUPS = 4
    INPUTS = 5
    OUTPUTS = 6
    INPUT_HEIGHT = 7
    INPUT_WIDTH = 8
    OUTPUT_HEIGHT = 9
    OUTPUT_WIDTH = 10
    KERNEL_HEIGHT = 11
    KERNEL_WIDTH = 12
    STRIDE_HEIGHT = 13
    STRIDE_WIDTH = 14
    PAD_HEIGHT = 15
    PAD_WIDTH = 16
    DILATION_HEIGHT = 17
    DILATION_WIDTH = 18
    # 1: the input is computed. For the weight's gradient: how many parts. For the scattered
    # transpose: the images of a task.
    VARIANT = 19
    TASK_INPUTS = 20  # for the scattered transpose: channels of a task


def weight_parts(rows: int, groups: int) -> int:
    """Return into how many parts to cut the positions over which a weight's gradient is summed.

    These keep threads busy where the weight has few rows. Threads have no say in it, so that the
    order of additions is the same for any number of them.

    Args:
        rows: C / groups * KH * KW.
        groups: how many groups there are.
    """
    tasks = groups * -(-rows // PATCH_ROWS)
    return max(1, min(_MOST_PARTS, _TASKS // max(tasks, 1)))


class ScatterTask(NamedTuple):
    """What one task of a scattered transpose covers, within one group."""

    images: int
    inputs: int


def scatter_task(plane: int, taps: int) -> ScatterTask:
    """Return how many images and channels a task covers: enough to fill some panels and tiles.

    Args:
        plane: positions of one image, OUTPUT_HEIGHT * OUTPUT_WIDTH.
        taps: KERNEL_HEIGHT * KERNEL_WIDTH.
    """
    return ScatterTask(max(1, _SCATTER_COLUMNS // plane), max(1, _SCATTER_ROWS // taps))


def pays_to_scatter(inputs: int, outputs: int, waste: float) -> bool:
    """Tell whether a transpose with strides 1 is faster scattered than gathered.

    Gathering multiplies zeros outside the images, and packs the windows for few rows where there
    are few channels; scattering adds up all products in memory. What each costs for a
    multiplication was measured.

    Args:
        inputs: channels of a group that are computed.
        outputs: channels of a group that are read.
        waste: positions that are computed, over those that are read.
    """
    return waste * (0.5 + 5.5 / inputs) > 0.52 + 6.5 / outputs


__all__ = [
    "ITEM_BYTES",
    "PATCH_ROWS",
    "SUM_BLOCK",
    "ConvolutionArgument",
    "ScatterTask",
    "pays_to_scatter",
    "scatter_task",
    "weight_parts",
]
