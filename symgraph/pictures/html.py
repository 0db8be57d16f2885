"""A graph or a compiled function as one self-contained HTML page, and as notebooks show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from symgraph.node import Graph, Node
from symgraph.pictures.graphviz import drawing_of, render
from symgraph.pictures.model import Drawable, Picture, Titled, picture_of
from symgraph.printer import format_graph, printable

MOST_BOXES = 600
"""Larger graphs are shown as text: drawing them takes minutes, and nobody can read them."""

NOTEBOOK_LINES = 200
"""What a notebook shows of a graph that is not drawn."""

_STYLE = """<style>
.symgraph { font-family: Helvetica, Arial, sans-serif; }
.symgraph table { border-collapse: collapse; font-size: 0.9em; }
.symgraph th, .symgraph td { border-bottom: 1px solid #ccc; padding: 0.2em 0.8em; }
.symgraph th, .symgraph td { text-align: left; vertical-align: top; }
.symgraph tr.leaf td:first-child { border-left: 0.5em solid orange; }
.symgraph tr.op td:first-child { border-left: 0.5em solid lightblue; }
.symgraph tr.result td:first-child { border-left: 0.5em solid palegreen; }
.symgraph tr:target { background: #ffc; }
.symgraph .picture { overflow: auto; margin-bottom: 2em; }
.symgraph pre { background: #f6f6f6; padding: 1em; overflow: auto; }
.symgraph summary { cursor: pointer; font-weight: bold; margin: 0.6em 0; }
</style>"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>symgraph</title>
<style>body {{ margin: 2em; }}</style>
</head>
<body>
{body}
</body>
</html>
"""


@runtime_checkable
class Tabled(Titled, Protocol):
    """A compiled function that can say what its kernels do."""

    @property
    def source(self) -> str:
        """Return the generated code."""

    def kernel_table(self) -> Sequence[Mapping[str, str]]:
        """Return a row of text for each kernel call, all with the same columns."""


def to_html(obj: Drawable, path: str | Path) -> Path:
    """Write a page with a picture (where Graphviz is installed, else text) and tables.

    For a compiled function it also holds the table of its kernels, the graph after each pass, and
    the generated code. The page needs no other file and runs no script.

    Args:
        obj: a node, several nodes, a graph stage, or a compiled function.
        path: the file to write.

    Returns:
        The path.

    Raises:
        GraphError: `obj` cannot be drawn.

    Example:
        >>> to_html(x * x, "square.html")
        PosixPath('square.html')
    """
    picture = picture_of(obj, verbose=True)
    parts = [_picture(picture, obj)]
    if isinstance(obj, Tabled):
        parts.append(_kernels(obj))
        parts += [_folded(f"stage: {n}", format_graph(g)) for n, g in obj.stages.items()]
        parts.append(_folded("generated code", obj.source))
    parts.append(_details("nodes", _nodes(picture), opened=not isinstance(obj, Tabled)))
    target = Path(path)
    target.write_text(_PAGE.format(body=_block(parts)), encoding="utf-8")
    return target


def fragment(obj: Tabled) -> str:
    """Return what notebooks show of a compiled function: its picture and its kernels.

    Raises:
        SymGraphError: nothing has been compiled yet.
    """
    return _block([_picture(picture_of(obj), obj, NOTEBOOK_LINES), _kernels(obj)])


def svg_of(obj: Drawable) -> str | None:
    """Return a drawing as an SVG element; None without Graphviz, and for very large graphs.

    Raises:
        GraphError: `obj` cannot be drawn.
    """
    drawn = _svg(picture_of(obj))
    return drawn if drawn.startswith("<svg") else None


def _block(parts: Iterable[str]) -> str:
    body = "\n".join(parts)
    return f'{_STYLE}\n<div class="symgraph">\n{body}\n</div>'


def _picture(picture: Picture, obj: Drawable, most_lines: int | None = None) -> str:
    """Return the drawing, or where there is none the text, of at most so many lines."""
    drawn = _svg(picture)
    if drawn.startswith("<svg"):
        return f'<div class="picture">{drawn}</div>'
    lines = format_graph(_graph(obj)).split("\n")
    if most_lines is not None and len(lines) > most_lines:
        lines = [*lines[:most_lines], f"... and {len(lines) - most_lines} lines more"]
    text = "\n".join(lines)
    return f"<p>{_text(drawn)}.</p>\n<pre>{_text(text)}</pre>"


def _graph(obj: Drawable) -> Graph:
    if isinstance(obj, Graph):
        return obj
    if isinstance(obj, Node):
        return Graph((), (obj,))
    if isinstance(obj, Iterable):
        return Graph((), tuple(obj))
    return list(obj.stages.values())[-1]


def _svg(picture: Picture) -> str:
    """Return the picture as an SVG element, or the reason why there is none."""
    import tempfile

    if len(picture.boxes) > MOST_BOXES:
        return f"{len(picture.boxes)} nodes are too many to draw"
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "graph.dot"), Path(folder, "graph.svg")
        source.write_text(drawing_of(picture).to_string(), encoding="utf-8")
        failure = render(source, target)
        if failure is not None:
            return failure
        drawn = target.read_text(encoding="utf-8")
    # The XML declaration and document type before the element have no place inside a page.
    return drawn[drawn.index("<svg") :]


def _kernels(obj: Tabled) -> str:
    rows = obj.kernel_table()
    if not rows:
        return "<p>No kernel is called.</p>"
    head = "".join(f"<th>{_text(column)}</th>" for column in rows[0])
    body = "\n".join(
        f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row.values())}</tr>" for row in rows
    )
    return f'<table class="kernels">\n<tr>{head}</tr>\n{body}\n</table>'


def _nodes(picture: Picture) -> str:
    operands: dict[str, list[str]] = {box.key: [] for box in picture.boxes}
    for arrow in picture.arrows:
        if arrow.kind == "next":
            continue
        operands[arrow.target].append(f'<a href="#{arrow.source}">{arrow.source}</a>')
    rows = []
    for box in picture.boxes:
        what = "<br>".join(_text(line) for line in box.lines)
        frame = "" if box.group is None else _text(picture.groups[box.group].label)
        cells = (box.key, what, ", ".join(operands[box.key]), frame, _text(str(box.node.loc)))
        kind = "result" if box.is_result else "leaf" if box.is_leaf else "op"
        row = "".join(f"<td>{cell}</td>" for cell in cells)
        rows.append(f'<tr id="{box.key}" class="{kind}">{row}</tr>')
    head = "<tr><th>node</th><th>what</th><th>inputs</th><th>in</th><th>made at</th></tr>"
    return "\n".join(["<table>", head, *rows, "</table>"])


def _folded(title: str, text: str) -> str:
    return _details(title, f"<pre>{_text(text)}</pre>")


def _details(title: str, body: str, *, opened: bool = False) -> str:
    state = " open" if opened else ""
    return f"<details{state}><summary>{_text(title)}</summary>\n{body}\n</details>"


def _text(text: str) -> str:
    """Return a user's text as HTML that shows it literally."""
    from html import escape  # loads a table of 2000 entities, so not with the package

    return "\n".join(escape(printable(part, None)) for part in text.split("\n"))
