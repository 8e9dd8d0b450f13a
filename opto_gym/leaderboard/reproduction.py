"""Reproduces published figures: runs a recipe's trials and compares their results with the published values.

A recipe (`opto_gym.baselines.recipes`) has a folder in which each curve is a run of its own::

    runs/reproduce/figure-5a/paper/adam/            a run: run.json, trials/
                                  /figure.svg       published and measured
                                  /table.md

All figures are computed from the recorded trials alone. If a curve needs a language model, the name of its folder
contains the model's name, so that the trials of different models stay apart.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .. import registration
from ..baselines.recipes import Curve, Recipe
from ..errors import MissingExtra
from .config import RunConfig
from .planning import Plan, grid
from .records import RunFolder
from .results import TrialData, load
from .runner import execute
from .spec import digest
from .stats import Array, interval, mean

OUT = "runs/reproduce"


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One curve to run, or the reason why it is skipped.

    Attributes:
        curve: The curve, at the size to run.
        folder: The folder that records its trials.
        plan: Its trials; None if it is skipped.
        skipped: The reason why it is skipped; empty if it is not.
    """

    curve: Curve
    folder: Path
    plan: Plan | None
    skipped: str = ""

    @property
    def seconds(self) -> float:
        """Estimated seconds that the trials take on one core, without the time of a language model.

        The evaluation of the start values counts as one more oracle call.
        """
        trials = len(self.plan.trials) if self.plan else 0
        return trials * (self.curve.oracle_calls + 1) * self.curve.seconds


def jobs(
    recipe: Recipe,
    size: str,
    out: Path,
    *,
    curves: Sequence[str] = (),
    model: str | None = None,
    base_url: str | None = None,
) -> list[Job]:
    """Lists what is to run for a recipe.

    A curve is skipped if it needs a language model and none is given, or if it needs an extra that is not installed.

    Args:
        recipe: The recipe of a figure.
        size: ``paper`` for the paper's scale, ``smoke`` for a quick check that everything runs.
        out: The folder of all reproductions.
        curves: Names of the curves to run; empty for all.
        model: The optimizers' language model.
        base_url: The endpoint of that model.

    Raises:
        ValueError: If there is no curve of a name in `curves`.
    """
    names = [c.name for c in recipe.curves]
    for name in curves:
        if name not in names:
            raise ValueError(f"{recipe.name} has no curve {name!r}. There are: {'; '.join(names)}")
    made = []
    for curve in (c.sized(size) for c in recipe.curves if not curves or c.name in curves):
        folder = out / recipe.name / size / _folder(curve, model if needs_model(curve) else None)
        if needs_model(curve) and model is None:
            made.append(Job(curve, folder, None, f"{curve.agent} asks a language model: give one by --model"))
            continue
        try:
            made.append(Job(curve, folder, _plan(curve, model, base_url)))
        except MissingExtra as e:
            made.append(Job(curve, folder, None, str(e)))
    return made


def _plan(curve: Curve, model: str | None, base_url: str | None) -> Plan:
    plans = [
        grid(
            RunConfig.of(
                [(curve.env, arguments)],
                [(curve.agent, curve.settings)],
                seeds=seeds,
                limits={"oracle_calls": curve.oracle_calls},
                model=model,
                base_url=base_url,
                mask=curve.mask,
                test_scores="each" if curve.score == "test" else "never",
            )
        )
        for arguments, seeds in curve.trials()
    ]
    return dataclasses.replace(plans[0], trials={t: planned for p in plans for t, planned in p.trials.items()})


def needs_model(curve: Curve) -> bool:
    """Whether a curve's agent calls a language model."""
    return registration.agent_class(curve.agent).uses_model


def estimates(planned: Sequence[Job]) -> Iterator[str]:
    """Estimates, one line per curve, of what the curves take. Trials that are recorded already are included."""
    folders = [job.folder for job in planned]
    for i, job in enumerate(planned):
        if job.folder in folders[:i]:
            yield f"{job.curve.name}: the trials of {planned[folders.index(job.folder)].curve.name}"
            continue
        if job.plan is None:
            yield f"skipped {job.curve.name}: {job.skipped}"
            continue
        cost = ""
        if needs_model(job.curve):
            amounts = job.plan.estimate()
            tokens = "unknown" if amounts["tokens"] is None else f"about {amounts['tokens']:,.0f}"
            usd = "unknown" if amounts["usd"] is None else f"{amounts['usd']:,.2f}"
            cost = f", {tokens} tokens, USD {usd}, and the model's own time"
        oracle_calls = job.curve.oracle_calls * len(job.plan.trials)
        yield (
            f"{job.curve.name}: {len(job.plan.trials)} trials, at most {oracle_calls:,} oracle calls, "
            f"about {_duration(job.seconds)} on one core{cost}"
        )


