"""What the examples share: where their files go, and drawing without a display."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parent / "output"


def output_path(name: str) -> Path:
    """Return where a file of this name goes, in a folder that is there."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    return OUTPUT / name


@contextmanager
def picture(name: str, columns: int = 1, rows: int = 1, **options: Any) -> Iterator[Any]:
    """Give the panels of a figure, and write it as a PNG when the block ends.

    Args:
        name: of the file, in `examples/output/`.
        columns: panels side by side.
        rows: panels above one another.
        options: what `matplotlib.pyplot.subplots` takes, such as `figsize`.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    options = {"figsize": (4.4 * columns, 3.8 * rows), "layout": "constrained", **options}
    figure, panels = plt.subplots(rows, columns, **options)
    try:
        yield panels
        path = output_path(name)
        figure.savefig(path, dpi=110)
    finally:
        plt.close(figure)
    print(f"picture: {path}")
