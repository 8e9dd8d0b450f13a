"""Baselines for prompt tasks: the start prompt, a zero-shot chain of thought, and few-shot examples."""

from __future__ import annotations

import re

from ..agents.base import Agent, ProposalLoop, Values, check_graph
from ..problems import Problem, TraceFeedback
from ..spaces import Prompt
from ..utils.checks import at_least

STEP_BY_STEP = "Let's think step by step."  # Kojima et al., "Large Language Models are Zero-Shot Reasoners", 2022
_TARGET = re.compile(r"(?:The answer is right: |The right answer is )(.+)")


class PromptAgent(Agent):
    """Proposes a prompt for a task of questions, and keeps the start values of the other parameters."""

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """The reason if the problem has no prompt template and no system prompt, else None."""
        names = {p.name for p in problem.parameters if isinstance(p.space, Prompt)}
        if names & {"prompt_template", "system_prompt"}:
            return None
        return f"{cls.__name__} fills in a prompt_template or a system_prompt, and the problem has neither"

    def run(self) -> ProposalLoop:
        """Proposes the same values in each step."""
        yield
        while True:
            yield self.values(self.problem)

    @classmethod
    def values(cls, problem: Problem) -> Values:
        """The values that are proposed."""
        return problem.start


class ModelAlone(PromptAgent):
    """Proposes the start values: the score that a prompt must beat."""


class ChainOfThought(PromptAgent):
    """Asks the model to reason before it answers.

    Chain of thought is of Wei et al., "Chain-of-Thought Prompting Elicits Reasoning in Large Language Models", 2022;
    the phrase, which needs no examples, is of Kojima et al., "Large Language Models are Zero-Shot Reasoners", 2022.
    """

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
    """Puts solved examples before the question (Brown et al., "Language Models are Few-Shot Learners", NeurIPS 2020).

    The examples are questions of train from its oracle calls, with the right answers that the feedback tells. With a
    batch of 1, each oracle call gives one example.

    Args:
        shots: The number of solved examples at most; it takes the first ones.
    """

    def __init__(self, *, shots: int = 5, **settings: str | None) -> None:
        at_least(1, shots=shots)
        super().__init__(**settings)
        self.shots = shots

    def run(self) -> ProposalLoop:
        """Collects solved examples, and proposes a prompt with all of them."""
        solved: dict[str, str] = {}
        observation = yield
        while True:
            for question, answer in examples_in(observation).items():
                if len(solved) < self.shots:
                    solved.setdefault(question, answer)
            observation = yield self.with_examples(solved)

    def with_examples(self, solved: dict[str, str]) -> Values:
        """The start values with solved examples in the prompt, as many as its space allows.

        Args:
            solved: The right answers by question.
        """
        values = self.problem.start
        name = "system_prompt" if "system_prompt" in values else "prompt_template"
        space = next(p.space for p in self.problem.parameters if p.name == name)
        shown = [f"Question: {question}\nAnswer: {answer}" for question, answer in solved.items()]
        order = [values[name], *shown] if name == "system_prompt" else [*shown, values[name]]
        while not space.contains(text := "\n\n".join(order)) and shown:
            order.remove(shown.pop())
        return {**values, name: text}


def examples_in(observation: TraceFeedback) -> dict[str, str]:
    """The questions of an observation, with the right answers that its feedback tells.

    A batch's questions come in the order of its examples. Where there is not one question for each example, they can't
    be matched, and the result is empty.

    Raises:
        OptoGymError: If the questions are masked, or only the score is left of the graph.
    """
    graph, feedback = observation
    check_graph("FewShot", graph, "inputs")
    questions = [str(n.value) for n in graph.nodes if graph.operators[n.operator].name == "question"]
    output = graph.nodes[graph.output]
    batch = len(output.inputs) if graph.operators[output.operator].name == "batch" else 1
    answers = {part.example or 0: m[1] for part in feedback.parts if (m := _TARGET.match(part.content))}
    return {q: answers[k] for k, q in enumerate(questions) if k in answers} if len(questions) == batch else {}
