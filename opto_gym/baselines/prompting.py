"""What people try first on prompt tasks: the model alone, a chain of thought, a few solved examples."""

from __future__ import annotations

import re

from ..agents.base import Agent, ProposalLoop, Values, check_graph
from ..problems import Problem, TraceFeedback
from ..spaces import Prompt
from ..utils.checks import at_least

STEP_BY_STEP = "Let's think step by step."  # Kojima et al., "Large Language Models are Zero-Shot Reasoners", 2022
_TARGET = re.compile(r"(?:The answer is right: |The right answer is )(.+)")


class PromptAgent(Agent):
    """Fills in the prompts of a problem and leaves its other parameters at their start."""

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """Why not: the problem must be one of questions, with a template or a system prompt."""
        names = {p.name for p in problem.parameters if isinstance(p.space, Prompt)}
        if names & {"prompt_template", "system_prompt"}:
            return None
        return f"{cls.__name__} fills in a prompt_template or a system_prompt, of which there is none"

    def run(self) -> ProposalLoop:
        """Proposes the same, again and again."""
        yield
        while True:
            yield self.values(self.problem)

    @classmethod
    def values(cls, problem: Problem) -> Values:
        """What to propose."""
        return problem.start


class ModelAlone(PromptAgent):
    """The model as the start values ask it: the floor that a prompt must beat."""


class ChainOfThought(PromptAgent):
    """Asks for the reasoning first (Wei et al., 2022; the zero-shot phrase is Kojima et al.'s, 2022)."""

    @classmethod
    def values(cls, problem: Problem) -> Values:
        """The start values with the phrase: at the end of a system prompt, before the answer of a template."""
        values = problem.start
        if "system_prompt" in values:
            values["system_prompt"] += f" {STEP_BY_STEP}"
        else:
            values["prompt_template"] = (
                f"Question: {{question}}\n{STEP_BY_STEP} End with a line of the form 'Answer: ' and the answer alone."
            )
        return values


class FewShot(PromptAgent):
    """Puts questions of train that were asked, with their right answers, before the question (Brown et al., 2020).

    It learns the answers from what the feedback says, so that it needs its oracle calls: one question each, where the
    batch is 1.

    Args:
        shots: How many solved examples at most; the first ones that come.
    """

    def __init__(self, *, shots: int = 5, **settings: str | None) -> None:
        at_least(1, shots=shots)
        super().__init__(**settings)
        self.shots = shots

    def run(self) -> ProposalLoop:
        """Gathers examples, and proposes a prompt with all that it has."""
        solved: dict[str, str] = {}
        observation = yield
        while True:
            for question, answer in examples_in(observation).items():
                if len(solved) < self.shots:
                    solved.setdefault(question, answer)
            observation = yield self.with_examples(solved)

    def with_examples(self, solved: dict[str, str]) -> Values:
        """The start values with solved examples, as many of them as the prompt may hold."""
        values = self.problem.start
        name = "system_prompt" if "system_prompt" in values else "prompt_template"
        space = next(p.space for p in self.problem.parameters if p.name == name)
        shown = [f"Question: {question}\nAnswer: {answer}" for question, answer in solved.items()]
        order = [values[name], *shown] if name == "system_prompt" else [*shown, values[name]]
        while not space.contains(text := "\n\n".join(order)) and shown:
            order.remove(shown.pop())
        return {**values, name: text}


def examples_in(observation: TraceFeedback) -> dict[str, str]:
    """The questions of an observation with the right answers that its feedback tells.

    A batch's questions come in the order of its examples. Where there is not one for each, none is told: they could not
    be matched.

    Raises:
        OptoGymError: If the questions are masked, or only a score is left.
    """
    graph, feedback = observation
    check_graph("FewShot", graph, "inputs")
    questions = [str(n.value) for n in graph.nodes if graph.operators[n.operator].name == "question"]
    output = graph.nodes[graph.output]
    batch = len(output.inputs) if graph.operators[output.operator].name == "batch" else 1
    told = {part.example or 0: m[1] for part in feedback.parts if (m := _TARGET.match(part.content))}
    return {q: told[k] for k, q in enumerate(questions) if k in told} if len(questions) == batch else {}
