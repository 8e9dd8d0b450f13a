"""OptoPrime, the Trace paper's optimizer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, ClassVar

from ..problems import Problem, TraceFeedback
from ..reading.no_change import says_no_change
from ..reading.proposals import Unusable, read_suggestion, read_tags, schema
from ..reading.reasoning import without_reasoning
from ..reading.trace_opt import check_parser, read_as_trace_opt
from ..trace import TraceGraph
from ..trace.allocation import by_priority
from ..utils.checks import at_least
from .base import Values
from .toolkit.model_agent import BuiltMessages, Messages, ModelAgent, Reply, history_line
from .toolkit.prompt_budget import Text, count_tokens, fit_sections, newest_lines, render_within, shorten

GUIDE = {
    "Instruction": "what to achieve.",
    "Code": "the calls that were made, in order; `y = f(a=x)` means that y is what f gave for x.",
    "Documentation": "what the functions do.",
    "Variables": "what you may change, with the values of this run. Values of type (code) are Python source.",
    "Constraints": "what the variables' values must satisfy.",
    "Inputs": "fixed values that you can't change.",
    "Others": "intermediate values of this run, which follow from the variables, inputs and code.",
    "Outputs": "the result of this run.",
    "Feedback": "what is said of the result.",
}
"""The sections of a report and what they hold, by title."""

WORKED = "Below are the sections of the last run that worked:"
PAST = "Earlier variables and the feedback on them:"
EXAMPLES = "Changes that helped before, the best one last:"
ADDED = {
    WORKED: "Then comes an earlier run, in the same sections, since this one was refused before it began.",
    PAST: "At the end stand the variables of earlier runs and the feedback on them, the oldest first.",
    EXAMPLES: "At the end stand changes of the variables that raised the reward.",
}
"""What may be added to a report, by its heading, and how it is introduced."""

READ = """You improve a program by changing its variables. You are shown one run of it, in these sections:
{sections}
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

ANSWER_FORMS = {"json": JSON, "tags": TAGS}
END = "Your answer:"
SHARES = {"feedback": 0.5, "instruction": 0.5, "run": 0.7, "worked": 0.7, "past": 1.0}
"""The sections of a prompt whose budget is too small for all, the most important first, and how much of what is left
each may take; `TraceGraph.to_pseudocode` divides the run's."""


def reading_guide(titles: Iterable[str]) -> str:
    """How to read a report with these sections."""
    return READ.format(sections="\n".join(f"#{t}: {GUIDE[t]}" if t in GUIDE else ADDED[t] for t in titles))


def refused(graph: TraceGraph) -> bool:
    """Whether a proposal was refused before it ran: then the graph has an error and nothing that was computed."""
    operators = [graph.operators[n.operator] for n in graph.nodes]
    computed = any(op.kind == "call" or (op.kind == "operator" and op.name != "batch") for op in operators)
    return not computed and any(op.kind == "error" for op in operators)


