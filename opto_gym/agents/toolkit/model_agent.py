"""The base class of the optimizers that ask a language model: its settings, and how it asks."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ...problems import Problem, TraceFeedback
from ...utils.checks import at_least, number_in
from ...utils.moved import moved_names
from ..base import Agent, Values
from .prompt_budget import FRAME, count_tokens

if TYPE_CHECKING:
    from ...llm import Answer

Messages = list[dict[str, str]]


SHORTER = 0.6
"""The share of its tokens with which a prompt is built again that was longer than the model's context."""


class BuiltMessages(list[dict[str, str]]):
    """Messages that can be built again within a smaller budget of tokens.

    Args:
        build: Builds them within the agent's `token_budget`.
        messages: What it builds at present; None calls it.
    """

    def __init__(self, build: Callable[[], Messages], messages: Messages | None = None) -> None:
        super().__init__(build() if messages is None else messages)
        self._build = build

    def rebuilt(self) -> BuiltMessages:
        """Builds the messages again, in place, and returns them."""
        self[:] = self._build()
        return self


def changed(messages: Messages, change: Callable[[Messages], Messages]) -> Messages:
    """Messages that are made of others, and that can be built again if those can.

    Args:
        messages: The others.
        change: Makes them of the others.
    """
    if isinstance(messages, BuiltMessages):
        return BuiltMessages(lambda: change(messages.rebuilt()), change(messages))
    return change(messages)


class Reply(NamedTuple):
    """A model's answer, for a reader.

    Attributes:
        text: The text.
        cut: How it was cut, in words: by a limit of tokens, which is named. "" where it ended by itself.
    """

    text: str
    cut: str = ""


class ModelAgent(Agent):
    """An optimizer that asks a language model.

    Args:
        model: The optimizer's model.
        base_url: Its endpoint.
        prompt_budget: The tokens of the prompt, 1,000 or more, as `prompt_budget.count_tokens` counts them. The
            defaults of prompt and answer together are less than the embedded model's context of 8,192 tokens.
        max_tokens: The tokens of the answer.
        temperature: As the endpoint takes it; None is the endpoint's default.
        constrained: Constrain the answer by a JSON schema, where the agent has one; None does so for the embedded
            model, which rarely answers in the right form otherwise.

    Attributes:
        values: The parameters proposed last.
        working: The parameters proposed last whose evaluation ended without an error, at first the start values: they
            are proposed again where an answer is unusable. See `observed`.
        token_budget: The tokens of the messages' texts: `prompt_budget` without what a chat template adds; less once
            a prompt was longer than the model's context.
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
        self.token_budget = prompt_budget - FRAME
        self.temperature, self.constrained = temperature, constrained

    @property
    def room(self) -> int:
        """The old name of `token_budget`; it goes with the next release."""
        warnings.warn("ModelAgent.room is now called token_budget", DeprecationWarning, stacklevel=2)
        return self.token_budget

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem, at its start values."""
        super().reset(problem, seed=seed)
        self.token_budget = self.prompt_budget - FRAME
        self.values: Values = problem.start
        self.working: Values = problem.start

    def observed(self, observation: TraceFeedback) -> None:
        """Keeps the current parameters as `working`, if their evaluation ended without an error."""
        if observation.graph.error is None:
            self.working = dict(self.values)

    def unusable(self, reply: Reply, reason: str) -> None:
        """Records that a reply could not be used, and why: first that it was cut, if it was."""
        self.invalid(f"{reply.cut}, raise max_tokens: {reason}" if reply.cut else reason)

    def ask(
        self, messages: Messages, schema: dict[str, Any] | None = None, *, temperature: float | None = None, n: int = 1
    ) -> list[Reply]:
        """One call of the model, or a second one where the prompt is longer than the model's context.

        Args:
            messages: The prompt. `BuiltMessages` are built again once with `SHORTER` of their tokens, where they are
                longer than the model's context, and all later prompts have that budget.
            schema: The JSON schema of a constrained answer.
            temperature: The temperature of this call; None is the agent's own.
            n: The number of answers wanted.

        Returns:
            The usable answers, `n` at most. Each other one is recorded as an invalid answer.
        """
        local = self.llm.endpoint == "local"
        constrained = self.constrained if self.constrained is not None else local
        replies: list[Reply] = []
        for _ in range(n if local else 1):  # the embedded model gives one answer per call
            answer = self._ask_once(messages, schema if constrained else None, temperature, 1 if local else n)
            if answer.too_long and isinstance(messages, BuiltMessages) and self.shorten(messages):
                answer = self._ask_once(messages, schema if constrained else None, temperature, 1 if local else n)
            if answer.problem is not None:
                divided = "n" in (answer.dropped or ()) and not answer.is_refusal
                for _ in range(max(1, n - len(answer.texts)) if divided else 1):  # each was a request of its own
                    self.invalid(answer.problem)
            for k, text in enumerate(answer.texts):  # of several, some may be usable
                if text:
                    replies.append(Reply(text, self.described_cut(answer, k)))
                elif answer.problem is None:
                    self.invalid("the answer is empty")
        return replies

    def _ask_once(self, messages: Messages, schema: dict[str, Any] | None, temperature: float | None, n: int) -> Answer:
        """One call of the model; the arguments are those of `ask`."""
        return self.llm.chat(
            messages,
            max_tokens=self.max_tokens,
            temperature=self.temperature if temperature is None else temperature,
            # equal seeds give equal texts on the embedded model, which makes trials on it repeatable
            seed=int(self.rng.integers(2**31)) if self.llm.endpoint == "local" else None,
            json_schema=schema,
            n=n,
        )

    def shorten(self, messages: BuiltMessages) -> bool:
        """Builds messages again with `SHORTER` of their tokens, which is the budget of all later prompts, too.

        Returns:
            Whether they are shorter now.
        """
        before = self._count(messages)
        self.token_budget = min(self.token_budget, int(SHORTER * before))
        return self._count(messages.rebuilt()) < before

    @staticmethod
    def _count(messages: Messages) -> int:
        return sum(count_tokens(message["content"]) for message in messages)

    def described_cut(self, answer: Answer, k: int = 0) -> str:
        """How the k-th completion of an answer was cut, in words; "" if it was not."""
        if not answer.cut(k):
            return ""
        return f"the answer was cut after max_tokens={self.max_tokens} tokens (finish_reason {answer.reason(k)!r})"


def history_line(values: Values, feedback: str) -> str:
    """Parameters and the feedback on them, as one line of a prompt."""
    return json.dumps({"variables": values, "feedback": feedback}, ensure_ascii=False, default=str)


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(__name__, {"tried": "agents.toolkit.model_agent:history_line"})
