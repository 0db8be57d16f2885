"""Residual networks: 50, 101 or 152 layers deep, and what one block does to a shape.

python examples/resnet.py --layers 50 --size 224

The parameters are random: the program shows shapes, sizes and times.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import symgraph as sg


def block_shapes() -> list[str]:
    """Return the shapes that two blocks of bottlenecks give."""
    x = sg.Placeholder("x", ("N", 64, 8, 8), "float32")
    y = sg.models.BuildingBlock(3, 64, 64, 256, 1)(x)
    z = sg.models.BuildingBlock(4, 256, 128, 512, 2)(y)
    return [str(node.shape) for node in (x, y, z)]


def build(layers: int, size: int) -> tuple[sg.models.ResNet, sg.Function]:
    """Return the model, and the function from pictures (N, 3, size, size) to scores (N, 1000)."""
    x = sg.Placeholder("x", ("N", 3, size, size), "float32")
    model = sg.models.ResNet(layers, seed=0)
    with sg.test_mode():  # batches are normalised with running means
        return model, sg.compile(model(x))


def main(arguments: list[str] | None = None) -> None:
    """Build a network, print how large it is, and run it once."""
    parser = argparse.ArgumentParser(description="Run a residual network.")
    parser.add_argument("--layers", type=int, default=50, choices=(50, 101, 152))
    parser.add_argument("--size", type=int, default=224, help="height and width of the picture")
    options = parser.parse_args(arguments)
    print(" through a block to ".join(block_shapes()))
    model, f = build(options.layers, options.size)
    trained = sum(parameter.size or 0 for parameter in model.parameters())
    running = sum(state.size or 0 for state in model.states())
    print(f"ResNet{options.layers}: {trained} parameters, {running} running means and variances")
    x = np.random.default_rng(0).random((1, 3, options.size, options.size), "float32")
    f(x=x)
    started = time.perf_counter()
    y = f(x=x)
    print(f"scores {y.shape} after {time.perf_counter() - started:.2f} s")
    print(f"kernel calls: {len(f.kernels)}, compilations: {f.compile_count}")


if __name__ == "__main__":
    main()