def run(planned: Sequence[Job], *, workers: int = 1, progress: bool = True) -> bool:
    """Runs the trials of the curves and continues interrupted ones.

    Args:
        planned: The curves.
        workers: Number of trials that run at a time.
        progress: Whether to show progress.

    Returns:
        Whether every trial ended with the status ``done``.
    """
    fine = True
    for job in planned:
        if job.plan is not None:
            result = execute(job.plan, job.folder, jobs=workers, progress=progress)
            fine &= all(trial.status == "done" for trial in result.trials)
    return fine


@dataclasses.dataclass(frozen=True, slots=True)
class PublishedPoint:
    """One measured value of a curve and the published value.

    Attributes:
        call: Number of the oracle call; 0 is the evaluation of the start values.
        published: The published value; None if there is none.
        published_se: The standard error of the published value; None if none is published.
        mean: The measured mean over the trials; None if there is no value.
        interval: The 95 % bootstrap interval of the measured mean; None for fewer than two trials.
        also: The second statistic; None if the recipe asks for none.
        verdict: Whether the published value agrees with the measured one, see `check_published`; or why not.
    """

    call: int
    published: float | None
    published_se: float | None
    mean: float | None
    interval: tuple[float, float] | None
    also: float | None
    verdict: str


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """The measured values of a curve.

    Attributes:
        curve: The curve, at the size that was run.
        model: The language model that was used; None if none was.
        trials: The trials that are done.
        wanted: The number of trials that the recipe asks for.
        x: Numbers of oracle calls, shape (calls + 1,).
        values: The trials' values at each x, shape (trials, calls + 1); NaN where a call does not count.
        also: The second statistic at each x, shape (calls + 1,); None if the recipe asks for none.
        rows: The rows of the table.
    """

    curve: Curve
    model: str | None
    trials: list[TrialData]
    wanted: int
    x: Array
    values: Array
    also: Array | None
    rows: list[PublishedPoint]

    @property
    def label(self) -> str:
        """The curve's name, followed by the model's name if a model was used."""
        return f"{self.curve.name} ({self.model})" if self.model else self.curve.name


def measure(recipe: Recipe, size: str, out: str | Path = OUT) -> list[Measured]:
    """Reads the measured values of a recipe's curves from the records; curves without records are left out.

    Args:
        recipe: The recipe of a figure.
        size: ``paper`` or ``smoke``.
        out: The folder of all reproductions.
    """
    found: list[Measured] = []
    for curve in (c.sized(size) for c in recipe.curves):
        name = _folder(curve, None)
        for folder in sorted((Path(out) / recipe.name / size).glob(f"{name}*")):
            if folder.name == name or folder.name.startswith(f"{name}@"):
                found += _measured(recipe, curve, size, folder)
    return found


def _measured(recipe: Recipe, curve: Curve, size: str, folder: Path) -> Iterator[Measured]:
    wanted = [
        digest([curve.env, arguments, curve.mask, curve.agent, curve.settings, seed])
        for arguments, seeds in curve.trials()
        for seed in seeds
    ]
    latest: dict[str, TrialData] = {}
    recorded = load(folder) if RunFolder(folder).trials() else []  # the run may have stopped before its first trial
    for trial in sorted(recorded, key=lambda t: t.record.started):  # the latest trial replaces those of older source
        spec = trial.record.spec
        key = digest([spec.env, spec.env_arguments, spec.mask, spec.agent, spec.settings, spec.seed])
        if key in wanted and _done(trial, curve):
            latest[key] = trial
    if not latest:
        return
    trials = [latest[key] for key in wanted if key in latest]
    x = np.arange(curve.oracle_calls + 1, dtype=np.float64)
    values = np.array([_values(t, curve) for t in trials])
    also = None if recipe.also is None else _also(recipe.also, values, trials)
    points = {call: (value, se) for call, value, se in curve.published}
    rows = []
    for call in [c for c in points if c <= curve.oracle_calls] or [curve.oracle_calls]:
        value, se = points.get(call, (None, None))
        ours = values[:, call][np.isfinite(values[:, call])]
        ends = interval(ours, of=mean)
        if size != "paper":
            verdict = "not judged: smoke size"
        elif len(trials) < len(wanted):
            verdict = f"not judged: {len(trials)} of {len(wanted)} trials done"
        else:
            verdict = check_published(values[:, call], value, se, recipe.accuracy)
        centre = float(ours.mean()) if len(ours) else None
        rows.append(PublishedPoint(call, value, se, centre, ends, None if also is None else float(also[call]), verdict))
    yield Measured(curve, trials[0].record.spec.optimizer_model, trials, len(wanted), x, values, also, rows)


