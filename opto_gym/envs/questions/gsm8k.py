"""GSM8K: a system prompt for questions of school mathematics."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...problems import Anchors, Parameter
from ...spaces import Prompt
from .asking import Split, split_in_order
from .system_prompt import SystemPromptQuestions

START_GSM8K = "Answer the question. End with a line of the form 'Answer: N', where N is a number."


class GSM8K(SystemPromptQuestions):
    """Questions of school mathematics, and the system prompt under which a language model answers them.

    ## Description
    A language model gets a system prompt and a question; the number that it answers is compared with the right one. It
    is the task of TextGrad's GSM8K experiment (Yuksekgonul et al., arXiv:2406.07496), which the Trace paper repeats.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `system_prompt` | `Prompt()` | asks for a last line of the form "Answer: N" |

    ## Observation
    The graph (system prompt, question, the model's reply, the answer read from it), and the feedback.

    ## Reward
    1 for a right answer, 0 for a wrong answer or none; the mean over the batch.

    ## Feedback
    * reward: "The answer is wrong: '35'" or "The answer is right: 540"
    * hindsight_negative: "No answer was found in it, which must be a whole number."
    * future_positive: "The right answer is 540"

    ## Start
    Call number n of an episode asks `batch` questions of the train split, drawn from (episode seed, n).

    ## End
    After `oracle_calls` steps. An episode never terminates by success.

    ## Score and anchors
    The share of right answers, on a linear scale; 1 is the best by construction. The floor is the score of the start
    values, which depends on the model: with the embedded one (SmolLM2-135M-Instruct, `max_tokens=100`) 0.03 on the
    first 30 test questions (2026-11). A number may have a sign, commas, decimals and words around it. A reply without a
    number counts as no answer, not as 0.

    ## Arguments
    * `partition`: `"opto"` draws 50 questions for train and 50 for val from the published train file, and 200 for test
      from the test file; `"textgrad"` is TextGrad's: 200, 300 and the whole test file of 1,319 (shuffled by Python's
      generator of seed 0); `"opto"`.
    * `batch`: questions per oracle call; 1.
    * `max_tokens`: the most tokens of a reply; 1,024.
    * `data`: None for the data folder, `"sample"` for the few examples that come with the package.
    * `oracle_calls`, `feedback`, `render_mode` (`"rgb_array"`, `"ansi"`). No `test_seed`.

    ## Kind, cost and source
    A distribution of questions. An example is `{"input", "target", "working"}`. An oracle call takes one model call per
    question, and 0.1 ms beside it. Data: GSM8K (Cobbe et al., arXiv:2110.14168), MIT licence, `opto-gym data fetch
    gsm8k`; its calculator annotations (`<<...>>`) are removed.

    ## Version history
    * v1: answers in a box, in quotes, before further talk, or in another script are read; what the cut of a reply that
      ended by length touches does not count.
    * v0: first version.
    """

    answer_kind = "integer"
    parameters = (Parameter("system_prompt", Prompt(), START_GSM8K, "Tells the model how to answer."),)
    anchors = Anchors(None, 1.0, "2026-11", "all answers right, by construction")

    def __init__(self, *, partition: str = "opto", **keywords: Any) -> None:
        if partition not in ("opto", "textgrad"):
            raise ValueError(f"GSM8K: expected a partition of ('opto', 'textgrad'), got {partition!r}")
        self.partition = partition
        super().__init__(**keywords)

    def make_splits(self) -> Mapping[str, Split]:
        """The examples by split, as `partition` says."""
        train, test = list(self.load("gsm8k/train.jsonl")), list(self.load("gsm8k/test.jsonl"))
        if self.partition == "textgrad":
            for examples in (train, test):
                random.Random(0).shuffle(examples)
            return {**split_in_order(train, 200, 300), "test": test}
        rng = np.random.default_rng(0)
        train, test = ([examples[i] for i in rng.permutation(len(examples))] for examples in (train, test))
        return {**split_in_order(train, 50, 50), "test": test[:200]}
