"""Compares two optimizers: runs both on the same seeds, decides which one is better, and writes a page.

A trial's seed determines the examples of each of its oracle calls, whatever the agent. Trials of the same seed
therefore form a pair. Both trials of a pair have the same budget. Recorded trials are not run again.
`stats.compare_scores` computes the verdict and its evidence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..errors import RecordError
from ..utils.journal import Journal, read_lines
from ..utils.text import write_text
from .config import Named, RunConfig, named
from .planning import Plan, grid
from .records import RunFolder, read_trial
from .reporting.comparison_page import VERDICT_COLORS, chance_text, count_of, figure, html, interval_text, verdict
from .reporting.page import notes, number
from .results import TrialData
from .runner import execute
from .schema import to_plain
from .spec import digest
from .stats import Answer, Array, compare_scores, fewest_pairs, look_level
from .suites import load, suite_plan


@dataclasses.dataclass(frozen=True, slots=True)
class ComparedTask:
    """The comparison on one environment.

    Attributes:
        env: The environment.
        answer: The verdict with its evidence.
        ours: The trials of the agent in question, in order of their seeds.
        theirs: The trials of the baseline with the same seeds, in the same order.
        scores: The scores of both, shape (2, n), higher is better.
        normalized: Whether the scores are normalized. If not, the environment declares no best known score, and the
            answer over all environments leaves it out.
    """

    env: str
    answer: Answer
    ours: list[TrialData]
    theirs: list[TrialData]
    scores: Array
    normalized: bool = True

    @property
    def usd(self) -> float | None:
        """Expected cost of a further seed in USD: the mean over the recorded seeds; None if a price is unknown."""
        trials = [t for t in (*self.ours, *self.theirs) if t.summary]
        spent = [totals.usd for t in trials if t.summary for totals in t.summary.ledger.values()]
        known = [s for s in spent if s is not None]
        return None if len(known) < len(spent) else float(sum(known)) / len(self.ours)

    def spent(self, name: str) -> tuple[float, float]:
        """The mean amount that a trial spent, as (the agent's, the baseline's).

        Args:
            name: A field of `Amounts`, such as ``evaluations`` or ``tokens``.
        """
        found = [
            [float(getattr(t.summary.spent, name)) if t.summary else 0.0 for t in trials]
            for trials in (self.ours, self.theirs)
        ]
        return float(np.mean(found[0])), float(np.mean(found[1]))


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a comparison.

    Attributes:
        agent: The agent in question, with its settings.
        against: The baseline, with its settings.
        rows: One row per environment.
        overall: The answer over all environments whose scores can be normalized; None if there is none.
        usd: Expected cost in USD of one further seed on each environment; None if a price is unknown.
        look: The number of this analysis of the same question, from 1; see `stats.look_level`.
        skipped: (environment, agent, reason why the environment was left out).
        page: Path of the HTML page, in the folder of the trials.
        picture: Path of the SVG file.
    """

    agent: str
    against: str
    rows: tuple[ComparedTask, ...]
    overall: Answer | None
    usd: float | None
    look: int = 1
    skipped: tuple[tuple[str, str, str], ...] = ()
    page: Path | None = None
    picture: Path | None = None

    @property
    def verdict(self) -> str:
        """The verdict over all environments, or of the first one if no scores can be normalized."""
        return (self.overall or self.rows[0].answer).verdict

    def text(self) -> str:
        """The result as one paragraph of text."""
        said = []
        if self.overall is not None:
            word = {"better": "is better than", "worse": "is worse than"}.get(self.overall.verdict)
            head = f"{self.agent} {word} {self.against}" if word else f"{self.agent} against {self.against}"
            number_of = sum(r.normalized for r in self.rows)
            where = "over all" if number_of > 1 else f"on {next(r.env for r in self.rows if r.normalized)}"
            waits = "" if word else f"{verdict(self.overall, self.usd)}. "
            said.append(
                f"{head} {where}{'.' if word else ':'} {waits}The mean difference of normalized scores is "
                f"{number(self.overall.difference)} ({interval_text(self.overall)}), the probability of improvement "
                f"{chance_text(self.overall)}, by {self.overall.n} pairs of trials on "
                f"{count_of(number_of, 'environment')}."
            )
        if len(self.rows) > 1 or self.overall is None:
            for word in VERDICT_COLORS:
                mine = [r for r in self.rows if r.answer.verdict == word]
                if mine:
                    said.append(f"{word.capitalize()} on {len(mine)}: {', '.join(r.env for r in mine)}.")
        raw = [r.env for r in self.rows if not r.normalized]
        if raw:
            said.append(f"By their own scores, and not in the answer over all: {', '.join(raw)}.")
        return " ".join(said)

    def notes(self) -> list[str]:
        """Notes that a reader needs to interpret the result, one string each.

        They name the environments that were left out, the stricter level of a repeated analysis, and spending that
        differs by more than a tenth, and include those of `reporting.page.notes`.
        """
        said = [f"Left out: {env}, because {agent} can't run on it: {why}" for env, agent, why in self.skipped]
        if self.look > 1:
            level = f"{100 * look_level(self.look):.2g} %"
            said.append(
                f"Look {self.look} at this question: a verdict needs more evidence than at the first, p of at most "
                f"{level} before the correction for several environments."
            )
        for row in self.rows:
            limits = row.ours[0].record.limits
            for name, option in (("evaluations", "--evaluations"), ("tokens", "--tokens")):
                a, b = row.spent(name)
                if min(a, b) > 0 and abs(a - b) > 0.1 * max(a, b) and getattr(limits, name) is None:
                    said.append(
                        f"Unequal budgets: on {row.env}, a trial of {self.agent} spent {a:,.0f} {name} on average, "
                        f"one of {self.against} {b:,.0f}. Limit both to the same number with {option}."
                    )
        return said + notes([t for r in self.rows for t in (*r.ours, *r.theirs)])


