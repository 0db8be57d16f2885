"""A graph as one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from symgraph.pictures.graphviz import drawing_of, render
from symgraph.pictures.model import Drawable, Picture, picture_of
from symgraph.printer import printable

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>symgraph</title>
<style>
body {{ font-family: Helvetica, Arial, sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; font-size: 0.9em; }}
th, td {{ border-bottom: 1px solid #ccc; padding: 0.2em 0.8em; text-align: left; }}
tr.leaf td:first-child {{ border-left: 0.5em solid orange; }}
tr.op td:first-child {{ border-left: 0.5em solid lightblue; }}
tr:target {{ background: #ffc; }}
.picture {{ overflow: auto; margin-bottom: 2em; }}
</style>
</head>
<body>
<div class="picture">{picture}</div>
<table>
<tr><th>node</th><th>what</th><th>inputs</th><th>in</th><th>made at</th></tr>
{rows}
</table>
</body>
</html>
"""


def to_html(obj: Drawable, path: str | Path) -> Path:
    """Write a page with a table of the nodes and, if Graphviz is installed, a picture.

    The page needs no other file and runs no script.

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
    page = _PAGE.format(picture=_svg(picture), rows="\n".join(_rows(picture)))
    target = Path(path)
    target.write_text(page, encoding="utf-8")
    return target


def _rows(picture: Picture) -> list[str]:
    operands: dict[str, list[str]] = {box.key: [] for box in picture.boxes}
    for arrow in picture.arrows:
        operands[arrow.target].append(f'<a href="#{arrow.source}">{arrow.source}</a>')
    rows = []
    for box in picture.boxes:
        what = "<br>".join(_text(line) for line in box.lines)
        frame = "" if box.group is None else _text(picture.groups[box.group].label)
        cells = (box.key, what, ", ".join(operands[box.key]), frame, _text(str(box.node.loc)))
        kind = "leaf" if box.is_leaf else "op"
        row = "".join(f"<td>{cell}</td>" for cell in cells)
        rows.append(f'<tr id="{box.key}" class="{kind}">{row}</tr>')
    return rows


def _text(line: str) -> str:
    """Return a user's text as HTML that shows it literally."""
    from html import escape  # loads a table of 2000 entities, so not with the package

    return "\n".join(escape(printable(part, None)) for part in line.split("\n"))


def _svg(picture: Picture) -> str:
    """Return the picture as an SVG element, or the reason why there is none."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "graph.dot"), Path(folder, "graph.svg")
        source.write_text(drawing_of(picture).to_string(), encoding="utf-8")
        failure = render(source, target)
        if failure is not None:
            return f"<p>{_text(failure)}.</p>"
        drawn = target.read_text(encoding="utf-8")
    # The XML declaration and document type before the element have no place inside a page.
    return drawn[drawn.index("<svg") :]
