"""Sort lists in a strange order (a task of the Trace library's tutorials, reimplemented)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...core import OptoEnv, Parameters
from ...problems import Anchors, Feedback, Parameter, Part
from ...spaces import Code
from ...trace import node, operator
from ..drawing.scenes import Picture
from .table import table_image, table_text

START_SORT = '''def strange_sort_list(lst):
    """Gives the numbers in the strange order: the smallest, then the largest of the rest, then again the smallest of
    the rest, and so on."""
    return sorted(lst)
'''

SORT = '''def strange_sort_list(lst):
    """Takes from the two ends of the sorted list in turn."""
    rest = sorted(lst)
    return [rest.pop(-(k % 2)) for k in range(len(lst))]
'''


def strange(numbers: Sequence[int]) -> list[int]:
    """The numbers in the strange order: the smallest, the largest of the rest, the smallest of the rest, and so on."""
    rest = sorted(numbers)
    return [rest.pop(-(k % 2)) for k in range(len(numbers))]


def number_lists(seed: int) -> list[list[int]]:
    """Draws five lists: one of up to two numbers, which the usual order gets right, and four of 3 to 9 numbers.

    Args:
        seed: Equal seeds give equal lists.
    """
    rng = np.random.default_rng([20240614, seed])
    lists = [rng.integers(-20, 21, size=int(rng.integers(3))).tolist()]
    while len(lists) < 5:
        numbers = rng.integers(-20, 21, size=int(rng.integers(3, 10))).tolist()
        if strange(numbers) not in (sorted(numbers), numbers):
            lists.append(numbers)
    return lists


class StrangeSortList(OptoEnv):
    """Write a function that sorts in an unusual order.

    ## Description
    One code parameter is called with lists of numbers. The task follows the code tutorial of the Trace library
    (github.com/microsoft/Trace), whose task is problem 70 of HumanEval (Chen et al., "Evaluating Large Language Models
    Trained on Code", 2021). Here the test cases are drawn by seed and split into train and test, the code runs in the
    sandbox, and the feedback names the wrong answers.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `strange_sort_list` | `Code("strange_sort_list(lst)")` | returns `sorted(lst)` |

    ## Observation
    The graph (each list, the answer, its check, the tally of all checks), and the feedback.

    ## Reward
    The score, which is the share of right answers: 0 to 1, higher is better. Code that raises scores 0.

    ## Feedback
    * reward: "1 of 5 lists are right."
    * hindsight_positive: "Right: [7]."
    * hindsight_negative: "Wrong: [3, 1, 2] gave [1, 2, 3]."
    * future_positive: "It should give [1, 3, 2] for [3, 1, 2]."

    ## Start
    The start value sorts in the usual order.

    ## End
    After `oracle_calls` steps.

    ## Score and anchors
    The train split has 10^6 examples; the test split has 100 others, which no call draws. Linear scale, anchors of
    2026-11: the start value scores 0.2 (one of the five lists of each example, that of up to two numbers), the
    reference solution 1.0.

    ## Arguments
    * `batch`: examples per oracle call; 1.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`, `test_seed`.

    ## Kind, cost and source
    A distribution of lists. An example is a number, the seed of five lists. An oracle call takes 15 to 50 ms, the test
    split 3 s. The task uses no language model and no data set: neither the text nor the test cases are HumanEval's
    (which has the MIT licence).

    ## Version history
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    objective = "Change the code of strange_sort_list so that it gives every list in the strange order."
    scores = (0.0, 1.0)
    splits: Mapping[str, Sequence[Any]] = {"train": range(10**6), "test": range(10**9, 10**9 + 100)}
    seeded_examples = True
    feedback_kinds = ("reward", "hindsight_positive", "hindsight_negative", "future_positive")
    parameters = (
        Parameter("strange_sort_list", Code("strange_sort_list(lst)"), START_SORT, "Sorts in the strange order."),
    )
    anchors = Anchors(0.2, 1.0, "2026-11", "code that takes from both ends of the sorted list")

    def __init__(self, *, batch: int = 1, **keywords: Any) -> None:
        self.batch = batch
        super().__init__(**keywords)

    def forward(self, p: Parameters, example: Any) -> Any:
        """Sorts the five lists of an example and checks the answers."""

        @operator
        def check(answer: Any, lst: list[int]) -> bool:
            """Whether the answer is the list in the strange order."""
            return bool(answer == strange(lst))

        @operator
        def tally(*checks: bool) -> float:
            """The share of right answers."""
            return sum(checks) / len(checks)

        lists = number_lists(example)
        given = [node(numbers, "lst") for numbers in lists]
        answers = [p.strange_sort_list(lst) for lst in given]
        checks = [check(answer, lst) for answer, lst in zip(answers, given, strict=True)]
        results = [(n, a.data, c.data) for n, a, c in zip(lists, answers, checks, strict=True)]
        return tally(*checks), self._feedback(results)

    def _feedback(self, results: list[tuple[list[int], Any, bool]]) -> Feedback:
        right = [numbers for numbers, _, good in results if good]
        wrong = [(numbers, answer) for numbers, answer, good in results if not good]
        parts = [Part("reward", f"{len(right)} of {len(results)} lists are right.")]
        if right:
            parts.append(Part("hindsight_positive", f"Right: {', '.join(map(str, right))}."))
        if wrong:
            some = "; ".join(f"{numbers} gave {answer!r:.80}" for numbers, answer in wrong)
            should = "; ".join(f"{strange(numbers)} for {numbers}" for numbers, _ in wrong)
            parts += [
                Part("hindsight_negative", f"Wrong: {some}."),
                Part("future_positive", f"It should give {should}."),
            ]
        shown = [[str(numbers), f"{answer!r:.80}", good] for numbers, answer, good in results]
        return Feedback(len(right) / len(results), tuple(parts), not wrong, metrics={"shown": shown})

    def reference_solution(self) -> dict[str, Any]:
        """Code that takes from the two ends of the sorted list in turn."""
        return {"strange_sort_list": SORT}

    def render_text(self) -> str:
        """The lists and the answers of the last example, and the score."""
        assert self.last is not None
        return table_text(self.last, self.last.metrics.get("shown", []))

    def render_image(self) -> Picture:
        """The lists and the answers of the last example as a table."""
        assert self.last is not None
        return table_image(self.last, self.last.metrics.get("shown", []))
