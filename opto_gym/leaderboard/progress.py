"""Live progress of a run: trials, oracle calls, tokens, best scores, and the time left."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from ..utils.text import visible
from .spending import described, ledger_totals, summed

if TYPE_CHECKING:
    from ..llm import Ledger
    from .amounts import LedgerTotals
    from .schema import StepRecord
    from .trial import Outcome


BAR_SECONDS, LINE_SECONDS = 0.2, 20.0
"""The least seconds between two reports of what a trial does: in the bar, and in lines of their own."""


class Progress:
    """Shows progress on standard error: a bar in a terminal, otherwise one line per trial.

    Args:
        trials: Number of trials.
        done: Number of trials that are done already.
        calls: The limit of oracle calls by trial id; None for a trial without that limit.
        show: Whether to show anything.
        bar: Whether a bar may be drawn. It may not if a person types in the terminal.
    """

    def __init__(
        self, trials: int, done: int, calls: Mapping[str, float | None], show: bool, *, bar: bool = True
    ) -> None:
        self.trials, self.done, self.each, self.show = trials, done, calls, show
        self._draws = show and bar and sys.stderr.isatty()
        self._lock = threading.Lock()
        self._calls = self._failed = self._without_meaning = 0
        self._in_flight: dict[str, int] = {}
        self._activity: dict[str, str] = {}
        self._said_activity = self._begin = time.monotonic()
        self._ledgers: dict[str, LedgerTotals] = {}
        self._best: dict[str, tuple[float, float]] = {}
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._draws:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[said]}"),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task("trials", total=self.trials, completed=self.done, said="")
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Prints a line that stays above the bar, without what a terminal takes as a command."""
        text = visible(text)
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        elif self.show:
            print(text, file=sys.stderr, flush=True)

    def step(self, trial: str, step: StepRecord, ledger: Ledger) -> None:
        """Updates the progress after an oracle call.

        Args:
            trial: The trial's id.
            step: The record of the call.
            ledger: The trial's model calls so far.
        """
        totals = ledger_totals(ledger)
        with self._lock:
            self._calls += 1
            self._in_flight[trial] = step.call
            self._activity.pop(trial, None)  # it is over
            self._ledgers[trial] = totals
            env = trial.split("-")[0]
            if env not in self._best or step.reward > self._best[env][0]:
                self._best[env] = step.reward, step.score
            if self._bar is not None:
                self._bar.update(self._task, completed=self._progress(), said=self._said())

    def working(self, trial: str, activity: str) -> None:
        """Shows what a trial does inside an oracle call or a scoring: in the bar, or now and then in a line.

        Args:
            trial: The trial's id.
            activity: What it does, such as "scoring the start values 37/200".
        """
        with self._lock:
            self._activity[trial] = activity
            now = time.monotonic()
            if now - self._said_activity < (BAR_SECONDS if self._bar is not None else LINE_SECONDS):
                return
            self._said_activity = now
            if self._bar is not None:
                self._bar.update(self._task, completed=self._progress(), said=self._said())
        if self._bar is None:
            self.say(f"{trial}: {activity}")

    def trial(self, outcome: Outcome) -> None:
        """Updates the progress after a trial has ended, and prints its error if it failed."""
        with self._lock:
            self.done += 1
            self._in_flight.pop(outcome.trial, None)
            self._activity.pop(outcome.trial, None)
            self._failed += outcome.status != "done"
            self._without_meaning += bool(outcome.caveats)
            if outcome.ledger is not None:
                self._ledgers[outcome.trial] = outcome.ledger  # with the scoring at the end
            said = self._said()
            if self._bar is not None:
                self._bar.update(self._task, completed=self._progress(), said=said)
        if outcome.status != "done":
            self.say(f"{outcome.status}  {outcome.trial}: {outcome.error}")
        elif self._bar is None:
            self.say(f"[{self.done}/{self.trials}] {outcome.trial}: {outcome.steps} calls; {said}")
        if outcome.caveats:
            self.say(f"means nothing  {outcome.trial}: {'; '.join(outcome.caveats)}")

    def _progress(self) -> float:
        begun = ((n, self.each.get(trial)) for trial, n in self._in_flight.items())
        return self.done + sum(min(1.0, n / calls) for n, calls in begun if calls)

    def _said(self) -> str:
        spent = described(summed(list(self._ledgers.values()))) or "no model calls"
        best = ", ".join(f"{env} {score:.3g}" for env, (_, score) in sorted(self._best.items()))
        seconds = time.monotonic() - self._begin
        share = self._progress() / max(1, self.trials)
        left = f", {_duration(seconds / share - seconds)} left" if 0.02 < share < 1 else ""
        failed = f", {self._failed} failed" if self._failed else ""
        failed += f", {self._without_meaning} without meaning" if self._without_meaning else ""
        trials = f"{self.done}/{self.trials} trials{failed}"
        activity = f"{next(reversed(self._activity.values()))}, " if self._activity else ""
        best = visible(best)
        return f"{activity}{trials}, {self._calls} oracle calls, best {best or '-'}{left}; {spent}"


def _duration(seconds: float) -> str:
    minutes, s = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{s:02}" if minutes >= 60 else f"{minutes}:{s:02}"
