"""OPRO as the Trace paper ran it: a history of parameters and feedback, and no graph."""

from __future__ import annotations

from typing import Any

from ..problems import Problem, TraceFeedback
from ..reading.no_change import says_no_change
from ..reading.proposals import Unusable, read_suggestion, schema
from ..reading.reasoning import without_reasoning
from ..reading.trace_opt import check_parser, read_as_trace_opt
from .base import Values
from .toolkit.model_agent import BuiltMessages, Messages, ModelAgent, history_line
from .toolkit.prompt_budget import count_tokens, fit_sections, newest_lines

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

    The baseline of Cheng, Nie and Swaminathan, "Trace is the Next AutoDiff", NeurIPS 2024, section 5. It is not the
    OPRO of Yang et al., "Large Language Models as Optimizers", ICLR 2024: the history is in order of time and not
    sorted by score, and a step proposes one candidate.

    Differences from the authors' program (trace-opt):

    * the wording is our own, and describes the variables too;
    * parameters that a run did not use are in the history;
    * the prompt has a budget: the oldest entries are left out first, and their number is shown;
    * the parser is OptoPrime's tolerant one; with ``parser="compat"`` it is trace-opt's, see `OptoPrime`.

    Args:
        parser: ``"tolerant"`` or ``"compat"``.
        settings: `ModelAgent`'s: ``model``, ``base_url``, ``prompt_budget`` (tokens, 1,000 or more),
            ``max_tokens``, ``temperature`` (None is the endpoint's default), ``constrained``.
    """

    def __init__(self, *, parser: str = "tolerant", **settings: Any) -> None:
        super().__init__(**settings)
        self.parser = check_parser(parser)

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem, with an empty history."""
        super().reset(problem, seed=seed)
        self.history: list[tuple[Values, str]] = []

    def propose(self, observation: TraceFeedback) -> Values:
        """One call of the model: the next parameters; if the answer is unusable, the last that ran without an error."""
        self.observed(observation)
        self.history.append((dict(self.values), str(observation.feedback)))
        proposed = None
        for reply in self.ask(BuiltMessages(self.messages), schema(self.problem, reasoning=False)):
            try:
                change = self.read_change(reply.text, cut=bool(reply.cut))
            except Unusable as e:
                self.unusable(reply, str(e))
                continue
            self.usable(reply, change)
            proposed = {**self.values, **change}
        if proposed is not None:
            self.values = proposed
        elif self.parser != "compat":  # trace-opt keeps the current ones
            self.values = dict(self.working)
        return dict(self.values)

    def read_change(self, text: str, *, cut: bool = False) -> Values:
        """The values that an answer changes, by name; none where it decides to change nothing.

        Args:
            text: The answer.
            cut: Whether it ended by length.

        Raises:
            Unusable: If it has no usable values.
        """
        if self.parser == "compat":
            return read_as_trace_opt(text, self.problem, self.values)
        try:
            return read_suggestion(text, self.problem, cut=cut)
        except Unusable:
            if not cut and says_no_change(without_reasoning(text)):
                return {}
            raise

    def messages(self) -> Messages:
        """The prompt: the objective, the variables, and the history, oldest first."""
        names = "\n".join(f"{p.name}: {p.space.describe()}. {p.description}".strip() for p in self.problem.parameters)
        shown = fit_sections(
            {
                "objective": (0.25, self.problem.instruction),
                "variables": (0.25, names),
                "history": (0.5, lambda budget: newest_lines(self.history, lambda pair: history_line(*pair), budget)),
            },
            self.token_budget - count_tokens(ANSWER + PAGE),
        )
        return [{"role": "system", "content": ANSWER}, {"role": "user", "content": PAGE.format_map(shown)}]
