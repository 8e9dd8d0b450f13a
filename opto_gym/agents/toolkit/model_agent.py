"""The base class of the optimizers that ask a language model: its settings, and how it asks."""

from __future__ import annotations

import contextlib
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ...llm.prices import limits_of
from ...llm.record import calls_of_evaluation
from ...problems import Problem, TraceFeedback
from ...utils.ahead import results_ahead
from ...utils.checks import at_least, number_in
from ...utils.moved import moved_names
from ..base import Agent, Values
from .calibration import Calibration
from .prompt_budget import FRAME, count_tokens

if TYPE_CHECKING:
    from ...llm import Answer

Messages = list[dict[str, str]]

EMBEDDED, UNKNOWN = (4_000, 1_024), (16_000, 8_192)
"""(tokens of the prompt, tokens of the answer) for the embedded model, whose context is 8,192 tokens, and for a hosted
model of which the table knows nothing."""

LEAST_PROMPT = 1_000
"""The least `ModelAgent.prompt_budget`: the instructions alone take some hundred tokens."""

LONGEST_ANSWER = 16_384
"""The tokens of an answer where the model would allow more."""

SHORTEST_ANSWER = 256
"""The tokens of an answer for which a call is still made where the budget holds no more; fewer hold no proposal."""


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
        call: The key of the call that it answers; None where no call is recorded.
    """

    text: str
    cut: str = ""
    call: str | None = None


class Question(NamedTuple):
    """A call of the model; the fields are the arguments of `ModelAgent.ask`."""

    messages: Messages
    schema: dict[str, Any] | None = None
    temperature: float | None = None
    n: int = 1


class Reading(NamedTuple):
    """How an answer of the model was read.

    Attributes:
        call: The key of the call; None where no call is recorded.
        read: The values that the answer proposes, by parameter; None where it was read as text, or could not be used.
        refused: Why it could not be used; None where it could.
    """

    call: str | None
    read: Values | None = None
    refused: str | None = None


class ModelAgent(Agent):
    """An optimizer that asks a language model.

    Args:
        model: The optimizer's model.
        base_url: Its endpoint.
        prompt_budget: The most tokens of the prompt, 1,000 or more. None follows the model, see `model_settings`.
        max_tokens: The most tokens of the answer; fewer where the budget holds fewer. None follows the model.
        temperature: As the endpoint takes it; None is the endpoint's default.
        constrained: Constrain the answer by a JSON schema, where the agent has one; None does so for the embedded
            model, which rarely answers in the right form otherwise.

    Attributes:
        values: The parameters proposed last.
        working: The parameters proposed last whose evaluation ended without an error, at first the start values: they
            are proposed again where an answer is unusable. See `observed`.
        calibration: What the endpoint's reports say of the estimated tokens.
        readings: How the model's answers were read since the last oracle call.
    """

    uses_model: ClassVar[bool] = True

    def __init__(
        self,
        *,
        model: str | None = None,
        base_url: str | None = None,
        prompt_budget: int | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        constrained: bool | None = None,
    ) -> None:
        super().__init__(model=model, base_url=base_url)
        if max_tokens is not None:
            at_least(1, max_tokens=max_tokens)
        if prompt_budget is not None:
            at_least(LEAST_PROMPT, prompt_budget=prompt_budget)
        if temperature is not None:
            number_in("[0, inf)", temperature=temperature)
        self._given_settings = {"prompt_budget": prompt_budget, "max_tokens": max_tokens}
        self.temperature, self.constrained = temperature, constrained
        self.calibration = Calibration()
        self.readings: list[Reading] = []
        self._shortened = math.inf  # the tokens of prompts, once one was longer than the model's context

    @classmethod
    def model_settings(cls, model: str, settings: Mapping[str, Any]) -> dict[str, int]:
        """The tokens of prompt and answer where they are not given, by the model.

        An answer has at most the tokens that the model writes, half of its context, and `LONGEST_ANSWER`; a prompt has
        the rest of the context.

        Args:
            model: The model's name.
            settings: The settings that are given.
        """
        context, most = limits_of(model)
        if model == "local":
            prompt, answer = EMBEDDED
        elif context is None:
            prompt, answer = UNKNOWN
        else:
            answer = min(most or UNKNOWN[1], context // 2, LONGEST_ANSWER)
            prompt = max(LEAST_PROMPT, context - (settings.get("max_tokens") or answer))
        defaults = {"prompt_budget": prompt, "max_tokens": answer}
        return {name: value for name, value in defaults.items() if settings.get(name) is None}

    def use_model_settings(self, settings: Mapping[str, Any]) -> None:
        """Takes the tokens of prompt and answer as the trial was planned with them."""
        self._given_settings.update(settings)

    def _setting(self, name: str) -> int:
        given = self._given_settings[name]
        return given if given is not None else self.model_settings(self.llm.model, self._given_settings)[name]

    @property
    def prompt_budget(self) -> int:
        """The most tokens of the prompt."""
        return self._setting("prompt_budget")

    @property
    def max_tokens(self) -> int:
        """The most tokens of the answer."""
        return self._setting("max_tokens")

    @property
    def token_budget(self) -> int:
        """The tokens of the messages' texts as `prompt_budget.count_tokens` counts them.

        It is `prompt_budget` without what a chat template adds, by the factor of `calibration`; and less once a prompt
        was longer than the model's context.
        """
        return int(min(self.prompt_budget / self.calibration.factor - FRAME, self._shortened))

    @property
    def room(self) -> int:
        """The old name of `token_budget`; it goes with the next release."""
        warnings.warn("ModelAgent.room is now called token_budget", DeprecationWarning, stacklevel=2)
        return self.token_budget

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem, at its start values."""
        super().reset(problem, seed=seed)
        self._shortened = math.inf
        self.values: Values = problem.start
        self.working: Values = problem.start
        self.calibration, self.readings = Calibration(), []

    def observed(self, observation: TraceFeedback) -> None:
        """Begins a step: keeps the current parameters as `working`, if their evaluation ended without an error."""
        self.calibration.end_step()
        if observation.graph.error is None:
            self.working = dict(self.values)

    def unusable(self, reply: Reply, reason: str) -> None:
        """Records that a reply could not be used, and why: first that it was cut, if it was."""
        self._refuse(reply.call, f"{reply.cut}: {reason}" if reply.cut else reason)

    def usable(self, reply: Reply, values: Values | None = None) -> None:
        """Records that a reply was used, and the values that were read from it; None where it was read as text."""
        self.readings.append(Reading(reply.call, read=values))

    def _refuse(self, call: str | None, reason: str) -> None:
        self.invalid(reason)
        self.readings.append(Reading(call, refused=reason))

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
        return self.ask_all([Question(messages, schema, temperature, n)])[0]

    def ask_all(self, questions: Sequence[Question]) -> list[list[Reply]]:
        """Calls of the model that don't depend on each other, side by side.

        Args:
            questions: The calls, each as the arguments of `ask`.

        Returns:
            The usable answers to each question, as `ask` returns them.
        """
        local = self.llm.endpoint == "local"
        # the embedded model gives one answer a call; equal seeds give equal texts there, which makes trials repeatable
        calls = [
            (k, question._replace(n=1 if local else question.n), int(self.rng.integers(2**31)) if local else None)
            for k, question in enumerate(questions)
            for _ in range(question.n if local else 1)
        ]
        replies: list[list[Reply]] = [[] for _ in questions]
        several = len(calls) > 1
        workers = min(len(calls), self.llm.concurrency) if several else 1

        def answer_to(place: int) -> Answer:
            with calls_of_evaluation(f"question {place}") if several else contextlib.nullcontext():
                return self._ask_once(*calls[place][1:])

        with results_ahead(answer_to, range(len(calls)), workers) as answers:
            for (k, question, seed), answer in zip(calls, answers, strict=True):
                messages = question.messages
                self.calibration.add(messages, answer, f"{self.llm.model} at {self.llm.endpoint}")
                if answer.too_long and isinstance(messages, BuiltMessages) and self.shorten(messages):
                    answer = self._ask_once(question, seed)
                    self.calibration.add(messages, answer, f"{self.llm.model} at {self.llm.endpoint}")
                replies[k] += self._replies(answer, question.n)
        return replies

    def _ask_once(self, question: Question, seed: int | None) -> Answer:
        constrained = self.constrained if self.constrained is not None else self.llm.endpoint == "local"
        return self.llm.chat(
            question.messages,
            max_tokens=self.max_tokens,
            fewest_tokens=min(self.max_tokens, SHORTEST_ANSWER),
            temperature=self.temperature if question.temperature is None else question.temperature,
            seed=seed,
            json_schema=question.schema if constrained else None,
            n=question.n,
        )

    def _replies(self, answer: Answer, n: int) -> list[Reply]:
        """The usable completions of an answer; each other one of the `n` is recorded as an invalid answer."""
        replies = []
        if answer.problem is not None:
            divided = "n" in (answer.dropped or ()) and not answer.is_refusal
            for _ in range(max(1, n - len(answer.texts)) if divided else 1):  # each was a request of its own
                self._refuse(answer.call, answer.problem)
        for k, text in enumerate(answer.texts):  # of several, some may be usable
            if text:
                replies.append(Reply(text, self.described_cut(answer, k), answer.call))
            elif answer.problem is None:
                self._refuse(answer.call, "the answer is empty")
        return replies

    def shorten(self, messages: BuiltMessages) -> bool:
        """Builds messages again with `SHORTER` of their tokens, which is the budget of all later prompts, too.

        Returns:
            Whether they are shorter now.
        """
        before = self._count(messages)
        self._shortened = min(self._shortened, SHORTER * before)
        return self._count(messages.rebuilt()) < before

    @staticmethod
    def _count(messages: Messages) -> int:
        return sum(count_tokens(message["content"]) for message in messages)

    def described_cut(self, answer: Answer, k: int = 0) -> str:
        """How the k-th completion of an answer was cut, in words; "" if it was not."""
        if not answer.cut(k):
            return ""
        limit, advice = f"max_tokens={self.max_tokens} tokens", "raise max_tokens"
        if answer.max_tokens is not None:
            limit, advice = f"{answer.max_tokens} tokens, which were left of the budget", "raise the budget"
        return f"the answer was cut after {limit} (finish_reason {answer.reason(k)!r}), {advice}"


def history_line(values: Values, feedback: str) -> str:
    """Parameters and the feedback on them, as one line of a prompt."""
    return json.dumps({"variables": values, "feedback": feedback}, ensure_ascii=False, default=str)


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(__name__, {"tried": "agents.toolkit.model_agent:history_line"})
