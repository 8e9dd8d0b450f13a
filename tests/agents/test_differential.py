"""Our OptoPrime beside the real trace-opt: the same programs and answers through both.

Runs where TRACE_OPT_PYTHON names a Python that has trace-opt with its optimizers (`make differential` makes one).
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

import opto_gym
from opto_gym import Choice, Code, Feedback, Number, Parameter, Part, Permutation, Problem, Prompt, TraceFeedback, trace
from tests.agents import trace_problems
from tests.openai_server import OpenAIServer

PROBLEMS, STEPS = 200, 3
SPACES = {int: Number(integer=True), float: Number(), str: Prompt(), bool: Choice([True, False]), list: Permutation(3)}
OBJECTIVE = "Make the output larger."
SECTIONS = "Instruction|Code|Documentation|Variables|Constraints|Inputs|Others|Outputs|Feedback"

pytestmark = pytest.mark.skipif(
    "TRACE_OPT_PYTHON" not in os.environ, reason="TRACE_OPT_PYTHON names no python with trace-opt"
)


def parameter(value, name, constraint):
    """A parameter under the name that trace-opt shows."""
    return trace.parameter(value, f"{name}0", constraint=constraint or "")


def bundle(trainable=False):
    """An operator; a code parameter is called there ``__code`` and a number."""
    return trace.bundle(trainable=True, name="__code0") if trainable else trace.bundle


def ours(case, server):
    """The case's steps through our tracer and OptoPrime, as trace_opt_child.py gives them."""
    program = importlib.import_module(case["program"])
    parameters = program.parameters
    described = tuple(
        Parameter(n, Code("change(a)") if n == "__code0" else SPACES[type(p.data)], p.data)
        for n, p in parameters.items()
    )
    problem = Problem("generated", {}, OBJECTIVE, described, (0.0, 1.0))
    agent = opto_gym.make_agent(
        "OptoPrime", model="fake", base_url=server.url, parser="compat", memory_size=case["memory"], prompt_budget=10**6
    )
    agent.reset(problem, seed=0)
    steps = []
    for step in case["steps"]:
        server.reply = step["answer"]
        try:
            output = program.forward()
        except trace.ExecutionError:
            break
        graph = trace.backward(output, parameters.values())
        agent.invalid_answers.clear()
        values = agent.propose(TraceFeedback(graph, Feedback(0.0, (Part("reward", step["feedback"]),))))
        for name, p in parameters.items():
            p.data = values[name]
        user = server.requests[-1]["body"]["messages"][1]["content"]
        said = " ".join(agent.invalid_answers)
        steps.append({"user": user, "said": said, "values": values})
    return steps


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """(case, trace-opt's steps, ours) of each problem."""
    folder = tmp_path_factory.mktemp("programs")
    made = []
    for k in range(PROBLEMS):
        rng = random.Random(k)
        names, source = trace_problems.program(rng)
        (folder / f"program_{k}.py").write_text(source)
        steps = [{"feedback": f"Too small by {rng.random()}.", "answer": trace_problems.answer(rng, names)}
                 for _ in range(STEPS)]  # fmt: skip
        made.append({"program": f"program_{k}", "objective": OBJECTIVE, "memory": rng.randrange(3), "steps": steps})
    child = subprocess.run(
        [os.environ["TRACE_OPT_PYTHON"], str(Path(__file__).with_name("trace_opt_child.py"))],
        input=json.dumps(made),
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        check=False,
    )
    assert child.returncode == 0, child.stderr[-3000:]
    theirs = json.loads(child.stdout.splitlines()[-1])
    with pytest.MonkeyPatch.context() as patch, OpenAIServer() as server:
        patch.syspath_prepend(folder)
        patch.setitem(sys.modules, "traced", SimpleNamespace(bundle=bundle, node=trace.node, parameter=parameter))
        return [(case, steps, ours(case, server)) for case, steps in zip(made, theirs, strict=True)]


# ---------------------------------------------------------------- what a prompt says, whoever words it
NAMED = ("base0", "text0")  # inputs to which the programs give names
LITERAL = r"(int|float|str|bool|list|a|b)\d+"  # a literal is an input there, named by its type or its argument
OPERATORS = {"Add": "add", "Sub": "subtract", "Mult": "multiply"}


