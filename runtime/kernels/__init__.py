"""Hand-written native kernels: library operations that are more than one fused loop.

Each module describes its kernels as `KernelSource`s. The modules that emit IR import llvmlite and
are themselves imported only when a kernel is built.
"""
