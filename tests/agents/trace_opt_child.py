"""Runs programs and answers through the real trace-opt, in the Python that has it: JSON in, JSON out.

In, on stdin: a list of cases ``{"program": module (of trace_problems.py), "objective", "memory", "steps": [{"feedback",
"answer"}]}``. Out: for each case a list of its steps ``{"user", "raised", "values"}``, up to where the program fails.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from types import SimpleNamespace

from opto.optimizers import OptoPrime
from opto.trace import bundle, node
from opto.trace.nodes import GRAPH


def parameter(value, name, constraint):
    return node(value, name, trainable=True, constraint=constraint)


def run(case):
    GRAPH.clear()
    program = importlib.import_module(case["program"])
    nodes = [getattr(p, "parameter", p) for p in program.parameters.values()]
    asked, answer = [], None

    def llm(messages, **_):
        asked.append(messages[1]["content"])
        return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content=answer))])

    optimizer = OptoPrime(nodes, llm=llm, objective=case["objective"], memory_size=case["memory"])
    steps = []
    for step in case["steps"]:
        answer, raised = step["answer"], None
        try:
            output = program.forward()
        except Exception:
            break
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
    results = [run(case) for case in json.load(sys.stdin)]
    print("\n" + json.dumps(results))  # it prints its backend at import
