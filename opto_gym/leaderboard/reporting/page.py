"""The report of a run, computed from its folder: a table in the terminal, and an HTML page in the folder."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import RecordError
from ...llm.adapting import describe_changes
from ...problems import Anchors
from ...utils.text import one_line, visible, write_text
from ..results import ResultRow, TrialData, load_whole, rows
from ..schema import SandboxRecord
from ..spending import added, money, summed
from .figure import figure, svg

SMALL_MODEL = (
    "The embedded model (SmolLM2, 135 million parameters) is small: these results show that everything works, not how "
    "good the optimizers are."
)
"""The note on runs with the embedded model."""

_MOST = 2000  # characters of a name with its settings in the terminal

COLUMNS: dict[str, Callable[[ResultRow], str]] = {
    "n": lambda r: (
        str(r.score.n) + (f" ({r.failed} failed)" if r.failed else "") + (f" +{r.running}" if r.running else "")
    ),
    "mean": lambda r: number(r.score.mean),
    "median": lambda r: number(r.score.median),
    "IQM": lambda r: number(r.score.iqm),
    "95 %": lambda r: "-" if r.score.low is None else f"{number(r.score.low)} to {number(r.score.high)}",
    "normalized": lambda r: number(r.normalized.iqm),
    "evaluations": lambda r: f"{r.total('evaluations'):,.0f}",
    "LLM calls": lambda r: f"{r.ledger('calls'):,.0f}",
    "tokens": lambda r: f"{(r.ledger('tokens_in') or 0) + (r.ledger('tokens_out') or 0):,.0f}",
    "USD": lambda r: money(r.ledger("usd")),
    "invalid": lambda r: f"{r.total('invalid_answers'):,.0f}",
}
"""The columns of a table of results: a function from a row to the cell's text, by column name.

