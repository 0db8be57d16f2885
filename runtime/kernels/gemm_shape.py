"""Machine-dependent sizes of the matrix product: register tile, blocks of k, tasks.

Imports nothing heavy: the compiler asks for task counts while it lays out a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from symgraph.runtime.host import host_features

Epilogue = Literal["none", "bias", "bias_relu"]

ITEM_BYTES = {"float32": 4, "float64": 8, "int32": 4, "int64": 8}
ROWS_PER_TASK = 64
L1_BYTES = 46 * 1024
A_BLOCK_BYTES = 320 * 1024
ROW_GROUP = 8  # rows of a packed A that lie next to each other


@dataclass(frozen=True)
class TileShape:
    """The register tile for one dtype on one machine.

    Attributes:
        item_bytes: Size of one element.
        vector_bytes: Size of one vector register.
        registers: Number of vector registers.
    """

    item_bytes: int
    vector_bytes: int
    registers: int

    @property
    def lanes(self) -> int:
        """Return the elements per vector."""
        return self.vector_bytes // self.item_bytes

    @property
    def vectors(self) -> int:
        """Return the widest panel, in vectors."""
        return 3

    @property
    def columns(self) -> int:
        """Return the widest panel, in elements: the width of one task."""
        return self.vectors * self.lanes

    @property
    def depth(self) -> int:
        """Return the largest block of k: a packed panel of B and a tile of A then fit into L1."""
        per_k = self.vectors * self.vector_bytes + ROW_GROUP * self.item_bytes
        return L1_BYTES // per_k // 8 * 8

    @property
    def block_rows(self) -> int:
        """Return the most rows of A per block of k: they stay in the L2 cache while B passes by."""
        return A_BLOCK_BYTES // (self.depth * self.item_bytes) // 16 * 16

    def heights(self, vectors: int) -> tuple[int, ...]:
        """Return the tile heights of a panel width: powers of two in falling order, the last one 1.

        The highest tile must leave registers for one row of B and a broadcast, and a narrow panel
        needs enough rows to hide the latency of a multiply-add (about 8 independent chains).
        """
        highest = 4
        while 2 * highest * vectors + vectors + 1 <= self.registers:
            highest *= 2
        return (highest, min(highest, 4 if vectors > 1 else ROW_GROUP), 1)

    def describe(self) -> str:
        """Return the text that stands for this shape in a kernel's key."""
        return f"{self.item_bytes}-byte items, {self.vector_bytes}-byte vectors x {self.registers}"


def tile_shape(dtype: str, features: Mapping[str, bool] | None = None) -> TileShape:
    """Choose the register tile of a dtype by the features of a processor.

    Args:
        dtype: "float32", "float64", "int32" or "int64".
        features: Feature flags as LLVM names them; the host's if None.

    Returns:
        The register tile.
    """
    if features is None:
        features = _host_features()
    item_bytes = ITEM_BYTES[dtype]
    if features.get("avx512f"):
        return TileShape(item_bytes, 64, 32)
    if features.get("avx2") and features.get("fma"):
        return TileShape(item_bytes, 32, 16)
    return TileShape(item_bytes, 16, 32 if features.get("neon") else 16)


def _host_features() -> Mapping[str, bool]:
    """Return the feature flags of this machine's processor."""
    return dict.fromkeys(host_features(), True)


def gemm_task_count(dtype: str, batch: int, rows: int, columns: int) -> int:
    """Count the independent tasks of a product, the extent of its kernel's parallel loop.

    As a formula: batch * ceil(rows / R) * ceil(columns / C), (R, C) being `gemm_task_shape(dtype)`.

    Args:
        dtype: Dtype of the operands.
        batch: Number of matrices.
        rows: Rows of C.
        columns: Columns of C.

    Returns:
        The number of tasks; zero when C is empty.
    """
    task_rows, task_columns = gemm_task_shape(dtype)
    return batch * -(-rows // task_rows) * -(-columns // task_columns)


def gemm_task_shape(dtype: str) -> tuple[int, int]:
    """Return the (rows, columns) of C that one task covers at most."""
    return ROWS_PER_TASK, tile_shape(dtype).columns


class GemmArgument(IntEnum):
    """Positions in the argument block of a matrix product; strides count elements."""

    A = 0
    B = 1
    C = 2
    BIAS = 3
    ROWS = 4
    COLUMNS = 5
    DEPTH = 6
    A_ROW_STRIDE = 7
    A_COLUMN_STRIDE = 8
    B_ROW_STRIDE = 9
    B_COLUMN_STRIDE = 10
    C_ROW_STRIDE = 11
    A_BATCH_STRIDE = 12
    B_BATCH_STRIDE = 13
    C_BATCH_STRIDE = 14
    ACCUMULATE = 15
