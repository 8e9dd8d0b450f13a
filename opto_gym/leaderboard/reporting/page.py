"""The report of a run: a table in the terminal, one HTML page beside the trials. Computed from the folders alone."""

from __future__ import annotations

import dataclasses
import functools
import io
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import RecordError
from ...problems import normalized
from ..records import RunFolder, TrialFolder
from ..stats import Summary, curve, summarize

SMALL_MODEL = (
    "The embedded model (SmolLM2, 135 million parameters) is small: these figures show that all works, not how good "
    "the optimizers are."
)
COLORS = ("#2c6e9b", "#d1495b", "#3d8b57", "#8a5fb0", "#c98a1b", "#2a9d8f", "#6b7280", "#b5548c")


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


COLUMNS: dict[str, Callable[[Row], str]] = {
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
    "USD": lambda r: "unknown" if r.ledger("usd") is None else f"{r.ledger('usd'):,.2f}",
    "invalid": lambda r: f"{r.total('invalid'):,.0f}",
}
"""The table's columns. Scores are of the recommended parameters on test; counts are sums over the trials."""


def columns(made: Sequence[Row]) -> dict[str, Callable[[Row], str]]:
    """Those of one environment's table: also what it measures itself, as means over the trials."""

    def cell(name: str, row: Row) -> str:
        known = [x for t in row.trials if (x := t.summary.get("measures", {}).get(name)) is not None]
        return number(statistics.fmean(known)) if known else "-"

    names = sorted({name for r in made for t in r.trials for name in t.summary.get("measures", {})})
    return COLUMNS | {name.replace("_", " "): functools.partial(cell, name) for name in names}


def number(x: float | None) -> str:
    """A figure with three digits that count."""
    if x is None:
        return "-"
    return f"{x:.3f}" if abs(x) < 10 else f"{x:,.1f}" if abs(x) < 10_000 else f"{x:.3g}"


def report(run: str | Path) -> Path:
    """Prints the table and writes ``report.html`` into the run's folder; gives its path."""
    from rich.console import Console

    trials = load(run)
    made = rows(trials)
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # nothing is cut off in a file
    for env in dict.fromkeys(r.env for r in made):
        console.print(_table(env, [r for r in made if r.env == env]))
    for note in notes(trials):
        console.print(note, highlight=False)
    page = Path(run) / "report.html"
    page.write_text(html(Path(run).resolve().name, trials))
    return page


