"""Handwritten digits on an NVIDIA GPU, and the same numbers as on the processor.

python examples/gpu_mlp.py --epochs 20 --batch 64

Trains one network on "cuda" and once more on the processor, from the same weights and in the same
order. Batches come ahead through pinned memory, parameters and the optimiser's moments stay on the
device, and a run of equal batches is replayed as one CUDA graph. Where there is no GPU the program
says what is missing, and trains on the processor alone.
"""

from __future__ import annotations

import argparse
import time

import symgraph as sg
from symgraph.data import DataLoader

HOW_TO_GET_ONE = """\
It takes an NVIDIA GPU, its driver (nvidia-smi tells whether that is loaded), and CuPy:
pip install 'symgraph[gpu]'."""


def missing(device: str) -> str:
    """Return why a device cannot be used, nothing if it can."""
    try:
        sg.compile(sg.Placeholder("x", (), "float32") + 1, device=device)
    except sg.DeviceError as error:
        return str(error)
    return ""


def train(device: str, epochs: int, batch: int) -> tuple[dict[str, float], float]:
    """Train on a device; return what is measured on unseen digits, and the seconds of training."""
    x, x_test, t, t_test = sg.data.train_test_split(*sg.data.digits(), test=0.2, seed=0)
    hidden, scores = sg.layers.Linear(128, 64, seed=0), sg.layers.Linear(10, 128, seed=1)
    model = sg.models.Sequential(hidden, sg.relu, scores)
    model.compile(sg.optim.Adam(1e-3), "softmax_cross_entropy", ["accuracy"], device=device)
    loader = DataLoader((x, t), batch, rng=0, device=device)
    started = time.perf_counter()
    model.fit(loader, epochs=epochs, verbose=0)
    seconds = time.perf_counter() - started
    return model.evaluate(x_test, t_test), seconds


def main(arguments: list[str] | None = None) -> None:
    """Train on the GPU, if there is one, and on the processor."""
    parser = argparse.ArgumentParser(description="Train on a GPU.")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the training data")
    parser.add_argument("--batch", type=int, default=64, help="images in a step")
    options = parser.parse_args(arguments)
    devices = ["cuda", "cpu"]
    reason = missing("cuda")
    if reason:
        print(f"no GPU: {reason}\n{HOW_TO_GET_ONE}\n")
        devices.remove("cuda")
    for device in devices:
        found, seconds = train(device, options.epochs, options.batch)
        print(
            f"{device:4}: {found['accuracy']:.2%} of unseen digits right, loss "
            f"{found['loss']:.4f}, trained in {seconds:.1f} s"
        )


if __name__ == "__main__":
    main()
