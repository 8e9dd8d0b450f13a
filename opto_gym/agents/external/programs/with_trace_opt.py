"""trace-opt's optimizers on our oracle: its loop is forward, zero_feedback, backward, step; forward is one oracle call.

The trace that the oracle gives is rebuilt in trace-opt's own nodes, so that its propagator and its prompt see it.
"""

from __future__ import annotations

import os
from typing import Any

import protocol

THAWED = {"$tuple": tuple, "$set": set, "$frozenset": frozenset, "$float": float, "$cut": str}


def main(trial: protocol.Trial) -> None:
    """Proposes until the budget is spent, or the optimizer stands still by its own word."""
    os.environ["TRACE_DEFAULT_LLM_BACKEND"] = "LiteLLM"
    os.environ["TRACE_LITELLM_MODEL"] = f"openai/{trial.model}"
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else its import asks the net for a list of prices
    from opto import optimizers, trace

    nodes = {name: parameter(trace, p) for name, p in trial.parameters.items()}
    kind = getattr(optimizers, trial.settings["optimizer"])
    optimizer = kind(
        list(nodes.values()),
        objective=trial.problem["objective"],
        memory_size=trial.settings["memory_size"],
        max_tokens=trial.settings["max_tokens"],
    )
    said = trial.start
    while not said["over"]:
        optimizer.zero_feedback()
        optimizer.backward(rebuilt(trace, said["graph"], nodes), said["text"] or f"Score: {said['score']}")
        try:
            optimizer.step()
        except (TypeError, AttributeError) as e:  # what its parser makes of a null or a list, see docs/external.md
            trial.invalid(f"{type(e).__name__}: {e}")
        said = trial.evaluate({name: plain(node.data) for name, node in nodes.items()})


def parameter(trace: Any, p: dict[str, Any]) -> Any:
    """A parameter as trace-opt's trainable node; by a name that begins so it knows code."""
    name = f"__code_{p['name']}" if p["space"]["kind"] == "Code" else p["name"]
    return trace.node(
        p["start"],
        name=name,
        trainable=True,
        description=f"[ParameterNode] {p['description']}",
        constraint=p["constraint"],
    )


def rebuilt(trace: Any, graph: dict[str, Any], parameters: dict[str, Any]) -> Any:
    """The output's node of a trace, with all that led to it behind it."""
    made: list[Any] = []
    for operator, inputs, value in graph["nodes"]:
        op = graph["operators"][operator]
        if op["kind"] in ("parameter", "code"):
            made.append(parameters[op["name"]])
            continue
        if op["kind"] == "input":
            made.append(trace.node(thawed(value), name=op["name"] or "input"))
            continue
        names = [*op["arguments"], *(f"x{k}" for k in range(len(op["arguments"]), len(inputs)))]
        given: dict[str, Any] = {}
        for argument, i in zip(names, inputs, strict=False):
            # an input is a node by its number, or a value in a list of one
            node = made[i] if isinstance(i, int) else trace.node(thawed(i[0]))
            # trace-opt's backward pass fails where a call has a node twice, as x * x has
            twice = any(node is other for other in given.values())
            given[argument] = trace.operators.identity(node) if twice else node
        name = op["name"].lstrip(".") or "call"
        description = f"[{name}] {op['description']}"
        made.append(trace.nodes.MessageNode(thawed(value), inputs=given, description=description, name=name))
    return made[graph["output"]]


def thawed(value: Any) -> Any:
    """A value of a trace as Python's, as far as JSON has no word for it."""
    if isinstance(value, list):
        return [thawed(x) for x in value]
    if not isinstance(value, dict):
        return value
    key, inner = next(iter(value.items())) if value else ("", None)
    if len(value) != 1 or not key.startswith("$"):
        return {k: thawed(x) for k, x in value.items()}
    if key == "$dict":
        return {str(k): thawed(x) for k, x in inner or ()}
    return THAWED.get(key, str)(thawed(inner))


def plain(value: Any) -> Any:
    """What the optimizer wrote into a node, as JSON data."""
    return list(value) if isinstance(value, tuple) else value


if __name__ == "__main__":
    protocol.run(main)