def compare(
    agent: Named,
    against: Named,
    *,
    out: str | Path,
    jobs: int = 1,
    progress: bool = True,
    **what: Any,
) -> Comparison:
    """Compares an agent with a baseline, and writes the page and the picture into the folder of the trials.

    Args:
        agent: The agent in question: a name or ``module:Class``, or (name, settings).
        against: The baseline, in the same form.
        out: The folder. Trials that it already holds are reused, so that a baseline runs only once.
        jobs: Number of trials that run at a time.
        progress: Whether to show progress.
        what: Further arguments of `comparison_plan`.

    Raises:
        ValueError: If there is no environment that both agents can run on.
        RecordError: If the folder can't be used.
    """
    made = comparison_plan(agent, against, out=out, **what)
    execute(made, Path(out), jobs=jobs, progress=progress)
    found = from_records(made, agent, against, Path(out))
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in f"{found.agent}-against-{found.against}")
    found = dataclasses.replace(found, page=Path(out) / f"{name}.html", picture=Path(out) / f"{name}.svg")
    drawn = figure(found)
    assert found.page is not None
    assert found.picture is not None
    try:
        write_text(found.picture, drawn)
        write_text(found.page, html(found, drawn))
    except OSError as e:
        raise RecordError(f"{found.page} can't be written: {e.strerror or e}") from e
    return found


def comparison_plan(
    agent: Named,
    against: Named,
    *,
    envs: Sequence[Named] = (),
    suite: str | None = None,
    out: str | Path | None = None,
    seeds: int | Sequence[int] | None = None,
    limits: Mapping[str, float | None] | None = None,
    cap: Mapping[str, float | None] | None = None,
    test_scores: str | None = None,
    trust: bool = False,
    **settings: Any,
) -> Plan:
    """Plans the trials of a comparison: those of both agents, on the tasks that both can run on.

    Args:
        agent: The agent in question.
        against: The baseline.
        envs: The environments. Give either these or `suite`.
        suite: A suite's name or file; the suite's own agents are left out.
        out: The folder. If it holds a run, that run's `cap` and `test_scores` apply unless they are given here.
        seeds: The number of seeds, or the seeds themselves; by default the smallest number that can give a verdict on
            each environment.
        limits: Budget of each trial of both agents; each limit replaces the suite's limit of the same name.
        cap: Budget of all trials together.
        test_scores: When parameters are scored on test: after ``each`` oracle call, or at the ``end`` (default).
        trust: As for `runner.run`.
        settings: Further arguments of `plan`: the models, the endpoint, `mask`, `feedback`, `wrappers`.

    Raises:
        ValueError: If the agents are equal, if not exactly one of `envs` and `suite` is given, or if there is no
            environment that both agents can run on.
        TrustError: If a suite's file names what is not registered, and `trust` is not set.
    """
    pair = [named(agent), named(against)]
    if pair[0] == pair[1]:
        raise ValueError(f"expected two agents that differ, in name or settings; got {pair[0][0]} twice")
    if bool(envs) == (suite is not None):
        raise ValueError("expected at least one environment, or a suite, and not both")
    if test_scores == "never":
        raise ValueError("a comparison is of scores on test: expected test_scores of each or end, got 'never'")
    folder = None if out is None else RunFolder(Path(out))
    before = folder.plan if folder is not None and folder.has_plan else None
    if cap is None and before is not None:
        cap = before.cap.to_dict()
    if test_scores is None:
        recorded = set() if before is None else {trial.test_scores or before.test_scores for trial in before.trials}
        test_scores = "each" if recorded == {"each"} else "end"
    if seeds is None:
        seeds = fewest_pairs(look_level(1) / (len(load(suite).tasks) if suite else len(envs)))
    common = {"seeds": seeds, "limits": limits, "cap": cap, "test_scores": test_scores, **settings}
    made = suite_plan(suite, agents=pair, trust=trust, **common) if suite else grid(RunConfig.of(envs, pair, **common))
    kept = {trial for task in _tasks(made, *pair).values() for trials in task.values() for trial in trials}
    if not kept:
        why = "; ".join(f"{a} on {e}: {why}" for e, a, why in made.skipped)
        raise ValueError(f"there is no environment that both can run on: {why}")
    return made.only(kept)


