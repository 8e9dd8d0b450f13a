"""OptoPrime, the Trace paper's optimizer."""

from __future__ import annotations

import json
from collections import deque
from typing import Any, ClassVar

from ..core import Problem, TraceFeedback
from .answers import Unusable, read_suggestion, schema
from .base import Agent, Values, at_least, number_in

READ = """You improve a program by changing its variables. You are shown one run of it, in these sections:
#Instruction: what to achieve.
#Code: the calls that were made, in order; `y = f(a=x)` means that y is what f gave for x.
#Documentation: what the functions do.
#Variables: what you may change, with the values of this run. Values of type (code) are Python source.
#Constraints: what the variables' values must satisfy.
#Inputs: fixed values that you can't change.
#Others: intermediate values of this run, which follow from the variables, inputs and code.
#Outputs: the result of this run.
#Feedback: what is said of the result.
Find out how the variables led to the output and the feedback, and how they have to change."""

ANSWER = """Answer with one JSON object and nothing else:
{"reasoning": "what the feedback means and which variable causes it",
 "answer": "the answer, if the instruction asks for one",
 "suggestion": {"variable": new value, ...}}
"suggestion" holds the variables to change, by name; code keeps its function's name and arguments. If none needs to
change, answer with the one word TERMINATE."""


class OptoPrime(Agent):
    """OptoPrime: a language model reads the trace as a report on a program's run and proposes new parameters.

    Cheng, Nie and Swaminathan, "Trace is the Next AutoDiff", NeurIPS 2024, section 4 and appendix. One call of the
    model an update: the sub-graph is shown as pseudo-code in sections, with the feedback on its output.

    Differences from the paper's program (trace-opt):

    * the wording is our own; sections, their order and the form of the answer are the paper's;
    * the prompt has a budget: loops are rolled up, long values cut, and what is left out is said;
    * the parser is tolerant, and never drops a proposal because it does not parse as Python or contains the letters
      "def": bad code is tried, and its error is the feedback;
    * an answer without usable values proposes the last good parameters again and is counted as invalid;
    * "TERMINATE" counts only as the whole answer, and keeps the parameters;
    * the embedded model's answers are constrained to the form by a JSON schema, since it rarely finds it by itself.

    Args:
        model: The optimizer's model.
        base_url: Its endpoint.
        memory_size: How many past (variables, feedback) the prompt shows, oldest first; the paper uses 0, 5 and 10.
        prompt_budget: Characters of the prompt, 4,000 or more.
        max_tokens: Tokens of the answer.
        temperature: As the endpoint takes it; None is the endpoint's default, as in the paper.
        constrained: Constrain the answer by a JSON schema; None does so for the embedded model.
    """

    uses_model: ClassVar[bool] = True

    def __init__(
        self,
        *,
        model: str | None = None,
        base_url: str | None = None,
        memory_size: int = 0,
        prompt_budget: int = 16_000,
        max_tokens: int = 1024,
        temperature: float | None = None,
        constrained: bool | None = None,
    ) -> None:
        super().__init__(model=model, base_url=base_url)
        at_least(0, memory_size=memory_size)
        at_least(1, max_tokens=max_tokens)
        at_least(4_000, prompt_budget=prompt_budget)
        if temperature is not None:
            number_in("[0, inf)", temperature=temperature)
        self.memory_size, self.prompt_budget, self.max_tokens = memory_size, prompt_budget, max_tokens
        self.temperature, self.constrained = temperature, constrained

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem."""
        super().reset(problem, seed=seed)
        self.values: Values = problem.start
        self.memory: deque[tuple[Values, str]] = deque(maxlen=self.memory_size)

    def propose(self, observation: TraceFeedback) -> Values:
        """One call of the model: the next parameters."""
        messages = self.messages(observation)
        self.memory.append((dict(self.values), str(observation.feedback)))
        local = self.llm.endpoint == "local"
        answer = self.llm.chat(
            messages,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            # the embedded model repeats a text for a seed, so trials on it repeat too
            seed=int(self.rng.integers(2**31)) if local else None,
            json_schema=self.schema() if (self.constrained if self.constrained is not None else local) else None,
        )
        if answer.problem is not None:
            self.invalid(answer.problem)
        elif answer.text.strip() != "TERMINATE":
            try:
                self.values = {**self.values, **read_suggestion(answer.text, self.problem)}
            except Unusable as e:
                self.invalid(str(e))
        return dict(self.values)

    def schema(self) -> dict[str, Any]:
        """The form of a constrained answer."""
        return schema(self.problem)

    def messages(self, observation: TraceFeedback) -> list[dict[str, str]]:
        """The prompt."""
        system = f"{READ}\n\n{ANSWER}"
        user = self.report(observation, self.prompt_budget - len(system))
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def report(self, observation: TraceFeedback, budget: int) -> str:
        """The run, in the paper's sections."""
        feedback = shorten(str(observation.feedback), budget // 4)
        memory = self._remembered(budget // 4)
        fixed = [("Instruction", shorten(self.problem.objective, budget // 6)), ("Feedback", feedback)]
        frame = sum(len(text) + len(name) + 4 for name, text in fixed) + len(memory) + 200  # 200: the other headings
        graph = observation.graph.sections(budget - frame)
        sections = [fixed[0], *((name.capitalize(), text) for name, text in graph.items() if text), fixed[1]]
        shown = "\n\n".join(f"#{name}\n{text}" for name, text in sections)
        return f"{shown}\n\n{memory}Your answer:"

    def _remembered(self, room: int) -> str:
        """Past variables and feedback, the oldest first; those that do not fit are counted."""
        kept: list[str] = []
        for values, feedback in reversed(self.memory):
            line = json.dumps({"variables": values, "feedback": feedback}, ensure_ascii=False, default=str)
            if sum(map(len, kept)) + len(line) > room:
                break
            kept.append(line)
        if not self.memory:
            return ""
        left_out = len(self.memory) - len(kept)
        note = f"({left_out} older ones are left out)\n" if left_out else ""
        return "Earlier variables and the feedback on them:\n" + note + "\n".join(kept[::-1]) + "\n\n"


def shorten(text: str, limit: int) -> str:
    """The text, or its two ends with the number of characters between them."""
    if len(text) <= limit:
        return text
    half = max(10, limit // 2 - 20)
    return f"{text[:half]} ..({len(text) - 2 * half} more characters).. {text[-half:]}"
