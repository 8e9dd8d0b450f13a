"""How far the estimate of a prompt's tokens is off, learnt from what the endpoint reports in a trial."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

from .prompt_budget import FRAME, count_tokens

if TYPE_CHECKING:
    from ...llm import Answer
    from .model_agent import Messages

LEAST_FACTOR, LARGEST_FACTOR = 0.5, 2.0
"""The range of the factor. Outside of it, the reported tokens are not those of our prompt alone."""

LEAST_REPORTED = 0.5
"""The part of the estimated tokens below which the server has probably cut the prompt."""

_WHOLE = re.compile(r"[^\W\d_]+|\d{1,3}|(?:[^\w\s]|_)+")  # common tokenizers join no two of these


class Calibration:
    """The factor from estimated to reported tokens of a trial's prompts.

    It changes only between steps. So all prompts of a step have the same budget, in whatever order their answers come,
    and a resumed trial, which gets the recorded answers, has the same factors.

    Attributes:
        factor: Reported tokens for each estimated token, over the prompts of all finished steps; 1 while none is
            reported.
        cut_prompts: The number of prompts that the server has probably cut.
    """

    def __init__(self) -> None:
        self.factor = 1.0
        self.cut_prompts = 0
        self._finished = (0, 0)  # (estimated, reported) tokens of the finished steps
        self._step: list[tuple[int, int]] = []  # the same for each prompt of the current step

    def add(self, messages: Messages, answer: Answer, server: str) -> None:
        """Adds a prompt with the tokens that the endpoint reports; an answer without usage counts for nothing.

        Args:
            messages: The prompt.
            answer: The answer to it.
            server: The model and its endpoint, for the warning that the server cuts prompts.
        """
        if answer.counted != "usage":
            return
        texts = [message["content"] for message in messages]
        estimated = sum(map(count_tokens, texts)) + FRAME
        plausible = answer.tokens_in >= LEAST_REPORTED * estimated
        if plausible or answer.tokens_in >= sum(len(_WHOLE.findall(text)) for text in texts):
            self._step.append((estimated, answer.tokens_in))
            return
        self.cut_prompts += 1
        if self.cut_prompts == 2:
            warnings.warn(
                f"{server} probably cuts prompts: it reports {answer.tokens_in:,} tokens of about {estimated:,} that "
                "were sent. Raise its context (Ollama's num_ctx, llama.cpp's --ctx-size), or lower prompt_budget",
                stacklevel=3,
            )

    def end_step(self) -> None:
        """Takes the prompts of the step that ended into the factor."""
        for estimated, reported in self._step:
            self._finished = (self._finished[0] + estimated, self._finished[1] + reported)
        self._step.clear()
        if self._finished[0]:
            self.factor = min(LARGEST_FACTOR, max(LEAST_FACTOR, self._finished[1] / self._finished[0]))
