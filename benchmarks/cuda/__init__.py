"""The suite on an NVIDIA GPU: the same steps in symgraph, CuPy, PyTorch and JAX."""
