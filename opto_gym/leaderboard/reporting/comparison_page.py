"""A comparison as a table in the terminal, a picture and a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..stats import MOST, Answer
from .figure import COLORS, svg
from .page import number

if TYPE_CHECKING:
    from ..comparison import Comparison


SHADES = {"better": COLORS[2], "worse": COLORS[1], "cannot tell yet": COLORS[6]}


def verdict(answer: Answer, usd: float | None) -> str:
    """A verdict in words; where it is open, with about how many more seeds, and money, an answer takes."""
    if answer.verdict != "cannot tell yet":
        return answer.verdict
    if answer.more is None:
        return f"{answer.verdict}; more than {MOST:,} more seeds"
    said = f"{answer.verdict}; {'about' if answer.solid else 'at least'} {count_of(answer.more, 'more seed')}"
    return said + (f", about ${answer.more * usd:,.2f}" if usd else "")


def count_of(n: int, what: str) -> str:
    """A number of things in words."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def interval_text(a: Answer) -> str:
    """The interval of a difference in words."""
    level = f"{100 * (1 - a.level):.3g} % interval"
    return f"too few pairs for a {level}" if a.low is None else f"{level} {number(a.low)} to {number(a.high)}"


def chance_text(a: Answer) -> str:
    """The probability of improvement with its interval."""
    return f"{a.improvement:.2f} ({a.chance[0]:.2f} to {a.chance[1]:.2f})"


def table(found: Comparison) -> tuple[list[str], list[list[str]]]:
    """The table's head and its rows, as text."""
    head = ["environment", "verdict", "pairs", found.agent, found.against, "difference", "interval", "p (level)"]
    head += ["P(improvement)", "evaluations", "tokens"]
    lines = []
    for r in found.rows:
        means = [number(float(x.mean())) for x in r.scores]
        spent = [" / ".join(f"{x:,.0f}" for x in r.spent(name)) for name in ("evaluations", "tokens")]
        env = r.env if r.normalized else f"{r.env} (own score)"
        lines.append([env, verdict(r.answer, r.usd), str(r.answer.n), *means, *_evidence(r.answer), *spent])
    if found.overall is not None and len(found.rows) > 1:
        means = [number(float(np.mean([r.scores[i].mean() for r in found.rows if r.normalized]))) for i in (0, 1)]
        said = verdict(found.overall, found.usd)
        lines.append(["over all", said, str(found.overall.n), *means, *_evidence(found.overall), "", ""])
    return head, lines


def _evidence(a: Answer) -> list[str]:
    interval = "-" if a.low is None else f"{number(a.low)} to {number(a.high)}"
    return [number(a.difference), interval, f"{a.p:.2g} ({a.level:.2g})", chance_text(a)]


def show(found: Comparison) -> None:
    """Prints table, paragraph and notes."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console = console if console.is_terminal else Console(width=240)  # nothing is cut off in a file
    head, lines = table(found)
    shown = Table(box=None, pad_edge=False)
    for name in head:
        shown.add_column(Text(name))
    for line in lines:
        shown.add_row(*map(Text, line))
    console.print(shown)
    for said in ("", found.text(), *found.notes()):
        console.print(Text(said))


def figure(found: Comparison) -> str:
    """Each pair's difference, their mean and interval, and the probability of improvement, as SVG text."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    relative = found.overall is not None
    bars = [(r.env, r.answer, r.scores[0] - r.scores[1], r.normalized == relative) for r in found.rows]
    if found.overall is not None and len(found.rows) > 1:
        bars.append(("over all", found.overall, np.array([]), True))
    picture = Figure(figsize=(9, 1.3 + 0.42 * len(bars)), layout="constrained")
    picture.patch.set_alpha(0)
    left, right = picture.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    for y, (_, a, dots, shown) in enumerate(bars):
        color = SHADES[a.verdict]
        if shown:
            left.plot(dots, np.full(len(dots), y), "o", color=color, ms=4, alpha=0.35, mew=0)
            left.plot(a.difference, y, "D", color=color, ms=6)
            if a.low is not None:
                left.plot([a.low, a.high], [y, y], color=color, lw=2)
        right.plot(a.improvement, y, "D", color=color, ms=6)
        right.plot(a.chance, [y, y], color=color, lw=2)
    left.set_yticks(range(len(bars)), [name for name, *_ in bars])
    left.set_ylim(len(bars) - 0.5, -0.5)
    left.set_xlabel(f"difference of {'normalized ' if relative else ''}scores")
    right.set_xlabel("probability of improvement")
    right.set_xlim(-0.03, 1.03)
    for ax, none in ((left, 0), (right, 0.5)):
        ax.patch.set_alpha(0)
        ax.axvline(none, color="#888888", lw=1, ls=":", zorder=0)
        ax.spines[["top", "right"]].set_visible(False)
    left.xaxis.set_major_locator(MaxNLocator(6))
    return svg(picture)


def html(found: Comparison, drawn: str) -> str:
    """The page."""
    import jinja2

    loader = jinja2.PackageLoader("opto_gym.leaderboard")
    made = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    head, lines = table(found)
    trials = [t for r in found.rows for t in (*r.ours, *r.theirs)]
    budgets = [str(t.record.limits) for t in trials]
    models = {m for t in trials for m in (t.record.spec.optimizer_model, t.record.spec.task_model) if m}
    facts = {
        "Trials": f"{len(trials)}",
        "Seeds": "; ".join(dict.fromkeys(", ".join(str(t.record.spec.seed) for t in r.ours) for r in found.rows)),
        "Budget of a trial": "; ".join(dict.fromkeys(budgets)),
        "Models": ", ".join(sorted(models)) or "none",
        "System": trials[0].record.where.system,
        "opto_gym": trials[0].record.where.versions.get("opto-gym", ""),
    }
    return made.get_template("compare.html.j2").render(found=found, head=head, lines=lines, figure=drawn, facts=facts)
