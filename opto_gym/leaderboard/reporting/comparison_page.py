"""Shows a comparison of two optimizers as a table in the terminal, a figure, and an HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...utils.text import one_line, printable, visible
from ..stats import MOST, Answer
from .figure import COLORS, svg
from .page import number

if TYPE_CHECKING:
    from ..comparison import Comparison


VERDICT_COLORS = {"better": COLORS[2], "worse": COLORS[1], "cannot tell yet": COLORS[6]}
"""The colors of the verdicts in the figure."""


def verdict(answer: Answer, usd: float | None) -> str:
    """A verdict in words; if it is open, with the expected number of further seeds, and their cost.

    Args:
        answer: The answer.
        usd: Expected cost of one further seed in US dollars; None if a price is unknown.
    """
    if answer.verdict != "cannot tell yet":
        return answer.verdict
    if answer.more is None:
        return f"{answer.verdict}; more than {MOST:,} more seeds"
    text = f"{answer.verdict}; {'about' if answer.solid else 'at least'} {count_of(answer.more, 'more seed')}"
    return text + (f", about ${answer.more * usd:,.2f}" if usd else "")


def count_of(n: int, noun: str) -> str:
    """A number with its noun, such as ``1 pair`` or ``2 pairs``.

    Args:
        n: The number.
        noun: The noun in the singular; its plural must end in "s".
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def interval_text(a: Answer) -> str:
    """The interval of the difference in words, with its coverage."""
    level = f"{100 * (1 - a.level):.3g} % interval"
    return f"too few pairs for a {level}" if a.low is None else f"{level} {number(a.low)} to {number(a.high)}"


def chance_text(a: Answer) -> str:
    """The probability of improvement with its interval, such as ``0.80 (0.45 to 0.95)``."""
    return f"{a.improvement:.2f} ({a.chance[0]:.2f} to {a.chance[1]:.2f})"


def table(found: Comparison) -> tuple[list[str], list[list[str]]]:
    """The column names of the comparison's table, and its rows, as text."""
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
        overall = verdict(found.overall, found.usd)
        lines.append(["over all", overall, str(found.overall.n), *means, *_evidence(found.overall), "", ""])
    return head, lines


def _evidence(a: Answer) -> list[str]:
    interval = "-" if a.low is None else f"{number(a.low)} to {number(a.high)}"
    return [number(a.difference), interval, f"{a.p:.2g} ({a.level:.2g})", chance_text(a)]


def show(found: Comparison) -> None:
    """Prints the table, the result as text, and the notes."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console = console if console.is_terminal else Console(width=240)  # wide enough that a file has every column in full
    head, lines = table(found)
    shown = Table(box=None, pad_edge=False)
    for name in head:
        shown.add_column(Text(visible(name)))
    for line in lines:
        shown.add_row(*(Text(visible(cell)) for cell in line))
    console.print(shown)
    for paragraph in ("", found.text(), *found.notes()):
        console.print(Text(visible(paragraph)))


def figure(found: Comparison) -> str:
    """The figure of a comparison as SVG text.

    On the left, it shows for each environment the difference of each pair of trials, and their mean with its interval;
    on the right, the probability of improvement with its interval. If some environments have normalized scores, the
    left side leaves out the others.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    use_normalized = found.overall is not None
    bars = [(r.env, r.answer, r.scores[0] - r.scores[1], r.normalized == use_normalized) for r in found.rows]
    if found.overall is not None and len(found.rows) > 1:
        bars.append(("over all", found.overall, np.array([]), True))
    picture = Figure(figsize=(9, 1.3 + 0.42 * len(bars)), layout="constrained")
    picture.patch.set_alpha(0)
    left, right = picture.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    for y, (_, a, differences, on_left) in enumerate(bars):
        color = VERDICT_COLORS[a.verdict]
        if on_left:
            left.plot(differences, np.full(len(differences), y), "o", color=color, ms=4, alpha=0.35, mew=0)
            left.plot(a.difference, y, "D", color=color, ms=6)
            if a.low is not None:
                left.plot([a.low, a.high], [y, y], color=color, lw=2)
        right.plot(a.improvement, y, "D", color=color, ms=6)
        right.plot(a.chance, [y, y], color=color, lw=2)
    left.set_yticks(range(len(bars)), [one_line(printable(name)) for name, *_ in bars], parse_math=False)
    left.set_ylim(len(bars) - 0.5, -0.5)
    left.set_xlabel(f"difference of {'normalized ' if use_normalized else ''}scores")
    right.set_xlabel("probability of improvement")
    right.set_xlim(-0.03, 1.03)
    for ax, no_difference in ((left, 0), (right, 0.5)):
        ax.patch.set_alpha(0)
        ax.axvline(no_difference, color="#888888", lw=1, ls=":", zorder=0)
        ax.spines[["top", "right"]].set_visible(False)
    left.xaxis.set_major_locator(MaxNLocator(6))
    return svg(picture)


def html(found: Comparison, drawn: str) -> str:
    """The HTML page of a comparison.

    Args:
        found: The comparison.
        drawn: Its figure, as `figure` returns it.
    """
    import jinja2

    loader = jinja2.PackageLoader("opto_gym.leaderboard")
    templates = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
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
    return templates.get_template("compare.html.j2").render(
        found=found, head=head, lines=lines, figure=drawn, facts=facts
    )