Side = tuple[str, Mapping[str, Any]]


def _tasks(made: Plan, agent: Side, against: Side) -> dict[str, dict[int, tuple[str, str]]]:
    """The pairs of trial ids (agent's, baseline's) by task and seed, where both agents have a trial."""
    found: dict[str, dict[tuple[bool, int], str]] = {}
    for trial, spec in made.specs.items():
        ours = (spec.agent, spec.settings) == (agent[0], dict(agent[1]))
        found.setdefault(spec.task_key, {})[ours, spec.seed] = trial
    pairs = {
        task: {seed: (t[True, seed], t[False, seed]) for ours, seed in t if ours and (False, seed) in t}
        for task, t in found.items()
    }
    return {task: t for task, t in pairs.items() if t}


def from_records(made: Plan, agent: Named, against: Named, out: Path) -> Comparison:
    """Computes the comparison from the recorded trials of a plan.

    The analysis is counted in the folder's ``looks.jsonl``, because a repeated analysis of the same question with more
    trials has a stricter level; see `stats.look_level`.

    Raises:
        RecordError: If a trial is missing or not finished, or if no trial of a task has a score.
    """
    sides = named(agent), named(against)
    folder, measured = RunFolder(out), list[tuple[list[TrialData], list[TrialData], Array, bool]]()
    for pairs in _tasks(made, *sides).values():
        ours, theirs = ([_read(folder.trial_path(p[i])) for _, p in sorted(pairs.items())] for i in (0, 1))
        measured.append((ours, theirs, *_scores(ours, theirs)))
    look = _look(out, [t for ours, theirs, *_ in measured for t in (*ours, *theirs)])
    each, _ = compare_scores([(s[0], s[1]) for *_, s, _ in measured], look=look)
    rows = [
        ComparedTask(ours[0].env, answer, ours, theirs, scores, normalized)
        for answer, (ours, theirs, scores, normalized) in zip(each, measured, strict=True)
    ]
    within = [r for r in rows if r.normalized]
    overall = compare_scores([(r.scores[0], r.scores[1]) for r in within], look=look)[1] if within else None
    prices = [r.usd for r in within]
    return Comparison(
        rows[0].ours[0].agent,
        rows[0].theirs[0].agent,
        tuple(rows),
        overall,
        None if None in prices else sum(p for p in prices if p is not None),
        look,
        made.skipped,
    )


def _look(out: Path, trials: Sequence[TrialData]) -> int:
    """The number of this analysis of a question (tasks, agents and budget), from 1.

    An analysis of the same trials keeps its number. A new set of trials gets the next number, which is recorded.
    """
    names = sorted(t.name for t in trials)
    asked = [
        [msgspec.to_builtins(msgspec.structs.replace(t.record.identity, seed=0)), to_plain(t.record.limits)]
        for t in trials
    ]
    question, seen = digest(sorted(set(map(digest, asked)))), list[list[str]]()
    path = out / "looks.jsonl"
    for line in read_lines(path):
        if line.get("question") == question:
            seen.append(line.get("trials") or [])
    if names not in seen:
        seen.append(names)
        journal = Journal(path)
        journal.append({"question": question, "trials": names})
        journal.close()
    return seen.index(names) + 1


def _read(path: Path) -> TrialData:
    record = read_trial(path)
    trial = None if record is None else TrialData(path.name, record, [], {})
    if trial is None or trial.unfinished:
        raise RecordError(f"{path} is not finished: the same command continues it")
    return trial


def _scores(ours: Sequence[TrialData], theirs: Sequence[TrialData]) -> tuple[Array, bool]:
    """(scores of both agents, shape (2, n); whether they are normalized).

    A failed trial counts with the score of the start values. Scores that are not normalized are negated where lower
    is better.
    """
    everyone = [*ours, *theirs]
    known = next((t for t in everyone if t.start is not None), None)
    if known is None or known.summary is None:
        raise RecordError(f"no trial on {everyone[0].env} has a score: {everyone[0].record.ended}")
    relative = known.summary.anchors is not None
    worst, best = known.summary.problem.scores

    def score(t: TrialData) -> float:
        value = t.normalized() if relative else t.final()
        if t.start is None:  # it failed before its start values were scored, and counts with their score
            value = 0.0 if relative else known.start
        if value is None:
            raise RecordError(f"{t.name} has no score on test")
        return float(value if relative or best > worst else -value)

    return np.array([[score(t) for t in trials] for trials in (ours, theirs)]), relative
