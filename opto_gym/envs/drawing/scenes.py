"""Drawings of boards, lights, bars, curves and street networks, by matplotlib without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...trace.display import short

Picture = np.ndarray[Any, np.dtype[np.uint8]]
"""uint8, of shape (height, width, 3)."""


def label(value: Any) -> str:
    """A proposed value of any kind as at most 8 printable characters."""
    text = short(value, 80)
    return text if len(text) <= 8 else text[:7] + "…"


def to_array(figure: Any) -> Picture:
    """Renders a matplotlib figure to an array."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba(), dtype=np.uint8)[..., :3].copy()


def battleship(
    board: Sequence[Sequence[bool]], map: Sequence[Sequence[str]], order: Mapping[tuple[int, int], int], title: str
) -> Picture:
    """The board with its fleet in grey, hits in red and misses as rings.

    Args:
        board: True where a ship lies.
        map: ``"X"`` for a hit, ``"O"`` for a miss, ``"."`` for a square that was not fired at.
        order: The number of each shot, by (row, column).
        title: Of the picture.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle, FancyBboxPatch

    height, width = len(board), len(board[0])
    figure = Figure(figsize=(0.7 * width + 1.2, 0.7 * height + 1.4), dpi=110, facecolor="white")
    axes = figure.add_axes((0.1, 0.04, 0.86, 0.84))
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal", facecolor="#e8f1f8")
    axes.set_xticks(range(width))
    axes.set_yticks(range(height))
    axes.tick_params(which="both", length=0)
    axes.tick_params(labelsize=11, labelcolor="#556", labeltop=True, labelbottom=False)
    axes.set_xticks(np.arange(width + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(height + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for r in range(height):
        for c in range(width):
            if board[r][c]:
                color = "#d1495b" if map[r][c] == "X" else "#aab4c0"
                box = FancyBboxPatch(
                    (c - 0.36, r - 0.36), 0.72, 0.72, boxstyle="round,pad=0.04,rounding_size=0.12", lw=0, fc=color
                )
                axes.add_patch(box)
            elif map[r][c] == "O":
                axes.add_patch(Circle((c, r), 0.3, fill=False, lw=2, ec="#5b8db8"))
            if (r, c) in order:
                ink = "white" if board[r][c] else "#33566f"
                axes.text(c, r, str(order[r, c]), ha="center", va="center", color=ink, fontsize=11, weight="bold")
    figure.suptitle(title, fontsize=13, color="#223", y=0.985)
    return to_array(figure)


def curve(x: Sequence[float], y: Sequence[float], goal: float, at: tuple[float, float], title: str) -> Picture:
    """The output of a program over its parameter, with the goal as a line and the last proposal as a dot.

    The vertical axis spans the 3 to 97 % quantiles of the output, so that poles are cut off.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), dpi=110, facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.plot(x, y, color="#2c6e9b", lw=2)
    axes.axhline(goal, color="#7a8", ls="--", lw=1.5, label=f"goal {goal:g}")
    axes.plot(*at, "o", color="#d1495b", ms=9, label="last proposal")
    low, high = np.nanquantile([*y, goal], (0.03, 0.97))
    low, high = min(low, goal), max(high, goal)
    margin = 0.1 * (high - low) or 1.0
    axes.set(xlabel="x0", ylabel="output", title=title, ylim=(low - margin, high + margin))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return to_array(figure)


def bars(names: Sequence[str], values: Sequence[float], title: str) -> Picture:
    """A bar chart of named values."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), dpi=110, facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.bar(list(names), list(values), color="#2c6e9b")
    axes.axhline(0, color="#556", lw=0.8)
    axes.set(ylabel="value", title=title)
    axes.spines[["top", "right"]].set_visible(False)
    return to_array(figure)


def lights(names: Sequence[str], states: Sequence[bool | None], title: str) -> Picture:
    """A row of boxes: green where True, red where False, grey where None."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    figure = Figure(figsize=(max(4.0, 0.7 * len(names)), 1.8), dpi=110, facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-0.6, len(names) - 0.4), ylim=(-0.6, 0.6), aspect="equal", title=title)
    axes.axis("off")
    colors = {True: "#5a9e6f", False: "#d1495b", None: "#aab4c0"}
    for k, (name, state) in enumerate(zip(names, states, strict=True)):
        box = FancyBboxPatch((k - 0.36, -0.36), 0.72, 0.72, boxstyle="round,pad=0.04", lw=0, fc=colors[state])
        axes.add_patch(box)
        axes.text(k, 0, name, ha="center", va="center", color="white", fontsize=12, weight="bold", parse_math=False)
    return to_array(figure)


def streets(
    places: Mapping[str, tuple[float, float]],
    links: Sequence[tuple[str, str, int]],
    queues: Mapping[tuple[str, str], float],
    labels: Mapping[str, str],
    title: str,
) -> Picture:
    """A street network, where the width and the redness of a link grow with its queue.

    Args:
        places: The position of each node.
        links: (start, end, signal group) of each direction of a street; traffic keeps right.
        queues: The mean number of vehicles that queue, by (start, end) of the link.
        labels: Texts at nodes; other nodes show their names.
        title: Of the picture.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 7), dpi=100, facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.set(aspect="equal")
    axes.set_title(title, fontsize=13, color="#223", pad=14)
    axes.axis("off")
    shade = LinearSegmentedColormap.from_list("queue", ["#b9c6d3", "#e9a23b", "#d1495b"])
    most = max(5.0, *queues.values()) if queues else 5.0
    for a, b, _ in links:
        (x, y), (u, v) = places[a], places[b]
        dx, dy, aside = u - x, v - y, 0.07
        x, u, y, v = x + aside * dy, u + aside * dy, y - aside * dx, v - aside * dx
        queue = queues.get((a, b))
        share = min((queue or 0.0) / most, 1.0)
        axes.plot([x, u], [y, v], color=shade(share), lw=2 + 8 * share, solid_capstyle="butt", zorder=1 + share)
        if queue is not None:
            at = (x + 0.55 * (u - x) + 0.1 * dy, y + 0.55 * (v - y) - 0.1 * dx)
            axes.text(*at, f"{queue:.0f}", ha="center", va="center", fontsize=9, color="#556", zorder=4)
    for name, place in places.items():
        if name in labels:
            box = {"boxstyle": "round,pad=0.35", "fc": "#2c6e9b", "lw": 0}
            text = axes.text(*place, labels[name], ha="center", va="center", fontsize=9, color="white", zorder=5)
            text.set(bbox=box, parse_math=False)
        else:
            box = {"boxstyle": "circle,pad=0.3", "fc": "white", "ec": "#7a8"}
            axes.text(*place, name, ha="center", va="center", fontsize=9, color="#445", bbox=box, zorder=5)
    xs, ys = zip(*places.values(), strict=True)
    axes.set(xlim=(min(xs) - 0.3, max(xs) + 0.3), ylim=(min(ys) - 0.3, max(ys) + 0.3))
    return to_array(figure)