def entries(section):
    """{name: (type, text)} of lines such as ``(int) x=3``; a value may take several lines."""
    found = re.split(r"^\((\w+)\) (\w+)(?:=|: ?)", section, flags=re.MULTILINE)[1:]
    return {found[k + 1]: (found[k], found[k + 2].strip("\n")) for k in range(0, len(found), 3)}


class Said:
    """What a prompt says, in words that are neither library's: a computed value is named by how it came to be."""

    def __init__(self, user):
        head = re.split(r"^(?:====+|Your answer:|Earlier variables.*|Below are .*)$", user.strip(), flags=re.MULTILINE)
        run = next(part for part in head if "#Feedback" in part)
        parts = re.split(f"^#({SECTIONS})$", run, flags=re.MULTILINE)[1:]
        s = {name: text.strip("\n") for name, text in zip(parts[::2], parts[1::2], strict=True)}
        self.inputs = entries(s.get("Inputs", ""))
        self.instruction, self.feedback = s["Instruction"], s["Feedback"]
        self.variables = {n: (kind, text.strip()) for n, (kind, text) in entries(s["Variables"]).items()}
        lines = [ast.parse(line).body[0] for line in s["Code"].splitlines()]
        self.computed = {line.targets[0].id: line.value for line in lines}
        self.calls = Counter(self.tree(name) for name in self.computed)
        self.others = Counter((self.tree(n), *v) for n, v in self.plain(s.get("Others", "")).items())
        self.outputs = Counter((self.tree(n), *v) for n, v in self.plain(s["Outputs"]).items())
        self.given = {n: v for n, v in self.plain(s.get("Inputs", "")).items() if n in NAMED}
        inputs = self.plain(s.get("Inputs", ""))
        self.leaves = Counter(v for n, v in inputs.items() if n not in NAMED and not re.fullmatch(LITERAL, n))
        shown = self.plain("\n".join([s.get("Others", ""), s["Outputs"]]))
        self.computed_values = self.leaves + Counter(shown.values())
        self.documentation = dict(re.findall(r"^\[(\w+)\] (.*?)\.*$", s.get("Documentation", ""), re.MULTILINE))
        self.constraints = {n: text for n, (_, text) in entries(s.get("Constraints", "")).items()}
        decode = json.JSONDecoder().raw_decode
        past = [decode(user, m.start())[0] for m in re.finditer(r'^\{\s*"variables"', user, re.MULTILINE)]
        self.past = [(p["variables"], p["feedback"]) for p in past]

    def plain(self, section):
        """Entries, a quoted text without its quotes."""
        found = entries(section)
        for name, (kind, text) in found.items():
            if kind == "str" and text[:1] in ("'", '"'):
                found[name] = (kind, ast.literal_eval(text))
        return found

    def tree(self, at):
        """How a value came to be, down to variables and inputs."""
        if isinstance(at, str) and at in self.computed:
            return self.tree(self.computed[at])
        if isinstance(at, str):  # a variable, a named input, or another value
            return f"({self.inputs[at][1]})" if at in self.inputs and at not in NAMED else at
        if isinstance(at, ast.Name):
            return self.tree(at.id)
        if isinstance(at, ast.BinOp):
            return f"{OPERATORS[type(at.op).__name__]}({self.tree(at.left)}, {self.tree(at.right)})"
        if isinstance(at, ast.UnaryOp) and isinstance(at.operand, ast.Name):
            return f"neg({self.tree(at.operand)})"
        if isinstance(at, ast.Subscript):
            return f"getitem({self.tree(at.value)}, {self.tree(at.slice)})"
        if isinstance(at, ast.Call):
            # a call of a code parameter is called eval there, and its code is the last argument
            args = {k.arg: self.tree(k.value) for k in at.keywords} | dict(enumerate(map(self.tree, at.args)))
            name = args.pop("__code", at.func.id)
            return f"{name}({', '.join(args.values())})"
        return f"({ast.literal_eval(at)!r})"


