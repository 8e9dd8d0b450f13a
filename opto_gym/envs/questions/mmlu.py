"""Multiple-choice questions (MMLU)."""

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
