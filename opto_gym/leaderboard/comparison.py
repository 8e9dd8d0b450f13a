"""Is one optimizer better than another? Trials of both on the same seeds, an answer with its evidence, a page.

A trial's seed fixes the examples of each of its oracle calls, whatever the agent: trials of the same seed make a pair.
Both have the same budget. Trials that are recorded are not run again. What is said of them is `stats.compare_scores`'s.
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
from .records import RunFolder, TrialFolder
from .reporting.comparison_page import SHADES, chance_text, count_of, figure, html, interval_text, verdict
from .reporting.page import notes, number
from .results import TrialData
from .runner import execute
from .schema import to_plain
from .spec import digest
from .stats import Answer, Array, compare_scores, fewest_pairs, look_level
from .suites import load, suite_plan


@dataclasses.dataclass(frozen=True, slots=True)
class ComparedTask:
    """What is compared on one environment, or over all.

    Attributes:
        env: The environment.
        answer: The verdict with its evidence.
        ours: The trials of the agent in question, in order of the seeds.
        theirs: The baseline's, of the same seeds.
        scores: Their scores, shape (2, n), higher is better.
        normalized: Whether they are normalized; else the task, which declares no best known score, is left out of the
            answer over all.
    """

    env: str
    answer: Answer
    ours: list[TrialData]
    theirs: list[TrialData]
    scores: Array
    normalized: bool = True

    @property
    def usd(self) -> float | None:
        """Money that a further seed takes, by what the recorded ones took; None if a price is unknown."""
        trials = [t for t in (*self.ours, *self.theirs) if t.summary]
        spent = [totals.usd for t in trials if t.summary for totals in t.summary.ledger.values()]
        known = [s for s in spent if s is not None]
        return None if len(known) < len(spent) else float(sum(known)) / len(self.ours)

    def spent(self, name: str) -> tuple[float, float]:
        """Example evaluations or tokens a trial, the agent's and the baseline's."""
        found = [
            [float(getattr(t.summary.spent, name)) if t.summary else 0.0 for t in trials]
            for trials in (self.ours, self.theirs)
        ]
        return float(np.mean(found[0])), float(np.mean(found[1]))


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """The answer.

    Attributes:
        agent: The agent in question, with its settings.
        against: The baseline.
        rows: One an environment.
        overall: Over all environments whose scores can be normalized; None without any.
        usd: Money that a further seed in each environment takes; None if a price is unknown.
        look: The number of this look at the question, from 1.
        skipped: (environment, agent, why it was left out).
        page: The HTML page, written beside the trials.
        picture: The SVG file.
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
        """Over all, or of the only environment."""
        return (self.overall or self.rows[0].answer).verdict

    def text(self) -> str:
        """The answer in one paragraph."""
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
            for word in SHADES:
                mine = [r for r in self.rows if r.answer.verdict == word]
                if mine:
                    said.append(f"{word.capitalize()} on {len(mine)}: {', '.join(r.env for r in mine)}.")
        raw = [r.env for r in self.rows if not r.normalized]
        if raw:
            said.append(f"By their own scores, and not in the answer over all: {', '.join(raw)}.")
        return " ".join(said)

    def notes(self) -> list[str]:
        """What a reader has to know beside it."""
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
                        f"Not of one purse: on {row.env} a trial of {self.agent} took {a:,.0f} {name}, one of "
                        f"{self.against} {b:,.0f}. {option} holds both to the same."
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
    """Compares an agent with a baseline; writes the page and the picture into the folder of the trials.

    Args:
        agent: A name or ``module:Class``, or (name, settings).
        against: The baseline, likewise.
        out: The folder. Trials that it holds already are taken as they are, so that a baseline is run once.
        jobs: Trials at a time.
        progress: Show progress.
        what: See `comparison_plan`.

    Raises:
        ValueError: If there is nothing that both can run on.
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
    **settings: Any,
) -> Plan:
    """The trials of a comparison: of both agents, on the tasks where both can run.

    Args:
        agent: The agent in question.
        against: The baseline.
        envs: Environments, or else
        suite: a suite, whose own agents are left out.
        out: The folder; where it holds a run, that settles `cap` and `test_scores` unless they are given.
        seeds: How many, or which; by default the fewest that can tell anything on each environment.
        limits: Budget of each trial, of both agents; in place of a suite's of the same name.
        cap: Budget of all trials together.
        test_scores: ``each`` or ``end``, the default.
        settings: What `plan` takes beside these: models, endpoint, `mask`, `feedback`, `wrappers`.

    Raises:
        ValueError: If there is nothing that both can run on, or both are the same.
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
        test_scores = "each" if before is not None and before.test_scores == "each" else "end"
    if seeds is None:
        seeds = fewest_pairs(look_level(1) / (len(load(suite).tasks) if suite else len(envs)))
    common = {"seeds": seeds, "limits": limits, "cap": cap, "test_scores": test_scores, **settings}
    made = suite_plan(suite, agents=pair, **common) if suite else grid(RunConfig.of(envs, pair, **common))
    kept = {trial for task in _tasks(made, *pair).values() for trials in task.values() for trial in trials}
    if not kept:
        why = "; ".join(f"{a} on {e}: {why}" for e, a, why in made.skipped)
        raise ValueError(f"there is no environment that both can run on: {why}")
    return made.only(kept)


Side = tuple[str, Mapping[str, Any]]


def _tasks(made: Plan, agent: Side, against: Side) -> dict[str, dict[int, tuple[str, str]]]:
    """The pairs of trials of each task that both have, by seed."""
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
    """The answer from the recorded trials of a plan; notes in the folder that there was a look at them.

    Raises:
        RecordError: If trials are missing or not finished, or none of a task's has a score.
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
    """The number of this look at a question (tasks, agents, budget), from 1; the same trials are the same look."""
    names = sorted(t.name for t in trials)
    asked = [
        [msgspec.to_builtins(msgspec.structs.replace(t.record.identity, seed=0)), to_plain(t.record.limits)]
        for t in trials
    ]
    question, seen = digest(sorted(set(map(digest, asked)))), list[list[str]]()
    path = out / "looks.jsonl"
    for line in read_lines(path):
        if line["question"] == question:
            seen.append(line["trials"])
    if names not in seen:
        seen.append(names)
        journal = Journal(path)
        journal.append({"question": question, "trials": names})
        journal.close()
    return seen.index(names) + 1


def _read(path: Path) -> TrialData:
    record = TrialFolder(path).trial() if (path / "trial.json").exists() else None
    if record is None or record.status == "running":
        raise RecordError(f"{path} is not finished: the same command continues it")
    return TrialData(path.name, record, [], {})


def _scores(ours: Sequence[TrialData], theirs: Sequence[TrialData]) -> tuple[Array, bool]:
    """(scores of both, shape (2, n), whether they are normalized); a trial that failed has the start values'."""
    everyone = [*ours, *theirs]
    known = next((t for t in everyone if t.start is not None), None)
    if known is None or known.summary is None:
        raise RecordError(f"no trial on {everyone[0].env} has a score: {everyone[0].record.ended}")
    relative = known.summary.anchors is not None
    worst, best = known.summary.problem.scores

    def score(t: TrialData) -> float:
        value = t.normalized() if relative else t.final()
        if t.start is None:  # failed before its start values were scored, as which it counts
            value = 0.0 if relative else known.start
        if value is None:
            raise RecordError(f"{t.name} has no score on test")
        return float(value if relative or best > worst else -value)

    return np.array([[score(t) for t in trials] for trials in (ours, theirs)]), relative
