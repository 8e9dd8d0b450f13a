"""What a reproduction ends in: the figure, the table of verdicts, and the docs' page, from the records alone."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...baselines import recipes
from ...baselines.recipes import Recipe
from ...errors import RecordError
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


PUBLISHED: dict[str, Any] = {"ls": "--", "lw": 1, "marker": "o", "ms": 4, "mfc": "white"}


def table(found: Sequence[Measured], recipe: Recipe) -> tuple[list[str], list[list[str]]]:
    """The table's head and its rows, as text."""
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
    """A table in Markdown."""
    lines = [" | ".join(cell.replace("|", r"\|") for cell in line) for line in (head, ["---"] * len(head), *rows)]
    return "".join(f"| {line} |\n" for line in lines)


def figure(found: Sequence[Measured], recipe: Recipe) -> str:
    """The paper's figure with our curves beside the published ones, as SVG text."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    picture = Figure(figsize=(7.2, 4.4), layout="constrained")
    ax = picture.subplots()
    lines = [c for c in recipe.curves if not c.level]
    ends = [m.curve.oracle_calls for m in found if not m.curve.level] + [p[0] for c in lines for p in c.published]
    end = max(ends, default=1)
    colors, handles = iter(itertools.cycle(COLORS)), list[Any]()

    def named(label: str, color: str = "#555555", **style: Any) -> None:
        handles.append(Line2D([], [], color=color, label=label, **style))

    for curve in recipe.curves:
        mine = [m for m in found if m.curve.name == curve.name]
        if not (mine or curve.published):
            continue
        shades = [next(colors) for _ in mine or (None,)]
        for m, color in zip(mine, shades, strict=False):
            _draw(ax, m, end, color)
            named(m.label, color, lw=2)
        if curve.published:
            if not mine:
                named(f"{curve.name}, published", shades[0], **PUBLISHED)
            at, value, bar = zip(
                *((end if curve.level else x, y, se or 0.0) for x, y, se in curve.published), strict=True
            )
            ax.errorbar(at, value, bar, color=shades[0], capsize=2, **PUBLISHED)
    named("measured (band: standard error)", lw=2)
    named("published (bar: standard error)", **PUBLISHED)
    if recipe.also and not all(m.curve.level for m in found):
        named(f"measured, {recipe.also}", lw=1, ls=":")
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
    picture.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return svg(picture)


def _draw(ax: Any, m: Measured, end: int, color: str) -> None:
    """A measured curve; a level goes across, to the figure's `end`."""
    columns = [v[np.isfinite(v)] for v in m.values.T]
    mean = np.array([c.mean() if len(c) else np.nan for c in columns])
    error = np.array([standard_error(c) for c in columns])
    x = m.x
    if m.curve.level:
        x, mean, error = np.array([0.0, end]), np.repeat(mean[-1], 2), np.repeat(error[-1], 2)
    elif m.also is not None:
        ax.plot(x, m.also, color=color, lw=1, ls=":")
    ax.plot(x, mean, color=color, lw=2)
    ax.fill_between(x, mean - error, mean + error, color=color, alpha=0.15, lw=0)


def report(recipe: Recipe, size: str, out: Path) -> tuple[Path, ...]:
    """Prints the table, and writes ``figure.svg`` and ``table.md`` beside a recipe's records; gives their paths.

    Without any records, where all curves were skipped or all trials failed, it does nothing and gives ().
    """
    from rich.console import Console
    from rich.table import Table

    found = measure(recipe, size, out)
    if not found:
        return ()
    head, rows = table(found, recipe)
    shown = Table(*head, title=recipe.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for row in rows:
        shown.add_row(*row)
    console = Console()
    console = console if console.is_terminal else Console(width=160)  # nothing is cut off in a file
    console.print(shown)
    for note in notes([t for m in found for t in m.trials]):
        console.print(note, highlight=False)
    folder = out / recipe.name / size
    picture, text = folder / "figure.svg", folder / "table.md"
    picture.write_text(figure(found, recipe), encoding="utf-8")
    text.write_text(f"{recipe.title}\n\n{markdown(head, rows)}", encoding="utf-8")
    return picture, text


def docs(out: Path, page: Path) -> None:
    """Writes the docs' page, and its figures into the folder of the page's name, from the records at the paper's scale.

    Args:
        out: The folder of all reproductions.
        page: The page, such as ``docs/reproduction.md``.

    Raises:
        RecordError: If there is no curve whose trials are all recorded: the page would lose what it has.
    """
    found = [
        (recipe, [m for m in measure(recipe, "paper", out) if len(m.trials) == m.wanted])
        for recipe in map(recipes.load, recipes.names())
    ]
    if not any(measured for _, measured in found):
        raise RecordError(f"{out} holds no complete curve at the paper's scale: expected the folder of reproductions")
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
    known = "\n".join(f"- {said}" for said in recipe.differences)
    parts.append(f"Known differences, and what explains the verdicts:\n\n{known}")
    return "\n\n".join(parts) + "\n"


def _facts(found: Sequence[Measured]) -> str:
    """When and where the trials ran, and how long."""
    trials = {t.name: t.record for m in found for t in m.trials}
    last = datetime.datetime.fromtimestamp(max(t.started for t in trials.values()), datetime.UTC)
    where = [t.where for t in trials.values()]
    versions = {k: v for w in where for k, v in w.versions.items()}
    said = {
        "Trials": f"{len(trials)}, {sum(t.seconds for t in trials.values()):,.0f} s in all",
        "Run": f"{last:%Y-%m-%d}",
        "Versions": ", ".join(f"{k} {v}" for k, v in versions.items()),
        "System": "; ".join(dict.fromkeys(f"{w.system}, Python {w.python}" for w in where)),
        "Sandbox": sandboxes(w.sandbox for w in where),
    }
    return "; ".join(f"{k}: {v}" for k, v in said.items()) + "."