def _done(trial: TrialData, curve: Curve) -> bool:
    """Whether a trial is done and made all oracle calls of the curve, or solved the problem before."""
    calls = trial.record.limits.oracle_calls or 0
    return trial.record.status == "done" and (calls >= curve.oracle_calls or trial.record.ended == "solved")


def _values(trial: TrialData, curve: Curve) -> list[float]:
    """A trial's value at each oracle call; a trial that solved the problem keeps its last value."""
    by_call = {step.call: step for step in trial.steps}
    values: list[float] = []
    for call in range(curve.oracle_calls + 1):
        step = by_call.get(call)
        if step is None:
            values.append(values[-1])
        elif curve.drop_errors and step.error is not None:
            values.append(math.nan)
        else:
            score = step.score if curve.score == "seen" else trial.tests[step.parameters_hash].score
            values.append(score * curve.factor)
    return values


def _also(which: str, values: Array, trials: list[TrialData]) -> Array:
    """The second statistic at each call: the median over the trials, or the mean over the trials' best values so far.

    Args:
        which: ``best so far`` for the latter; anything else gives the median.
        values: Shape (trials, calls + 1); NaN does not count.
        trials: The trials, which know whether higher is better.
    """
    summary = trials[0].summary
    assert summary is not None  # the trial is done
    worst, best = summary.problem.scores
    if which == "best so far":
        better = np.fmax if best > worst else np.fmin  # these ignore NaN
        values = better.accumulate(values, axis=1)
    over = np.nanmean if which == "best so far" else np.nanmedian
    return np.array([over(v) if np.isfinite(v).any() else math.nan for v in values.T])


def check_published(values: Array, published: float | None, se: float | None, accuracy: float = 0.0) -> str:
    """Judges whether a published value agrees with the measured ones.

    It agrees if chance explains its distance from the measured mean. The allowed distance is the root of the sum of
    two squares, plus the accuracy to which the value can be read. The two are the distance from the measured mean to
    the end of its 95 % interval on that side, and 1.96 published standard errors. Without a published standard error,
    the published value must lie inside the measured interval, widened by the accuracy.

    Args:
        values: Measured values, shape (trials,); NaN does not count.
        published: The published value; None if there is none.
        se: The standard error of the published value; None if none is published.
        accuracy: The largest error with which the published value can be read.

    Returns:
        ``agrees``, ``differs: ...`` with the distance, or why there is no verdict.
    """
    x = values[np.isfinite(values)]
    ends = interval(x, of=mean)
    if published is None:
        return "nothing published"
    if ends is None:
        return "not judged: too few values"
    away = float(x.mean()) - published
    reach = x.mean() - ends[0] if away > 0 else ends[1] - x.mean()
    if abs(away) <= math.hypot(reach, 1.96 * (se or 0.0)) + accuracy:
        return "agrees"
    error = math.hypot(standard_error(x), se or 0.0)
    distance = f", {abs(away) / error:.1f} standard errors" if error else ""
    return f"differs: {away:+.3g}{distance}"


def standard_error(x: Array) -> float:
    """The standard error of the mean of x, shape (n,); 0 for fewer than two values."""
    return float(x.std(ddof=1)) / math.sqrt(len(x)) if len(x) > 1 else 0.0


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds > 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _folder(curve: Curve, model: str | None) -> str:
    """The name of a curve's folder, with the language model's name if a model is given."""
    name = _slug(curve.records or curve.name)
    return f"{name}@{_slug(model)}" if model else name


def _slug(text: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
