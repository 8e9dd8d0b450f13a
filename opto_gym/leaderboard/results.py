"""Reads the results of a run from its records: one `TrialData` per trial, one `ResultRow` per environment and agent."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

from ..errors import DamagedRecord, RecordError, SandboxKilled
from ..problems import normalized
from .amounts import Totals
from .consistency import contradictions
from .records import RunFolder, TrialFolder, read_trial
from .schema import LostAttempts, ScoreRecord, StepRecord, TrialRecord, TrialSummary
from .spending import summed
from .stats import Summary, summarize
from .wholeness import check_whole


@dataclasses.dataclass(frozen=True, slots=True)
class TrialData:
    """One trial, read from its folder.

    Attributes:
        name: The trial's id.
        record: The content of ``trial.json``.
        steps: The oracle calls, sorted by number; the start values' call comes first.
        tests: The scores on the test split, by the hash of the parameters.
    """

    name: str
    record: TrialRecord
    steps: list[StepRecord]
    tests: dict[str, ScoreRecord]

    @property
    def env(self) -> str:
        """The environment's id, followed by its arguments, mask, feedback kinds and wrappers if there are any."""
        spec = self.record.spec
        details = [f"{k}={v!r}" for k, v in sorted(spec.env_arguments.items())]
        details += [f"mask={','.join(spec.mask)}"] if spec.mask else []
        details += [f"feedback={','.join(spec.feedback)}"] if spec.feedback is not None else []
        for name, arguments in spec.wrappers:
            details.append(f"{name}({', '.join(f'{k}={v!r}' for k, v in sorted(arguments.items()))})")
        return f"{spec.env}({', '.join(details)})" if details else spec.env

    @property
    def agent(self) -> str:
        """The agent's name, followed by its settings if there are any."""
        spec = self.record.spec
        details = ", ".join(f"{k}={v!r}" for k, v in sorted(spec.settings.items()))
        return f"{spec.agent}({details})" if details else spec.agent

    @property
    def summary(self) -> TrialSummary | None:
        """The trial's summary; None while it runs, or if it failed before its first oracle call."""
        return self.record.summary

    @property
    def lost(self) -> LostAttempts | None:
        """What earlier attempts spent that could not be continued; None if there were none."""
        return self.summary.lost if self.summary else None

    @property
    def start(self) -> float | None:
        """The start values' score on test; None if they were not scored."""
        return self.summary.start_score if self.summary else None

    @property
    def unfinished(self) -> bool:
        """Whether the trial is not over, so that it has no score yet: it runs, was killed, or the machine ended it.

        The machine ended it if it killed the processes of proposed code, see `opto_gym.errors.SandboxKilled`.
        """
        ended_by_machine = (self.record.ended or "").startswith(f"{SandboxKilled.__name__}: ")
        return self.record.status == "running" or (self.record.status == "failed" and ended_by_machine)

    def final(self) -> float | None:
        """The trial's score on test: that of the recommended parameters, or of the start values if the trial failed.

        It is None if these parameters were not scored, or if the trial is not over.
        """
        if self.unfinished:
            return None
        if self.record.status == "failed":
            return self.start
        return self.summary.recommended_score if self.summary else None

    def normalized(self) -> float | None:
        """The final score on a scale where 0 is the start values' score and 1 is the best known score.

        It is None if the environment declares no best known score, or if a score is missing.
        """
        final = self.final()
        if self.summary is None or self.summary.anchors is None or final is None or self.start is None:
            return None
        anchors = self.summary.anchors
        floor = anchors.start if anchors.start is not None else self.start
        return float(normalized(final, floor, anchors.best, self.summary.scale))

    def anytime(self, which: str, over: str) -> list[tuple[float, float]]:
        """The score on test as a function of what the trial had spent.

        Args:
            which: The parameters to take after each oracle call: ``"current"`` or ``"recommended"``.
            over: What to count as spent: ``"calls"`` (oracle calls) or ``"tokens"``.

        Returns:
            Points (spent, score), sorted. Oracle calls whose parameters were not scored have no point.
        """
        recommended = dict(self.summary.recommendations) if self.summary else {}
        points = []
        for step in self.steps:
            key = step.parameters_hash if which == "current" else recommended.get(step.call)
            scored = self.tests.get(key) if key else None
            spent = step.call if over == "calls" else step.spent.tokens
            if scored is not None:
                points.append((float(spent), float(scored.score)))
        return sorted(points, key=lambda p: p[0])


