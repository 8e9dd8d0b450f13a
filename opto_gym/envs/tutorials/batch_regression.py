"""Linear regression on batches of points (a task of the Trace library's tutorials, reimplemented)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...core import OptoEnv, Parameters
from ...problems import Anchors, Feedback, Parameter, Part
from ...spaces import Number
from ...trace import node, operator
from ...trace.display import short
from ..drawing import charts
from ..drawing.scenes import Picture


class BatchRegression(OptoEnv):
    """Find the weights of a linear function from batches of points.

    ## Description
    y = w1 x1 + ... + b with hidden weights, without noise. Each oracle call shows a new batch of points, with the error
    at each. The task follows the mini-batch tutorial of the Trace library (github.com/microsoft/Trace). There, the same
    five points of one line (y = 2 x - 3) are shown in each call; here, batches are drawn by seed, there may be several
    features, and the test split has other points.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `w1`, `w2`, ... | `Number(-100, 100)` | 0.0 |
    | `b` | `Number(-100, 100)` | 0.0 |

    ## Observation
    The graph of each point of the batch (x, prediction, y, squared error), and the feedback.

    ## Reward
    Minus the score. The score is the mean squared error.

    ## Feedback
    * reward: "Squared error 25."
    * hindsight_positive: "The prediction 3 is right."
    * hindsight_negative: "The prediction 0 is 5 too low."

    ## Start
    All parameters are 0.

    ## End
    After `oracle_calls` steps.

    ## Score and anchors
    The train split has 10^6 points, the test split 100 others. Log scale, anchors of 2026-11: 0 is the score of the
    start values (by default 206.97), 1 is score 0.

    ## Arguments
    * `problem`: the number of the hidden weights, 0 to 99; 0. Weights are multiples of 0.5 from -5 to 5, without 0.
    * `features`: the number of features, 1 to 8; 2.
    * `batch`: points per oracle call; 5.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`, `test_seed`.

    ## Kind, cost and source
    A distribution of points. An example is a number, the seed of a point. An oracle call takes 0.6 to 2 ms, the test
    split 0.05 s. The task uses no language model and no data set. Source: the tutorial, from its description.

    ## Version history
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    objective = "Change the weights and b so that the predictions equal y, for all points, also those not shown."
    scores = (1e8, 0.0)
    splits: Mapping[str, Sequence[Any]] = {"train": range(10**6), "test": range(10**9, 10**9 + 100)}
    seeded_examples = True
    feedback_kinds = ("reward", "hindsight_positive", "hindsight_negative")
    anchors = Anchors(None, 0.0, "2026-11", "the hidden numbers, by construction")
    scale = "log"

    def __init__(self, *, problem: int = 0, features: int = 2, batch: int = 5, **keywords: Any) -> None:
        if type(problem) is not int or not 0 <= problem < 100:
            raise ValueError(f"BatchRegression: expected a problem from 0 to 99, got {problem!r}")
        if type(features) is not int or not 1 <= features <= 8:
            raise ValueError(f"BatchRegression: expected 1 to 8 features, got {features!r}")
        self.batch, self.features = batch, features
        rng = np.random.default_rng([20240705, problem, features])
        halves = rng.integers(1, 11, size=features + 1) * rng.choice((-1, 1), size=features + 1)
        self.hidden = [float(k) / 2 for k in halves]
        names = [*(f"w{k}" for k in range(1, features + 1)), "b"]
        descriptions = [*(f"the weight of x[{k}]" for k in range(features)), "the intercept"]
        self.parameters = tuple(
            Parameter(name, Number(-100, 100), 0.0, text) for name, text in zip(names, descriptions, strict=True)
        )
        super().__init__(**keywords)

    def forward(self, p: Parameters, example: Any) -> Any:
        """Computes the squared error at one point."""

        @operator
        def predict(x: list[int], b: float, *weights: float) -> float:
            """Adds up b and each weight times its feature."""
            return b + sum(w * v for w, v in zip(weights, x, strict=True))

        @operator
        def squared_error(prediction: float, y: float) -> float:
            """The squared difference between prediction and y."""
            return float((prediction - y) ** 2)

        x, y = self.point(example)
        *proposed, intercept = p.values()
        prediction = predict(node(x, "x"), intercept, *proposed)
        output = squared_error(prediction, node(y, "y"))
        return output, self._feedback(prediction.data, y, output.data)

    def point(self, example: int) -> tuple[list[int], float]:
        """The features x of an example, and y."""
        x = [int(v) for v in np.random.default_rng([20240706, example]).integers(-10, 11, size=self.features)]
        *weights, b = self.hidden
        return x, b + sum(w * v for w, v in zip(weights, x, strict=True))

    def _feedback(self, prediction: float, y: float, error: float) -> Feedback:
        reward = Part("reward", f"Squared error {error:g}.")
        if error < 1e-12:
            right = Part("hindsight_positive", f"The prediction {prediction:g} is right.")
            return Feedback(error, (reward, right), True)
        way = "low" if prediction < y else "high"
        deviation = f"The prediction {prediction:g} is {abs(prediction - y):g} too {way}."
        return Feedback(error, (reward, Part("hindsight_negative", deviation)))

    def reference_solution(self) -> dict[str, Any]:
        """The hidden weights."""
        return dict(zip((p.name for p in self.parameters), self.hidden, strict=True))

    def render_text(self) -> str:
        """The values of the last call and their error."""
        values, title = self._last_values()
        shown = (f"{p.name} = {short(v, 40)}" for p, v in zip(self.parameters, values, strict=True))
        return f"{', '.join(shown)}: {title}\n"

    def render_image(self) -> Picture:
        """The predictions of the last call for 60 points of train; those of zeros where its values are no numbers."""
        assert self.last is not None
        values, title = self._last_values()
        points = [self.point(k) for k in range(60)]
        *weights, b = values if self.last.error is None else [0.0] * len(values)
        proposed = [b + sum(w * v for w, v in zip(weights, x, strict=True)) for x, _ in points]
        return charts.predictions([y for _, y in points], proposed, title)

    def _last_values(self) -> tuple[list[Any], str]:
        """The proposed values of the last call, and a title."""
        assert self.last is not None
        graph = self.last.graph
        return [graph.nodes[k].value for k in graph.parameters], f"mean squared error {self.last.score:.4g}"
