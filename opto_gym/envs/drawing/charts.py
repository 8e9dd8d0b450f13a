"""Charts of tours, of lines through points, of predictions, and tables with right and wrong rows."""

from __future__ import annotations

from collections.abc import Sequence

from .scenes import Picture, to_array

BLUE, RED, GREEN, GREY = "#2c6e9b", "#d1495b", "#5a8f6b", "#99a"


def tour(
    cities: Sequence[tuple[int, int]], order: Sequence[int], crossing: Sequence[tuple[int, int]], title: str
) -> Picture:
    """Cities as numbered dots, and the tour as a line, with the legs that cross others in red."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 5.8), dpi=110, facecolor="white", layout="constrained")
    axes = figure.subplots()
    for a, b in zip(order, [*order[1:], *order[:1]], strict=True):
        wrong = (a, b) in crossing
        x, y = zip(cities[a], cities[b], strict=True)
        axes.plot(x, y, color=RED if wrong else BLUE, lw=2, zorder=1)
    axes.scatter([x for x, _ in cities], [y for _, y in cities], s=230, color="white", edgecolor="#445", zorder=2)
    for k, (x0, y0) in enumerate(cities):
        axes.text(x0, y0, str(k), ha="center", va="center", fontsize=8, zorder=3)
    axes.set(title=title, aspect="equal", xticks=[], yticks=[])
    axes.margins(0.07)
    axes.spines[:].set_visible(False)
    return to_array(figure)


def line(
    x: Sequence[float], y: Sequence[float], proposed: Sequence[float], best: Sequence[float], title: str
) -> Picture:
    """Points, the proposed line (if any) over them, and the best line dashed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), dpi=110, facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.plot(x, y, "o", color=GREY, ms=4, label="data")
    axes.plot(x, best, color=GREEN, ls="--", lw=1.5, label="best")
    if proposed:
        axes.plot(x, proposed, color=RED, lw=2, label="proposed")
    axes.set(xlabel="x", ylabel="y", title=title)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return to_array(figure)


def predictions(y: Sequence[float], predicted: Sequence[float], title: str) -> Picture:
    """Predictions over the right values; the dashed diagonal is where both are equal."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), dpi=110, facecolor="white", layout="constrained")
    axes = figure.subplots()
    ends = [min(y), max(y)]
    axes.plot(ends, ends, color=GREEN, ls="--", lw=1.5, label="right")
    axes.plot(y, predicted, "o", color=RED, ms=5, label="predicted")
    axes.set(xlabel="y", ylabel="prediction", title=title)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return to_array(figure)


def table(rows: Sequence[tuple[str, str, bool]], title: str) -> Picture:
    """A table of (input, output, whether it is right), with right outputs in green and others in red."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 0.9 + 0.42 * max(1, len(rows))), dpi=110, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(len(rows) + 1, -0.3))
    axes.text(0.02, 0.2, title, fontsize=12, color="#223", va="center", parse_math=False)
    for k, (given, output, right) in enumerate(rows, 1):
        axes.axhspan(k - 0.35, k + 0.45, color="#eef1f5" if k % 2 else "white")
        axes.text(0.02, k, _short(given), fontsize=9, va="center", family="monospace", parse_math=False)
        colour = GREEN if right else RED
        axes.text(0.55, k, _short(output), fontsize=9, va="center", color=colour, family="monospace", parse_math=False)
    return to_array(figure)


def _short(text: str) -> str:
    return text if len(text) <= 54 else text[:51] + "..."
