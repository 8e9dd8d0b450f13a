"""The first versions of the tutorials' environments, by which stored results were made. They stay as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...reading import first_answers
from ..questions.asking import reply_text
from .negotiation import Action, Negotiation

if TYPE_CHECKING:
    from ...llm import Answer


class FirstNegotiation(Negotiation):
    """The first version of `Negotiation`: of several actions in a model's answer the first counts."""

    def read_action(self, answer: Answer) -> Action:
        """The action in a model's answer; an empty dictionary if there is none."""
        return first_answers.read_action(reply_text(answer))
