"""A lock of binary digits: the Trace paper's example of what the graph tells and the feedback does not."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import OptoEnv, Parameters
from ..problems import Anchors, Feedback, Parameter, Part
from ..spaces import Number
from ..trace import operator
from .drawing import scenes


@operator
def dial(*digits: int) -> list[int]:
    """Sets the lock's digits, in order."""
    return [int(d) for d in digits]


class BinaryLock(OptoEnv):
    """Open a lock of binary digits, given in each call the label of one check that failed.

    ## Description
    The lock has a hidden combination of k binary digits, and a check for each digit. In each call the checks run in a
    new random order, under new random labels, until one fails. The feedback gives the label of that check, from which
    nothing follows but that the combination is wrong; the graph shows which digit was checked. This is the example to
    Theorem 2 of the Trace paper (Cheng, Nie and Swaminathan, NeurIPS 2024): with the graph, at most k calls open the
    lock, each with one digit flipped; without it nothing is better than to try the 2^k - 1 other combinations, which
    takes 2^(k-1) calls on average.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `d0`, `d1`, ... | `Number(0, 1, integer)` | 0 |

    ## Observation
    The graph joins all digits in `dial`, takes one of them out and ends in its `check`; the feedback gives the label.
    With the paper's mask (which hides code, documentation, inputs and others) all combinations have the same graph.

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
    One case: test is train. Linear scale, anchors of 2026-11: 0 is a closed lock (the start
    values), 1 an open one (the reference solution, which is the combination). The measure is the number of calls until
    the lock opens: on the locks 0 to 99 of ten digits 5.2 on average with the graph (`LockGraph`, at most 9) and 527
    without it (`LockBlind`, at most 1,019).

    ## Arguments
    * `digits`: the number of digits k, 2 to 64; 10.
    * `problem`: the number of the lock, 0 or more; 0.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`. No `test_seed`.

    ## Kind, cost and source
    An instance; an example is None. The order and the labels are drawn from the lock's number and the digits, so that
    equal arguments give equal results, and the labels for one combination tell nothing about those for another. An
    oracle call takes 0.15 to 0.25 ms. The task uses no language model and no data set. Source: the paper's example,
    reimplemented from its description.

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
        """Dials the digits and runs the checks until one fails; the graph holds the last check alone."""
        dialled = dial(*p.values())  # joined first, so that the order of nodes in a masked graph tells nothing
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
        parts = [Part("reward", "The lock stays closed." if wrong else "The lock opens.")]
        if wrong:
            parts.append(Part("hindsight_negative", f"Check {label} failed."))
        return check(dialled[last], label), Feedback(float(not wrong), tuple(parts), not wrong)

    def reference_solution(self) -> dict[str, Any]:
        """The lock's combination."""
        return {p.name: digit for p, digit in zip(self.parameters, self._combination, strict=True)}

    def render_text(self) -> str:
        """The digits of the last call, and whether the lock is open."""
        return f"{' '.join(scenes.label(x) for x in self._dialled())}: {self._state()}\n"

    def render_image(self) -> scenes.Picture:
        """The digits of the last call: green where they are right, which the observation does not show."""
        dialled = self._dialled()
        right = [x == digit for x, digit in zip(dialled, self._combination, strict=True)]
        return scenes.lights([scenes.label(x) for x in dialled], right, f"The lock is {self._state()}")

    def _dialled(self) -> list[Any]:
        assert self.last is not None
        graph = self.last.graph
        return [graph.nodes[k].value for k in graph.parameters]

    def _state(self) -> str:
        assert self.last is not None
        return "open" if self.last.success else "closed"


def combination(digits: int, problem: int) -> list[int]:
    """A lock's hidden digits, uniform over all combinations but that of the start values."""
    rng = np.random.default_rng([20240622, digits, problem])
    while True:
        drawn = [int(d) for d in rng.integers(2, size=digits)]
        if any(drawn):
            return drawn
