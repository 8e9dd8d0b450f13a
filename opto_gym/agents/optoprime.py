"""OptoPrime, the Trace paper's optimizer."""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

from ..core import Problem, TraceFeedback
from ..extras import require
from .answers import Unusable, read_suggestion, read_tags, schema
from .base import Values, at_least
from .compat import read_as_trace_opt
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

JSON = """Answer with one JSON object and nothing else:
{"reasoning": "what the feedback means and which variable causes it",
 "answer": "the answer, if the instruction asks for one",
 "suggestion": {"variable": new value, ...}}
"suggestion" holds the variables to change, by name; code keeps its function's name and arguments. If none needs to
change, answer with the one word TERMINATE."""

TAGS = """Answer in this form and with nothing else:
<reasoning>what the feedback means and which variable causes it</reasoning>
<variable>
<name>the variable's name</name>
<value>
its new value, as it is: without quotes, nothing escaped
</value>
</variable>
with a <variable> for each variable to change; code keeps its function's name and arguments. If none needs to change,
answer with the one word TERMINATE."""

ANSWER = {"json": JSON, "tags": TAGS}
END = "Your answer:"


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
    * a parameter that the run did not reach is shown, and the memory holds it too;
    * the embedded model's answers are constrained to the form by a JSON schema, since it rarely finds it by itself.

    ``parser="compat"`` takes the third to the fifth back: answers are read as trace-opt 0.1.3.8 reads them, with its
    faults (see `opto_gym.agents.compat`); an answer at which it would raise is counted as invalid. It needs the extra
    ``external``, for the formatter black, which trace-opt sends proposed code through.

    ``form="tags"`` asks for the form of OptoPrime's successor (OptoPrimeV2 of the same authors' OpenTrace), a block of
    tags for each variable, in which code stands as it is. It can't be constrained.

    Args:
        memory_size: How many past (variables, feedback) the prompt shows, oldest first; the paper uses 0, 5 and 10.
        parser: ``"tolerant"`` or ``"compat"``.
        form: ``"json"`` or ``"tags"``.
        settings: `ModelAgent`'s: ``model``, ``base_url``, ``prompt_budget`` (characters, 4,000 or more),
            ``max_tokens``, ``temperature`` (None is the endpoint's default, as in the paper), ``constrained``.
    """

    kept_back: ClassVar[float] = 0.0  # the share of the prompt's budget for what a variant adds to these messages

    def __init__(self, *, memory_size: int = 0, parser: str = "tolerant", form: str = "json", **settings: Any) -> None:
        super().__init__(**settings)
        at_least(0, memory_size=memory_size)
        if parser not in ("tolerant", "compat"):
            raise ValueError(f"expected parser to be 'tolerant' or 'compat', got {parser!r}")
        if form not in ANSWER:
            raise ValueError(f"expected form to be 'json' or 'tags', got {form!r}")
        if form == "tags" and (parser == "compat" or self.constrained):
            raise ValueError("expected form to be 'json' where parser='compat' or constrained=True, got 'tags'")
        if parser == "compat":
            require("black")
        self.memory_size, self.parser, self.form = memory_size, parser, form

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem."""
        super().reset(problem, seed=seed)
        self.memory: deque[tuple[Values, str]] = deque(maxlen=self.memory_size)

    def propose(self, observation: TraceFeedback) -> Values:
        """The next parameters."""
        messages = self.messages(observation)
        self.memory.append((dict(self.values), str(observation.feedback)))
        self.values = self.choose(messages)
        return dict(self.values)

    def choose(self, messages: Messages) -> Values:
        """One call of the model: the parameters that it proposes."""
        answers = self.ask(messages, schema(self.problem) if self.form == "json" else None)
        return next(filter(None, map(self.read, answers)), self.values)

    def read(self, answer: str) -> Values | None:
        """The parameters that an answer proposes; those that it does not name stay. None if it is unusable."""
        try:
            if self.parser == "compat":
                new = read_as_trace_opt(answer, self.problem, self.values)
            elif answer.strip() == "TERMINATE":
                new = {}
            else:
                new = (read_tags if self.form == "tags" else read_suggestion)(answer, self.problem)
        except Unusable as e:
            self.invalid(str(e))
            return None
        return {**self.values, **new}

    def messages(self, observation: TraceFeedback) -> Messages:
        """The prompt."""
        system = f"{READ}\n\n{ANSWER[self.form]}"
        user = self.report(observation, int(self.prompt_budget * (1 - self.kept_back)) - len(system))
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def report(self, observation: TraceFeedback, budget: int) -> str:
        """The run, in the paper's sections."""
        feedback = shorten(str(observation.feedback), budget // 4)
        past = self.past(budget // 4)
        fixed = [("Instruction", shorten(self.problem.objective, budget // 6)), ("Feedback", feedback)]
        frame = sum(len(text) + len(name) + 4 for name, text in fixed) + len(past) + 200  # 200: the other headings
        graph = observation.graph.sections(budget - frame)
        sections = [fixed[0], *((name.capitalize(), text) for name, text in graph.items() if text), fixed[1]]
        shown = "\n\n".join(f"#{name}\n{text}" for name, text in sections)
        return f"{shown}\n\n{past}{END}"

    def past(self, room: int) -> str:
        """What is shown of the past: the memory, oldest first."""
        memory = newest((tried(*one) for one in self.memory), room)
        return f"Earlier variables and the feedback on them:\n{memory}\n\n" if memory else ""
