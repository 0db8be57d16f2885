"""Compiled functions: what `compile` returns and users call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from symgraph.compiler.specialise import (
    Fed,
    bind_extents,
    is_open,
    placeholder_type,
    specialise,
)
from symgraph.dims import symbols
from symgraph.errors import (
    BoundsError,
    DTypeError,
    FeedError,
    GraphError,
    NonFiniteError,
    ShapeError,
    SymGraphError,
)
from symgraph.feeds import Feed, as_feed, check_extents, named, wrong_names
from symgraph.inspection.methods import Inspectable
from symgraph.leaves import Parameter
from symgraph.location import user_location
from symgraph.node import Graph, Node
from symgraph.placement import ON_CPU, Placement
from symgraph.printer import printable
from symgraph.reference import run_reference
from symgraph.runtime.calls import CallCounter
from symgraph.runtime.executable import FailedCheckError, FeedMismatch
from symgraph.runtime.frame import ExtentMismatchError
from symgraph.shared_lock import COMPILING
from symgraph.variant import Variant, build_variant, check_updates

Array = np.ndarray[Any, Any]
Mode = Literal["native", "reference"]


class Options(NamedTuple):
    """What `compile` was told besides the graph; see there."""

    threads: int | None = None
    mode: Mode = "native"
    check_finite: bool = False
    placement: Placement = ON_CPU


class Function(Inspectable):
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
        options: Options,
        *,
        closed: bool,
    ) -> None:
        """Compile now if nothing is open, else at the first call. `compile` is the way here."""
        self.inputs = tuple(inputs)
        self.compile_count = 0
        self._names = tuple(node.name or "" for node in inputs)
        self._outputs = tuple(outputs)
        self._restore = restore
        self._updates = tuple(updates)
        self._threads, self._mode, _, self._placement = options
        self._passes = frozenset({"check_finite"} if options.check_finite else ())
        self._variants: list[Variant] = []
        self._latest: Variant | None = None
        self._calls = CallCounter()
        if closed:
            self._compile(None)

    # Calling.

    def __call__(self, /, *args: Any, **feeds: Any) -> Any:
        """Run on arrays (or numbers and lists, which become arrays of the declared dtype).

        Returns:
            Fresh arrays, nested as the outputs given to `compile`; 0-d results stay arrays.

        Raises:
            FeedError: a feed is unknown, missing, or has a wrong rank, dtype or extent.
            BoundsError: an index or label was out of range; no parameter was changed.
            NonFiniteError: compiled with `check_finite`, an output or update would not be finite;
                no parameter was changed.
        """
        if args:
            feeds = named(self._names, args, feeds)
        try:
            arrays = tuple([feeds[name] for name in self._names])
        except KeyError:
            raise wrong_names(self.inputs, feeds) from None
        if len(feeds) != len(arrays):
            raise wrong_names(self.inputs, feeds)
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
                    raise self._failure(error, variant, arrays) from None
        return self._call_carefully(arrays)

    def _call_carefully(self, given: Sequence[Any]) -> Any:
        """Check and convert the feeds, choose or compile the variant, and run it."""
        device = self._placement.device
        arrays = tuple(as_feed(*pair, device) for pair in zip(self.inputs, given, strict=True))
        check_extents(self.inputs, arrays)
        if self._mode == "reference":
            return self._restore(self._interpret(self._on_host(arrays)))
        variant = self._variant_for(arrays)
        try:
            # A function on the CPU has no feeds but arrays of NumPy's: `as_feed` sees to that.
            return self._restore(variant.executable.call(cast("tuple[Array, ...]", arrays)))
        except ExtentMismatchError as error:
            raise FeedError(str(error)) from None
        except FailedCheckError as error:
            raise self._failure(error, variant, self._on_host(arrays)) from None

    def _on_host(self, arrays: Sequence[Feed]) -> tuple[Array, ...]:
        """Return copies of what was fed from a device."""
        if self.device == "cpu":
            return tuple(array for array in arrays if isinstance(array, np.ndarray))
        from symgraph.device_feeds import on_host

        return tuple(on_host(array, self.device) for array in arrays)

    def wait(self) -> None:
        """Wait until the device has done what earlier calls have started.

        That makes a difference for `results="device"`, where calls return before.

        Raises:
            BoundsError: an index of such a call was out of range; it has changed no parameter.
            NonFiniteError: likewise, with `check_finite`.

        Example:
            >>> x = Placeholder("x", ("N",), "float32")
            >>> f = compile(x * 2)
            >>> f.wait()
        """
        for variant in tuple(self._variants):
            try:
                variant.executable.wait()
            except FailedCheckError as error:
                raise self._failure(error, variant, (), waited=True) from None

    # Variants.

    def _variant_for(self, arrays: Sequence[Feed]) -> Variant:
        self._refuse_reference()
        fed = self._fed(arrays)
        variant = self._known_variant(fed)
        if variant is None:
            with COMPILING:
                # Another thread may have compiled it meanwhile.
                variant = self._known_variant(fed) or self._compile(fed)
        self._latest = variant
        return variant

    def _fed(self, arrays: Sequence[Feed]) -> dict[str, Fed]:
        return {
            name: Fed(array.dtype.name, array.shape)
            for name, array in zip(self._names, arrays, strict=True)
        }

    def _known_variant(self, fed: Mapping[str, Fed]) -> Variant | None:
        return next((v for v in tuple(self._variants) if self._applies(v, fed)), None)

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
        variant = build_variant(
            self._outputs,
            self._updates,
            self.inputs,
            fed,
            self._threads,
            self._passes,
            self._placement,
        )
        variant.executable.calls = self._calls
        self.compile_count += 1
        self._variants.append(variant)
        self._latest = variant
        return variant

    def _interpret(self, arrays: Sequence[Array]) -> list[Array]:
        """Evaluate with NumPy."""
        graph = Graph(self.inputs, (*self._outputs, *(node for _, node in self._updates)))
        feeds = dict(zip(self._names, arrays, strict=True))
        checked = "check_finite" in self._passes
        return run_reference(graph, self._updates, feeds, self._calls.take(), check_finite=checked)

    # Looking inside; see `Inspectable`.

    @property
    def device(self) -> str:
        """Return where calls run: "cpu", or "cuda:0" and so on."""
        return self._placement.device

    @property
    def threads(self) -> int | None:
        """Return how many threads one call may use, None for all."""
        return self._threads

    @property
    def call_index(self) -> int:
        """Return the number of the next call, on which the numbers of random nodes depend.

        Assign it to repeat random numbers, or to go on with them in another process. Calls of a
        function that draws none are not counted.
        """
        return self._calls.following

    @call_index.setter
    def call_index(self, number: int) -> None:
        whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
        if not whole or not 0 <= number < 2**62:
            raise GraphError(
                f"call_index is a non-negative int, not {number!r}\n  at {user_location()}"
            )
        self._calls.restart(int(number))

    def _user_graph(self, arrays: Sequence[Array]) -> Graph:
        graph = Graph(self.inputs, (*self._outputs, *(node for _, node in self._updates)))
        if is_open(graph):
            graph = specialise(graph, self._fed(arrays)).graph
        return check_updates(graph, self._updates)

    def _updated(self) -> list[Parameter]:
        return [parameter for parameter, _ in self._updates]

    def _failure(
        self,
        error: FailedCheckError,
        variant: Variant,
        arrays: Sequence[Array],
        *,
        waited: bool = False,
    ) -> SymGraphError:
        """Return the typed error for a check that failed at run time."""
        if error.late:
            kinds = {**_PROBLEMS, "non_finite": NonFiniteError}
            calls = "an earlier call" if error.late == 1 else f"{error.late} earlier calls"
            return kinds[error.kind](
                f"{error}: in {calls}, which did not wait for results (results='device') and "
                f"changed no parameter{'' if waited else '; the present call has not run'}\n"
                "  results='numpy' names the value at once, f.wait() raises when asked"
            )
        if error.kind == "non_finite":
            from symgraph.inspection.finite import non_finite_error

            feeds = dict(zip(self._names, arrays, strict=True))
            graph = variant.stages["specialise"]
            return non_finite_error(graph, variant.updated, feeds, error.call_index, str(error))
        return self._explained(error, variant, arrays)

    def _explained(
        self, error: FailedCheckError, variant: Variant, arrays: Sequence[Array]
    ) -> SymGraphError:
        """Return the error with the offending value in it, which the interpreter finds again."""
        from symgraph.inspection.patience import PATIENCE, OutOfPatienceError, within
        from symgraph.interpret import evaluate as interpret

        feeds = dict(zip(self._names, arrays, strict=True))
        outputs = variant.stages["specialise"].outputs
        try:
            interpret(outputs, feeds, call_index=error.call_index, observe=within(PATIENCE))
        except SymGraphError as found:
            return type(found)(f"{found}\n  no parameter was changed")
        except OutOfPatienceError:
            pass  # what native code has reported must do
        return _PROBLEMS[error.kind](f"{error}; no parameter was changed")

    def _refuse_reference(self) -> None:
        if self._mode == "reference":
            raise GraphError(
                "mode='reference' compiles nothing, so there are no kernels to look at; trace and "
                f"debug work\n  at {user_location()}"
            )

    def _compiled(self) -> Variant:
        self._refuse_reference()
        if self._latest is None:
            raise ShapeError(
                "shapes or dtypes are open until the first call, so nothing is compiled yet: call "
                f"the function first, or give its placeholders shapes and dtypes\n"
                f"  at {user_location()}"
            )
        return self._latest

    def __repr__(self) -> str:
        names = ", ".join(map(printable, self._names))
        return f"<compiled function of ({names}), compiled {self.compile_count}x>"


_PROBLEMS = {"bounds": BoundsError, "ratio": FeedError, "negative_power": DTypeError}
