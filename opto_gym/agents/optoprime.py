"""OptoPrime, the Trace paper's optimizer."""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

from ..problems import Problem, TraceFeedback
from ..reading.proposals import Unusable, read_suggestion, read_tags, schema
from ..reading.trace_opt import known_parser, read_as_trace_opt
from ..utils.checks import at_least
from .base import Values
from .toolkit.model_agent import Messages, ModelAgent, tried
from .toolkit.prompt_budget import Text, fit, newest, rendered, tokens

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
SHARES = {"instruction": 0.17, "run": 0.33, "feedback": 0.25, "past": 0.25}
"""Of a prompt's budget that is too small for all; of the run, see `TraceGraph.to_pseudocode`."""


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
    faults (see `opto_gym.reading.trace_opt`); an answer at which it would raise counts as invalid. It needs the extra
    ``external``, for the formatter black, which trace-opt sends proposed code through.

    ``form="tags"`` asks for the form of OptoPrime's successor (OptoPrimeV2 of the same authors' OpenTrace), a block of
    tags for each variable, in which code stands as it is. It can't be constrained.

    Args:
        memory_size: How many past (variables, feedback) the prompt shows, oldest first. The paper has 5 on the traffic
            lights, 10 on Meta-World and none elsewhere; its program's default is none.
        parser: ``"tolerant"`` or ``"compat"``.
        form: ``"json"`` or ``"tags"``.
        settings: `ModelAgent`'s: ``model``, ``base_url``, ``prompt_budget`` (tokens, 1,000 or more),
            ``max_tokens``, ``temperature`` (None is the endpoint's default, as in the paper), ``constrained``.
    """

    kept_back: ClassVar[float] = 0.0  # the share of the prompt's budget for what a variant adds to these messages

    def __init__(self, *, memory_size: int = 0, parser: str = "tolerant", form: str = "json", **settings: Any) -> None:
        super().__init__(**settings)
        at_least(0, memory_size=memory_size)
        if form not in ANSWER:
            raise ValueError(f"expected form to be 'json' or 'tags', got {form!r}")
        if form == "tags" and (parser == "compat" or self.constrained):
            raise ValueError("expected form to be 'json' where parser='compat' or constrained=True, got 'tags'")
        self.memory_size, self.parser, self.form = memory_size, known_parser(parser), form

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
        room = int(self.room * (1 - self.kept_back)) - tokens(system)
        return [{"role": "system", "content": system}, {"role": "user", "content": self.report(observation, room)}]

    def report(self, observation: TraceFeedback, room: int) -> str:
        """The run, in the paper's sections."""
        texts: dict[str, Text] = {
            "instruction": self.problem.objective,
            "run": lambda room: rendered(observation.graph.to_pseudocode, room),
            "feedback": str(observation.feedback),
            "past": self.past,
        }
        frame = tokens(f"#Instruction\n\n\n\n\n#Feedback\n\n\n\n\n{END}")
        shown = fit({name: (SHARES[name], text) for name, text in texts.items()}, room - frame)
        sections = f"#Instruction\n{shown['instruction']}\n\n{shown['run']}\n\n#Feedback\n{shown['feedback']}"
        return "\n\n".join(filter(None, [sections, shown["past"], END]))

    def past(self, room: int) -> str:
        """What is shown of the past: the memory, oldest first."""
        if not self.memory:
            return ""
        heading = "Earlier variables and the feedback on them:"
        return f"{heading}\n{newest(self.memory, lambda one: tried(*one), room - tokens(heading) - 1)}"
