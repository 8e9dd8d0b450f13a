"""Our tasks for users of other packages, without our harness: `gepa` and `trace-opt` (Microsoft's Trace)."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from typing import Any

from .core import OptoEnv
from .errors import MissingExtra
from .problems import Evaluation
from .reading.proposals import Unusable, cast_value
from .spaces import Code
from .trace.graph import TraceGraph
from .wrappers.observations import unwrapped

SHOWN = 6_000
"""The characters of the trace that the reflecting model sees."""


class GepaEvaluator:
    """An environment as an evaluator for `gepa.optimize_anything`: made by `as_gepa_evaluator`.

    Attributes:
        seed_candidate: The start values as texts, by name.
        dataset: The training examples, to choose from: ``("train", index)``.
        valset: The validation examples, or None where the task has no split for that.
        objective: What to achieve, in words.
    """

    def __init__(self, env: OptoEnv) -> None:
        self.env, self.objective = env, env.objective
        self.seed_candidate = {p.name: _text(p.start) for p in env.parameters}
        self.dataset = [("train", k) for k in range(min(len(env.splits["train"]), 1000))]
        self.valset = [("val", k) for k in range(len(env.splits["val"]))] if "val" in env.splits else None

    def __call__(self, candidate: Mapping[str, str], example: Any = None) -> tuple[float, dict[str, Any]]:
        """The reward of a candidate, higher is better, and the feedback on it.

        Args:
            candidate: A text for each parameter. A text that is no value of its parameter gives feedback, not an error.
            example: One of `dataset` or `valset`; None draws a batch of train.
        """
        split, examples = ("train", None) if example is None else (example[0], [example[1]])
        values = {p.name: _value(candidate.get(p.name, ""), p) for p in self.env.parameters}
        result = self.env.evaluate(values, split=split, examples=examples)
        information = {"feedback": str(result.feedback), "trace": result.graph.to_pseudocode(SHOWN)}
        return result.reward, information | ({"error": result.error} if result.error else {})

    def values(self, candidate: Mapping[str, str]) -> dict[str, Any]:
        """A candidate as parameters for `OptoEnv.evaluate` and `step`."""
        return {p.name: _value(candidate[p.name], p) for p in self.env.parameters}


def as_gepa_evaluator(env: Any) -> GepaEvaluator:
    """An environment for `gepa.optimize_anything`; see `GepaEvaluator`."""
    return GepaEvaluator(unwrapped(env))


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list) else str(value)


def _value(text: str, parameter: Any) -> Any:
    """A text as the parameter's value. One that can't be converted stays a text, which the oracle then reports."""
    try:
        return cast_value(text, parameter.space, parameter.name)
    except Unusable:
        return text


class TraceFunction:
    """An environment as a traced function for trace-opt: made by `as_trace_function`.

    Attributes:
        parameters: trace-opt's trainable nodes, by our names; give their list to an optimizer of trace-opt.
        last: Our own evaluation of the last call.
    """

    def __init__(self, env: OptoEnv) -> None:
        self.env, self._calls, trace = env, 0, _trace_opt()
        self.parameters = {
            p.name: trace.node(
                p.start,
                name=f"__code_{p.name}"
                if isinstance(p.space, Code)
                else p.name,  # by such a name trace-opt knows that it is code
                trainable=True,
                description=f"[ParameterNode] {p.description}",
                constraint=p.space.describe(),
            )
            for p in env.parameters
        }
        self.last: Evaluation | None = None

    def __call__(self, example: int | None = None) -> tuple[Any, str]:
        """One oracle call with the parameters' current values.

        Args:
            example: An index into train; None draws a batch, other examples at each call.

        Returns:
            (the output's node, which leads to our trace as trace-opt's nodes; the feedback), for
            ``optimizer.zero_feedback(); optimizer.backward(output, feedback); optimizer.step()``.
        """
        values = {name: node.data for name, node in self.parameters.items()}
        examples = self.env.draw(0, self._calls) if example is None else [example]
        self._calls += 1
        self.last = self.env.evaluate(values, examples=examples)
        return rebuilt(self.last.graph, self.parameters), str(self.last.feedback)


def as_trace_function(env: Any) -> TraceFunction:
    """An environment for the optimizers of trace-opt; see `TraceFunction`.

    Raises:
        MissingExtra: Without trace-opt.
    """
    return TraceFunction(unwrapped(env))


def rebuilt(graph: TraceGraph, parameters: Mapping[str, Any]) -> Any:
    """A trace graph in trace-opt's nodes. Some thousand nodes are too many for its backward pass.

    Args:
        graph: Ours.
        parameters: trace-opt's nodes for its parameters, by name.

    Returns:
        The output's node.
    """
    trace, made = _trace_opt(), list[Any]()
    for node in graph.nodes:
        op = graph.operators[node.operator]
        if op.kind in ("parameter", "code"):
            made.append(parameters[op.name])
        elif op.kind == "input":
            made.append(trace.node(node.value, name=op.name or "input"))
        else:
            names = [*op.arguments, *(f"x{k}" for k in range(len(op.arguments), len(node.inputs)))]
            inputs: dict[str, Any] = {}
            for name, i in zip(names, node.inputs, strict=False):
                given = made[i] if isinstance(i, int) else trace.node(i.value)
                # trace-opt's backward pass fails where a call has a node twice, as x * x has
                twice = any(given is other for other in inputs.values())
                inputs[name] = trace.operators.identity(given) if twice else given
            name = op.name.lstrip(".") or "call"
            made.append(
                trace.nodes.MessageNode(node.value, inputs=inputs, description=f"[{name}] {op.description}", name=name)
            )
    return made[graph.output]


def _trace_opt() -> Any:
    try:
        return importlib.import_module("opto.trace")
    except ModuleNotFoundError as e:
        raise MissingExtra(f"trace-opt is not installed (no module {e.name!r}): pip install trace-opt==0.1.3.8") from e
