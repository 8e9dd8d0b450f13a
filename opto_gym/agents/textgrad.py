"""TextGrad: criticism in words, carried back from the output through the trace graph to the parameters."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..problems import Feedback, Parameter, Problem, TraceFeedback
from ..reading.no_change import is_no_change_sentence, is_terminate, says_no_change
from ..reading.proposals import Unusable, schema
from ..reading.reasoning import without_reasoning
from ..reading.values import read_value
from ..trace import TraceGraph
from ..trace.display import is_grid, short
from ..trace.render import LEGEND, calls
from ..utils.checks import at_least
from ..utils.moved import moved_names
from .base import Oracle, Values
from .toolkit.criticism_order import CriticismPlan, generations, input_nodes, nodes_between, plan_criticism
from .toolkit.model_agent import BuiltMessages, Messages, ModelAgent, Question, Reply
from .toolkit.prompt_budget import Text, count_tokens, fit_list, fit_sections, render_within, shorten

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

    Yuksekgonul et al., "TextGrad: Automatic 'Differentiation' via Text", 2024 (arXiv:2406.07496; Nature 2025), section
    2. A step, where each call asks the language model once::

        input: the trace (graph, feedback) of the parameters on a batch of examples
        for each criticised node, from the outputs back to the parameters:          # backward
            for each output that it leads to:   criticism <- call(node, computation, the output's feedback)
            for each successor in the plan:     criticism <- call(node, computation, the successor's criticism)
        for each parameter:                                                         # step
            gradient <- all criticisms of the parameter, each with the computation it was used in
            new value <- call(parameter, its constraints, gradient)
        all parameters take their new values at once

    In the paper each node is a call of a language model. Here any operator makes a node, so which nodes are criticised
    is a choice: **the parameters, and their uses, which are the nodes that have a parameter as a direct input** (the
    reply to a prompt, the result of a code parameter). Other operators are part of the computation that a prompt shows,
    and cost no call. The feedback is the environment's, so no call judges the output. For one prompt, one reply and n
    examples this makes the paper's 2n calls backward and 1 update.

    A step makes at most `max_calls` calls (`opto_gym.agents.toolkit.criticism_order`). Where a graph would need more,
    as in a loop, each parameter is criticised through its uses nearest to the output; where not even one use of each
    fits, the parameters that were left out come first in the next step. A parameter that led to no output keeps its
    value. Where the graph does not show how the parameters led to the output, as a masked graph, each parameter is
    criticised by the feedback itself.

    Where the problem has a val split, a step is kept only if it raises the score on it, as in the paper. That costs an
    oracle call on all of val for the start values and for each step (`optimize`; `propose` alone does not validate).

    Differences from the authors' package (textgrad 0.1.8):

    * the wording of the prompts is our own;
    * the step shows the whole value, as far as the prompt's budget allows, not its first and last ten words;
    * criticisms come in a fixed order, momentum works, and nothing is cached;
    * an answer that can't be used proposes the parameter's last value that ran without an error and is counted as
      invalid, and one that says that no change is needed keeps the value; of several pairs of tags, the
      last pair that holds something counts.

    Args:
        momentum: How many earlier values of a parameter the step shows; 0 is plain TextGrad.
        constraints: Further constraints in words, for all parameters.
        in_context: Examples of good values, for all parameters.
        max_calls: The calls of the model in a step at most, 3 or more.
        validate: Keep a step only if it raises the score on val, where there is a val split.
        model: The optimizer's model.
        base_url: Its endpoint.
        prompt_budget: The tokens of a prompt, 1,000 or more.
        max_tokens: The tokens of an answer.
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
        """Begins a new problem: the start values are the parameters, and no earlier values are known."""
        super().reset(problem, seed=seed)
        self.earlier_values: dict[str, deque[Any]] = {name: deque(maxlen=self.momentum) for name in self.values}
        self.priority = list(self.values)  # the parameters that are criticised first, where not all fit into a step

    # ---- the loop
    def optimize(self, problem: Problem, oracle: Oracle) -> None:
        """Makes steps on batches of train; with a val split, keeps only the steps that raise the score on val."""
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
                    self.set_values(kept)
            observation = oracle(self.values)
        return None

    def propose(self, observation: TraceFeedback) -> Values:
        """One step: backward, then an update of each parameter that was criticised."""
        self.observed(observation)
        invalid = len(self.invalid_answers)
        gradients = self.backward(observation)
        new = {**self.values, **self.step(gradients)}
        if new == self.values and len(self.invalid_answers) > invalid:
            new = dict(self.working)
        self.priority.sort(key=lambda name: name in gradients)  # those without a turn are first in the next step
        self.set_values(new)
        return dict(self.values)

    def set_values(self, values: Values) -> None:
        """Replaces the parameters' values, and remembers the old ones for the momentum."""
        for name, old in self.values.items():
            if values[name] != old:
                self.earlier_values[name].append(old)
        self.values = dict(values)

    # ---- backward
    def backward(self, observation: TraceFeedback) -> dict[str, list[str]]:
        """The criticisms of each parameter by name, each with the computation that the parameter was used in."""
        graph, outputs = observation.graph, example_outputs(observation, self.problem)
        plan = plan_criticism(graph, [output.node for output in outputs], self.priority, self.max_calls)
        if not plan.parameter_uses:
            return self.criticise_by_feedback(observation)
        return self.criticise_parameters(graph, plan, self.criticise_uses(graph, outputs, plan))

    def criticise_uses(
        self, graph: TraceGraph, outputs: Sequence[ExampleOutput], plan: CriticismPlan
    ) -> dict[int, list[str]]:
        """The criticisms of each use by its node: by the outputs' feedback, and by the criticisms of its successors."""
        criticisms: dict[int, list[str]] = {}
        uses = plan.examples
        for generation in generations(plan):  # a use's successors come before it
            asked = list[tuple[int, Criticised]]()
            for use in generation:
                value, criticisms[use] = self.describe_node(graph, use), []
                for k in plan.examples[use]:
                    path = nodes_between(graph, use, outputs[k].node, uses)
                    statements = [outputs[k].feedback]
                    asked.append((use, Criticised(value, self.computation(graph, path, use), "feedback", statements)))
                for after in plan.successors[use]:
                    path, tag = nodes_between(graph, use, after, uses), f"criticism_of_{graph.names[after]}"
                    statements = criticisms[after]
                    asked.append((use, Criticised(value, self.computation(graph, path, use), tag, statements)))
            for (use, _), found in zip(asked, self.criticise([what for _, what in asked]), strict=True):
                criticisms[use] += found
        return criticisms

    def criticise_parameters(
        self, graph: TraceGraph, plan: CriticismPlan, criticisms: Mapping[int, Sequence[str]]
    ) -> dict[str, list[str]]:
        """The criticisms of each parameter by name, from the criticisms of its uses."""
        gradients: dict[str, list[str]] = {graph.names[p]: [] for p, _ in plan.parameter_uses}
        asked = []
        for p, use in plan.parameter_uses:
            value, computation = self.describe_node(graph, p), self.computation(graph, [use], p)
            asked.append(Criticised(value, computation, f"criticism_of_{graph.names[use]}", criticisms[use]))
        for (p, _), what, found in zip(plan.parameter_uses, asked, self.criticise(asked), strict=True):
            gradients[graph.names[p]] += [f"{what.computation}\nCriticism: {text}" for text in found]
        for name, uses in plan.use_counts.items():
            shown = sum(graph.names[p] == name for p, _ in plan.parameter_uses)
            if shown < uses and gradients.get(name):
                gradients[name].append(f"({uses - shown} more uses, farther from the results, are not criticised)")
        return gradients

    def criticise_by_feedback(self, observation: TraceFeedback) -> dict[str, list[str]]:
        """The criticisms by the feedback itself, where the graph does not show how the parameters led to the output."""
        run = render_within(observation.graph.to_pseudocode, self.token_budget // 3)
        feedback = feedback_text(observation.feedback, self.problem)
        asked = [p for name in self.priority for p in self.problem.parameters if p.name == name][: self.max_calls // 2]
        values = [f"{p.name}: {p.description}\n{self.values[p.name]}" for p in asked]
        found = self.criticise([Criticised(value, run, "feedback", [feedback]) for value in values])
        return dict(zip([p.name for p in asked], found, strict=True))

    def criticise(self, asked: Sequence[Criticised]) -> list[list[str]]:
        """A call each, side by side: the criticisms of values by the statements about what was computed from them.

        Args:
            asked: The values.

        Returns:
            Each criticism, as a list of one text; an empty list where there is none, or no statement to ask about.
        """
        prompts = [self._criticism_prompt(what) for what in asked if what.statements]
        replies = iter(self.ask_all([Question(prompt) for prompt in prompts]) if prompts else ())
        return [self._read_criticisms(next(replies)) if what.statements else [] for what in asked]

    def _criticism_prompt(self, what: Criticised) -> Messages:
        sections: dict[str, Text] = {"purpose": self.problem.instruction, "value": what.value}
        sections |= {"computation": what.computation, what.tag: "\n".join(what.statements)}
        return BuiltMessages(lambda: self.prompt(CRITICISE, sections))

    def _read_criticisms(self, replies: Sequence[Reply]) -> list[str]:
        usable = []
        for reply in replies:
            text = without_reasoning(reply.text, cut=bool(reply.cut)).strip()
            if reply.cut:
                text = text[: max((end.end() for end in re.finditer(r"[.!?](?=\s)|\n", text)), default=0)].strip()
            if text:
                self.usable(reply)
                usable.append(text)
            else:
                self.unusable(reply, "the criticism has no sentence" if reply.cut else "the criticism is blank")
        return usable

    def describe_node(self, graph: TraceGraph, k: int) -> str:
        """A node's value with its role: a parameter's description, or how another node was computed."""
        node, name = graph.nodes[k], graph.names[k]
        if k in graph.parameters:
            value = node.value if isinstance(node.value, str) else short(node.value, 4 * self.token_budget)
            legend = LEGEND if is_grid(node.value) else ""
            return f"{name}: {graph.operators[node.operator].description}".rstrip(" :") + f"\n{legend}{value}"
        return f"{name}, which was made so:\n{self.computation(graph, [k])}"

    def computation(self, graph: TraceGraph, path: Sequence[int], start: int | None = None) -> str:
        """The calls of the nodes on a path, with their inputs other than `start`, and what their operators do."""
        inputs = itertools.chain.from_iterable(input_nodes(graph, k) for k in path)
        shown = sorted({*path, *inputs} - {start})
        lines = render_within(lambda characters: calls(graph, shown, characters), self.token_budget // 4)
        operators = dict.fromkeys(graph.operators[graph.nodes[k].operator] for k in path)
        descriptions = "\n".join(f"{op.name}: {op.description}" for op in operators if op.description)
        return f"{lines}\n{shorten(descriptions, self.token_budget // 8)}".strip()

    # ---- step
    def step(self, criticisms: Mapping[str, Sequence[str]]) -> Values:
        """A call for each criticised parameter, side by side: the new values by name.

        A parameter whose answer can't be used has its last value that worked.
        """
        alone = [dataclasses.replace(self.problem, parameters=(p,)) for p in self.problem.parameters]
        alone = [problem for problem in alone if criticisms.get(problem.parameters[0].name)]
        questions = []
        for problem in alone:
            (p,) = problem.parameters
            prompt = self._step_prompt(p, criticisms[p.name])
            questions.append(Question(prompt, schema(problem, reasoning=False)))
        replies = self.ask_all(questions) if questions else []
        return {
            problem.parameters[0].name: self._read_step(problem, said)
            for problem, said in zip(alone, replies, strict=True)
        }

    def _step_prompt(self, p: Parameter, criticisms: Sequence[str]) -> Messages:
        value, earlier = self.values[p.name], [str(v) for v in self.earlier_values[p.name]]
        sections: dict[str, Text] = {
            "purpose": self.problem.instruction,
            "variable": f"{p.name}: {p.description}".rstrip(" :"),
            "value": str(value),
            "constraints": "\n".join([p.space.describe(), *self.constraints]),
            "examples_of_good_values": "\n---\n".join(self.in_context),
            "earlier_values_oldest_first": lambda token_budget: fit_list(earlier, token_budget, between="\n---\n"),
            "criticism": lambda token_budget: fit_list(criticisms, token_budget),
        }
        return BuiltMessages(lambda: self.prompt(IMPROVE, sections))

    def _read_step(self, alone: Problem, replies: Sequence[Reply]) -> Any:
        (p,) = alone.parameters
        for reply in replies:
            try:
                change = self.read_change(reply.text, alone, cut=bool(reply.cut))
            except Unusable as e:
                self.unusable(reply, str(e))
            else:
                self.usable(reply, change)
                return change[p.name]
        return self.working[p.name]

    def read_change(self, text: str, alone: Problem, *, cut: bool = False) -> Values:
        """The new value of a problem's only parameter, by its name; the old one where the answer keeps it.

        Args:
            text: The answer.
            alone: The problem.
            cut: Whether the answer ended by length.

        Raises:
            Unusable: If there is no usable value.
        """
        (p,) = alone.parameters
        try:
            value = read_value(text, alone, cut=cut)
        except Unusable:
            if cut or not says_no_change(without_reasoning(text)):
                raise
            return {p.name: self.values[p.name]}
        keeps = is_terminate(value) or (is_no_change_sentence(value) and len(value) < 100)
        return {p.name: self.values[p.name] if keeps else value}

    def prompt(self, system: str, sections: Mapping[str, Text]) -> Messages:
        """A prompt within the budget: sections in tags; where not all fit, the longest are shortened."""
        frame = "\n\n".join(f"<{tag}>\n\n</{tag}>" for tag in sections)
        token_budget = self.token_budget - count_tokens(system + frame)
        shown = fit_sections({tag: (1.0, text) for tag, text in sections.items()}, token_budget)
        parts = [f"<{tag}>\n{text.rstrip()}\n</{tag}>" for tag, text in shown.items() if text]
        return [{"role": "system", "content": system}, {"role": "user", "content": "\n\n".join(parts)}]


class Criticised(NamedTuple):
    """A value to criticise.

    Attributes:
        value: The value, with its role.
        computation: What was computed from it.
        tag: What the statements are: the feedback, or the criticism of another value.
        statements: What is said about the results.
    """

    value: str
    computation: str
    tag: str
    statements: Sequence[str]


class ExampleOutput(NamedTuple):
    """The output of one example of a batch.

    Attributes:
        node: Its node in the graph.
        feedback: The feedback on it, as text.
    """

    node: int
    feedback: str


def example_outputs(observation: TraceFeedback, problem: Problem) -> list[ExampleOutput]:
    """The output of each example of a batch with its own feedback.

    There is one output where the batch has one example, or where the feedback does not tell the examples apart.
    """
    graph, feedback = observation
    output = graph.nodes[graph.output]
    is_batch = graph.operators[output.operator].name == "batch"
    examples = {part.example for part in feedback.parts} - {None}
    if not is_batch or not examples or not examples <= set(range(len(output.inputs))):
        return [ExampleOutput(graph.output, feedback_text(feedback, problem))]
    found = []
    for k, node in enumerate(output.inputs):
        own = tuple(part._replace(example=None) for part in feedback.parts if part.example in (k, None))
        text = feedback_text(dataclasses.replace(feedback, parts=own), problem)
        found.append(ExampleOutput(cast(int, node), text))
    return found


def feedback_text(feedback: Feedback, problem: Problem) -> str:
    """The feedback as text; where only the score is left, a sentence with the score."""
    worst, best = problem.scores
    return str(feedback) or f"The score is {feedback.score:g}, where {worst:g} is the worst and {best:g} the best."


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "Plan": "agents.toolkit.criticism_order:CriticismPlan",
            "in_turn": "agents.toolkit.criticism_order:round_robin",
            "reach": "agents.toolkit.criticism_order:reached_targets",
        },
    )
