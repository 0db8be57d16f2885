"""Draw a graph as it is written and the kernels that it becomes; read what the function does.

python examples/pictures.py

Writes goldstein_price, graph and kernels to examples/output/, each as `.dot` text, and as PNG where
Graphviz is installed.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from landscapes import goldstein_price
from plotting import output_path

import symgraph as sg


def drawn(name: str, obj: sg.Node | sg.Function, *, verbose: bool = False) -> Path:
    """Draw a graph, or a compiled function with its kernels; return the file."""
    path = output_path(name).with_suffix(".png" if shutil.which("dot") else ".dot")
    sg.to_dot(obj, path, verbose=verbose)
    return path


def goldstein_graph() -> sg.Node:
    """Return the Goldstein-Price function, as a graph."""
    x, y = (sg.Placeholder(name, shape=(), dtype="float64") for name in "xy")
    return goldstein_price(x, y)


def counted(node: sg.Node) -> dict[str, int]:
    """Return how many operations, leaves and arrows a graph has."""
    graph = sg.to_networkx(node)
    kinds = Counter(kind for _, kind in graph.nodes(data="kind"))
    return {"operations": kinds["op"], "leaves": kinds["leaf"], "arrows": graph.number_of_edges()}


def training_step() -> tuple[sg.Node, sg.Function]:
    """Return the loss of a small network, and the compiled step that trains it."""
    x = sg.Placeholder("x", shape=("N", 4), dtype="float32")
    t = sg.Placeholder("t", shape=("N", 1), dtype="float32")
    model = sg.models.MLP((8, 1), activation=sg.tanh, seed=0)
    loss = sg.nn.mean_squared_error(model(x), t)
    return loss, sg.compile(loss, updates=sg.optim.SGD(0.1).updates(loss, model.parameters()))


def main() -> None:
    """Draw the Goldstein-Price function, and a training step as written and as compiled."""
    z = goldstein_graph()
    print(f"Goldstein-Price: {counted(z)}, drawn: {drawn('goldstein_price', z)}")
    x = sg.Placeholder("x", shape=("N",), dtype="float32")
    print(f"text of a small drawing:\n{sg.to_dot(x * x).to_string()}")
    loss, step = training_step()
    print(f"drawn: {drawn('graph', loss, verbose=True)}, {drawn('kernels', step, verbose=True)}")
    print(step.explain())


if __name__ == "__main__":
    main()
