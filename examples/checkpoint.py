"""A training run that stops and goes on: as if it had never stopped, bit for bit.

python examples/checkpoint.py

A checkpoint holds the weights, the state of the optimiser and where random sequences are, in one
file that is written whole or not at all, and holds no code. Weights alone are `sg.save` and
`sg.load`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from plotting import output_path

import symgraph as sg

Array = np.ndarray[Any, Any]


def network() -> sg.models.Sequential:
    """Return a network for digits, whose dropout draws new numbers at each step."""
    return sg.models.Sequential(
        *(sg.layers.Linear(100, in_size=64, seed=0), sg.relu),
        *(lambda x: sg.nn.dropout(x, 0.2, seed=0), sg.layers.Linear(10, in_size=100, seed=1)),
    )


class Run:
    """A network for digits in training, from its checkpoint if there is one."""

    def __init__(self, path: Path) -> None:
        """Build everything anew, then load."""
        x = sg.Placeholder("x", ("N", 64), "float32")
        t = sg.Placeholder("t", ("N",), "int64")
        self.model = network()
        optimizer = sg.optim.Adam(1e-3)
        loss = sg.nn.softmax_cross_entropy(self.model(x), t)
        self.step = sg.compile(loss, updates=optimizer.updates(loss, self.model.parameters()))
        self.loader = sg.data.DataLoader(sg.data.digits(), 100, rng=0)
        self.path, self.saved = path, {"model": self.model, "optimizer": optimizer}
        if path.exists():
            notes = sg.load_checkpoint(path, self.saved, functions={"step": self.step})
            self.loader.epoch = notes["epoch"]

    def train(self, epochs: int) -> float:
        """Train for some epochs, saving after each; return the mean loss of the last one."""
        losses: list[float] = []
        for _ in range(epochs):
            losses = [float(self.step(x=x, t=t)) for x, t in self.loader]
            notes = {"epoch": self.loader.epoch}
            functions = {"step": self.step}
            sg.save_checkpoint(self.path, self.saved, functions=functions, metadata=notes)
        return float(np.mean(losses))

    def weights(self) -> dict[str, Array]:
        """Return the weights by name."""
        return {name: leaf.value for name, leaf in self.model.named_parameters().items()}


def same(left: dict[str, Array], right: dict[str, Array]) -> bool:
    """Tell whether two networks are the same, bit for bit."""
    return all(np.array_equal(left[name], right[name]) for name in left)


def main() -> None:
    """Train once without a break and once with one, compare, and load the weights alone."""
    paths = [output_path(f"{name}.npz") for name in ("unbroken", "broken", "weights")]
    for path in paths:
        path.unlink(missing_ok=True)
    unbroken = Run(paths[0])
    print(f"6 epochs: loss {unbroken.train(6):.6f}")
    print(f"3 epochs: loss {Run(paths[1]).train(3):.6f}, and the run is dropped")
    resumed = Run(paths[1])
    print(f"3 more:   loss {resumed.train(3):.6f}")
    print(f"the same weights: {same(unbroken.weights(), resumed.weights())}")
    sg.save(resumed.model, paths[2])
    model = network()
    print(f"a new model: {sg.load(model, paths[2])}")
    weights = {name: leaf.value for name, leaf in model.named_parameters().items()}
    print(f"names: {', '.join(weights)}; the same weights: {same(resumed.weights(), weights)}")


if __name__ == "__main__":
    main()
