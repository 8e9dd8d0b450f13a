"""OptoPrime, the Trace paper's optimizer."""

from __future__ import annotations

from collections import deque
from typing import Any

from ..core import Problem, TraceFeedback
from .answers import schema
from .base import Values, at_least
from .model import Messages, ModelAgent, newest, shorten, tried

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


class OptoPrime(ModelAgent):
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

    def __init__(self, *, memory_size: int = 0, **settings: Any) -> None:
        super().__init__(**settings)
        at_least(0, memory_size=memory_size)
        self.memory_size = memory_size

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem."""
        super().reset(problem, seed=seed)
        self.memory: deque[tuple[Values, str]] = deque(maxlen=self.memory_size)

    def propose(self, observation: TraceFeedback) -> Values:
        """One call of the model: the next parameters."""
        messages = self.messages(observation)
        self.memory.append((dict(self.values), str(observation.feedback)))
        for answer in self.ask(messages, schema(self.problem)):
            if answer.strip() != "TERMINATE":
                self.take(answer)
        return dict(self.values)

    def messages(self, observation: TraceFeedback) -> Messages:
        """The prompt."""
        system = f"{READ}\n\n{ANSWER}"
        user = self.report(observation, self.prompt_budget - len(system))
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def report(self, observation: TraceFeedback, budget: int) -> str:
        """The run, in the paper's sections."""
        feedback = shorten(str(observation.feedback), budget // 4)
        memory = newest((tried(*past) for past in self.memory), budget // 4)
        memory = f"Earlier variables and the feedback on them:\n{memory}\n\n" if memory else ""
        fixed = [("Instruction", shorten(self.problem.objective, budget // 6)), ("Feedback", feedback)]
        frame = sum(len(text) + len(name) + 4 for name, text in fixed) + len(memory) + 200  # 200: the other headings
        graph = observation.graph.sections(budget - frame)
        sections = [fixed[0], *((name.capitalize(), text) for name, text in graph.items() if text), fixed[1]]
        shown = "\n\n".join(f"#{name}\n{text}" for name, text in sections)
        return f"{shown}\n\n{memory}Your answer:"