class OptoPrime(ModelAgent):
    """OptoPrime: a language model reads the trace as a report on a program's run, and proposes new parameters.

    Cheng, Nie and Swaminathan, "Trace is the Next AutoDiff", NeurIPS 2024, section 4 and appendix. A step, from the
    trace (g, f) of the parameters θ, with the objective ω and a memory M of the last `memory_size` pairs (θ, f)::

        1  run     <- g as pseudo-code: #Code, #Documentation, #Variables, #Constraints, #Inputs, #Others, #Outputs
        2  report  <- #Instruction with ω, run, #Feedback with f, M
        3  M       <- M and (θ, f)
        4  answer  <- model(how to read a report, the form of an answer, report)
        5  change  <- the values under "suggestion" in answer, by name
        6  if answer has no usable value: count it as invalid, change <- {}
        7  θ       <- θ with the values in change
        8  propose θ

    Differences from the authors' program (trace-opt):

    1. the wording is our own; the sections, their order and the form of the answer are the paper's;
    2. the prompt has a budget: loops are folded, long values are cut, and each cut is marked;
    3. the parser is tolerant, and never drops a proposal because it does not parse as Python or contains the letters
       "def": bad code is evaluated, and its error is the feedback;
    4. an answer without usable values is counted as invalid and proposes the last parameters again that ran without an
       error;
    5. "TERMINATE" counts only where the answer has no values, and keeps the parameters;
    6. a parameter that the run did not use is shown, and is in the memory too;
    7. a JSON schema constrains the embedded model's answers, since it rarely answers in the right form otherwise.

    With ``parser="compat"`` the third to fifth difference do not hold: answers are read as trace-opt 0.1.3.8 reads
    them, faults included (see `opto_gym.reading.trace_opt`), and an answer at which trace-opt would raise counts as
    invalid. It needs the extra ``external`` for the formatter black, through which trace-opt sends proposed code.

    With ``form="tags"`` the answer has the form of OptoPrime's successor (OptoPrimeV2 in OpenTrace, by the same
    authors): a block of tags for each variable, in which code stands unescaped. A schema can't constrain it.

    Args:
        memory_size: How many past (variables, feedback) the prompt shows, oldest first. The paper has 5 on the traffic
            lights, 10 on Meta-World and none elsewhere; the default of its program is none, ours is 5.
        parser: ``"tolerant"`` or ``"compat"``.
        form: ``"json"`` or ``"tags"``.
        settings: `ModelAgent`'s: ``model``, ``base_url``, ``prompt_budget`` (tokens, 1,000 or more),
            ``max_tokens``, ``temperature`` (None is the endpoint's default, as in the paper), ``constrained``.
    """

    reserved_share: ClassVar[float] = 0.0  # of the prompt's budget, for what a variant adds to these messages

    def __init__(self, *, memory_size: int = 5, parser: str = "tolerant", form: str = "json", **settings: Any) -> None:
        super().__init__(**settings)
        at_least(0, memory_size=memory_size)
        if form not in ANSWER_FORMS:
            raise ValueError(f"expected form to be 'json' or 'tags', got {form!r}")
        if form == "tags" and (parser == "compat" or self.constrained):
            raise ValueError("expected form to be 'json' where parser='compat' or constrained=True, got 'tags'")
        self.memory_size, self.parser, self.form = memory_size, check_parser(parser), form

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem, with an empty memory."""
        super().reset(problem, seed=seed)
        self.memory: deque[tuple[Values, str]] = deque(maxlen=self.memory_size)
        self.worked: TraceFeedback | None = None  # the last run that was not refused before it began

    def propose(self, observation: TraceFeedback) -> Values:
        """The step; see the class."""
        self.observed(observation)
        messages = BuiltMessages(lambda: self.messages(observation))  # 1, 2
        tried = (dict(self.values), str(observation.feedback))
        self.values = self.choose(
            messages
        )  # 4 to 7; where it builds the messages again, the memory has to be as before
        self.memory.append(tried)  # 3
        if not refused(observation.graph):
            self.worked = observation
        return dict(self.values)  # 8

    def messages(self, observation: TraceFeedback) -> Messages:
        """The prompt: how to read a report and the form of the answer as the system's message, then the report."""
        form = ANSWER_FORMS[self.form]
        longest = f"{reading_guide([*GUIDE, *ADDED])}\n\n{form}"
        report = self.report(observation, int(self.token_budget * (1 - self.reserved_share)) - count_tokens(longest))
        headings = {**{title: f"#{title}\n" for title in GUIDE}, **{title: f"{title}\n" for title in ADDED}}
        shown = [title for title, heading in headings.items() if heading in report]
        system = f"{reading_guide(shown)}\n\n{form}"
        return [{"role": "system", "content": system}, {"role": "user", "content": report}]

    def report(self, observation: TraceFeedback, token_budget: int) -> str:
        """The report on a run in the paper's sections, of at most `token_budget` tokens."""
        texts: dict[str, Text] = {
            "feedback": str(observation.feedback),
            "instruction": self.problem.instruction,
            "run": lambda token_budget: render_within(observation.graph.to_pseudocode, token_budget),
            "worked": self.last_that_worked if refused(observation.graph) else "",
            "past": self.past,
        }
        frame = count_tokens(f"#Instruction\n\n\n\n\n#Feedback\n\n\n\n\n\n\n\n\n{END}")
        shares = {name: (SHARES[name], text) for name, text in texts.items()}
        shown = fit_sections(shares, token_budget - frame, by_priority)
        sections = f"#Instruction\n{shown['instruction']}\n\n{shown['run']}\n\n#Feedback\n{shown['feedback']}"
        return "\n\n".join(filter(None, [sections, shown["worked"], shown["past"], END]))

    def last_that_worked(self, token_budget: int) -> str:
        """The report's section on the last run that began, for one that was refused before anything was computed."""
        if self.worked is None:
            return ""
        graph, heading = self.worked.graph, f"{WORKED}\n"
        feedback = f"\n\n##Feedback\n{shorten(str(self.worked.feedback), token_budget // 3)}"

        def render(characters: int) -> str:
            sections = graph.sections(characters)
            return "\n\n".join(f"##{name.capitalize()}\n{text}" for name, text in sections.items() if text)

        return heading + render_within(render, token_budget - count_tokens(heading + feedback)) + feedback

    def past(self, token_budget: int) -> str:
        """The report's section on the past: the memory, oldest first, of at most `token_budget` tokens."""
        if not self.memory:
            return ""
        heading = f"{PAST}\n"
        lines = newest_lines(self.memory, lambda pair: history_line(*pair), token_budget - count_tokens(heading))
        return heading + lines

    def choose(self, messages: Messages) -> Values:
        """One call of the model: the parameters that it proposes, or `fallback` if the answer is unusable."""
        replies = self.ask(messages, schema(self.problem) if self.form == "json" else None)
        return next(filter(None, map(self.read, replies)), self.fallback)

    @property
    def fallback(self) -> Values:
        """What is proposed after an unusable answer: with trace-opt's parser the current parameters, as there."""
        return dict(self.values if self.parser == "compat" else self.working)

    def read(self, reply: Reply) -> Values | None:
        """The parameters that a reply proposes; those it does not name keep their value. None if it is unusable."""
        try:
            change = self.read_change(reply.text, cut=bool(reply.cut))
        except Unusable as e:
            self.unusable(reply, str(e))
            return None
        self.usable(reply, change)
        return {**self.values, **change}

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
            return (read_tags if self.form == "tags" else read_suggestion)(text, self.problem, cut=cut)
        except Unusable:
            if not cut and says_no_change(without_reasoning(text)):
                return {}
            raise