Scores are those of the recommended parameters on test. Counts are sums over the trials. Model calls, tokens and USD are
those of optimizing; `spent_table` has those of scoring, too.
"""


def columns(made: Sequence[ResultRow]) -> dict[str, Callable[[ResultRow], str]]:
    """The columns of one environment's table: `COLUMNS`, the cost of scoring, the environment's own measurements.

    The cost of scoring is there if a model was asked for it. Of measurements it is the mean.

    Args:
        made: The rows of the table.
    """

    def mean_measure(name: str, row: ResultRow) -> str:
        values = [x for t in row.trials if t.summary and (x := t.summary.measures.get(name)) is not None]
        return number(sum(values) / len(values)) if values else "-"

    scoring: dict[str, Callable[[ResultRow], str]] = {}
    if any(r.roles()["scoring"].calls for r in made):
        scoring["scoring USD"] = lambda r: money(r.roles()["scoring"].usd)
    names = sorted({name for r in made for t in r.trials if t.summary for name in t.summary.measures})
    return COLUMNS | scoring | {name.replace("_", " "): functools.partial(mean_measure, name) for name in names}


def number(x: float | None) -> str:
    """Formats a number with about three significant digits; None is ``-``."""
    if x is None:
        return "-"
    return f"{x:.3f}" if abs(x) < 10 else f"{x:,.1f}" if abs(x) < 10_000 else f"{x:.3g}"


def report(run: str | Path, damaged: dict[str, str] | None = None) -> Path:
    """Prints the tables and notes of a run, and writes ``report.html`` into its folder.

    Args:
        run: The folder of the run.
        damaged: A dictionary that gets the trials which are left out, as `RunData.damaged`. The page names them, too.

    Returns:
        The path of the page.

    Raises:
        DamagedRecord: If no trial is whole.
        RecordError: If the folder holds no trial, or if the page can't be written.
    """
    from rich.console import Console
    from rich.text import Text

    data = load_whole(run)
    trials, made = data.trials, rows(data.trials)
    if damaged is not None:
        damaged.update(data.damaged)
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # wide enough that a file has every column in full
    for env in dict.fromkeys(r.env for r in made):
        console.print(_table(env, [r for r in made if r.env == env]))
    if spent := spent_table(trials):
        console.print(_spent(spent))
    for note in (*damage_notes(data.damaged), *notes(trials)):
        console.print(Text(visible(note)))
    page = Path(run) / "report.html"
    try:
        write_text(page, html(Path(run).resolve().name, trials, data.damaged))
    except OSError as e:
        raise RecordError(f"{page} can't be written: {e.strerror or e}") from e
    return page


def _table(env: str, made: list[ResultRow]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "agent", title=Text(one_line(env, _MOST)), title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    cells = columns(made)
    for name in cells:
        table.add_column(Text(one_line(name)), justify="right", no_wrap=True)
    for row in made:
        table.add_row(Text(one_line(row.agent, _MOST)), *(Text(visible(cell(row))) for cell in cells.values()))
    return table


SPENT_COLUMNS = ("calls", "tokens in", "tokens out", "USD")
"""The columns of `spent_table`, after that of the role."""


def spent_table(trials: Sequence[TrialData]) -> list[tuple[str, ...]]:
    """What model calls have spent, lost attempts included: a row for each role that made calls, and for the total.

    Returns:
        (role, the cells of `SPENT_COLUMNS`) of each row; none if no model was asked.
    """
    roles = summed([t.summary.ledger for t in trials if t.summary])
    used = {name: totals for name, totals in roles.items() if totals.attempts or totals.calls}
    if used:
        used["total"] = added(*used.values())
    return [
        (
            name,
            f"{x.calls:,}",
            _with_part(x.tokens_in, x.cached_tokens, "cached"),
            _with_part(x.tokens_out, x.reasoning_tokens, "reasoning"),
            money(x.usd),
        )
        for name, x in used.items()
    ]


def _with_part(tokens: int, part: int | None, what: str) -> str:
    """A number of tokens, with that of a part of them if there are any."""
    return f"{tokens:,} ({part:,} {what})" if part else f"{tokens:,}"


def _spent(rows: Sequence[tuple[str, ...]]) -> Any:
    from rich.table import Table

    table = Table("model calls", title="Spent", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in SPENT_COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def damage_notes(damaged: Mapping[str, str]) -> list[str]:
    """A note for each trial that is left out since its record is damaged; see `RunData.damaged`."""
    return [f"{name} is damaged, and left out: {reason}" for name, reason in damaged.items()]


def notes(trials: Sequence[TrialData]) -> list[str]:
    """Notes that a reader needs to interpret the results, one string each.

    They say whether the embedded model was used and what endpoints refused of the requests, and name the trials that
    failed, mean nothing, were restarted, had prompts cut by the server, or are not finished.
    """
    drawn = [t for t in trials if t.record.spec.env_arguments.get("test_seed") is not None]
    lines = list(dict.fromkeys(f"{t.env}: {test_split(t)}" for t in drawn))
    if any(t.record.spec.optimizer_model in (None, "local") and t.record.identity.models.optimizer for t in trials):
        lines.append(SMALL_MODEL)
    adapted = [pair for t in trials if t.summary for pair in t.summary.adaptations.items()]
    for model in dict.fromkeys(model for model, _ in adapted):
        changes = [change for name, found in adapted if name == model for change in found]
        lines.append(f"{model} was asked {describe_changes(changes)}: its endpoint takes nothing else.")
    failed = [t.name for t in trials if t.record.status == "failed" and not t.unfinished]
    if failed:
        lines.append(f"Failed, and scored as the start values: {', '.join(failed)}.")
    for t in trials:
        if t.record.status == "done" and t.summary is not None and t.summary.caveats:
            lines.append(f"{t.name} means nothing: {'; '.join(t.summary.caveats)}.")
    for t in trials:
        if t.lost:
            totals = [t.lost.ledger.optimizer, t.lost.ledger.task]
            calls, tokens = sum(x.calls for x in totals), sum(x.tokens for x in totals)
            times = "once" if t.lost.attempts == 1 else f"{t.lost.attempts} times"
            lines.append(
                f"{t.name} was restarted {times}, because its agent cannot be resumed in the middle of a trial. Its "
                f"lost attempts spent {t.lost.evaluations:,} evaluations, {calls:,} LLM calls and {tokens:,} tokens."
            )
    for t in trials:
        if t.summary is not None and (cut := t.summary.cut_prompts or 0) > 1:
            lines.append(
                f"{t.name}: the server has probably cut {cut} prompts, since it reports far fewer tokens than were "
                "sent. Raise its context, or lower prompt_budget."
            )
    running = [t.name for t in trials if t.unfinished]
    if running:
        lines.append(f"Not finished, and not counted: {', '.join(running)}.")
    return lines


def html(title: str, trials: Sequence[TrialData], damaged: Mapping[str, str] | None = None) -> str:
    """The HTML page of a run.

    Args:
        title: The title of the page.
        trials: The trials of the run, at least one.
        damaged: The trials that are left out, as `RunData.damaged`.
    """
    import jinja2

    loader = jinja2.PackageLoader("opto_gym.leaderboard")
    template = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(
        "report.html.j2"
    )
    made = rows(trials)
    sections = [_section(env, trials, [r for r in made if r.env == env]) for env in dict.fromkeys(r.env for r in made)]
    first = trials[0].record.where
    budgets = [str(t.record.limits) for t in trials]
    with_model = [t.record.spec for t in trials if t.record.identity.models.optimizer]
    facts = {
        "Trials": f"{len(trials)}",
        "Budget of a trial": "; ".join(dict.fromkeys(budgets)),
        "Models": ", ".join(sorted({str(s.optimizer_model or "local") for s in with_model})) or "none",
        "Sandbox": sandboxes([t.record.where.sandbox for t in trials]),
        "Python": first.python,
        "System": first.system,
        "opto_gym": first.versions.get("opto-gym", ""),
    }
    return template.render(
        title=title,
        sections=sections,
        notes=[*damage_notes(damaged or {}), *notes(trials)],
        spent=spent_table(trials),
        spent_columns=SPENT_COLUMNS,
        facts=facts,
        number=number,
        trials=trials,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """The section of the page on one environment.

    Attributes:
        env: The environment.
        objective: The objective in words; empty if no trial recorded it.
        anchors: The dated scores that the environment declares; None if there are none.
        test_split: Says which test split the scores are on.
        start: Score of the start values on test; None if it is unknown.
        columns: The names of the table's columns.
        rows: The rows of the table, each with the text of its cells.
        curves: The figures of anytime curves, as SVG text.
        best: The trial with the best recommended parameters; None if no trial recommended any.
    """

    env: str
    objective: str
    anchors: Anchors | None
    test_split: str
    start: float | None
    columns: list[str]
    rows: list[tuple[ResultRow, list[str]]]
    curves: list[str]
    best: TrialData | None


def _section(env: str, trials: Sequence[TrialData], made: list[ResultRow]) -> Section:
    env_trials = [t for t in trials if t.env == env]
    cells = columns(made)
    summary = next((t.summary for t in env_trials if t.summary), None)
    uses_tokens = any(tokens > 0 for t in env_trials for tokens, _ in t.anytime("current", "tokens"))
    axes = ["calls", "tokens"] if uses_tokens else ["calls"]
    scored = any(t.anytime("current", "calls") for t in env_trials)
    return Section(
        env=env,
        objective=summary.problem.objective if summary else "",
        anchors=summary.anchors if summary else None,
        test_split=test_split(env_trials[0]),
        start=next((t.start for t in env_trials if t.start is not None), None),
        columns=list(cells),
        rows=[(row, [cell(row) for cell in cells.values()]) for row in made],
        curves=[drawn for over in axes if (drawn := _curves(trials, env, over))] if scored else [],
        best=_best(made),
    )


def _curves(trials: Sequence[TrialData], env: str, over: str) -> str:
    """The figure of anytime curves as SVG text; "" if an axis can't show the scores, such as -1e308 and 1e308."""
    try:
        return svg(figure(trials, env, over))
    except (ValueError, OverflowError):
        return ""


