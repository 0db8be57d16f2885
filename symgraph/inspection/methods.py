"""The methods of compiled functions that look inside. What they need loads when they are called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.errors import SymGraphError
from symgraph.feeds import Feed, as_feed, check_extents, named, wrong_names
from symgraph.leaves import Parameter
from symgraph.node import Graph, Node
from symgraph.runtime.executable import FailedCheckError

if TYPE_CHECKING:
    from symgraph.inspection.debugger import Debugger
    from symgraph.inspection.memory import Memory
    from symgraph.inspection.profile import Profile
    from symgraph.inspection.trace import Recording, Trace
    from symgraph.variant import Variant

Array = np.ndarray[Any, Any]


class Inspectable(ABC):
    """What can be asked about a compiled function.

    Attributes:
        inputs: the placeholders, in the order of positional calls.
    """

    inputs: tuple[Node, ...]

    @abstractmethod
    def _compiled(self) -> Variant:
        """Return the variant used last."""

    @abstractmethod
    def _variant_for(self, arrays: Sequence[Array]) -> Variant:
        """Return the variant for these feeds, compiling it if there is none yet."""

    @abstractmethod
    def _user_graph(self, arrays: Sequence[Array]) -> Graph:
        """Return what the user wrote, all types known: the outputs, then the updates."""

    @abstractmethod
    def _on_host(self, arrays: Sequence[Feed]) -> tuple[Array, ...]:
        """Return copies of what was fed from a device."""

    @abstractmethod
    def _updated(self) -> Sequence[Parameter]:
        """Return the parameters that a call changes."""

    @abstractmethod
    def _failure(
        self, error: FailedCheckError, variant: Variant, arrays: Sequence[Array]
    ) -> SymGraphError:
        """Return the typed error for a check that failed at run time."""

    @property
    @abstractmethod
    def device(self) -> str:
        """Return where calls run."""

    @property
    @abstractmethod
    def threads(self) -> int | None:
        """Return how many threads one call may use, None for all."""

    @property
    def stages(self) -> Mapping[str, Graph]:
        """Return the graph after each pass, of the variant used last.

        Raises:
            ShapeError: nothing has been compiled yet, because shapes are open until the first call.
        """
        return self._compiled().stages

    @property
    def kernels(self) -> tuple[tuple[str, tuple[Node, ...]], ...]:
        """Return for each kernel call a label and the nodes it computes.

        Raises:
            ShapeError: nothing has been compiled yet.
        """
        return self._compiled().kernels

    @property
    def source(self) -> str:
        """Return the generated kernels in readable form, each once, with the user's lines.

        Raises:
            ShapeError: nothing has been compiled yet.
        """
        from symgraph.inspection.source import source_text

        return source_text(self._compiled())

    def explain(self, **dims: Any) -> str:
        """Return what the compiled function does, in terms of the user's lines.

        For each instruction: what was fused and why its neighbours were not, the bytes it moves and
        the operations it does, and when threads share it.

        Args:
            dims: extents by name (or shapes by the names of placeholders); bytes and operations
                then stand there as numbers too.

        Raises:
            ShapeError: nothing has been compiled yet.
            FeedError: an extent is unknown.

        Example:
            >>> print(step.explain(N=128))
        """
        from symgraph.inspection.explain import explain

        return explain(self._compiled(), dims, self.threads)

    def kernel_table(self, **dims: Any) -> list[dict[str, str]]:
        """Return the kernel calls as rows of text, one dict for each: what `explain` says, briefly.

        Args:
            dims: extents by name (or shapes by the names of placeholders).

        Raises:
            ShapeError: nothing has been compiled yet.
            FeedError: an extent is unknown.
        """
        from symgraph.inspection.summary import kernel_rows

        return kernel_rows(self._compiled(), dims)

    def kernel_titles(self) -> dict[Node, str]:
        """Return what pictures call each kernel of the last stage.

        Raises:
            ShapeError: nothing has been compiled yet.
        """
        from symgraph.inspection.summary import kernel_titles

        return kernel_titles(self._compiled())

    def output_titles(self) -> list[str]:
        """Return what pictures call the results: the outputs, then the new values of parameters.

        Raises:
            ShapeError: nothing has been compiled yet.
        """
        from symgraph.inspection.summary import output_titles

        return output_titles(self._compiled())

    def memory(self, **dims: Any) -> Memory:
        """Return the memory that one call needs for the given extents, exact before it runs.

        Args:
            dims: extents by name, or shapes by the names of placeholders.

        Returns:
            The bytes, in parts; `int()` gives the total and `str()` a table.

        Raises:
            ShapeError: nothing has been compiled yet.
            FeedError: an extent is missing or unknown.

        Example:
            >>> int(step.memory(N=128))
            3351296
        """
        from symgraph.inspection.memory import measure

        return measure(self._compiled(), dims)

    def profile(self, /, *args: Any, repeats: int = 20, **feeds: Any) -> Profile:
        """Run a number of times and return where the time goes; parameters stay as they are.

        Args:
            args: feeds by position.
            repeats: how many runs to measure.
            feeds: feeds by name.

        Returns:
            The kernel calls, the slowest first; `str()` gives a table.

        Raises:
            FeedError: the feeds do not fit.
            BoundsError: an index was out of range.

        Example:
            >>> print(step.profile(x=images, t=labels))
        """
        from symgraph.inspection.profile import measure

        arrays = self._checked(args, feeds)
        variant = self._variant_for(arrays)
        try:
            return measure(variant, arrays, repeats)
        except FailedCheckError as error:
            raise self._failure(error, variant, arrays) from None

    def trace(self, /, *args: Any, **feeds: Any) -> Trace:
        """Return every intermediate value by name, computed by the reference interpreter.

        Values are named after the variables that the user assigned them to, else after their ops.
        What a loop computes is stacked along a new axis 0: one row for each step. Parameters stay
        as they are.

        Args:
            args: feeds by position.
            feeds: feeds by name.

        Returns:
            A mapping from names to arrays; `str()` gives a table with the user's lines.

        Raises:
            FeedError: the feeds do not fit.
            SymGraphError: of the kind that the failing node raises.

        Example:
            >>> f.trace(x=images)["hidden"].mean()
        """
        from symgraph.inspection.trace import Trace

        recording = self._recorded(args, feeds, only_last=True)
        if recording.error is not None:
            raise recording.error
        return Trace(recording.steps, stacked=recording.is_whole)

    def debug(self, /, *args: Any, **feeds: Any) -> Debugger:
        """Return a debugger that steps through one call of the reference interpreter.

        It goes through branches that are taken and through each step of loops.

        Args:
            args: feeds by position.
            feeds: feeds by name.

        Raises:
            FeedError: the feeds do not fit.

        Example:
            >>> d = f.debug(x=images)
            >>> print(d.until("loss"))
        """
        from symgraph.inspection.debugger import Debugger

        return Debugger(self._recorded(args, feeds))

    def _recorded(
        self, args: Sequence[Any], feeds: Mapping[str, Any], *, only_last: bool = False
    ) -> Recording:
        from symgraph.inspection.trace import record

        arrays = self._checked(args, feeds)
        names = [node.name or "" for node in self.inputs]
        feeds = dict(zip(names, arrays, strict=True))
        graph = self._user_graph(arrays)
        return record(graph, feeds, self._updated(), only_last=only_last)

    def _checked(self, args: Sequence[Any], feeds: Mapping[str, Any]) -> tuple[Array, ...]:
        """Return the feeds as dense arrays, in order.

        Raises:
            FeedError: a feed is unknown, missing or unfit.
        """
        names = [node.name or "" for node in self.inputs]
        given = named(names, args, feeds)
        if given.keys() != set(names):
            raise wrong_names(self.inputs, given)
        fed = [as_feed(node, given[node.name or ""], self.device) for node in self.inputs]
        arrays = self._on_host(fed)
        check_extents(self.inputs, arrays)
        return arrays

    def _repr_html_(self) -> str | None:
        """Return what notebooks show: the graph, its kernels framed, and the table of kernels."""
        from symgraph.pictures.html import fragment

        try:
            return fragment(self)
        except SymGraphError:
            return None
