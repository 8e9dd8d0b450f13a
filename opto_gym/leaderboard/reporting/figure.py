"""Pictures of results: anytime curves, as SVG for a page."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from ...utils.text import printable
from ..results import TrialData
from ..stats import curve

COLORS = ("#2c6e9b", "#d1495b", "#3d8b57", "#8a5fb0", "#c98a1b", "#2a9d8f", "#6b7280", "#b5548c")


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
    scale = next((t.summary.scale for t in mine if t.summary), "linear")
    if scale == "log":
        axes[0].set_yscale("symlog", linthresh=0.01)
    axes[0].set_ylabel("score on test")
    handles, labels = axes[0].get_legend_handles_labels()
    labels = list(map(printable, labels))
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
