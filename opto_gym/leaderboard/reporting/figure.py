"""Figures of anytime curves, as SVG for an HTML page."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from ...utils.text import one_line, printable
from ..results import TrialData
from ..stats import curve

COLORS = ("#2c6e9b", "#d1495b", "#3d8b57", "#8a5fb0", "#c98a1b", "#2a9d8f", "#6b7280", "#b5548c")
"""The colors of curves, one for each agent; they repeat after the last."""


def figure(trials: Sequence[TrialData], env: str, over: str = "calls") -> Any:
    """Draws the anytime curves of the agents on one environment.

    The left plot shows the scores of the current parameters, the right one those of the recommended parameters: the
    mean over an agent's trials as a line, and the range of the trials as a band.

    Args:
        trials: The trials of the run. An agent has the same color in the figures of all environments.
        env: The environment, as `TrialData.env`.
        over: The horizontal axis: ``calls`` or ``tokens``.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    env_trials = [t for t in trials if t.env == env]
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots(1, 2, sharey=True)
    all_agents = sorted({t.agent for t in trials})
    agents = [a for a in all_agents if any(t.agent == a for t in env_trials)]
    for ax, which in zip(axes, ("current", "recommended"), strict=True):
        ax.patch.set_alpha(0)
        for agent in agents:
            color = COLORS[all_agents.index(agent) % len(COLORS)]
            points = [t.anytime(which, over) for t in env_trials if t.agent == agent]
            if not any(points):
                continue
            x, mean, low, high = curve(points)
            if over == "tokens" and x.max() == 0:  # the agent uses no model: a horizontal line at its last score
                ax.axhline(mean[-1], color=color, lw=1.4, ls=":", label=agent)
                continue
            ax.step(x, mean, where="post", color=color, lw=2, label=agent)
            ax.fill_between(x, low, high, step="post", color=color, alpha=0.13, lw=0)
        ax.set_title(f"{which} parameters", fontsize=10)
        ax.set_xlabel("oracle calls" if over == "calls" else "tokens")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", alpha=0.25)
    scale = next((t.summary.scale for t in env_trials if t.summary), "linear")
    if scale == "log":
        axes[0].set_yscale("symlog", linthresh=0.01)
    axes[0].set_ylabel("score on test")
    handles, labels = axes[0].get_legend_handles_labels()
    labels = [one_line(printable(text)) for text in labels]
    if handles:
        columns = max(1, min(6, 120 // (max(map(len, labels)) + 8)))
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
        for text in legend.get_texts():
            text.set_parse_math(False)  # a setting's text may hold dollar signs
    return figure


def svg(figure: Any) -> str:
    """Converts a matplotlib figure to SVG text that can be part of an HTML page.

    The text is the same each time. Black lines and text get the page's text color.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "opto_gym", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(
        r'<svg [^>]*?(viewBox="[^"]*")[^>]*>',
        r'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" \1 role="img">',
        text[text.index("<svg") :],
    )
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"(fill|stroke): ?#000000", r"\1: currentColor", text)
    return re.sub(r'<text style="', '<text fill="currentColor" style="', text)