@dataclasses.dataclass(frozen=True, slots=True)
class ResultRow:
    """The results of one agent on one environment.

    Attributes:
        env: The environment, as `TrialData.env` writes it.
        agent: The agent, as `TrialData.agent` writes it.
        score: Statistics of the final scores.
        normalized: Statistics of the normalized scores.
        trials: The trials.
    """

    env: str
    agent: str
    score: Summary
    normalized: Summary
    trials: list[TrialData]

    def total(self, name: str) -> float:
        """The sum of a count over all trials, including their lost attempts.

        Args:
            name: A field of `TrialSummary` that is a number, such as ``oracle_calls``. A lost attempt without this
                field adds nothing.
        """
        counted = [part for t in self.trials for part in (t.summary, t.lost) if part is not None]
        return float(sum(getattr(part, name, 0) for part in counted))

    def ledger(self, name: str) -> float | None:
        """The sum of a field of `Totals` over the model calls of the optimizer and task roles.

        It is None if the field is None for a trial, such as ``usd`` where a price is unknown.
        """
        ledgers = [t.summary.ledger for t in self.trials if t.summary]
        values = [getattr(totals, name) for ledger in ledgers for totals in (ledger.optimizer, ledger.task)]
        return None if any(v is None for v in values) else sum(values)

    def roles(self) -> dict[str, Totals]:
        """The totals of each role of `spending.LEDGER_ROLES` over the trials, lost attempts included."""
        return summed([t.summary.ledger for t in self.trials if t.summary])

    @property
    def failed(self) -> int:
        """The number of failed trials. Each counts with the score of the start values."""
        return sum(t.record.status == "failed" and not t.unfinished for t in self.trials)

    @property
    def running(self) -> int:
        """The number of unfinished trials. They have no score yet."""
        return sum(t.unfinished for t in self.trials)


@dataclasses.dataclass(frozen=True, slots=True)
class RunData:
    """The trials of a run.

    Attributes:
        trials: Those whose records are whole, sorted by id.
        damaged: The ids of the others, each with what is wrong with it.
    """

    trials: list[TrialData]
    damaged: dict[str, str]


def load(run: str | Path) -> list[TrialData]:
    """Reads the trials of a run, sorted by id. `load_whole` leaves out those that are damaged.

    Args:
        run: The run's folder.

    Raises:
        DamagedRecord: If the record of a trial is damaged.
        RecordError: If the folder holds no trial.
    """
    trials = [_load_trial(path)[0] for path in RunFolder(Path(run)).trials()]
    if not trials:
        raise RecordError(f"{run} holds no trials: expected a folder that opto-gym run --out has written")
    return trials


def load_whole(run: str | Path) -> RunData:
    """Reads the trials of a run, and sets those apart whose records are damaged or contradict themselves.

    Args:
        run: The run's folder.

    Raises:
        DamagedRecord: If no trial is whole.
        RecordError: If the folder holds no trial.
    """
    whole: list[TrialData] = []
    damaged: dict[str, str] = {}
    for path in RunFolder(Path(run)).trials():
        try:
            trial, tests = _load_trial(path)
            found = contradictions(path, trial.record, trial.steps, tests)
        except DamagedRecord as e:
            damaged[path.name] = str(e)
            continue
        if found:
            damaged[path.name] = f"{found[0]} (and {len(found) - 1} more)" if len(found) > 1 else found[0]
        else:
            whole.append(trial)
    if damaged and not whole:
        name, reason = next(iter(damaged.items()))
        raise DamagedRecord(f"{run} holds no trial that is whole. {name} is damaged: {reason}")
    if not whole:
        raise RecordError(f"{run} holds no trials: expected a folder that opto-gym run --out has written")
    return RunData(whole, damaged)


def _load_trial(path: Path) -> tuple[TrialData, list[ScoreRecord]]:
    """A trial, and all lines of its scorings."""
    folder, record = TrialFolder(path), read_trial(path)
    if record is None:
        raise DamagedRecord(f"{path} is no folder with a trial.json")
    steps, tests = folder.steps(), folder.tests()
    by_hash = {scored.parameters_hash: scored for scored in tests}
    check_whole(record, path, steps, by_hash)
    return TrialData(path.name, record, sorted(steps, key=attrgetter("call")), by_hash), tests


def rows(trials: Sequence[TrialData]) -> list[ResultRow]:
    """Groups trials into one row per environment and agent.

    The rows are sorted by environment, then by the interquartile mean of the normalized scores: the best first, those
    without one last.
    """
    groups: dict[tuple[str, str], list[TrialData]] = {}
    for t in trials:
        groups.setdefault((t.env, t.agent), []).append(t)
    result_rows = []
    for (env, agent), members in sorted(groups.items()):
        scores = [s for t in members if (s := t.final()) is not None]
        relative = [n for t in members if (n := t.normalized()) is not None]
        result_rows.append(ResultRow(env, agent, summarize(scores), summarize(relative), members))
    return sorted(result_rows, key=_order)


def _order(row: ResultRow) -> tuple[str, float, str]:
    iqm = row.normalized.iqm
    return row.env, math.inf if iqm is None else -iqm, row.agent
