"""A lock of binary digits: the Trace paper's example of what feedback alone can't tell."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import OptoEnv, Parameters
from ..problems import Anchors, Feedback, Parameter, Part
from ..spaces import Number
from ..trace import operator


@operator
def dial(*digits: int) -> list[int]:
    """Sets the lock's digits, in order."""
    return [int(d) for d in digits]


class BinaryLock(OptoEnv):
    """Open a lock of binary digits, told at each call the label of one check that failed.

    ## Description
    The lock has a hidden combination of k binary digits, and a check for each digit. At each call the checks run in an
    order drawn anew, under labels drawn anew, until one fails. The feedback names that check by its label, which says
    nothing but "wrong"; the graph shows which digit went into it. This is the example to Theorem 2 of the Trace paper
    (Cheng, Nie and Swaminathan, NeurIPS 2024): with the graph at most k calls open the lock, one flipped digit each;
    without it nothing is better than to try the 2^k - 1 other combinations, 2^(k-1) calls on average.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `d0`, `d1`, ... | `Number(0, 1, integer)` | 0 |

    ## Observation
    The graph joins all digits in `dial`, takes one of them out and ends in its `check`; the feedback has the label.
    Masked as in the paper (code, documentation, inputs and others hidden), a graph is the same for every combination.

    ## Reward
    1 if the lock opens, else 0.

    ## Feedback
    * reward: "The lock stays closed.", "The lock opens."
    * hindsight_negative: "Check K3 failed."

    ## Start
    All digits at 0, which never opens the lock.

    ## End
    When the lock opens, or after `oracle_calls` steps.

    ## Score and anchors
    One case: test is train. Linear scale, anchors of 2026-11: 0 is a closed lock (the start's), 1 an open one (the
    reference's, which is the combination). The measure is the number of calls until it opens: on the locks 0 to 99 of
    ten digits 5.2 on average with the graph (`LockGraph`, at most 9) and 527 without (`LockBlind`, at most 1,019).

    ## Arguments
    * `digits`: k, 2 to 64; 10 by default.
    * `problem`: 0 or more, which lock.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`.

    ## Kind, cost and source
    An instance; an example is None: order and labels are drawn from the lock and the digits dialled, so that equal
    arguments have equal answers, and labels seen for one combination say nothing of another's. An oracle call takes
    0.15 to 0.25 ms; no language model, no data set. Source: the paper's example, re-made from its description.

    ## Version history
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    objective = "Find the digits that open the lock: every digit has a check, and one check that failed is named."
    scores = (0.0, 1.0)
    splits = {"train": (None,), "test": (None,)}
    feedback_kinds = ("reward", "hindsight_negative")
    anchors = Anchors(0.0, 1.0, "2026-11", "the combination, by construction")
    ends_when_solved = True
    instance = True

    def __init__(self, *, digits: int = 10, problem: int = 0, **keywords: Any) -> None:
        if type(digits) is not int or not 2 <= digits <= 64:
            raise ValueError(f"BinaryLock: expected 2 to 64 digits, got {digits!r}")
        if type(problem) is not int or problem < 0:
            raise ValueError(f"BinaryLock: expected a problem of 0 or more, got {problem!r}")
        self.problem_number = problem
        self._combination = combination(digits, problem)
        self.parameters = tuple(
            Parameter(f"d{i}", Number(0, 1, integer=True), 0, "A digit of the lock.") for i in range(digits)
        )
        super().__init__(**keywords)

    def forward(self, p: Parameters, example: Any) -> Any:
        """Tries the digits."""
        dialled = dial(*p.values())  # joined first, so that the order of a masked graph's nodes says nothing
        digits = dialled.data
        rng = np.random.default_rng([self.problem_number, *digits])
        order, labels = rng.permutation(len(digits)), rng.permutation(len(digits))
        wrong = [int(i) for i in order if digits[i] != self._combination[i]]
        last = wrong[0] if wrong else int(order[-1])

        @operator
        def check(digit: int, label: str) -> bool:
            """Whether this digit is right. The label is drawn anew at each call, and so is the order of the checks."""
            return digit == self._combination[last]

        label = f"K{labels[last]}"
        said = [Part("reward", "The lock stays closed." if wrong else "The lock opens.")]
        if wrong:
            said.append(Part("hindsight_negative", f"Check {label} failed."))
        return check(dialled[last], label), Feedback(float(not wrong), tuple(said), not wrong)

    def reference_solution(self) -> dict[str, Any]:
        """The combination."""
        return {p.name: digit for p, digit in zip(self.parameters, self._combination, strict=True)}

    def render(self) -> Any:
        """The digits of the last call: green where they are right, for whoever looks on."""
        if self.last is None or self.render_mode is None:
            return None
        from .drawing.scenes import label, lights

        graph = self.last.graph
        tried = [graph.nodes[k].value for k in graph.parameters]
        shown = [label(x) for x in tried]
        state = "open" if self.last.success else "closed"
        if self.render_mode == "ansi":
            return f"{' '.join(shown)}: {state}\n"
        right = [x == digit for x, digit in zip(tried, self._combination, strict=True)]
        return lights(shown, right, f"The lock is {state}")


def combination(digits: int, problem: int) -> list[int]:
    """A lock's hidden digits: uniform over all combinations but the start's."""
    rng = np.random.default_rng([20240622, digits, problem])
    while True:
        drawn = [int(d) for d in rng.integers(2, size=digits)]
        if any(drawn):
            return drawn
