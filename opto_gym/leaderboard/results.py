"""Results read from the records of a run: trials, and rows of an environment and an agent."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import RecordError
from ..problems import normalized
from .records import RunFolder, TrialFolder
from .stats import Summary, summarize


@dataclasses.dataclass(frozen=True, slots=True)
class TrialData:
    """One trial, read."""

    name: str
    data: dict[str, Any]
    steps: list[dict[str, Any]]
    tests: dict[str, dict[str, Any]]

    @property
    def env(self) -> str:
        """The environment, with its arguments and wrappers where there are any."""
        spec = self.data["spec"]
        more = [f"{k}={v!r}" for k, v in sorted(spec["env_arguments"].items())]
        more += [f"mask={','.join(spec['mask'])}"] if spec["mask"] else []
        more += [f"feedback={','.join(spec['feedback'])}"] if spec["feedback"] is not None else []
        for name, arguments in spec.get("wrappers", ()):
            more.append(f"{name}({', '.join(f'{k}={v!r}' for k, v in sorted(arguments.items()))})")
        return f"{spec['env']}({', '.join(more)})" if more else str(spec["env"])

    @property
    def agent(self) -> str:
        """The agent, with its settings where there are any."""
        spec = self.data["spec"]
        more = ", ".join(f"{k}={v!r}" for k, v in sorted(spec["settings"].items()))
        return f"{spec['agent']}({more})" if more else str(spec["agent"])

    @property
    def summary(self) -> dict[str, Any]:
        """What the trial says of itself; {} while it runs."""
        return self.data.get("summary") or {}

    @property
    def lost(self) -> dict[str, Any]:
        """What its earlier tries spent, which were not gone on with; {} where there are none."""
        return self.summary.get("lost") or {}

    @property
    def start(self) -> float | None:
        """The start values' score on test."""
        return self.summary.get("start_score")

    def final(self) -> float | None:
        """The score that counts: the recommended parameters' on test; a failed trial has the start values'."""
        if self.data["status"] == "failed":
            return self.start
        return self.summary.get("recommended_score")

    def normalized(self) -> float | None:
        """The final score with 0 = the start values' and 1 = the best known."""
        anchors, final = self.summary.get("anchors"), self.final()
        if not anchors or final is None or self.start is None:
            return None
        floor = anchors["start"] if anchors["start"] is not None else self.start
        return float(normalized(final, floor, anchors["best"], self.summary["scale"]))

    def anytime(self, which: str, over: str) -> list[tuple[float, float]]:
        """(spent, score on test) of the ``current`` or ``recommended`` parameters over calls or tokens."""
        chosen = dict(self.summary.get("recommendations") or [])
        points = []
        for line in self.steps:
            key = line["parameters_hash"] if which == "current" else chosen.get(line["call"])
            test = self.tests.get(key) if key else None
            spent = line["call"] if over == "calls" else (line.get("spent") or {}).get("tokens", 0)
            if test is not None:
                points.append((float(spent), float(test["score"])))
        return sorted(points, key=lambda p: p[0])


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One agent on one environment."""

    env: str
    agent: str
    score: Summary
    normalized: Summary
    trials: list[TrialData]

    def total(self, name: str) -> float:
        """A count, summed over the trials, with what is lost."""
        return float(sum(t.summary.get(name, 0) + t.lost.get(name, 0) for t in self.trials))

    def ledger(self, name: str) -> float | None:
        """A sum of the agent's and the task's model calls; None if a price is unknown."""
        values = [
            t.summary.get("ledger", {}).get(role, {}).get(name, 0)
            for t in self.trials
            for role in ("optimizer", "task")
        ]
        return None if any(v is None for v in values) else sum(values)

    @property
    def failed(self) -> int:
        """Trials that failed; they count with the start values' score."""
        return sum(t.data["status"] == "failed" for t in self.trials)

    @property
    def running(self) -> int:
        """Trials that are not finished; they do not count yet."""
        return sum(t.data["status"] == "running" for t in self.trials)


def load(run: str | Path) -> list[TrialData]:
    """The trials of a run, sorted.

    Raises:
        RecordError: If the folder holds no trial.
    """
    folder = RunFolder(Path(run))
    trials = []
    for path in folder.trials():
        t = TrialFolder(path)
        tests = {line["parameters_hash"]: line for line in t.tests()}
        trials.append(TrialData(path.name, t.summary() or {}, sorted(t.steps(), key=lambda s: s["call"]), tests))
    if not trials:
        raise RecordError(f"{run} holds no trials yet: expected a folder that opto-gym run --out has made")
    return trials


def rows(trials: Sequence[TrialData]) -> list[Row]:
    """One row an environment and agent; within an environment the best first."""
    groups: dict[tuple[str, str], list[TrialData]] = {}
    for t in trials:
        groups.setdefault((t.env, t.agent), []).append(t)
    made = []
    for (env, agent), members in sorted(groups.items()):
        scores = [s for t in members if (s := t.final()) is not None]
        relative = [n for t in members if (n := t.normalized()) is not None]
        made.append(Row(env, agent, summarize(scores), summarize(relative), members))
    return sorted(made, key=lambda r: (r.env, -(r.normalized.iqm if r.normalized.iqm is not None else -1e9), r.agent))
