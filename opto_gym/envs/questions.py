"""Prompt tasks: a system prompt under which a language model answers questions, of GSM8K and of MMLU."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core import Anchors, Feedback, Parameter, Parameters
from ..spaces import Prompt
from ..trace import node, operator
from . import answers
from .asking import Asking, Split, divided

START_GSM8K = "Answer the question. End with a line of the form 'Answer: N', where N is a number."
START_MMLU = "Answer the question. End with a line of the form 'Answer: (X)', where X is the letter of an option."


class SystemPromptQuestions(Asking):
    """A system prompt, a question, a reply; the answer is read out of the reply."""

    objective = "Change the system prompt so that the language model answers the questions right."

    def forward(self, p: Parameters, example: Any) -> Any:
        """One question."""

        @operator
        def ask_model(system_prompt: str, question: str) -> str:
            """Sends the system prompt and the question to the language model and returns its reply."""
            return self.ask(question, system_prompt)

        @operator(description=f"Reads the answer, {self.expected}, where the reply announces it, or in its last line.")
        def read_answer(reply: str) -> str | None:
            return answers.read(self.kind, reply)

        reply = ask_model(p.system_prompt, node(example["input"], "question"))
        answer = read_answer(reply)
        judged = self.judge(answer.data, example)
        said = {"reply": reply.data, "answer": answer.data}
        return answer, Feedback(judged.score, judged.parts, judged.success, metrics=said)


class GSM8K(SystemPromptQuestions):
    """Questions of school mathematics, and the system prompt under which a language model answers them.

    ## Description
    A language model gets a system prompt and a question, and the number that it answers is compared with the right one.
    The task of TextGrad's GSM8K experiment (Yuksekgonul et al., arXiv:2406.07496), which the Trace paper repeats.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `system_prompt` | `Prompt()` | asks for a last line "Answer: N" |

    ## Observation
    The graph: system prompt and question, the model's reply, the answer read from it; and the feedback.

    ## Reward
    1 for a right answer, 0 for a wrong one or none; the mean over the batch.

    ## Feedback
    * reward: "The answer is wrong: '35'" or "The answer is right: 540"
    * hindsight_negative: "No answer was found in it, which must be a whole number."
    * future_positive: "The right answer is 540"

    ## Start
    Call number n of an episode asks `batch` questions of train, drawn from (episode seed, n).

    ## End
    After `oracle_calls` steps; never by success.

    ## Score and anchors
    The share of right answers, linear scale; 1 is by construction. The start's own score is the floor, since it depends
    on the model: with the embedded one (SmolLM2-135M-Instruct, `max_tokens=100`) 0.03 on the first 30 test questions
    (2026-11).
    A number keeps its sign and may have commas, decimals or words around it; a reply without a number is no answer,
    rather than 0.

    ## Arguments
    * `partition`: `"opto"`, a seeded 50 for train and 50 for val of the published train file, 200 of its test file; or
      `"textgrad"`, TextGrad's 200, 300 and the whole test file of 1,319 (shuffled by Python's generator of seed 0).
    * `batch`: 1. `max_tokens`: of a reply, 1,024.
    * `data`: None for the data folder, `"sample"` for the few examples that come with the package.
    * `oracle_calls`, `feedback`, `render_mode` (`"rgb_array"`, `"ansi"`).

    ## Kind, cost and source
    A distribution (questions). An example is `{"input", "target", "working"}`. An oracle call is one model call for
    each question, and 0.1 ms beside it. Data: GSM8K (Cobbe et al., arXiv:2110.14168), MIT licence, `opto-gym data
    fetch gsm8k`; its calculator marks (`<<...>>`) are left out.

    ## Version history
    * v0: first version.
    """

    kind = "integer"
    parameters = (Parameter("system_prompt", Prompt(), START_GSM8K, "Tells the model how to answer."),)
    anchors = Anchors(None, 1.0, "2026-11", "all answers right, by construction")

    def __init__(self, *, partition: str = "opto", **keywords: Any) -> None:
        if partition not in ("opto", "textgrad"):
            raise ValueError(f"GSM8K: expected a partition of ('opto', 'textgrad'), got {partition!r}")
        self.partition = partition
        super().__init__(**keywords)

    def divide(self) -> Mapping[str, Split]:
        """The examples by split."""
        train, test = list(self.load("gsm8k/train.jsonl")), list(self.load("gsm8k/test.jsonl"))
        if self.partition == "textgrad":
            for examples in (train, test):
                random.Random(0).shuffle(examples)
            return {**divided(train, 200, 300), "test": test}
        rng = np.random.default_rng(0)
        train, test = ([examples[i] for i in rng.permutation(len(examples))] for examples in (train, test))
        return {**divided(train, 50, 50), "test": test[:200]}


class MMLU(SystemPromptQuestions):
    """Multiple-choice questions of one subject, and the system prompt under which a language model answers them.

    ## Description
    A language model gets a system prompt and a question with four options; the letter that it answers is compared with
    the right one. A task of OPRO (Yang et al., arXiv:2309.03409) and TextGrad (Yuksekgonul et al., arXiv:2406.07496).

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `system_prompt` | `Prompt()` | asks for a last line "Answer: (X)" |

    ## Observation
    The graph: system prompt and question, the model's reply, the option read from it; and the feedback.

    ## Reward
    1 for a right answer, 0 for a wrong one or none; the mean over the batch.

    ## Feedback
    * reward: "The answer is wrong: '(B)'" or "The answer is right: (C)"
    * hindsight_negative: "No answer was found in it, which must be an option such as (B)."
    * future_positive: "The right answer is (C)"

    ## Start
    Call number n of an episode asks `batch` questions of train, drawn from (episode seed, n).

    ## End
    After `oracle_calls` steps; never by success.

    ## Score and anchors
    The share of right answers, linear scale; 1 is by construction. The start's own score is the floor, since it depends
    on the model: with the embedded one (SmolLM2-135M-Instruct, `max_tokens=32`) 0.17 on machine learning and 0.14 on
    college physics (2026-11). Guessing gives 0.25; always (A) 0.43 of machine learning's test, always (D) 0.62 of
    college physics'.

    ## Arguments
    * `subject`: `"machine_learning"` or `"college_physics"`, whose published files are known and which have ids of
      their own; any other whose `mmlu/<subject>_test.csv` is in the data folder, by
      `make("MMLU-machine_learning-v0", subject="abstract_algebra")`.
    * `batch`: 1. `max_tokens`: of a reply, 1,024.
    * `data`: None for the data folder, `"sample"` for the few examples that come with the package.
    * `oracle_calls`, `feedback`, `render_mode` (`"rgb_array"`, `"ansi"`).

    ## Kind, cost and source
    A distribution (questions). OPRO's 80/20 of the published test file (NumPy's legacy generator of seed 0), without
    the questions of train that are in test too, and those that train has twice, word for word: 88 and 23 of machine
    learning, 67 and 21 of college physics; there is no val. An example is `{"input", "target"}`.
    An oracle call is one model call for each question, and 0.1 ms beside it. Data: MMLU (Hendrycks et al.,
    arXiv:2009.03300), MIT licence, `opto-gym data fetch mmlu`.

    ## Version history
    * v0: first version.
    """

    kind = "choice"
    parameters = (Parameter("system_prompt", Prompt(), START_MMLU, "Tells the model how to answer."),)
    anchors = Anchors(None, 1.0, "2026-11", "all answers right, by construction")

    def __init__(self, *, subject: str = "machine_learning", **keywords: Any) -> None:
        if not isinstance(subject, str) or not subject.isidentifier():
            raise ValueError(f"MMLU: expected a subject such as 'college_physics', got {subject!r}")
        self.subject = subject
        super().__init__(**keywords)

    def divide(self) -> Mapping[str, Split]:
        """The examples by split."""
        examples = self.load(f"mmlu/{self.subject}_test.csv")
        n = len(examples)
        picked = set(np.random.RandomState(0).choice(n, size=int(0.8 * n), replace=False).tolist())
        test = [e for k, e in enumerate(examples) if k not in picked]
        unseen = {_stem(e) for e in test}
        train = [e for k, e in enumerate(examples) if k in picked and _stem(e) not in unseen]
        return {"train": list({e["input"]: e for e in train}.values()), "test": test}


def _stem(example: Mapping[str, str]) -> str:
    """The question without its options, which a repeated question may have in another order."""
    return example["input"].split("\n(A)")[0].strip()
