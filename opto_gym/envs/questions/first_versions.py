"""The first versions of the environments of questions, by which stored results were made. They stay as they were."""

from __future__ import annotations

from typing import Any

from ...reading import first_answers
from .asking import QuestionEnv
from .bbh import BBH, LEFT_OUT
from .gsm8k import GSM8K
from .mmlu import MMLU


class FirstReader(QuestionEnv):
    """Reads answers as `reading.first_answers` does, without regard to where a reply was cut."""

    tells_of_cuts = False

    def read(self, text: str, *, cut: bool = False) -> str | None:
        """The answer in a text, of `answer_kind`."""
        return first_answers.read(self.answer_kind, text)

    def is_right(self, output: Any, target: str, *, rule: str | None = None, cut: bool = False) -> bool:
        """Whether an output is the target."""
        return first_answers.right(rule or self.rule, self.answer_kind, output, target)


class FirstBBH(FirstReader, BBH):
    """The first version of `BBH`: answers read by fewer rules, and examples with wrong targets.

    ``docs/data.md`` lists the examples of date_understanding and geometric_shapes that the later version leaves out.
    """

    @staticmethod
    def left_out(task: str) -> tuple[int, ...]:
        """The indices of the examples that are broken, contradictory or repeated."""
        return LEFT_OUT.get(task, ())


class FirstGSM8K(FirstReader, GSM8K):
    """The first version of `GSM8K`: answers read by fewer rules."""


class FirstMMLU(FirstReader, MMLU):
    """The first version of `MMLU`: answers read by fewer rules."""
