"""Runs trace-opt's optimizers: the loop is zero_feedback, backward, step, and an oracle call as the forward pass.

The oracle's trace is rebuilt in trace-opt's own nodes, so that its propagator and its prompt see it.
"""

from __future__ import annotations

import os
from typing import Any

import protocol

TAGGED_TYPES = {"$tuple": tuple, "$set": set, "$frozenset": frozenset, "$float": float, "$cut": str}


def main(trial: protocol.Trial) -> None:
    """Makes updates until no further evaluation is possible."""
    os.environ["TRACE_DEFAULT_LLM_BACKEND"] = "LiteLLM"
    os.environ["TRACE_LITELLM_MODEL"] = f"openai/{trial.model}"
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else its import downloads a list of prices
    from opto import optimizers, trace

    nodes = {name: parameter(trace, p) for name, p in trial.parameters.items()}
    optimizer_class = getattr(optimizers, trial.settings["optimizer"])
    optimizer = optimizer_class(
        list(nodes.values()),
        objective=trial.problem["objective"],
        memory_size=trial.settings["memory_size"],
        max_tokens=trial.settings["max_tokens"],
    )
    evaluation = trial.start
    while not evaluation["over"]:
        optimizer.zero_feedback()
        optimizer.backward(
            rebuild_graph(trace, evaluation["graph"], nodes), evaluation["text"] or f"Score: {evaluation['score']}"
        )
        try:
            optimizer.step()
        except (TypeError, AttributeError) as e:  # raised by its parser at a null or a list, see docs/external.md
            trial.invalid(f"{type(e).__name__}: {e}")
        evaluation = trial.evaluate({name: to_json(node.data) for name, node in nodes.items()})


def parameter(trace: Any, p: dict[str, Any]) -> Any:
    """A parameter as a trainable node of trace-opt, which recognizes code by the beginning of its name."""
    name = f"__code_{p['name']}" if p["space"]["kind"] == "Code" else p["name"]
    return trace.node(
        p["start"],
        name=name,
        trainable=True,
        description=f"[ParameterNode] {p['description']}",
        constraint=p["constraint"],
    )


def rebuild_graph(trace: Any, graph: dict[str, Any], parameters: dict[str, Any]) -> Any:
    """A trace in trace-opt's nodes.

    Args:
        trace: The module `opto.trace`.
        graph: The oracle's graph.
        parameters: The nodes of the parameters, by name.

    Returns:
        The node of the output.
    """
    made: list[Any] = []
    for operator, inputs, value in graph["nodes"]:
        op = graph["operators"][operator]
        if op["kind"] in ("parameter", "code"):
            made.append(parameters[op["name"]])
            continue
        if op["kind"] == "input":
            made.append(trace.node(from_json(value), name=op["name"] or "input"))
            continue
        names = [*op["arguments"], *(f"x{k}" for k in range(len(op["arguments"]), len(inputs)))]
        given: dict[str, Any] = {}
        for argument, i in zip(names, inputs, strict=False):
            # an input is the number of a node, or a list with a plain value
            node = made[i] if isinstance(i, int) else trace.node(from_json(i[0]))
            # trace-opt's backward pass fails where a call has a node twice, as x * x has
            twice = any(node is other for other in given.values())
            given[argument] = trace.operators.identity(node) if twice else node
        name = op["name"].lstrip(".") or "call"
        description = f"[{name}] {op['description']}"
        made.append(trace.nodes.MessageNode(from_json(value), inputs=given, description=description, name=name))
    return made[graph["output"]]


def from_json(value: Any) -> Any:
    """A value of a trace as a Python value: JSON tags the types that it does not have."""
    if isinstance(value, list):
        return [from_json(x) for x in value]
    if not isinstance(value, dict):
        return value
    key, inner = next(iter(value.items())) if value else ("", None)
    if len(value) != 1 or not key.startswith("$"):
        return {k: from_json(x) for k, x in value.items()}
    if key == "$dict":
        return {str(k): from_json(x) for k, x in inner or ()}
    return TAGGED_TYPES.get(key, str)(from_json(inner))


def to_json(value: Any) -> Any:
    """The value that the optimizer wrote into a node, as JSON data."""
    return list(value) if isinstance(value, tuple) else value


if __name__ == "__main__":
    protocol.run(main)