def prompts(cases):
    """(program, what trace-opt's prompt says, what ours says) of each step."""
    for case, theirs, own in cases:
        for a, b in zip(theirs, own, strict=True):
            yield case["program"], Said(a["user"]), Said(b["user"])


def test_both_go_equally_far(cases):
    assert [len(theirs) for _, theirs, _ in cases] == [len(own) for _, _, own in cases]
    assert sum(len(theirs) for _, theirs, _ in cases) > 2 * PROBLEMS


@pytest.mark.parametrize("part", ["instruction", "feedback", "given", "computed_values"])
def test_the_prompts_say_the_same(cases, part):
    for program, a, b in prompts(cases):
        assert getattr(a, part) == getattr(b, part), program


def test_the_prompts_say_the_same_of_the_run(cases):
    compared = misplaced = fixed = 0
    for program, a, b in prompts(cases):
        # Two differences. Where a call has arguments of descending depth, trace-opt merges lists that are not sorted;
        # it then takes a computed value for a fixed input, and does not show its call. And it shows the call of a value
        # that depends on no parameter, where all that it was computed from happens to be shown.
        if a.leaves != b.leaves:
            misplaced += bool(a.leaves - b.leaves)
            fixed += bool(b.leaves - a.leaves)
            continue
        compared += 1
        assert (a.calls, a.others, a.outputs) == (b.calls, b.others, b.outputs), program
        assert b.documentation.items() - {("__code0", "Changes a")} <= a.documentation.items(), program
        assert a.documentation.keys() - b.documentation.keys() <= {"eval", "neg", "getitem", *OPERATORS.values()}
    print(f"\n{compared} steps with the same calls; in {misplaced} trace-opt takes computed values for inputs")
    print(f"in {fixed} it shows calls that no parameter reaches")
    assert compared > 4 * (misplaced + fixed)


def test_the_prompts_show_the_same_variables(cases):
    for program, a, b in prompts(cases):
        assert a.variables.items() <= b.variables.items(), program
        unreached = b.variables.keys() - a.variables.keys()  # ours shows them too
        assert not any(name in call for name in unreached for call in b.calls)


def test_the_prompts_say_the_same_constraints(cases):
    for program, a, b in prompts(cases):
        for name, text in a.constraints.items():
            if name == "__code0":  # theirs shows the head with its docstring
                assert "def change(a)" in text
                assert "def change(a)" in b.constraints[name]
            else:
                assert text == b.constraints[name], program
        assert b.constraints.keys() - a.constraints.keys() <= b.variables.keys() - a.variables.keys()


def test_the_memories_are_the_same(cases):
    seen = 0
    for program, a, b in prompts(cases):
        assert [feedback for _, feedback in a.past] == [feedback for _, feedback in b.past], program
        for (variables, _), (kept, _) in zip(a.past, b.past, strict=True):
            assert plain(variables).items() <= plain(kept).items(), program
            seen += 1
    assert seen > PROBLEMS / 2


def plain(values):
    """Values to compare: with their types, nan equal to itself; the source's last line break is not in theirs."""
    return {name: (type(v), v.rstrip("\n") if isinstance(v, str) else repr(v)) for name, v in values.items()}


def test_the_updated_parameters_are_the_same(cases):
    for case, theirs, own in cases:
        for step, a, b in zip(case["steps"], theirs, own, strict=False):
            assert plain(a["values"]) == plain(b["values"]), (case["program"], step["answer"])


def test_the_same_answers_raise(cases):
    kinds = Counter()
    for case, theirs, own in cases:
        for step, a, b in zip(case["steps"], theirs, own, strict=False):
            raised = re.match(r"trace-opt raises (\w+)|the answer has no text", b["said"])
            assert a["raised"] == (raised and (raised[1] or "TypeError")), (case["program"], step["answer"])
            kinds[a["raised"] or b["said"][:22] or "taken"] += 1
    print(dict(kinds))
    assert {"TypeError", "AttributeError", "OverflowError", "trace-opt finds no sug", "trace-opt drops the va"} < set(
        kinds
    )
    assert kinds["taken"] > PROBLEMS / 2
