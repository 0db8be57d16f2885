"""Kernels and tables for the tests of the runtime."""

import ctypes
from dataclasses import dataclass, field

import numpy as np

from symgraph.runtime import native as at
from symgraph.runtime.executor import new_frame
from symgraph.runtime.jit import KernelSource, get_kernel

KERNEL_TYPE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


def scale_source(factor=3.0):
    """y[i] = x[i] * factor + x[i], for args = [x, y] in float64."""

    def build(builder, args, lo, hi):
        from llvmlite import ir
        from numba.core import cgutils

        word, number = ir.IntType(64), ir.DoubleType()
        x, y = (
            builder.inttoptr(builder.load(builder.gep(args, [word(k)])), number.as_pointer())
            for k in (0, 1)
        )
        with cgutils.for_range_slice(builder, lo, hi, word(1), inc=True) as (index, _):
            value = builder.load(builder.gep(x, [index]))
            value = builder.fadd(builder.fmul(value, number(factor)), value)
            builder.store(value, builder.gep(y, [index]))

    return KernelSource(f"test scale {factor!r}", build, f"y = x * {factor} + x")


def count_source(step=1):
    """*counter += step * (hi - lo), for args = [counter] in int64; not for several threads."""

    def build(builder, args, lo, hi):
        from llvmlite import ir

        word = ir.IntType(64)
        counter = builder.inttoptr(builder.load(args), word.as_pointer())
        more = builder.mul(builder.sub(hi, lo), word(step))
        builder.store(builder.add(builder.load(counter), more), counter)

    return KernelSource(f"test count {step}", build, f"counter += {step} * extent")


def below_source():
    """*flag = *counter < *limit, for args = [flag (byte), counter, limit]."""

    def build(builder, args, lo, hi):
        from llvmlite import ir

        word, byte = ir.IntType(64), ir.IntType(8)
        flag, counter, limit = (
            builder.inttoptr(builder.load(builder.gep(args, [word(k)])), kind.as_pointer())
            for k, kind in ((0, byte), (1, word), (2, word))
        )
        less = builder.icmp_signed("<", builder.load(counter), builder.load(limit))
        builder.store(builder.zext(less, byte), flag)

    return KernelSource("test below", build, "flag = counter < limit")


@dataclass
class Program:
    """A frame with everything that it points to."""

    rows: list
    arrays: list = field(default_factory=list)
    frame: np.ndarray = field(default_factory=new_frame)
    status: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))

    def __post_init__(self):
        self.table = np.zeros((len(self.rows), at.ROW_WORDS), np.int64)
        for row, values in zip(self.table, self.rows, strict=True):
            row[: len(values)] = values
        self.frame[at.TABLE] = self.table.ctypes.data
        self.frame[at.COUNT] = len(self.rows)
        self.frame[at.STATUS] = self.status.ctypes.data

    @property
    def address(self):
        return self.frame.ctypes.data


def call(source, arguments, extent=1, grain=0):
    return (at.CALL, get_kernel(source), arguments.ctypes.data, extent, grain)


def pointers(*arrays):
    return np.array([array.ctypes.data for array in arrays], np.int64)
