"""What the optimizers that ask a language model share: settings, one way to ask, one to remember."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from ...problems import Problem
from ...utils.checks import at_least, number_in
from ..base import Agent, Values
from .prompt_budget import FRAME

Messages = list[dict[str, str]]


class ModelAgent(Agent):
    """An optimizer that asks a language model.

    Args:
        model: The optimizer's model.
        base_url: Its endpoint.
        prompt_budget: Tokens of the prompt, 1,000 or more, as `prompting.tokens` counts them. The default and the
            answer's leave room in the embedded model's context, of 8,192.
        max_tokens: Tokens of the answer.
        temperature: As the endpoint takes it; None is the endpoint's default.
        constrained: Constrain the answer by a JSON schema, where the agent has one; None does so for the embedded
            model, which rarely finds the form by itself.

    Attributes:
        values: The parameters proposed last, to which an unusable answer falls back.
        room: Tokens of the messages' texts.
    """

    uses_model: ClassVar[bool] = True

    def __init__(
        self,
        *,
        model: str | None = None,
        base_url: str | None = None,
        prompt_budget: int = 4_000,
        max_tokens: int = 1024,
        temperature: float | None = None,
        constrained: bool | None = None,
    ) -> None:
        super().__init__(model=model, base_url=base_url)
        at_least(1, max_tokens=max_tokens)
        at_least(1_000, prompt_budget=prompt_budget)
        if temperature is not None:
            number_in("[0, inf)", temperature=temperature)
        self.prompt_budget, self.max_tokens = prompt_budget, max_tokens
        self.room = prompt_budget - FRAME
        self.temperature, self.constrained = temperature, constrained

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem."""
        super().reset(problem, seed=seed)
        self.values: Values = problem.start

    def ask(
        self, messages: Messages, schema: dict[str, Any] | None = None, *, temperature: float | None = None, n: int = 1
    ) -> list[str]:
        """One call of the model.

        Args:
            messages: The prompt.
            schema: The form of a constrained answer.
            temperature: For this call; None is the agent's own.
            n: Answers wanted.

        Returns:
            The answers, up to `n`; none where there is no usable one, which is noted as invalid.
        """
        local = self.llm.endpoint == "local"
        constrained = self.constrained if self.constrained is not None else local
        texts: list[str] = []
        for _ in range(n if local else 1):  # the embedded model gives one answer a call
            answer = self.llm.chat(
                messages,
                max_tokens=self.max_tokens,
                temperature=self.temperature if temperature is None else temperature,
                # the embedded model repeats a text for a seed, so trials on it repeat too
                seed=int(self.rng.integers(2**31)) if local else None,
                json_schema=schema if constrained else None,
                n=1 if local else n,
            )
            if answer.problem is not None:
                self.invalid(answer.problem)
            for text in answer.texts:  # of several, some may be usable
                if text:
                    texts.append(text)
                else:
                    self.invalid("the answer is empty")
        return texts


def tried(values: Values, feedback: str) -> str:
    """Parameters and what was said of them, as a line."""
    return json.dumps({"variables": values, "feedback": feedback}, ensure_ascii=False, default=str)
