"""OPRO as the Trace paper ran it."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from ..core import Problem, TraceFeedback
from .answers import Unusable, read_suggestion, schema
from .base import Agent, Values, at_least, number_in
from .optoprime import shorten

ANSWER = """Propose new values for the variables. Answer with one JSON object and nothing else:
{"suggestion": {"variable": new value, ...}}"""


class OPROTrace(Agent):
    """OPRO as the Trace paper ran it: the model sees all past parameters with their feedback, and no graph.

    The comparison of Cheng, Nie and Swaminathan, "Trace is the Next AutoDiff", NeurIPS 2024. It is not the OPRO of Yang
    et al., "Large Language Models as Optimizers", ICLR 2024: the history is in order of time and not sorted by score,
    and one candidate is proposed a step.

    Differences from the paper's program (trace-opt): our own wording; the history has a budget, the oldest are left out
    first and counted; the tolerant parser of OptoPrime.

    Args:
        model: The optimizer's model.
        base_url: Its endpoint.
        prompt_budget: Characters of the prompt, 4,000 or more.
        max_tokens: Tokens of the answer.
        temperature: As the endpoint takes it; None is the endpoint's default.
        constrained: Constrain the answer by a JSON schema; None does so for the embedded model.
    """

    uses_model: ClassVar[bool] = True

    def __init__(
        self,
        *,
        model: str | None = None,
        base_url: str | None = None,
        prompt_budget: int = 16_000,
        max_tokens: int = 1024,
        temperature: float | None = None,
        constrained: bool | None = None,
    ) -> None:
        super().__init__(model=model, base_url=base_url)
        at_least(1, max_tokens=max_tokens)
        at_least(4_000, prompt_budget=prompt_budget)
        if temperature is not None:
            number_in("[0, inf)", temperature=temperature)
        self.prompt_budget, self.max_tokens = prompt_budget, max_tokens
        self.temperature, self.constrained = temperature, constrained

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem."""
        super().reset(problem, seed=seed)
        self.values: Values = problem.start
        self.history: list[tuple[Values, str]] = []

    def propose(self, observation: TraceFeedback) -> Values:
        """One call of the model: the next parameters."""
        self.history.append((dict(self.values), str(observation.feedback)))
        local = self.llm.endpoint == "local"
        answer = self.llm.chat(
            self.messages(),
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            seed=int(self.rng.integers(2**31)) if local else None,
            json_schema=self.schema() if (self.constrained if self.constrained is not None else local) else None,
        )
        if answer.problem is not None:
            self.invalid(answer.problem)
        else:
            try:
                self.values = {**self.values, **read_suggestion(answer.text, self.problem)}
            except Unusable as e:
                self.invalid(str(e))
        return dict(self.values)

    def schema(self) -> dict[str, Any]:
        """The form of a constrained answer."""
        return schema(self.problem, reasoning=False)

    def messages(self) -> list[dict[str, str]]:
        """The prompt: the task, and what was tried, oldest first."""
        objective = shorten(self.problem.objective, self.prompt_budget // 4)
        names = "\n".join(f"{p.name}: {p.space.describe()}. {p.description}".strip() for p in self.problem.parameters)
        names = shorten(names, self.prompt_budget // 4)
        room = self.prompt_budget - len(objective) - len(names) - len(ANSWER) - 200
        tried: list[str] = []
        for values, feedback in reversed(self.history):
            line = json.dumps({"variables": values, "feedback": feedback}, ensure_ascii=False, default=str)
            line = shorten(line, room) if not tried else line
            if sum(len(t) + 1 for t in tried) + len(line) > room:
                break
            tried.append(line)
        left_out = len(self.history) - len(tried)
        note = f"({left_out} older ones are left out)\n" if left_out else ""
        shown = "\n".join(tried[::-1])
        user = f"{objective}\n\nVariables:\n{names}\n\nTried so far, with the feedback:\n{note}{shown}\n\nYour answer:"
        return [{"role": "system", "content": ANSWER}, {"role": "user", "content": user}]
