"""Pictures of Meta-World: whether MuJoCo can draw, and a plot of the paths of the hand and the objects."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Sequence
from typing import Any

from ..drawing.scenes import Picture, to_array
from .simulation import View

COLORS = ("#2c6e9b", "#d1495b", "#7a5ba6", "#3b8b6e", "#c98b2b")


@functools.cache
def gl_works() -> bool:
    """Whether MuJoCo can draw without a display: ``MUJOCO_GL`` is ``egl`` or ``osmesa``, and the library is there."""
    if os.environ.get("MUJOCO_GL", "").lower() not in ("egl", "osmesa"):
        return False
    try:
        importlib.import_module("mujoco").GLContext(8, 8).free()
    except Exception:  # each platform fails in its own way: no library, no device, no display
        return False
    return True


def paths(views: Sequence[View], title: str) -> Picture:
    """The paths of all that has a position, from above and from the side; rings are the start positions.

    Args:
        views: The observations at the start and after each macro step.
        title: Of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.6), dpi=100, facecolor="white", layout="constrained")
    names = [name for name, value in views[0].items() if isinstance(value, list) and len(value) == 3]
    sides: Any = figure.subplots(1, 2)
    for axes, (i, j), where in zip(sides, ((0, 1), (1, 2)), ("from above", "from the side"), strict=True):
        for name, color in zip(names, COLORS, strict=False):
            x, y = ([view[name][k] for view in views] for k in (i, j))
            still = name.startswith("goal")
            axes.plot(x, y, "-o", color=color, ms=4, lw=1.5, label=name, alpha=0 if still else 1)
            axes.plot(x[0], y[0], "*" if still else "o", color=color, ms=14 if still else 11, mfc="none")
        axes.set(title=where, xlabel=f"{'xyz'[i]} (m)", ylabel=f"{'xyz'[j]} (m)")
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.15)
        axes.grid(color="#dde3ea")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    handles = sides[0].get_legend_handles_labels()
    for handle in handles[0]:
        handle.set_alpha(1)
    figure.legend(*handles, loc="outside lower center", ncols=len(names), frameon=False)
    figure.suptitle(title)
    return to_array(figure)
