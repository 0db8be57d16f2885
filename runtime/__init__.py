"""Turns plans into numbers: native executor, kernel compiler, object-code cache, thread pool.

Imports NumPy and, lazily, llvmlite, numba and cupy; it knows neither graphs nor ops. The plan is
its instruction set.
"""
