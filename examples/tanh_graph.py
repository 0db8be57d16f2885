"""The graph of a derivative of tanh, of any order, as a picture.

python examples/tanh_graph.py --order 4

Writes examples/output/tanh_<order>.dot, and an SVG beside it where Graphviz is installed.
Boxes are operations, ellipses data. The graph is simplified after every differentiation.
"""

from __future__ import annotations

import argparse
import shutil

from plotting import output_path

import symgraph as sg


def orders(highest: int) -> tuple[sg.Placeholder, list[sg.Node]]:
    """Return x, and tanh(x) with its derivatives up to an order."""
    x = sg.Placeholder("x", shape=(), dtype="float64")
    found = [sg.tanh(x)]
    for _ in range(highest):
        found.append(sg.grad(found[-1], x))
    return x, found


def values(highest: int) -> list[float]:
    """Return tanh(1) and its derivatives there, from one function."""
    _, found = orders(highest)
    return [float(value) for value in sg.compile(found)(x=1.0)]


def operations(highest: int) -> list[int]:
    """Return how many operations each derivative takes once it is compiled."""
    _, found = orders(highest)
    counts = []
    for node in found:
        drawn = sg.to_networkx(sg.compile(node).stages["cse"])
        counts.append(sum(kind == "op" for _, kind in drawn.nodes(data="kind")))
    return counts


def draw(order: int) -> str:
    """Draw the derivative of an order; return the name of the file."""
    _, found = orders(order)
    suffix = "svg" if shutil.which("dot") else "dot"
    path = output_path(f"tanh_{order}.{suffix}")
    sg.to_dot(sg.compile(found[-1]).stages["cse"], path)
    return str(path)


def main(arguments: list[str] | None = None) -> None:
    """Print derivatives and sizes, and draw one of them."""
    parser = argparse.ArgumentParser(description="Draw the graph of a derivative of tanh.")
    parser.add_argument("--order", type=int, default=4, help="of the derivative that is drawn")
    options = parser.parse_args(arguments)
    for order, (value, count) in enumerate(zip(values(8), operations(8), strict=True)):
        print(f"order {order} at 1: {value: .12f}   {count:3} operations")
    print(f"drawn: {draw(options.order)}")


if __name__ == "__main__":
    main()
