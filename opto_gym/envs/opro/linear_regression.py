"""The linear regression problem of the OPRO paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core import OptoEnv, Parameters
from ...problems import Anchors, Feedback, Parameter, Part
from ...spaces import Number
from ...trace import node, operator
from ...trace.display import short
from ..drawing import charts
from ..drawing.scenes import Picture

POINTS = tuple(float(k) for k in range(1, 51))


class LinearRegression(OptoEnv):
    """Find the slope and the intercept of a line through noisy points.

    ## Description
    50 points lie near a hidden line: y = w x + b + noise, with x = 1 to 50 and standard normal noise. Find the w and b
    with the least sum of squared errors. The setting is that of Yang et al., "Large Language Models as Optimizers"
    (OPRO), ICLR 2024, section 3.1; the paper's seeds draw the same points here.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `w` | `Number(-100, 100, integer=True)` | a whole number from 10 to 20 |
    | `b` | `Number(-100, 100, integer=True)` | a whole number from 10 to 20 |

    ## Observation
    The graph (the points, the predictions, the loss), and the feedback. The paper's optimizer sees past pairs with
    their losses, but not the points. For that setting, mask the graph's inputs and other values, and use
    `feedback=["reward"]`.

    ## Reward
    Minus the score. The score is the loss above the least possible one, at most 1e9.

    ## Feedback
    * reward: "The loss is 393751.20."
    * hindsight_positive: "No loss is lower."
    * hindsight_negative: "The predictions are too high for 50 of 50 points."
    * future_positive: "The loss falls as w shrinks and as b shrinks."

    ## Start
    The first of the paper's five random start points that is not the solution.

    ## End
    When solved (no whole numbers give a lower loss, or, with `integer=False`, the score is at most 1e-6), or after
    `oracle_calls` steps. The paper stops at the hidden w and b; here the solution is the least-squares line, whose loss
    is never higher. In whole numbers the two are the same pair for all of the paper's settings.

    ## Score and anchors
    One case: test is train. Log scale, anchors of 2026-11: 0 is the score of the start values, 1 is score 0, which the
    least-squares line or the best pair of whole numbers has. By default the start (18, 15) scores 393,704.

    ## Arguments
    * `w`, `b`: the hidden line, whole numbers from -50 to 50; 15 and 14. The paper uses (15, 14), (17, 17), (16, 10),
      (3, 5), (25, 23), (2, 30) and (36, -1).
    * `repetition`: the number of the noise and the start, 0 to 99; 0. The paper runs 0 to 4.
    * `integer`: whether only whole numbers are allowed, as the paper rounds its proposals; True.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`. No `test_seed`.

    ## Kind, cost and source
    An instance; an example is None, since a run has no randomness. An oracle call takes 0.2 ms. The task uses no
    language model and no data set. Source: the paper and the settings of its public program, reimplemented from the
    description.

    ## Version history
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    objective = "Change w and b so that the loss, the sum of squared errors of w * x + b, is as small as possible."
    scores = (1e9, 0.0)
    splits = {"train": (None,), "test": (None,)}
    feedback_kinds = ("reward", "hindsight_positive", "hindsight_negative", "future_positive")
    anchors = Anchors(None, 0.0, "2026-11", "least squares")
    scale = "log"
    ends_when_solved = True
    instance = True

    def __init__(self, *, w: int = 15, b: int = 14, repetition: int = 0, integer: bool = True, **keywords: Any) -> None:
        if any(type(k) is not int or abs(k) > 50 for k in (w, b)):
            raise ValueError(f"LinearRegression: expected w and b to be whole numbers from -50 to 50, got {w!r}, {b!r}")
        if type(repetition) is not int or not 0 <= repetition < 100:
            raise ValueError(f"LinearRegression: expected a repetition from 0 to 99, got {repetition!r}")
        noise = np.random.RandomState(repetition + 1).randn(len(POINTS))
        self.y = [w * x + b + float(e) for x, e in zip(POINTS, noise, strict=True)]
        self.integer = integer
        self.best = least_squares(POINTS, self.y, integer)
        self.least = loss(POINTS, self.y, *self.best)
        space = Number(-100, 100, integer)
        start = next(pair for pair in paper_starts(repetition) if pair != self.best)
        self.parameters = (
            Parameter("w", space, start[0], "the slope of the line"),
            Parameter("b", space, start[1], "the intercept of the line"),
        )
        super().__init__(**keywords)

    def forward(self, p: Parameters, example: Any) -> Any:
        """Computes the loss of the proposed line over all points."""

        @operator
        def predict(w: float, b: float, x: list[float]) -> list[float]:
            """The line: w * x + b for each x."""
            return [w * v + b for v in x]

        @operator(name="loss")
        def squared(predicted: list[float], y: list[float]) -> float:
            """The sum of the squared differences between the predictions and y."""
            return math.fsum((a - c) ** 2 for a, c in zip(predicted, y, strict=True))

        output = squared(predict(p.w, p.b, node(list(POINTS), "x")), node(list(self.y), "y"))
        return output, self._feedback(p.w.data, p.b.data, output.data)

    def _feedback(self, w: float, b: float, value: float) -> Feedback:
        score = max(0.0, value - self.least)
        parts = [Part("reward", f"The loss is {value:.2f}.")]
        if score <= (0.0 if self.integer else 1e-6):
            return Feedback(score, (*parts, Part("hindsight_positive", "No loss is lower.")), True)
        errors = [w * x + b - y for x, y in zip(POINTS, self.y, strict=True)]
        high = sum(e > 0 for e in errors)
        way, count = ("high", high) if 2 * high >= len(errors) else ("low", len(errors) - high)
        parts.append(Part("hindsight_negative", f"The predictions are too {way} for {count} of {len(errors)} points."))
        slopes = (math.fsum(e * x for e, x in zip(errors, POINTS, strict=True)), math.fsum(errors))
        w_way, b_way = ("shrinks" if slope > 0 else "grows" for slope in slopes)
        parts.append(Part("future_positive", f"The loss falls as w {w_way} and as b {b_way}."))
        return Feedback(score, tuple(parts))

    def reference_solution(self) -> dict[str, Any]:
        """The least-squares line, or the best pair of whole numbers."""
        return dict(zip(("w", "b"), self.best, strict=True))

    def render_text(self) -> str:
        """The values of the last call and their score."""
        assert self.last is not None
        w, b = self._last_values()
        return f"w = {short(w, 40)}, b = {short(b, 40)}: loss above the least {self.last.score:.6g}\n"

    def render_image(self) -> Picture:
        """The points, the best line, and the line of the last call where its values are numbers."""
        assert self.last is not None
        w, b = self._last_values()
        valid = self.last.error is None
        proposed = [w * x + b for x in POINTS] if valid else []
        best = [self.best[0] * x + self.best[1] for x in POINTS]
        values = f"w = {w:g}, b = {b:g}: " if valid else ""
        return charts.line(POINTS, self.y, proposed, best, f"{values}loss above the least {self.last.score:.4g}")

    def _last_values(self) -> tuple[Any, Any]:
        assert self.last is not None
        graph = self.last.graph
        w, b = (graph.nodes[k].value for k in graph.parameters)
        return w, b


def loss(x: Sequence[float], y: Sequence[float], w: float, b: float) -> float:
    """The sum of squared errors of the line w x + b."""
    return math.fsum((w * v + b - u) ** 2 for v, u in zip(x, y, strict=True))


def least_squares(x: Sequence[float], y: Sequence[float], integer: bool) -> tuple[float, float]:
    """(w, b) of the least loss, among whole numbers if `integer`."""
    n = len(x)
    mean_x, mean_y = math.fsum(x) / n, math.fsum(y) / n
    slope = math.fsum((v - mean_x) * (u - mean_y) for v, u in zip(x, y, strict=True))
    w = slope / math.fsum((v - mean_x) ** 2 for v in x)
    if not integer:
        return w, mean_y - w * mean_x
    # For each whole w the loss is a parabola in b; over w it grows on both sides of the least-squares slope.
    nearest = (math.floor(w) + k for k in range(-1, 3))
    return min(((k, round(mean_y - k * mean_x)) for k in nearest), key=lambda pair: loss(x, y, *pair))


def paper_starts(repetition: int) -> list[tuple[int, int]]:
    """The five start points of the paper's program, each (w, b): two generators draw from 10 to 20, rounded."""
    w, b = (np.random.RandomState(k * (repetition + 1)).uniform(10, 20, size=5) for k in (10, 100))
    return [(round(float(u)), round(float(v))) for u, v in zip(w, b, strict=True)]
