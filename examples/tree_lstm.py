"""A network whose shape is the shape of its input: a Tree-LSTM that evaluates Boolean formulas.

python examples/tree_lstm.py --trees 3000

Every tree is different, and one compiled function runs them all, forwards and backwards. A tree is
fed as arrays of its nodes, children first. A scan over the nodes gathers the states of the two
children, and scatters the node's own state to its row. Row 0 is nobody's: leaves take it for
children.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import symgraph as sg

Array = np.ndarray[Any, Any]
Tree = bool | tuple[str, Any, Any]
SYMBOLS = {False: 0, True: 1, "and": 2, "or": 3, "xor": 4}
RULES = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


def random_tree(rng: np.random.Generator, leaves: int) -> Tree:
    """Return a formula with some leaves, cut in two anywhere."""
    if leaves == 1:
        return bool(rng.integers(2))
    left = int(rng.integers(1, leaves))
    operator = str(rng.choice(list(RULES)))
    return operator, random_tree(rng, left), random_tree(rng, leaves - left)


def as_arrays(tree: Tree) -> dict[str, Array]:
    """Return symbol, rows of the children, and truth of each node; the root comes last."""
    rows: list[tuple[int, int, int, bool]] = []

    def visit(node: Tree) -> int:
        if isinstance(node, bool):
            rows.append((SYMBOLS[node], 0, 0, node))
        else:
            left, right = visit(node[1]), visit(node[2])
            truth = bool(RULES[node[0]](rows[left - 1][3], rows[right - 1][3]))
            rows.append((SYMBOLS[node[0]], left, right, truth))
        return len(rows)

    visit(tree)
    symbol, left, right, truth = (np.array(column) for column in zip(*rows, strict=True))
    return {"symbol": symbol, "left": left, "right": right, "truth": truth}


class TreeLSTM(sg.layers.Layer):
    """The binary Tree-LSTM of Tai, Socher and Manning (2015): a forget gate for each child."""

    def __init__(self, size: int, seed: int) -> None:
        """Draw the weights: for symbols, and for the states of left and right child."""
        rng = np.random.default_rng(seed)
        self.size = size
        self.symbols = sg.Parameter(rng.normal(0, 0.5, (5, 5 * size)).astype("float32"))
        self.children = sg.Parameter(rng.normal(0, 0.2, (2 * size, 5 * size)).astype("float32"))

    def forward(self, symbol: sg.Node, left: sg.Node, right: sg.Node) -> sg.Node:
        """Build the states h (nodes, size) of a tree's nodes."""
        (nodes,) = symbol.type.dims
        empty = sg.zeros((nodes + 1, self.size), "float32")

        def visit(carry: Any, node: Any) -> Any:
            h, c, row = carry
            symbol, left, right = node
            both = sg.concatenate([h[left], h[right]])
            i, o, u, f, g = sg.split(self.symbols[symbol] + both @ self.children, 5)
            new_c = sg.sigmoid(i) * sg.tanh(u) + sg.sigmoid(f) * c[left] + sg.sigmoid(g) * c[right]
            new_h = sg.sigmoid(o) * sg.tanh(new_c)
            return (sg.scatter_add(h, row, new_h), sg.scatter_add(c, row, new_c), row + 1), None

        (h, _, _), _ = sg.scan(visit, (empty, empty, 1), (symbol, left, right))
        states: sg.Node = h[1:]
        return states


def build(size: int = 32) -> tuple[sg.Function, sg.Function]:
    """Return the training step, and the function that gives the truth of every node of a tree."""
    nodes = [sg.Placeholder(name, ("nodes",), "int64") for name in ("symbol", "left", "right")]
    truth = sg.Placeholder("truth", ("nodes",), "bool")
    tree, head = TreeLSTM(size, seed=0), sg.layers.Linear(1, seed=0)
    scores = head(tree(*nodes))[:, 0]
    loss = sg.nn.sigmoid_cross_entropy(scores, truth.astype("float32"))
    parameters = tree.parameters() + head.parameters()
    step = sg.compile(loss, updates=sg.optim.Adam(0.005).updates(loss, parameters))
    return step, sg.compile(scores > 0, inputs=nodes)


def accuracy(predict: sg.Function, rng: np.random.Generator, leaves: int, trees: int) -> float:
    """Return how many of some new formulas are evaluated rightly, at the root."""
    right = 0
    for _ in range(trees):
        arrays = as_arrays(random_tree(rng, leaves))
        truth = arrays.pop("truth")
        right += bool(predict(**arrays)[-1] == truth[-1])
    return right / trees


def main(arguments: list[str] | None = None) -> None:
    """Train on small formulas, and evaluate new ones of several sizes."""
    parser = argparse.ArgumentParser(description="Learn to evaluate Boolean formulas.")
    parser.add_argument("--trees", type=int, default=3000, help="formulas to train on")
    trees = parser.parse_args(arguments).trees
    rng = np.random.default_rng(0)
    step, predict = build()
    losses = [float(step(**as_arrays(random_tree(rng, int(n))))) for n in rng.integers(1, 9, trees)]
    print(
        f"loss of the first tenth {np.mean(losses[: trees // 10]):.3f}, "
        f"of the last {np.mean(losses[-trees // 10 :]):.3f}"
    )
    for leaves in (4, 8, 16, 32):
        print(f"{leaves:2} leaves: {accuracy(predict, rng, leaves, 200):.1%} right")
    print(f"compilations: {step.compile_count} and {predict.compile_count}")


if __name__ == "__main__":
    main()
