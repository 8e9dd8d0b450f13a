"""TextGrad: criticism in words, carried from the output back through the graph to the parameters."""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..problems import Feedback, Parameter, Problem, TraceFeedback
from ..reading.proposals import Unusable, schema
from ..reading.values import read_value
from ..trace import TraceGraph
from ..trace.render import calls
from ..trace.values import short
from ..utils.checks import at_least
from ..utils.moved import moved_names
from .base import Oracle, Values
from .toolkit.criticism_order import between, plan, sources
from .toolkit.model_agent import Messages, ModelAgent
from .toolkit.prompt_budget import Text, fit, listed, rendered, shorten, tokens

CRITICISE = """You criticise one value inside a program, so that it can be improved. You are shown what the program is \
for, the value, what was computed from it, and what is said about the result.
Say what about this value led to that, and how it would have to be different for the result to get better. If it is \
good as it is, say so. Be brief and concrete. Give criticism only: others will write the new value."""

IMPROVE = """You improve one variable of a program. You are shown what the program is for, the variable's value, its \
constraints, and the criticism that the value received in runs of the program, each with where it was used; where \
there are any, also earlier values of it and examples of good ones.
Write a new value that answers the criticism, keeps what was good and fits the constraints. Reason briefly, then give \
the whole new value, and nothing else, between tags:
<new_value>
the value
</new_value>"""


