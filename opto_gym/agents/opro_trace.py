"""OPRO as the Trace paper ran it."""

from __future__ import annotations

from typing import Any

from ..problems import Problem, TraceFeedback
from ..reading.proposals import Unusable, read_suggestion, schema
from ..reading.trace_opt import known_parser, read_as_trace_opt
from .base import Values
from .toolkit.model_agent import Messages, ModelAgent, tried
from .toolkit.prompt_budget import fit, newest, tokens

ANSWER = """Propose new values for the variables. Answer with one JSON object and nothing else:
{"suggestion": {"variable": new value, ...}}"""

PAGE = """{objective}

Variables:
{variables}

Tried so far, with the feedback:
{history}

Your answer:"""


class OPROTrace(ModelAgent):
    """OPRO as the Trace paper ran it: the model sees all past parameters with their feedback, and no graph.

    The comparison of Cheng, Nie and Swaminathan, "Trace is the Next AutoDiff", NeurIPS 2024. It is not the OPRO of Yang
    et al., "Large Language Models as Optimizers", ICLR 2024: the history is in order of time and not sorted by score,
    and one candidate is proposed a step.

    Differences from the paper's program (trace-opt): our own wording, which describes the variables too; parameters
    that a run did not reach are in the history; it has a budget, the oldest are left out first and counted; the
    tolerant parser of OptoPrime, or with ``parser="compat"`` trace-opt's own, as there.

    Args:
        parser: ``"tolerant"`` or ``"compat"``.
        settings: `ModelAgent`'s: ``model``, ``base_url``, ``prompt_budget`` (tokens, 1,000 or more),
            ``max_tokens``, ``temperature`` (None is the endpoint's default), ``constrained``.
    """

    def __init__(self, *, parser: str = "tolerant", **settings: Any) -> None:
        super().__init__(**settings)
        self.parser = known_parser(parser)

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem."""
        super().reset(problem, seed=seed)
        self.history: list[tuple[Values, str]] = []

    def propose(self, observation: TraceFeedback) -> Values:
        """One call of the model: the next parameters."""
        self.history.append((dict(self.values), str(observation.feedback)))
        for answer in self.ask(self.messages(), schema(self.problem, reasoning=False)):
            try:
                self.values = {**self.values, **self.read(answer)}
            except Unusable as e:
                self.invalid(str(e))
        return dict(self.values)

    def read(self, answer: str) -> Values:
        """The values that an answer proposes."""
        if self.parser == "compat":
            return read_as_trace_opt(answer, self.problem, self.values)
        return read_suggestion(answer, self.problem)

    def messages(self) -> Messages:
        """The prompt: the task, and what was tried, oldest first."""
        names = "\n".join(f"{p.name}: {p.space.describe()}. {p.description}".strip() for p in self.problem.parameters)
        shown = fit(
            {
                "objective": (0.25, self.problem.objective),
                "variables": (0.25, names),
                "history": (0.5, lambda room: newest(self.history, lambda past: tried(*past), room)),
            },
            self.room - tokens(ANSWER + PAGE),
        )
        return [{"role": "system", "content": ANSWER}, {"role": "user", "content": PAGE.format_map(shown)}]
