"""The results of reproductions: figures, tables of verdicts, and the docs' page, all computed from recorded trials."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...baselines import recipes
from ...baselines.recipes import Curve, Recipe
from ...errors import RecordError
from ...utils.text import one_line, printable, visible, write_text
from ..reproduction import Measured, PublishedPoint, measure, needs_model, standard_error
from .figure import COLORS, svg
from .page import notes, number, sandboxes

RULE = """\
A published value *agrees* if chance explains its distance from the measured mean. The allowed distance is the
root of the sum of two squares, plus the accuracy to which the value can be read. The two are the distance from the
measured mean to the end of its 95 % interval on that side, and 1.96 published standard errors. Without a published
standard error, the value has to lie inside the measured interval. That interval is the percentile bootstrap of the mean
over the trials: it is not symmetric where a few trials are far from the others, and somewhat too narrow for few trials.
Otherwise the value *differs*: the table shows by how much, and by how many standard errors, with the published and the
measured error combined."""
"""The explanation of the verdicts on the docs' page."""

PUBLISHED: dict[str, Any] = {"ls": "--", "lw": 1, "marker": "o", "ms": 4, "mfc": "white"}
"""The style of published values in the figure."""


def table(found: Sequence[Measured], recipe: Recipe) -> tuple[list[str], list[list[str]]]:
    """The column names of the table of verdicts, and its rows, as text."""
    head = ["curve", "call", "published", "measured", "95 % interval", "verdict"]
    if recipe.also:
        head.insert(5, recipe.also)
    rows = []
    for m in found:
        for row in m.rows:
            cells = [m.label, str(row.call), _published(row), number(row.mean), _interval(row), row.verdict]
            if recipe.also:
                cells.insert(5, number(None if row.also is None or np.isnan(row.also) else row.also))
            rows.append(cells)
    return head, rows


def _published(row: PublishedPoint) -> str:
    if row.published is None:
        return "-"
    return f"{row.published:g}" + ("" if row.published_se is None else f" (se {row.published_se:g})")


def _interval(row: PublishedPoint) -> str:
    return "-" if row.interval is None else f"{number(row.interval[0])} to {number(row.interval[1])}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Formats a table in Markdown.

    Args:
        head: The column names.
        rows: The rows, with as many cells as there are columns.
    """
    lines = [" | ".join(cell.replace("|", r"\|") for cell in line) for line in (head, ["---"] * len(head), *rows)]
    return "".join(f"| {line} |\n" for line in lines)


def figure(found: Sequence[Measured], recipe: Recipe) -> str:
    """The figure of a reproduction as SVG text: the measured curves and the published ones.

    Args:
        found: The measured curves, at least one.
        recipe: The recipe that they belong to.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    picture = Figure(figsize=(7.2, 4.4), layout="constrained")
    ax = picture.subplots()
    entries = _draw_curves(ax, found, recipe)
    if recipe.log:
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0)
    ax.set_xlabel(recipe.x)
    ax.set_ylabel(recipe.y)
    ax.set_title(recipe.title, fontsize=10)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", alpha=0.25)
    legend = picture.legend(handles=entries, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a model's name may hold dollar signs
    return svg(picture)


def _draw_curves(ax: Any, found: Sequence[Measured], recipe: Recipe) -> list[Any]:
    """Draws all curves of a recipe, measured and published, and returns the entries of the legend."""
    curves_over_calls = [c for c in recipe.curves if not c.level]
    measured_ends = [m.curve.oracle_calls for m in found if not m.curve.level]
    last_call = max(measured_ends + [p[0] for c in curves_over_calls for p in c.published], default=1)
    colors, entries = iter(itertools.cycle(COLORS)), list[Any]()
    for curve in recipe.curves:
        measured = [m for m in found if m.curve.name == curve.name]
        if not (measured or curve.published):
            continue
        curve_colors = [next(colors) for _ in measured or (None,)]
        for m, color in zip(measured, curve_colors, strict=False):
            _draw_measured(ax, m, last_call, color)
            entries.append(_legend_entry(m.label, color, lw=2))
        if curve.published:
            if not measured:
                entries.append(_legend_entry(f"{curve.name}, published", curve_colors[0], **PUBLISHED))
            _draw_published(ax, curve, last_call, curve_colors[0])
    entries.append(_legend_entry("measured (band: standard error)", lw=2))
    entries.append(_legend_entry("published (bar: standard error)", **PUBLISHED))
    if recipe.also and not all(m.curve.level for m in found):
        entries.append(_legend_entry(f"measured, {recipe.also}", lw=1, ls=":"))
    return entries


def _legend_entry(label: str, color: str = "#555555", **style: Any) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=color, label=one_line(printable(label)), **style)


def _draw_published(ax: Any, curve: Curve, last_call: float, color: str) -> None:
    """Draws a curve's published values with their standard errors; those of a level stand at the last call."""
    points = [(last_call if curve.level else x, y, se or 0.0) for x, y, se in curve.published]
    x, mean, error = zip(*points, strict=True)
    ax.errorbar(x, mean, error, color=color, capsize=2, **PUBLISHED)