class TextGrad(ModelAgent):
    """TextGrad: backpropagation of criticism, and a gradient step in words.

    Yuksekgonul et al., "TextGrad: Automatic 'Differentiation' via Text", 2024 (arXiv:2406.07496; Nature 2025). A step:

    1. Backward. A model criticises a value in its context, from the output to the parameters: at the end by the
       feedback (base form), before it by the criticism of the value that was made from it (chain form). One call for
       each value and successor; a value's criticism is the union of what its successors gave.
    2. The parameters' criticisms are the union over the examples of the batch.
    3. Step. For each parameter that was criticised one call gives its new value, from its role, its constraints and
       the criticisms in their contexts. All parameters change at once.

    In the paper each node is a call of a language model. Here any operator is one, so which values are criticised is a
    choice: **the parameters, and the values that were made with a parameter as a direct argument** (the reply to a
    prompt, what a code parameter gave). Plain operators between them, and behind the last of them, are shown in the
    context and not paid for. The feedback is the environment's, so no call judges the output. For one prompt, one reply
    and n examples that makes the paper's 2n calls backward and 1 update, and no step makes more than `max_calls`: where
    a graph would need more, as in a loop, each parameter is criticised through its uses nearest to the output; if not
    even one of each fits, the parameters that were left out are the first in the next step. A parameter from which
    nothing led to the output stays as it is. Where the graph shows no way at all, as a masked one, each parameter is
    criticised by the feedback itself.

    Where the problem has a val split, a step is kept only if it raises the score on it, as in the paper; that costs an
    oracle call on all of val for the start and for each step (`optimize`; a loop by hand over `propose` has no val).

    Differences from the authors' package (textgrad 0.1.8): our own wording; the whole value is shown in the step, as
    far as the prompt's budget goes, rather than its first and last ten words; criticisms come in order; momentum works;
    nothing is cached; an answer that can't be used leaves its parameter and is counted as invalid, and of several pairs
    of tags the last counts that holds something.

    Args:
        momentum: How many earlier values of a parameter the step shows; 0 is plain TextGrad.
        constraints: Further constraints in words, for all parameters.
        in_context: Examples of good values, for all parameters.
        max_calls: Calls of the model a step at most, 3 or more.
        validate: Keep a step only if it raises the score on val, where there is one.
        model: The optimizer's model.
        base_url: Its endpoint.
        prompt_budget: Tokens of a prompt, 1,000 or more.
        max_tokens: Tokens of an answer.
        temperature: 0 is the package's; None is the endpoint's default.
        constrained: Constrain the step's answer by a JSON schema; None does so for the embedded model.
    """

    def __init__(
        self,
        *,
        momentum: int = 0,
        constraints: Sequence[str] = (),
        in_context: Sequence[str] = (),
        max_calls: int = 32,
        validate: bool = True,
        temperature: float | None = 0.0,
        **settings: Any,
    ) -> None:
        super().__init__(temperature=temperature, **settings)
        at_least(0, momentum=momentum)
        at_least(3, max_calls=max_calls)
        for name, texts in (("constraints", constraints), ("in_context", in_context)):
            if isinstance(texts, str) or not all(isinstance(t, str) for t in texts):
                raise ValueError(f"expected {name} to be a list of texts, got {texts!r}")
        self.momentum, self.max_calls, self.validate = momentum, max_calls, validate
        self.constraints, self.in_context = list(constraints), list(in_context)

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem."""
        super().reset(problem, seed=seed)
        self.past: dict[str, deque[Any]] = {name: deque(maxlen=self.momentum) for name in self.values}
        self.order = list(self.values)  # whose turn it is, where not all parameters fit into a step

    # ---- the loop
    def optimize(self, problem: Problem, oracle: Oracle) -> None:
        """Steps on batches of train, each kept only if val improves; without val, each step is kept."""
        if not self.validate or "val" not in problem.examples:
            return super().optimize(problem, oracle)
        observation, best = oracle.start, oracle(problem.start, split="val").feedback.reward
        while not oracle.over:
            kept = dict(self.values)
            if self.propose(observation) != kept:
                reward = oracle(self.values, split="val").feedback.reward
                if reward > best:
                    best = reward
                else:
                    self.move(kept)
            observation = oracle(self.values)
        return None

    def propose(self, observation: TraceFeedback) -> Values:
        """One step: backward, then an update of each parameter that was criticised."""
        gradients = self.backward(observation)
        new = dict(self.values)
        for p in self.problem.parameters:
            if gradients.get(p.name):
                new[p.name] = self.step(p, gradients[p.name])
        self.order.sort(key=lambda name: name in gradients)  # the others are first in the next step
        self.move(new)
        return dict(self.values)

    def move(self, values: Values) -> None:
        """Makes these the parameters; values that they replace are remembered."""
        for name, old in self.values.items():
            if values[name] != old:
                self.past[name].append(old)
        self.values = dict(values)

    # ---- backward
    def backward(self, observation: TraceFeedback) -> dict[str, list[str]]:
        """The criticisms of each parameter, each with where it was used: by name."""
        graph, runs = observation.graph, runs_of(observation, self.problem)
        ways = plan(graph, [run.end for run in runs], self.order, self.max_calls)
        if not ways.pairs:
            return self.without_graph(observation)
        criticisms: dict[int, list[str]] = {}
        for use in sorted(ways.examples, reverse=True):  # successors first
            value, found = self.described(graph, use), list[str]()
            for k in ways.examples[use]:
                way = between(graph, use, runs[k].end, ways.examples)
                found += self.criticise(value, self.context(graph, way, use), "feedback", [runs[k].feedback])
            for after in ways.successors[use]:
                way, tag = between(graph, use, after, ways.examples), f"criticism_of_{graph.names[after]}"
                found += self.criticise(value, self.context(graph, way, use), tag, criticisms[after])
            criticisms[use] = found
        gradients: dict[str, list[str]] = {graph.names[p]: [] for p, _ in ways.pairs}
        for p, use in ways.pairs:
            value, context, tag = self.described(graph, p), self.context(graph, [use], p), graph.names[use]
            found = self.criticise(value, context, f"criticism_of_{tag}", criticisms[use])
            gradients[graph.names[p]] += [f"{context}\nCriticism: {text}" for text in found]
        for name, uses in ways.uses.items():
            shown = sum(graph.names[p] == name for p, _ in ways.pairs)
            if shown < uses and gradients.get(name):
                gradients[name].append(f"({uses - shown} more uses, farther from the results, are not criticised)")
        return gradients

    def criticise(self, value: str, computation: str, tag: str, said: Sequence[str]) -> list[str]:
        """One call: the criticism of a value by what is said of its result; none if nothing is, or in the answer."""
        if not said:
            return []
        sections = {"purpose": self.problem.objective, "value": value, "computation": computation, tag: "\n".join(said)}
        answers = self.ask(self.page(CRITICISE, sections))
        usable = [answer.strip() for answer in answers if answer.strip()]
        if answers and not usable:
            self.invalid("the criticism is blank")
        return usable

    def described(self, graph: TraceGraph, k: int) -> str:
        """A node's value with its role: a parameter's description, else how it was made."""
        node, name = graph.nodes[k], graph.names[k]
        if k in graph.parameters:
            value = node.value if isinstance(node.value, str) else short(node.value, 4 * self.room)
            return f"{name}: {graph.operators[node.operator].description}".rstrip(" :") + f"\n{value}"
        return f"{name}, which was made so:\n{self.context(graph, [k])}"

    def context(self, graph: TraceGraph, way: Sequence[int], start: int | None = None) -> str:
        """The computation of these nodes, with the arguments that it took beside the one that it starts from."""
        arguments = itertools.chain.from_iterable(sources(graph, k) for k in way)
        places = sorted({*way, *arguments} - {start})
        lines = rendered(lambda limit: calls(graph, places, limit), self.room // 4)
        operators = dict.fromkeys(graph.operators[graph.nodes[k].operator] for k in way)
        said = "\n".join(f"{op.name}: {op.description}" for op in operators if op.description)
        return f"{lines}\n{shorten(said, self.room // 8)}".strip()

    def without_graph(self, observation: TraceFeedback) -> dict[str, list[str]]:
        """Criticism of the parameters by the feedback itself, where the graph does not tell what led to it."""
        seen = rendered(observation.graph.to_pseudocode, self.room // 3)
        said = words(observation.feedback, self.problem)
        asked = [p for name in self.order for p in self.problem.parameters if p.name == name][: self.max_calls // 2]
        values = {p.name: f"{p.name}: {p.description}\n{self.values[p.name]}" for p in asked}
        return {name: self.criticise(value, seen, "feedback", [said]) for name, value in values.items()}

    # ---- step
    def step(self, p: Parameter, criticisms: Sequence[str]) -> Any:
        """One call: the parameter's new value, or its old one if the answer can't be used."""
        value, earlier = self.values[p.name], [str(v) for v in self.past[p.name]]
        sections: dict[str, Text] = {
            "purpose": self.problem.objective,
            "variable": f"{p.name}: {p.description}".rstrip(" :"),
            "value": str(value),
            "constraints": "\n".join([p.space.describe(), *self.constraints]),
            "examples_of_good_values": "\n---\n".join(self.in_context),
            "earlier_values_oldest_first": lambda room: listed(earlier, room, between="\n---\n"),
            "criticism": lambda room: listed(criticisms, room),
        }
        alone = dataclasses.replace(self.problem, parameters=(p,))
        for answer in self.ask(self.page(IMPROVE, sections), schema(alone, reasoning=False)):
            try:
                return read_value(answer, alone)
            except Unusable as e:
                self.invalid(str(e))
        return value

    def page(self, system: str, sections: Mapping[str, Text]) -> Messages:
        """A prompt within the budget: sections in tags; where not all fit, the longest are shortened."""
        frame = "\n\n".join(f"<{tag}>\n\n</{tag}>" for tag in sections)
        shown = fit({tag: (1.0, text) for tag, text in sections.items()}, self.room - tokens(system + frame))
        parts = [f"<{tag}>\n{text.rstrip()}\n</{tag}>" for tag, text in shown.items() if text]
        return [{"role": "system", "content": system}, {"role": "user", "content": "\n\n".join(parts)}]


class Run(NamedTuple):
    """An example: the place of its output, and what is said of it."""

    end: int
    feedback: str


def runs_of(observation: TraceFeedback, problem: Problem) -> list[Run]:
    """The examples of a batch, each with its own feedback; one where the output is of one example."""
    graph, feedback = observation
    output = graph.nodes[graph.output]
    examples = {part.example for part in feedback.parts} - {None}
    if (
        graph.operators[output.operator].name != "batch"
        or not examples <= set(range(len(output.inputs)))
        or not examples
    ):
        return [Run(graph.output, words(feedback, problem))]
    runs = []
    for k, end in enumerate(output.inputs):
        own = tuple(part._replace(example=None) for part in feedback.parts if part.example in (k, None))
        runs.append(Run(cast(int, end), words(dataclasses.replace(feedback, parts=own), problem)))
    return runs


def words(feedback: Feedback, problem: Problem) -> str:
    """The feedback as text; where only the score is left, the score."""
    worst, best = problem.scores
    return str(feedback) or f"The score is {feedback.score:g}, where {worst:g} is the worst and {best:g} the best."


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "Plan": "agents.toolkit.criticism_order",
            "in_turn": "agents.toolkit.criticism_order",
            "reach": "agents.toolkit.criticism_order",
        },
    )
