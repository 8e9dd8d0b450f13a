"""Results read from the records of a run: trials, and rows of an environment and an agent."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

from ..errors import RecordError
from ..problems import normalized
from .records import RunFolder, TrialFolder
from .schema import LostAttempts, ScoreRecord, StepRecord, TrialRecord, TrialSummary
from .stats import Summary, summarize


@dataclasses.dataclass(frozen=True, slots=True)
class TrialData:
    """One trial, read from its folder.

    Attributes:
        name: Its id.
        record: What ``trial.json`` holds.
        steps: Its oracle calls, in order of their numbers.
        tests: Its scorings on test, by the hash of the parameters.
    """

    name: str
    record: TrialRecord
    steps: list[StepRecord]
    tests: dict[str, ScoreRecord]

    @property
    def env(self) -> str:
        """The environment, with its arguments and wrappers where there are any."""
        spec = self.record.spec
        more = [f"{k}={v!r}" for k, v in sorted(spec.env_arguments.items())]
        more += [f"mask={','.join(spec.mask)}"] if spec.mask else []
        more += [f"feedback={','.join(spec.feedback)}"] if spec.feedback is not None else []
        for name, arguments in spec.wrappers:
            more.append(f"{name}({', '.join(f'{k}={v!r}' for k, v in sorted(arguments.items()))})")
        return f"{spec.env}({', '.join(more)})" if more else spec.env

    @property
    def agent(self) -> str:
        """The agent, with its settings where there are any."""
        spec = self.record.spec
        more = ", ".join(f"{k}={v!r}" for k, v in sorted(spec.settings.items()))
        return f"{spec.agent}({more})" if more else spec.agent

    @property
    def summary(self) -> TrialSummary | None:
        """What the trial says of itself; None while it runs, or if it failed before its first oracle call."""
        return self.record.summary

    @property
    def lost(self) -> LostAttempts | None:
        """What its earlier attempts spent, which could not be continued; None without any."""
        return self.summary.lost if self.summary else None

    @property
    def start(self) -> float | None:
        """The start values' score on test."""
        return self.summary.start_score if self.summary else None

    def final(self) -> float | None:
        """The score that counts: the recommended parameters' on test; a failed trial has the start values'."""
        if self.record.status == "failed":
            return self.start
        return self.summary.recommended_score if self.summary else None

    def normalized(self) -> float | None:
        """The final score with 0 = the start values' and 1 = the best known."""
        final = self.final()
        if self.summary is None or self.summary.anchors is None or final is None or self.start is None:
            return None
        anchors = self.summary.anchors
        floor = anchors.start if anchors.start is not None else self.start
        return float(normalized(final, floor, anchors.best, self.summary.scale))

    def anytime(self, which: str, over: str) -> list[tuple[float, float]]:
        """(spent, score on test) of the ``current`` or ``recommended`` parameters over calls or tokens."""
        chosen = dict(self.summary.recommendations) if self.summary else {}
        points = []
        for step in self.steps:
            key = step.parameters_hash if which == "current" else chosen.get(step.call)
            scored = self.tests.get(key) if key else None
            spent = step.call if over == "calls" else step.spent.tokens
            if scored is not None:
                points.append((float(spent), float(scored.score)))
        return sorted(points, key=lambda p: p[0])


@dataclasses.dataclass(frozen=True, slots=True)
class ResultRow:
    """One agent on one environment."""

    env: str
    agent: str
    score: Summary
    normalized: Summary
    trials: list[TrialData]

    def total(self, name: str) -> float:
        """A count of `TrialSummary`, summed over the trials, with what is lost."""
        parts = [part for t in self.trials for part in (t.summary, t.lost) if part is not None]
        return float(sum(getattr(part, name, 0) for part in parts))

    def ledger(self, name: str) -> float | None:
        """A sum of `Totals` over the agent's and the task's model calls; None if a price is unknown."""
        ledgers = [t.summary.ledger for t in self.trials if t.summary]
        values = [getattr(totals, name) for ledger in ledgers for totals in (ledger.optimizer, ledger.task)]
        return None if any(v is None for v in values) else sum(values)

    @property
    def failed(self) -> int:
        """Trials that failed; they count with the start values' score."""
        return sum(t.record.status == "failed" for t in self.trials)

    @property
    def running(self) -> int:
        """Trials that are not finished; they do not count yet."""
        return sum(t.record.status == "running" for t in self.trials)


def load(run: str | Path) -> list[TrialData]:
    """The trials of a run, sorted.

    Raises:
        RecordError: If the folder holds no trial.
    """
    folder = RunFolder(Path(run))
    trials = []
    for path in folder.trials():
        t = TrialFolder(path)
        record = t.trial()
        if record is not None:
            tests = {scored.parameters_hash: scored for scored in t.tests()}
            trials.append(TrialData(path.name, record, sorted(t.steps(), key=attrgetter("call")), tests))
    if not trials:
        raise RecordError(f"{run} holds no trials yet: expected a folder that opto-gym run --out has made")
    return trials


def rows(trials: Sequence[TrialData]) -> list[ResultRow]:
    """One row an environment and agent; within an environment the best first."""
    groups: dict[tuple[str, str], list[TrialData]] = {}
    for t in trials:
        groups.setdefault((t.env, t.agent), []).append(t)
    made = []
    for (env, agent), members in sorted(groups.items()):
        scores = [s for t in members if (s := t.final()) is not None]
        relative = [n for t in members if (n := t.normalized()) is not None]
        made.append(ResultRow(env, agent, summarize(scores), summarize(relative), members))
    return sorted(made, key=lambda r: (r.env, -(r.normalized.iqm if r.normalized.iqm is not None else -1e9), r.agent))
