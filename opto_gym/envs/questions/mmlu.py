"""MMLU: a system prompt for multiple-choice questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...problems import Anchors, Parameter
from ...spaces import Prompt
from .asking import Split
from .system_prompt import SystemPromptQuestions

START_MMLU = "Answer the question. End with a line of the form 'Answer: (X)', where X is the letter of an option."


class MMLU(SystemPromptQuestions):
    """Multiple-choice questions of one subject, and the system prompt under which a language model answers them.

    ## Description
    A language model gets a system prompt and a question with four options; the letter that it answers is compared with
    the right one. It is a task of OPRO (Yang et al., arXiv:2309.03409) and TextGrad (Yuksekgonul et al.,
    arXiv:2406.07496).

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `system_prompt` | `Prompt()` | asks for a last line of the form "Answer: (X)" |

    ## Observation
    The graph (system prompt, question, the model's reply, the option read from it), and the feedback.

    ## Reward
    1 for a right answer, 0 for a wrong answer or none; the mean over the batch.

    ## Feedback
    * reward: "The answer is wrong: '(B)'" or "The answer is right: (C)"
    * hindsight_negative: "No answer was found in it, which must be an option such as (B)."
    * future_positive: "The right answer is (C)"

    ## Start
    Call number n of an episode asks `batch` questions of the train split, drawn from (episode seed, n).

    ## End
    After `oracle_calls` steps. An episode never terminates by success.

    ## Score and anchors
    The share of right answers, on a linear scale; 1 is the best by construction. The floor is the score of the start
    values, which depends on the model: with the embedded one (SmolLM2-135M-Instruct, `max_tokens=32`) 0.17 on machine
    learning and 0.14 on college physics (2026-11). Guessing scores 0.25 on average. Answering (A) always scores 0.43 on
    the test split of machine learning, (D) 0.62 on that of college physics.

    ## Arguments
    * `subject`: `"machine_learning"` or `"college_physics"`, which have their own ids and whose published files the
      data catalogue lists; or any other whose `mmlu/<subject>_test.csv` is in the data folder, as in
      `make("MMLU-machine_learning-v1", subject="abstract_algebra")`; `"machine_learning"`.
    * `batch`: questions per oracle call; 1.
    * `max_tokens`: the most tokens of a reply; 1,024.
    * `data`: None for the data folder, `"sample"` for the few examples that come with the package.
    * `oracle_calls`, `feedback`, `render_mode` (`"rgb_array"`, `"ansi"`). No `test_seed`.

    ## Kind, cost and source
    A distribution of questions. The splits are OPRO's 80 % and 20 % of the published test file (NumPy's legacy
    generator of seed 0). Questions of train that test has too, and exact repetitions in train, are removed: 88 and 23
    questions remain for machine learning, 67 and 21 for college physics. There is no val split. An example is
    `{"input", "target"}`. An oracle call takes one model call per question, and 0.1 ms beside it. Data: MMLU (Hendrycks
    et al., arXiv:2009.03300), MIT licence, `opto-gym data fetch mmlu`.

    ## Version history
    * v1: answers in a box, in quotes, before further talk, or in another script are read; what the cut of a reply that
      ended by length touches does not count.
    * v0: first version.
    """

    answer_kind = "choice"
    parameters = (Parameter("system_prompt", Prompt(), START_MMLU, "Tells the model how to answer."),)
    anchors = Anchors(None, 1.0, "2026-11", "all answers right, by construction")

    def __init__(self, *, subject: str = "machine_learning", **keywords: Any) -> None:
        if not isinstance(subject, str) or not subject.isidentifier():
            raise ValueError(f"MMLU: expected a subject such as 'college_physics', got {subject!r}")
        self.subject = subject
        super().__init__(**keywords)

    def make_splits(self) -> Mapping[str, Split]:
        """The examples by split: OPRO's, without repeated questions."""
        examples = self.load(f"mmlu/{self.subject}_test.csv")
        n = len(examples)
        picked = set(np.random.RandomState(0).choice(n, size=int(0.8 * n), replace=False).tolist())
        test = [e for k, e in enumerate(examples) if k not in picked]
        test_stems = {_stem(e) for e in test}
        train = [e for k, e in enumerate(examples) if k in picked and _stem(e) not in test_stems]
        return {"train": list({e["input"]: e for e in train}.values()), "test": test}


def _stem(example: Mapping[str, str]) -> str:
    """The question without its options, whose order may differ where a question is repeated."""
    return example["input"].split("\n(A)")[0].strip()
