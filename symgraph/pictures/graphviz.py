"""Graphviz and networkx pictures."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symgraph.errors import GraphError
from symgraph.location import user_location
from symgraph.pictures.model import Box, Drawable, Picture, picture_of
from symgraph.printer import printable

if TYPE_CHECKING:
    import networkx
    import pydot

RENDERED = (".png", ".svg", ".pdf")
SECONDS_TO_RENDER = 60

_OPERATION = {"shape": "box", "style": '"rounded,filled"', "fillcolor": "lightblue"}
_DATA = {"shape": "ellipse", "style": "filled", "fillcolor": "orange"}
_FONT = {"fontname": "Helvetica", "fontsize": "11"}
_ARROWS: dict[str, dict[str, str]] = {
    "operand": {},
    "capture": {"style": "dashed", "color": "gray40"},
    "result": {"style": "dashed", "color": "gray40", "arrowhead": "empty"},
    "next": {"color": "royalblue", "constraint": "false", "tooltip": '"to the next step"'},
}
_RESULT = {"shape": "ellipse", "style": '"filled,bold"', "fillcolor": "palegreen"}
_FRAME = {"labeljust": "l", "fontcolor": "gray30", **_FONT}
_FRAMES: dict[str, dict[str, str]] = {
    "branch": {"style": '"rounded,dashed"', "color": "gray50"},
    "kernel": {"style": '"rounded,filled"', "color": "gray70", "fillcolor": '"#eef4fb"'},
    "library": {"style": '"rounded,filled"', "color": "gray70", "fillcolor": '"#f4f0e6"'},
}


def to_networkx(obj: Drawable) -> networkx.MultiDiGraph:
    """Return a graph as a networkx multigraph, for searching and measuring it.

    Args:
        obj: a node, several nodes, a graph stage, or a compiled function.

    Returns:
        Nodes n0, n1, ... with `op`, `name`, `kind` ("op" or "leaf"), `dtype`, `shape`, `loc`,
        `group` (its kernel or branch) and `node` (the node itself); edges with `position` and
        `kind` ("operand", or "capture" and "result" into and out of a branch or the body of a
        loop). The way of carries to the next step is left out, so there are no cycles.

    Example:
        >>> to_networkx(x * x).number_of_edges()
        2
    """
    import networkx

    picture = picture_of(obj)
    drawn = networkx.MultiDiGraph()
    for box in picture.boxes:
        node, declared = box.node, box.node.type
        drawn.add_node(
            box.key,
            op=node.op.name,
            name=node.name,
            kind="leaf" if box.is_leaf else "op",
            dtype=getattr(declared, "dtype", None),
            shape=getattr(declared, "shape", None),
            loc=str(node.loc),
            group=None if box.group is None else picture.groups[box.group].label,
            node=node,
        )
    for arrow in picture.arrows:
        if arrow.kind == "next":
            continue
        drawn.add_edge(arrow.source, arrow.target, position=arrow.position, kind=arrow.kind)
    return drawn


def to_dot(obj: Drawable, path: str | Path | None = None, *, verbose: bool = False) -> pydot.Dot:
    """Draw a graph: operations as light-blue boxes, data as orange ellipses.

    Branches of `cond`, bodies of loops and the kernels of a compiled function are framed; what a
    compiled function hands back or writes is green. Blue arrows take a carry to the next step.

    Args:
        obj: a node, several nodes, a graph stage, or a compiled function.
        path: where to write. The `.dot` text always is; a `.png`, `.svg` or `.pdf` is rendered
            beside it if Graphviz's `dot` is installed, else there is a warning.
        verbose: show dtypes and shapes too.

    Returns:
        The drawing.

    Raises:
        GraphError: `obj` cannot be drawn, or `path` has another suffix.

    Example:
        >>> to_dot(x * x, "square.svg")
    """
    drawing = drawing_of(picture_of(obj, verbose=verbose))
    if path is not None:
        _write(drawing.to_string(), Path(path))
    return drawing


def drawing_of(picture: Picture) -> pydot.Dot:
    """Return a picture as Graphviz text to be."""
    import pydot

    drawing = pydot.Dot("symgraph", graph_type="digraph", rankdir="TB")
    drawing.set_node_defaults(margin='"0.12,0.06"', **_FONT)
    drawing.set_edge_defaults(arrowsize="0.7")
    frames = []
    for index, group in enumerate(picture.groups):
        frame = pydot.Cluster(
            f"g{index}", label=escaped(group.label), **_FRAME, **_FRAMES[group.kind]
        )
        frames.append(frame)
    for box in picture.boxes:
        owner = drawing if box.group is None else frames[box.group]
        owner.add_node(_dot_node(box))
    # Innermost first: pydot copies a cluster's text when it is added to the one around it.
    for group, frame in reversed(list(zip(picture.groups, frames, strict=True))):
        (drawing if group.parent is None else frames[group.parent]).add_subgraph(frame)
    for arrow in picture.arrows:
        edge = pydot.Edge(quoted_id(arrow.source), quoted_id(arrow.target), **_ARROWS[arrow.kind])
        drawing.add_edge(edge)
    return drawing


def _dot_node(box: Box) -> Any:
    import pydot

    look = _RESULT if box.is_result else _DATA if box.is_leaf else _OPERATION
    label = escaped("\n".join(box.lines))
    return pydot.Node(quoted_id(box.key), label=label, tooltip=escaped(str(box.node.loc)), **look)


def quoted_id(key: str) -> str:
    """Return an id in quotes: then no id is a keyword or has a port."""
    return f'"{key}"'


def escaped(text: str) -> str:
    r"""Return `text` as a quoted DOT string that shows it literally.

    Quotes, backslashes, and what frames records and HTML are escaped; line breaks become \n; other
    control characters are spelled out.
    """
    lines = (printable(line, None) for line in text.split("\n"))
    safe = "\\n".join("".join(_ESCAPES.get(character, character) for character in s) for s in lines)
    return f'"{safe}"'


_ESCAPES = {character: "\\" + character for character in '\\"<>{}|'}


def _write(text: str, path: Path) -> None:
    if path.suffix not in (".dot", *RENDERED):
        raise GraphError(
            f"a picture is written as .dot, {', '.join(RENDERED)}, not as {path.name!r}\n"
            f"  at {user_location()}"
        )
    source = path.with_suffix(".dot")
    source.write_text(text, encoding="utf-8")
    if path.suffix in RENDERED:
        failure = render(source, path)
        if failure is not None:
            warnings.warn(f"{failure}; the text is in {source}", stacklevel=3)


def render(source: Path, target: Path) -> str | None:
    """Run Graphviz on a `.dot` file; return why there is no picture, None if there is one."""
    import subprocess  # takes a tenth of the time that the whole package may

    program = shutil.which("dot")
    if program is None:
        return f"Graphviz's `dot` is not installed, so {target.name} was not rendered"
    command = [program, f"-T{target.suffix[1:]}", str(source), "-o", str(target)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS_TO_RENDER)
    except subprocess.TimeoutExpired:
        return f"`dot` took more than {SECONDS_TO_RENDER} s, so {target.name} was not rendered"
    except (subprocess.CalledProcessError, OSError) as error:
        return f"`dot` failed ({error}), so {target.name} was not rendered"
    return None