def _table(env: str, made: list[Row]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table("agent", title=Text(env), title_justify="left", title_style="bold", box=None, pad_edge=False)
    cells = columns(made)
    for name in cells:
        table.add_column(name, justify="right", no_wrap=True)
    for row in made:
        table.add_row(Text(row.agent), *(cell(row) for cell in cells.values()))
    return table


def notes(trials: Sequence[TrialData]) -> list[str]:
    """What a reader has to know."""
    said = []
    if any(
        t.data["spec"]["optimizer_model"] in (None, "local") and t.data["identity"]["models"]["optimizer"]
        for t in trials
    ):
        said.append(SMALL_MODEL)
    failed = [t.name for t in trials if t.data["status"] == "failed"]
    if failed:
        said.append(f"Failed, and scored as the start values: {', '.join(failed)}.")
    for t in trials:
        if t.lost:
            calls = [t.lost["ledger"][role] for role in ("optimizer", "task")]
            asked, tokens = sum(c["calls"] for c in calls), sum(c["tokens_in"] + c["tokens_out"] for c in calls)
            said.append(
                f"{t.name} started again {t.lost['tries']} times: its agent can't go on from a record. Of what it "
                f"spent, {t.lost['evaluations']:,} evaluations, {asked:,} LLM calls and {tokens:,} tokens are lost."
            )
    running = [t.name for t in trials if t.data["status"] == "running"]
    if running:
        said.append(f"Not finished, and not counted: {', '.join(running)}.")
    return said


def figure(trials: Sequence[TrialData], env: str, over: str = "calls") -> Any:
    """The anytime curves of an environment's agents as a matplotlib figure: current parameters, and recommended."""
    from matplotlib.figure import Figure

    mine = [t for t in trials if t.env == env]
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots(1, 2, sharey=True)
    everyone = sorted({t.agent for t in trials})  # an agent has one colour in all of a run's pictures
    agents = [a for a in everyone if any(t.agent == a for t in mine)]
    for ax, which in zip(axes, ("current", "recommended"), strict=True):
        ax.patch.set_alpha(0)
        for agent in agents:
            color = COLORS[everyone.index(agent) % len(COLORS)]
            points = [t.anytime(which, over) for t in mine if t.agent == agent]
            if not any(points):
                continue
            x, mean, low, high = curve(points)
            if over == "tokens" and x.max() == 0:  # no model at work
                ax.axhline(mean[-1], color=color, lw=1.4, ls=":", label=agent)
                continue
            ax.step(x, mean, where="post", color=color, lw=2, label=agent)
            ax.fill_between(x, low, high, step="post", color=color, alpha=0.13, lw=0)
        ax.set_title(f"{which} parameters", fontsize=10)
        ax.set_xlabel("oracle calls" if over == "calls" else "tokens")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", alpha=0.25)
    scale = next((t.summary.get("scale") for t in mine if t.summary), "linear")
    if scale == "log":
        axes[0].set_yscale("symlog", linthresh=0.01)
    axes[0].set_ylabel("score on test")
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        columns = max(1, min(6, 120 // (max(map(len, labels)) + 8)))
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    return figure


def svg(figure: Any) -> str:
    """A figure as SVG text for a page: the same each time, its ink the page's."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "opto_gym", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = re.sub(
        r'<svg [^>]*?(viewBox="[^"]*")[^>]*>',
        r'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" \1 role="img">',
        text[text.index("<svg") :],
    )
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"(fill|stroke): ?#000000", r"\1: currentColor", text)
    return re.sub(r'<text style="', '<text fill="currentColor" style="', text)


def html(title: str, trials: Sequence[TrialData]) -> str:
    """The page."""
    import jinja2

    loader = jinja2.PackageLoader("opto_gym.leaderboard")
    template = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(
        "report.html.j2"
    )
    made = rows(trials)
    sections = []
    for env in dict.fromkeys(r.env for r in made):
        mine, rows_here = [t for t in trials if t.env == env], [r for r in made if r.env == env]
        cells = columns(rows_here)
        summary = next((t.summary for t in mine if t.summary), {})
        with_tokens = any(p[0] > 0 for t in mine for p in t.anytime("current", "tokens"))
        scored = any(t.anytime("current", "calls") for t in mine)
        sections.append(
            {
                "env": env,
                "objective": summary.get("problem", {}).get("objective", ""),
                "anchors": summary.get("anchors"),
                "start": next((t.start for t in mine if t.start is not None), None),
                "columns": list(cells),
                "rows": [(r, [cell(r) for cell in cells.values()]) for r in rows_here],
                "curves": [svg(figure(trials, env, o)) for o in ("calls", "tokens")[: 1 + with_tokens]]
                if scored
                else [],
                "best": _best(rows_here),
            }
        )
    first = trials[0].data
    budgets = [
        ", ".join(f"{v:g} {k.replace('_', ' ')}" for k, v in t.data["limits"].items() if v is not None) for t in trials
    ]
    with_model = [t.data["spec"] for t in trials if t.data["identity"]["models"]["optimizer"]]
    facts = {
        "Trials": f"{len(trials)}",
        "Budget of a trial": "; ".join(dict.fromkeys(budgets)),
        "Models": ", ".join(sorted({str(s["optimizer_model"] or "local") for s in with_model})) or "none",
        "Sandbox": sandboxes([t.data["where"]["sandbox"] for t in trials]),
        "Python": first["where"]["python"],
        "System": first["where"]["system"],
        "opto_gym": first["where"]["versions"].get("opto-gym", ""),
    }
    return template.render(
        title=title,
        sections=sections,
        notes=notes(trials),
        facts=facts,
        number=number,
        trials=trials,
    )


def sandboxes(forces: Iterable[Mapping[str, Any]]) -> str:
    """What was in force around candidates' code, where more than once each kind of it."""
    said = []
    for force in forces:
        walls = [
            "system-call filter" if force["seccomp"] else "",
            f"Landlock ABI {force['landlock_abi']}" if force["landlock_abi"] else "",
            "namespaces" if force["namespaces"] else "",
            "another user" if force["uid_dropped"] else "",
        ]
        missing = f"; missing: {', '.join(force['missing'])}" if force["missing"] else ""
        said.append(f"{force['level']} ({', '.join(filter(None, walls)) or 'limits only'}{missing})")
    return "; ".join(dict.fromkeys(said))


def _best(made: list[Row]) -> dict[str, Any] | None:
    """The best recommended parameters of the environment, and whose they are."""
    found: list[tuple[float, str, TrialData]] = []
    for row in made:
        for t in row.trials:
            scores, final = (t.summary.get("problem") or {}).get("scores"), t.final()
            if scores and final is not None and t.summary.get("recommended"):
                found.append((final if scores[1] > scores[0] else -final, t.name, t))
    if not found:
        return None
    best = max(found, key=lambda f: f[0])[2]
    return {"trial": best.name, "agent": best.agent, "score": best.final(), "parameters": best.summary["recommended"]}
