"""The loop of `fit`: epochs of steps, with callbacks between them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.errors import NonFiniteError
from symgraph.training.callbacks import Callback
from symgraph.training.history import VALIDATION
from symgraph.training.program import BATCHES, EPOCH, ROWS, SUMS, Program
from symgraph.training.progress import Progress
from symgraph.training.reading import ReadLater, Totals

if TYPE_CHECKING:
    from symgraph.training.options import Settings
    from symgraph.training.sources import Source
    from symgraph.training.trainer import Trainer

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one call of `fit` does.

    Args:
        settings: what it was told.
        source: gives the batches.
        held_out: gives the batches of the validation data, if there are any.
    """

    settings: Settings
    source: Source
    held_out: Source | None

    def watching(self) -> list[Callback]:
        """Return the callbacks that look at each step."""
        return [c for c in self.settings.callbacks if type(c).step_end is not Callback.step_end]

    def in_order(self) -> list[Callback]:
        """Return the callbacks in the order in which an epoch ends for them."""
        return sorted(self.settings.callbacks, key=lambda callback: callback.late)


def run_epochs(trainer: Trainer, plan: Plan, resumed: bool) -> None:
    """Train until the history has all epochs, or a callback stops.

    Args:
        trainer: what trains.
        plan: what to do.
        resumed: whether an epoch that was begun earlier goes on.
    """
    history, run = trainer.history, trainer.run
    assert run is not None, "fit begins a run"
    last = run.began + plan.settings.epochs
    while len(history) < last and not run.stopped:
        epoch = len(history)
        progress = trainer.program.progress.value
        first = 0
        if resumed and progress[EPOCH] == epoch:
            first = int(progress[BATCHES])
        else:
            for callback in plan.settings.callbacks:
                callback.epoch_begin(trainer, epoch)
            fresh = np.zeros_like(progress)
            fresh[EPOCH] = epoch
            trainer.program.progress.value = fresh
        resumed = False
        numbers = _epoch(trainer, plan, f"epoch {epoch + 1}/{last}", first)
        history.rows.append(numbers)
        for callback in plan.in_order():
            callback.epoch_end(trainer, epoch, numbers)
    for callback in plan.in_order():
        callback.train_end(trainer)


def _epoch(trainer: Trainer, plan: Plan, title: str, first: int) -> dict[str, float]:
    """Make the steps of an epoch from number `first` on, then validate; return its numbers."""
    program = trainer.program
    bar = Progress(plan.settings.verbose, title, len(plan.source), first)
    with closing(bar), closing(plan.source.batches(len(trainer.history), first)) as batches:
        _steps(trainer, plan, iter(batches), bar, title)
        numbers = _means(program)
        if plan.held_out is not None:
            held_out = measured(program, plan.held_out)
            numbers |= {VALIDATION + name: value for name, value in held_out.items()}
        bar.finish(numbers)
    return numbers


def _steps(trainer: Trainer, plan: Plan, batches: Any, bar: Progress, title: str) -> None:
    program = trainer.program
    watching = plan.watching()
    step = program.step_for(watched=bool(watching), checked=plan.settings.terminate_on_nan)
    made = int(program.steps.value)
    for number, (x, targets) in enumerate(batches):
        # Random numbers follow from the number of the step alone, whatever was called between.
        step.call_index = made
        try:
            outputs = step(x, targets)
        except NonFiniteError as error:
            raise NonFiniteError(f"{title}, step {number + 1}: {error}") from None
        made += 1
        bar.step(lambda: _means(program))
        if watching:
            numbers = ReadLater(outputs)
            for callback in watching:
                callback.step_end(trainer, made, numbers)


def _means(program: Program) -> dict[str, float]:
    """Return the means of the present epoch so far."""
    # What a step on a GPU has found wrong it has not waited to say.
    program.wait()
    progress = program.progress.value
    rows = progress[ROWS]
    return {
        name: float(total / rows) if rows else float("nan")
        for name, total in zip(program.names, progress[SUMS:], strict=True)
    }


def measured(program: Program, source: Source, verbose: int = 0) -> dict[str, float]:
    """Return loss and metrics of an evaluation, as means over all rows."""
    evaluate, totals = program.evaluation, Totals(program.names)
    bar = Progress(verbose, "evaluation", len(source))
    with closing(bar), closing(source.batches(0, 0)) as batches:
        for x, targets in batches:
            totals.add(len(x), evaluate(x, targets))
            bar.step(totals.means)
        bar.finish(totals.means())
    return totals.means()
