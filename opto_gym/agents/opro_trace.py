"""OPRO as the Trace paper ran it."""

from __future__ import annotations

from ..core import Problem, TraceFeedback
from .answers import Unusable, read_suggestion, schema
from .base import Values
from .model import Messages, ModelAgent, newest, shorten, tried

ANSWER = """Propose new values for the variables. Answer with one JSON object and nothing else:
{"suggestion": {"variable": new value, ...}}"""


class OPROTrace(ModelAgent):
    """OPRO as the Trace paper ran it: the model sees all past parameters with their feedback, and no graph.

    The comparison of Cheng, Nie and Swaminathan, "Trace is the Next AutoDiff", NeurIPS 2024. It is not the OPRO of Yang
    et al., "Large Language Models as Optimizers", ICLR 2024: the history is in order of time and not sorted by score,
    and one candidate is proposed a step.

    Differences from the paper's program (trace-opt): our own wording; the history has a budget, the oldest are left out
    first and counted; the tolerant parser of OptoPrime.

    Args:
        settings: `ModelAgent`'s: ``model``, ``base_url``, ``prompt_budget`` (characters, 4,000 or more),
            ``max_tokens``, ``temperature`` (None is the endpoint's default), ``constrained``.
    """

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem."""
        super().reset(problem, seed=seed)
        self.history: list[tuple[Values, str]] = []

    def propose(self, observation: TraceFeedback) -> Values:
        """One call of the model: the next parameters."""
        self.history.append((dict(self.values), str(observation.feedback)))
        for answer in self.ask(self.messages(), schema(self.problem, reasoning=False)):
            try:
                self.values = {**self.values, **read_suggestion(answer, self.problem)}
            except Unusable as e:
                self.invalid(str(e))
        return dict(self.values)

    def messages(self) -> Messages:
        """The prompt: the task, and what was tried, oldest first."""
        objective = shorten(self.problem.objective, self.prompt_budget // 4)
        names = "\n".join(f"{p.name}: {p.space.describe()}. {p.description}".strip() for p in self.problem.parameters)
        names = shorten(names, self.prompt_budget // 4)
        room = self.prompt_budget - len(objective) - len(names) - len(ANSWER) - 200
        lines = [tried(*past) for past in self.history]
        shown = newest([*lines[:-1], shorten(lines[-1], room)], room)
        user = f"{objective}\n\nVariables:\n{names}\n\nTried so far, with the feedback:\n{shown}\n\nYour answer:"
        return [{"role": "system", "content": ANSWER}, {"role": "user", "content": user}]
