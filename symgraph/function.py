"""Compiled functions: what `compile` returns and users call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from symgraph.compiler.specialise import Fed, as_symbol, bind_extents, placeholder_type
from symgraph.dims import evaluate, symbols
from symgraph.errors import BoundsError, DTypeError, FeedError, ShapeError, SymGraphError
from symgraph.interpret import evaluate as interpret
from symgraph.leaves import Parameter
from symgraph.location import user_location
from symgraph.node import Graph, Node
from symgraph.runtime.executable import FailedCheckError, FeedMismatch
from symgraph.runtime.frame import ExtentMismatchError
from symgraph.types import TensorType
from symgraph.variant import Variant, build_variant

Array = np.ndarray[Any, Any]
Mode = Literal["native", "reference"]


class Function:
    """A compiled graph: call it with arrays, by the names of its placeholders or in their order.

    Attributes:
        inputs: the placeholders, in the order of positional calls.
        compile_count: how often the compiler ran; it does not grow with new extents.
    """

    def __init__(
        self,
        outputs: Sequence[Node],
        restore: Callable[[Sequence[Any]], Any],
        updates: Sequence[tuple[Parameter, Node]],
        inputs: Sequence[Node],
        *,
        threads: int | None,
        mode: Mode,
        closed: bool,
    ) -> None:
        """Compile now if nothing is open, else at the first call. `compile` is the way here."""
        self.inputs = tuple(inputs)
        self.compile_count = 0
        self._names = tuple(node.name or "" for node in inputs)
        self._outputs = tuple(outputs)
        self._restore = restore
        self._updates = tuple(updates)
        self._threads = threads
        self._mode = mode
        self._variants: list[Variant] = []
        self._latest: Variant | None = None
        self._calls = 0
        if closed:
            self._compile(None)

    # Calling.

    def __call__(self, *args: Any, **feeds: Any) -> Any:
        """Run on arrays (or numbers and lists, which become arrays of the declared dtype).

        Returns:
            Fresh arrays, nested as the outputs given to `compile`; 0-d results stay arrays.

        Raises:
            FeedError: a feed is unknown, missing, or has a wrong rank, dtype or extent; nothing ran.
            BoundsError: an index or label was out of range; no parameter was changed.
        """
        if args:
            feeds = self._named(args, feeds)
        try:
            arrays = tuple([feeds[name] for name in self._names])
        except KeyError:
            raise self._wrong_names(feeds) from None
        if len(feeds) != len(arrays):
            raise self._wrong_names(feeds)
        variant = self._latest
        if variant is not None and self._mode == "native":
            for array in arrays:
                if type(array) is not np.ndarray:
                    break
            else:
                try:
                    return self._restore(variant.executable.call(arrays))
                except (FeedMismatch, ExtentMismatchError):
                    pass
                except FailedCheckError as error:
                    raise _as_user_error(error) from None
        return self._call_carefully(arrays)

    def _call_carefully(self, given: Sequence[Any]) -> Any:
        """Check and convert the feeds, choose or compile the variant, and run it."""
        arrays = tuple(
            self._as_array(node, value) for node, value in zip(self.inputs, given, strict=True)
        )
        self._check_extents(arrays)
        if self._mode == "reference":
            return self._restore(self._interpret(arrays))
        variant = self._variant_for(arrays)
        try:
            return self._restore(variant.executable.call(arrays))
        except ExtentMismatchError as error:
            raise FeedError(str(error)) from None
        except FailedCheckError as error:
            raise _as_user_error(error) from None

    def _named(self, args: Sequence[Any], feeds: dict[str, Any]) -> dict[str, Any]:
        if len(args) > len(self._names):
            raise FeedError(
                f"{len(args)} positional feeds were given, but there are only "
                f"{len(self._names)} placeholders: {', '.join(map(repr, self._names))}"
            )
        named = dict(zip(self._names, args, strict=False))
        for name in named.keys() & feeds.keys():
            raise FeedError(f"placeholder {name!r} was fed twice: by position and by name")
        return named | feeds

    def _wrong_names(self, feeds: Mapping[str, Any]) -> FeedError:
        unknown = [name for name in feeds if name not in self._names]
        missing = [node for node in self.inputs if node.name not in feeds]
        lines = [f"there is no placeholder {name!r}" for name in unknown]
        lines += [f"placeholder {n.name!r} was not fed ({n.type}, made at {n.loc})" for n in missing]
        lines.append(f"this function takes {', '.join(map(repr, self._names)) or 'no feeds'}")
        return FeedError("; ".join(lines))

    def _as_array(self, node: Node, value: Any) -> Array:
        declared: TensorType = node.attrs["type"]
        where = f"({declared}, made at {node.loc})"
        if isinstance(value, Node):
            raise FeedError(
                f"placeholder {node.name!r} {where} is fed arrays, not nodes; got {value!r}"
            )
        plain = not isinstance(value, np.ndarray | np.generic)
        try:
            array = np.asarray(value, dtype=declared.dtype if plain else None)
        except (TypeError, ValueError, OverflowError) as error:
            raise FeedError(f"placeholder {node.name!r} {where} got no array: {error}") from None
        wanted = declared.dtype or array.dtype.name
        if array.dtype.name != wanted or array.dtype.name not in _ITEMS:
            raise FeedError(
                f"placeholder {node.name!r} {where} got dtype {array.dtype}; "
                f"convert it with .astype({wanted if wanted in _ITEMS else 'float32'!r})"
            )
        if declared.shape is not None and array.ndim != len(declared.shape):
            raise FeedError(
                f"placeholder {node.name!r} {where} has {len(declared.shape)} axes, "
                f"but was fed an array of shape {array.shape}"
            )
        return np.require(array, dtype=_ITEMS[array.dtype.name], requirements=("C", "A"))

    def _check_extents(self, arrays: Sequence[Array]) -> None:
        """Check declared extents against those of the arrays, before anything is compiled."""
        extents: dict[str, tuple[int, str]] = {}
        for node, array in zip(self.inputs, arrays, strict=True):
            for axis, extent in enumerate(node.attrs["type"].shape or ()):
                actual = array.shape[axis]
                plain = as_symbol(extent)
                if plain is not None and not plain.name.startswith("?"):
                    known, where = extents.setdefault(plain.name, (actual, node.name or ""))
                    if known != actual:
                        raise FeedError(
                            f"placeholder {node.name!r} has extent {actual} along axis {axis}, but "
                            f"{plain} is {known} in {where!r} (made at {node.loc})"
                        )
                elif isinstance(extent, int) and extent != actual:
                    raise FeedError(
                        f"placeholder {node.name!r} has extent {actual} along axis {axis}, but "
                        f"{extent} is declared (made at {node.loc})"
                    )

    # Variants.

    def _variant_for(self, arrays: Sequence[Array]) -> Variant:
        fed = {
            name: Fed(array.dtype.name, array.shape)
            for name, array in zip(self._names, arrays, strict=True)
        }
        for variant in self._variants:
            if self._applies(variant, fed):
                self._latest = variant
                return variant
        return self._compile(fed)

    def _applies(self, variant: Variant, fed: Mapping[str, Fed]) -> bool:
        types = {}
        for node, declared in zip(self.inputs, variant.feeds, strict=True):
            given = fed[node.name or ""]
            if declared.dtype != given.dtype or declared.rank != len(given.shape):
                return False
            types[node.name or ""] = placeholder_type(node, given)
        extents = bind_extents(types, fed)
        return all(
            guard.holds(extents)
            for guard in variant.guards
            if all(name in extents for name in (*symbols(guard.left), *symbols(guard.right)))
        )

    def _compile(self, fed: Mapping[str, Fed] | None) -> Variant:
        variant = build_variant(self._outputs, self._updates, self.inputs, fed, self._threads)
        self.compile_count += 1
        self._variants.append(variant)
        self._latest = variant
        return variant

    def _interpret(self, arrays: Sequence[Array]) -> list[Array]:
        """Evaluate with NumPy, then write the updates, all at once."""
        from symgraph.compiler.specialise import is_open, specialise

        graph = Graph(self.inputs, (*self._outputs, *(node for _, node in self._updates)))
        if is_open(graph):
            fed = {
                name: Fed(array.dtype.name, array.shape)
                for name, array in zip(self._names, arrays, strict=True)
            }
            graph = specialise(graph, fed).graph
        values = interpret(
            graph.outputs, dict(zip(self._names, arrays, strict=True)), call_index=self._calls
        )
        self._calls += 1
        count = len(self._outputs)
        for (parameter, _), value in zip(self._updates, values[count:], strict=True):
            parameter.value = value
        return values[:count]

    # Looking inside.

    @property
    def stages(self) -> Mapping[str, Graph]:
        """Return the graph after each pass, of the variant used last.

        Raises:
            ShapeError: nothing has been compiled yet, because shapes are open until the first call.
        """
        return self._compiled().stages

    @property
    def kernels(self) -> tuple[tuple[str, tuple[Node, ...]], ...]:
        """Return for each kernel call a label and the nodes it computes."""
        return self._compiled().kernels

    @property
    def source(self) -> str:
        """Return the generated kernels in readable form, each once, with the user's lines."""
        variant = self._compiled()
        parts = []
        for number, kernel in enumerate(variant.plan.kernels):
            rows = [row for row in variant.plan.instructions if row.kernel == number]
            lines = dict.fromkeys(line for row in rows for line in row.lines)
            header = [f"# kernel {number}: called {len(rows)} times in the plan"]
            header += [f"#   {line}" for line in lines]
            parts.append("\n".join([*header, kernel.listing or kernel.key_text]))
        return "\n\n".join(parts)

    def explain(self) -> str:
        """Return what the plan does, line by line: kernels, what was fused, and the user's lines."""
        variant = self._compiled()
        rows = [f"{len(variant.plan.instructions)} instructions, {len(variant.plan.kernels)} kernels"]
        for number, row in enumerate(variant.plan.instructions):
            rows.append(f"{number:4} {row.opcode.name.lower():14} {row.label}")
            rows += [f"{'':20}{line}" for line in row.lines[:8]]
        return "\n".join(rows)

    def memory(self, **dims: int) -> int:
        """Return the bytes of the arena that a call needs for the given extents.

        Args:
            dims: the value of each symbolic extent.

        Raises:
            FeedError: an extent is missing.
        """
        from symgraph.runtime.arena import assign_offsets
        from symgraph.runtime.frame import bind_extents as bind_plan
        from symgraph.runtime.frame import slot_bytes

        variant = self._compiled()
        try:
            shapes = tuple(
                tuple(evaluate(extent, dims) for extent in feed.dims) for feed in variant.feeds
            )
        except KeyError as error:
            raise FeedError(f"memory() needs the extent {error.args[0]!r}") from None
        values = bind_plan(variant.plan, shapes)
        slots = variant.executable.slots
        sizes = [slot_bytes(variant.plan, slot, values) for slot in slots]
        return assign_offsets(slots, sizes)[1]

    def _compiled(self) -> Variant:
        if self._latest is None:
            raise ShapeError(
                "shapes or dtypes are open until the first call, so nothing is compiled yet: call "
                f"the function first, or give its placeholders shapes and dtypes\n"
                f"  at {user_location()}"
            )
        return self._latest

    def __repr__(self) -> str:
        return f"<compiled function of ({', '.join(self._names)}), compiled {self.compile_count}x>"


_ITEMS = {name: np.dtype(name) for name in ("bool", "int32", "int64", "float32", "float64")}

_PROBLEMS = {"bounds": BoundsError, "negative_power": DTypeError}


def _as_user_error(error: FailedCheckError) -> SymGraphError:
    """Return the typed error for a check that failed at run time."""
    return _PROBLEMS[error.kind](f"{error}; no parameter was changed")