def test_split(trial: TrialData) -> str:
    """Says in a sentence which test split a trial is scored on."""
    seed = trial.record.spec.env_arguments.get("test_seed")
    if seed is None:
        return "Test is the published split."
    return f"Test is a split drawn by the test seed {seed}; best known scores refer to the published one."


def sandboxes(forces: Iterable[SandboxRecord]) -> str:
    """Describes the protections of the sandbox in words; several trials with the same ones are described once.

    Args:
        forces: The records of the trials' sandboxes.
    """
    texts = []
    for force in forces:
        protections = [
            "system-call filter" if force.seccomp else "",
            f"Landlock ABI {force.landlock_abi}" if force.landlock_abi else "",
            "namespaces" if force.namespaces else "",
            "another user" if force.uid_dropped else "",
        ]
        missing = f"; missing: {', '.join(force.missing)}" if force.missing else ""
        texts.append(f"{force.level} ({', '.join(filter(None, protections)) or 'limits only'}{missing})")
    return "; ".join(dict.fromkeys(texts))


def _best(made: list[ResultRow]) -> TrialData | None:
    """The trial whose recommended parameters have the best score on test; None if no trial has a score."""
    candidates: list[tuple[float, str, TrialData]] = []
    for t in (t for row in made for t in row.trials):
        final = t.final()
        if t.summary and final is not None and t.summary.recommended:
            worst, best = t.summary.problem.scores
            candidates.append((final if best > worst else -final, t.name, t))
    return max(candidates, key=lambda c: c[0])[2] if candidates else None
