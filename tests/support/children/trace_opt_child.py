"""Runs programs and answers through the real trace-opt, in the Python that has it: JSON in, JSON out.

In, on stdin: a list of cases ``{"agent": our name, "program": module (of trace_problems.py), "objective", "memory",
"steps": [{"feedback", "answer"}]}``; the programs' modules and ``operators`` are on its path. Out: for each case a list
of its steps ``{"user", "raised", "values"}``. Where the program fails, the feedback is on its error node.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from types import SimpleNamespace

from opto.optimizers import OPRO, OptoPrime
from opto.trace import ExecutionError, bundle, node
from opto.trace.nodes import GRAPH

THEIRS = {"OptoPrime": OptoPrime, "OPRO-Trace": OPRO}


def parameter(value, name, constraint):
    return node(value, name, trainable=True, constraint=constraint)


def run(case, code):
    GRAPH.clear()
    program = importlib.import_module(case["program"])
    program.change.parameter._data = code  # all programs have this one
    nodes = [getattr(p, "parameter", p) for p in program.parameters.values()]
    asked, answer = [], None

    def llm(messages, **_):
        asked.append(messages[1]["content"])
        return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content=answer))])

    optimizer = THEIRS[case["agent"]](nodes, llm=llm, objective=case["objective"], memory_size=case["memory"])
    steps = []
    for step in case["steps"]:
        answer, raised = step["answer"], None
        try:
            output = program.forward()
        except ExecutionError as e:
            output = e.exception_node
        optimizer.zero_feedback()
        optimizer.backward(output, step["feedback"])
        try:
            optimizer.step()
        except Exception as e:
            raised = type(e).__name__
        values = {p.py_name: p.data for p in nodes}
        steps.append({"user": asked[-1], "raised": raised, "values": values})
    return steps


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.modules["traced"] = SimpleNamespace(bundle=bundle, node=node, parameter=parameter)
    start = importlib.import_module("operators").change.parameter.data
    results = [run(case, start) for case in json.load(sys.stdin)]
    print("\n" + json.dumps(results))  # it prints its backend at import
