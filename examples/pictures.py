"""Draw a graph and the kernels that it becomes; read what the compiled function does.

python examples/pictures.py

Writes examples/output/graph.dot and kernels.dot, and PNGs beside them where Graphviz is installed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import symgraph as sg

OUTPUT = Path(__file__).parent / "output"


def main() -> None:
    """Draw a training step of a small network, as written and as compiled."""
    x = sg.Placeholder("x", shape=("N", 4), dtype="float32")
    t = sg.Placeholder("t", shape=("N", 1), dtype="float32")
    model = sg.models.MLP((8, 1), activation=sg.tanh, seed=0)
    loss = sg.nn.mean_squared_error(model(x), t)
    step = sg.compile(loss, updates=sg.optim.SGD(0.1).updates(loss, model.params()))

    OUTPUT.mkdir(exist_ok=True)
    suffix = ".png" if shutil.which("dot") else ".dot"
    for name, drawn in (("graph", loss), ("kernels", step)):
        sg.to_dot(drawn, OUTPUT / f"{name}{suffix}", verbose=True)
        print(f"drawn: {OUTPUT / name}{suffix}")
    print(step.explain())


if __name__ == "__main__":
    main()