def _draw_measured(ax: Any, m: Measured, last_call: float, color: str) -> None:
    """Draws a measured curve with the band of its standard error; a level is a horizontal line to the last call."""
    columns = [v[np.isfinite(v)] for v in m.values.T]
    mean = np.array([c.mean() if len(c) else np.nan for c in columns])
    error = np.array([standard_error(c) for c in columns])
    x = m.x
    if m.curve.level:
        x, mean, error = np.array([0.0, last_call]), np.repeat(mean[-1], 2), np.repeat(error[-1], 2)
    elif m.also is not None:
        ax.plot(x, m.also, color=color, lw=1, ls=":")
    ax.plot(x, mean, color=color, lw=2)
    ax.fill_between(x, mean - error, mean + error, color=color, alpha=0.15, lw=0)


def report(recipe: Recipe, size: str, out: Path) -> tuple[Path, ...]:
    """Prints a reproduction's table, and writes ``figure.svg`` and ``table.md`` into the folder of its records.

    Args:
        recipe: The recipe.
        size: The recipe's size that was run: ``smoke`` or ``paper``.
        out: The folder of all reproductions.

    Returns:
        The paths of the two files; an empty tuple if no trial has results.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = measure(recipe, size, out)
    if not found:
        return ()
    head, rows = table(found, recipe)
    shown = Table(*head, title=recipe.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for row in rows:
        shown.add_row(*(Text(visible(cell)) for cell in row))
    console = Console()
    console = console if console.is_terminal else Console(width=160)  # wide enough that a file has every column in full
    console.print(shown)
    for note in notes([t for m in found for t in m.trials]):
        console.print(Text(visible(note)))
    folder = out / recipe.name / size
    picture, text = folder / "figure.svg", folder / "table.md"
    try:
        write_text(picture, figure(found, recipe))
        write_text(text, f"{recipe.title}\n\n{markdown(head, rows)}")
    except OSError as e:
        raise RecordError(f"{picture} can't be written: {e.strerror or e}") from e
    return picture, text


def docs(out: Path, page: Path) -> None:
    """Writes the docs' page on all reproductions at the paper's scale, and their figures into the page's folder.

    Only curves whose trials are all recorded are shown.

    Args:
        out: The folder of all reproductions.
        page: The path of the page, such as ``docs/reproduction.md``; the figures go to ``docs/reproduction/``.

    Raises:
        RecordError: If no curve is complete. The existing page is not changed then.
    """
    found = [
        (recipe, [m for m in measure(recipe, "paper", out) if len(m.trials) == m.wanted])
        for recipe in map(recipes.load, recipes.names())
    ]
    if not any(measured for _, measured in found):
        raise RecordError(
            f"expected {out} to be the folder of reproductions, with at least one complete curve at the paper's scale, "
            "got none: run opto-gym reproduce first"
        )
    sections = [_section(recipe, measured, page) for recipe, measured in found]
    page.write_text(f"{HEAD}\n{RULE}\n\n" + "\n".join(sections), encoding="utf-8")


HEAD = """\
# Reproductions

Reproductions of published figures. `opto-gym reproduce --docs docs/reproduction.md` computes this page from the trials'
records; no number in its tables was written by hand. To run one yourself:

```console
opto-gym reproduce list
opto-gym reproduce figure-5a --dry-run
opto-gym reproduce figure-5a
```

A recipe is a short file in `opto_gym/baselines/recipes`: environments, agents, seeds, budget, statistic, the published
values with their source, and the known differences. `--size smoke` tries a recipe in seconds, without verdicts. The
same command continues an interrupted reproduction. Curves that need a language model run only if one is given:
`--model NAME`, with `--base-url` or `OPENAI_BASE_URL`.
"""


def _section(recipe: Recipe, found: Sequence[Measured], page: Path) -> str:
    parts = [f"## {recipe.title}", f"Source: {recipe.source}. {recipe.reading}"]
    if found:
        folder = page.with_suffix("")
        folder.mkdir(exist_ok=True)
        (folder / f"{recipe.name}.svg").write_text(figure(found, recipe), encoding="utf-8")
        parts += [f"![{recipe.title}]({folder.name}/{recipe.name}.svg)", markdown(*table(found, recipe)).rstrip()]
        parts += [_facts(found), *notes([t for m in found for t in m.trials])]
    shown = {m.curve.name for m in found}
    for with_model, option in ((False, ""), (True, " --model NAME")):
        missing = [c.name for c in recipe.curves if c.name not in shown and needs_model(c) == with_model]
        if missing:
            command = f"`opto-gym reproduce {recipe.name}{option}`"
            parts.append(f"Not run at the paper's scale yet ({command}): {'; '.join(missing)}.")
    known = "\n".join(f"- {difference}" for difference in recipe.differences)
    parts.append(f"Known differences, and what explains the verdicts:\n\n{known}")
    return "\n\n".join(parts) + "\n"


def _facts(found: Sequence[Measured]) -> str:
    """One sentence on the trials of the curves: number, duration, date, versions, systems and sandboxes."""
    trials = {t.name: t.record for m in found for t in m.trials}
    last = datetime.datetime.fromtimestamp(max(t.started for t in trials.values()), datetime.UTC)
    where = [t.where for t in trials.values()]
    versions = {k: v for w in where for k, v in w.versions.items()}
    facts = {
        "Trials": f"{len(trials)}, {sum(t.seconds for t in trials.values()):,.0f} s in all",
        "Run": f"{last:%Y-%m-%d}",
        "Versions": ", ".join(f"{k} {v}" for k, v in versions.items()),
        "System": "; ".join(dict.fromkeys(f"{w.system}, Python {w.python}" for w in where)),
        "Sandbox": sandboxes(w.sandbox for w in where),
    }
    return "; ".join(f"{k}: {v}" for k, v in facts.items()) + "."
