from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import opto_gym
from opto_gym import Choice, Code, Feedback, Number, OptoEnv, Parameter, Part, Prompt, TraceFeedback, trace
from opto_gym.agents.toolkit.criticism_order import nodes_between, plan_criticism
from opto_gym.errors import BudgetSpent
from opto_gym.leaderboard import replay, run
from opto_gym.problems import Problem
from opto_gym.reading.proposals import Unusable
from opto_gym.reading.values import read_value
from opto_gym.trace import node, operator
from opto_gym.utils.tokenizer import count_exactly
from opto_gym.wrappers import ScalarOnly
from tests.support.openai_server import OpenAIServer
from tests.support.rollouts import Oracle
from tests.support.tasks import Adder, Mixed, Valley


class Echo(OptoEnv):
    """A prompt, a reply, an answer: TextGrad's own form, three examples a call."""

    objective, scores, batch = "Make it polite.", (0.0, 1.0), 3
    splits = {"train": ["one", "two", "three"], "test": ["four"]}
    parameters = (Parameter("prompt", Prompt(), "be rude", "Says how to reply."),)

    def forward(self, p, example):
        return read(reply(p.prompt, node(example, "question")))

    def judge(self, output, example):
        return Feedback(0.0, (Part("reward", f"Not polite to {example}."),))


class TwoPrompts(Echo):
    """One reply is asked about again."""

    batch = 1
    parameters = (Parameter("first", Prompt(), "a"), Parameter("second", Prompt(), "b"))

    def forward(self, p, example):
        return reply(p.second, read(reply(p.first, node(example, "question"))))


@operator
def reply(prompt, question):
    """Replies to a question."""
    return f"{prompt}: {question}!"


@operator
def read(text):
    """Reads the answer."""
    return text.upper()


def is_step(body):
    return "<new_value>" in body["messages"][0]["content"]


def user(request):
    return request["body"]["messages"][1]["content"]


def section(text, tag):
    (found,) = re.findall(rf"<{tag}>\n(.*?)\n</{tag}>", text, re.DOTALL)
    return found


def numbered(body):
    """Criticism {n} is the n-th request's; a step's value says which criticisms it saw."""
    if not is_step(body):
        return "criticism {n}"
    seen = re.findall(r"Criticism: criticism (\d+)", body["messages"][1]["content"])
    return f"I answer those.\n<new_value>\nafter {' '.join(seen)}\n</new_value>"


def made(server, env, **keywords):
    agent = opto_gym.make_agent("TextGrad", model="fake", base_url=server.url, **keywords)
    agent.reset(env.problem, seed=0)
    return agent


def start(env):
    return env.evaluate(env.problem.start, seed=0).observation


def test_criticism_goes_from_the_feedback_back_to_the_step():
    with OpenAIServer(numbered) as server:
        env = TwoPrompts()
        agent = made(server, env)
        values = agent.propose(start(env))
    base, first, *_ = prompts = [user(r) for r in server.requests]
    assert "Not polite to" in section(base, "feedback")
    assert "gave 'b: A: " in section(base, "value")
    assert section(first, "criticism_of_reply1") == "criticism 1"  # the second reply's, for the first
    assert "read0 = read(text=reply0)" in section(first, "computation")
    assert all("<feedback>" not in p for p in prompts[1:])  # the chain form
    assert section(prompts[2], "value").startswith("first\n")
    assert section(prompts[2], "criticism_of_reply0") == "criticism 2"
    assert section(prompts[3], "value").startswith("second\n")
    assert section(prompts[3], "criticism_of_reply1") == "criticism 1"
    assert values == {"first": "after 3", "second": "after 4"}
    assert len(prompts) == 6


def test_a_step_costs_the_paper_s_calls():
    with OpenAIServer(numbered) as server:
        env = Echo()
        agent = made(server, env)
        values = agent.propose(start(env))
    steps = [r for r in server.requests if is_step(r["body"])]
    assert (len(server.requests), len(steps)) == (2 * 3 + 1, 1)
    assert values == {"prompt": "after 4 5 6"}  # the union over the examples
    for word in ("one", "two", "three"):
        assert sum(f"Not polite to {word}." in user(r) for r in server.requests) == 1
        assert f"'{word}'" in section(user(steps[0]), "criticism")  # in its context


def test_the_step_shows_role_constraints_examples_and_the_whole_value():
    long = " ".join(map(str, range(300)))
    with OpenAIServer(numbered) as server:
        env = Echo()
        agent = made(server, env, constraints=["No numbers."], in_context=["Dear friend"])
        agent.values = {"prompt": long}
        agent.propose(env.evaluate(agent.values, seed=0).observation)
    step = user(server.requests[-1])
    assert section(step, "variable") == "prompt: Says how to reply."
    assert section(step, "value") == long
    assert section(step, "constraints").splitlines() == [env.parameters[0].space.describe(), "No numbers."]
    assert section(step, "examples_of_good_values") == "Dear friend"
    assert section(step, "purpose") == "Make it polite."


@pytest.mark.parametrize("momentum", [0, 1, 2])
def test_momentum_shows_earlier_values(momentum):
    with OpenAIServer(lambda body: f"<new_value>v{len(server.requests)}</new_value>") as server:
        env = Echo()
        agent = made(server, env, momentum=momentum)
        values = [dict(agent.values)]
        for _ in range(4):
            values.append(agent.propose(start(env)))
    last = user(server.requests[-1])
    shown = section(last, "earlier_values_oldest_first").split("\n---\n") if momentum else []
    earlier = [v["prompt"] for v in values[:3]]  # before the value at work
    assert shown == earlier[len(earlier) - momentum :]
    assert momentum or "earlier_values" not in last


class Counted(Oracle):
    """An oracle of so many calls, which notes the split and the code of each."""

    def __call__(self, parameters, examples=None, split="train"):
        if not self.left:
            raise BudgetSpent("oracle_calls")
        self.left -= 1
        self.seen.append((split, parameters["add"]))
        return self.env.evaluate(parameters, split=split, examples=examples, seed=len(self.seen)).observation


def adders(*bodies):
    """A server whose steps give these functions, one after the other."""
    sources = [f"def add(a, b):\n    return {b}" for b in bodies]
    left = iter(sources)
    return sources, lambda body: f"<new_value>{next(left)}</new_value>" if is_step(body) else "wrong"


def optimized(calls, bodies, **keywords):
    sources, answers = adders(*bodies)
    with OpenAIServer(answers) as server:
        env = Adder()
        agent, oracle = made(server, env, **keywords), Counted(env, calls)
        try:
            agent.optimize(env.problem, oracle)
        except BudgetSpent:
            pass
        return sources, oracle.seen, [user(r) for r in server.requests if is_step(r["body"])]


def test_a_step_is_kept_only_if_val_improves():
    begin = Adder.parameters[0].start
    # on val: 1 of 2 right, none, 1 of 2 (no improvement), both
    sources, seen, steps = optimized(9, ["2 * a", "0 - 1", "2 * b - 1", "a + b"], momentum=5)
    half, none, same, right = sources
    assert seen == [
        ("val", begin),
        *(("val", half), ("train", half)),
        *(("val", none), ("train", half)),
        *(("val", same), ("train", half)),
        *(("val", right), ("train", right)),
    ]
    assert section(steps[3], "value") == half
    assert none in section(steps[3], "earlier_values_oldest_first")  # what val refused is remembered, too


def test_without_validation_each_step_is_kept():
    sources, seen, _ = optimized(2, ["0 - 1", "0 - 2"], validate=False)
    assert seen == [("train", s) for s in sources]


def test_a_step_that_changes_nothing_is_not_validated():
    with OpenAIServer("it is wrong") as server:
        env = Adder()
        agent, oracle = made(server, env), Counted(env, 3)
        agent.optimize(env.problem, oracle)
    assert [split for split, _ in oracle.seen] == ["val", "train", "train"]
    assert len(agent.invalid_answers) == 2  # one a step


def test_numbers_choices_prompts_and_code_are_cast():
    values = {
        "times": "4",
        "mark": "?",
        "text": "hi",
        "change": "```python\ndef change(text):\n    return text * 2\n```",
    }

    def answers(body):
        if not is_step(body):
            return "more"
        name = section(body["messages"][1]["content"], "variable").split(":")[0]
        return f"<new_value>\n{values[name]}\n</new_value>"

    with OpenAIServer(answers) as server:
        env = Mixed()
        agent = made(server, env)
        proposed = agent.propose(start(env))
    assert env.problem.invalid_reasons(proposed) == {}
    assert proposed == {**values, "times": 4, "change": "def change(text):\n    return text * 2\n"}
    assert env.evaluate(proposed).score == len("hihihihi?") * 2
    assert agent.invalid_answers == []


@pytest.mark.parametrize(
    "answer", ["no idea", "", "<new_value>  </new_value>", "<new_value>[]</new_value>", None, b"{}"]
)
def test_an_unusable_answer_leaves_the_parameter_and_is_counted(answer):
    with OpenAIServer(lambda body: answer if is_step(body) else "too small") as server:
        env = Valley()
        agent = made(server, env)
        if isinstance(answer, bytes):
            server.script = ["ok", "ok", answer]
        assert agent.propose(start(env)) == {"x": 0}
        assert len(agent.invalid_answers) == 1
        server.reply, server.script = "<new_value>3</new_value>", []
        assert agent.propose(start(env)) == {"x": 3}


@pytest.mark.parametrize("answer", [None, " \n"])
def test_without_criticism_there_is_no_step(answer):
    with OpenAIServer(answer) as server:
        env = Echo()
        agent = made(server, env)
        assert agent.propose(start(env)) == env.problem.start
    assert len(server.requests) == 3  # the base form of each example; nothing to hand on
    assert len(agent.invalid_answers) == 3


SPACES = [Number(-10, 10, integer=True), Choice(["a", "b"]), Prompt(), Code("f(x)")]
PIECES = st.sampled_from(
    [
        "<new_value>",
        "</new_value>",
        "<NEW_VALUE>",
        "3",
        "nan",
        "1e999",
        "```",
        '{"suggestion": {"x": ',
        "}",
        "\0",
        "\ud800",
    ]
)


@pytest.mark.parametrize("space", SPACES, ids=lambda s: type(s).__name__)
@given(text=st.one_of(st.text(), st.lists(st.one_of(PIECES, st.text(max_size=5))).map("".join)))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_malformed_answers_give_a_value_of_the_type_or_are_unusable(space, text):
    problem = Problem("x", {}, "", (Parameter("x", space, None),), (0.0, 1.0))
    try:
        value = read_value(text, problem)
    except Unusable:
        return
    if not isinstance(space, Choice):
        assert isinstance(value, int | float if isinstance(space, Number) else str)
    json.dumps(value, ensure_ascii=False).encode()  # a record can hold it


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<new_value>a</new_value>", "a"),
        ("I write <new_value> tags.\n<new_value>a\nb</new_value> Done.", "a\nb"),
        ("<new_value>a</new_value> between <new_value></new_value>", "a"),
        ("<NEW_VALUE>a</New_Value>", "a"),
        ("<new_value>a</new_value> is in <new_value> tags", "a"),
        ("so <new_value>\na", "a"),
        ('{"suggestion": {"x": "a"}}', "a"),
    ],
)
def test_the_parser_is_tolerant(text, value):
    assert read_value(text, Problem("x", {}, "", (Parameter("x", Prompt(), ""),), (0.0, 1.0))) == value


@pytest.fixture(scope="module")
def long_trace():
    """(a task of 100,000 operations, the start's observation)."""
    env = opto_gym.make("LongTrace-v0", length=100_000).unwrapped
    return env, start(env)


@pytest.mark.slow
@pytest.mark.parametrize("budget", [1_000, 4_000])
def test_a_trace_of_100_000_nodes_fits_the_prompts_and_the_calls(budget, long_trace):
    env, observation = long_trace
    with OpenAIServer(lambda body: "<new_value>1</new_value>" if is_step(body) else "long " * 3000) as server:
        agent = made(server, env, prompt_budget=budget, momentum=2)
        values = agent.propose(observation)
        sizes = [sum(count_exactly(m["content"]) for m in r["body"]["messages"]) for r in server.requests]
        assert max(sizes) <= budget
        assert len(sizes) == 32
        assert values == dict.fromkeys(values, 1)
        assert "more uses" in user(server.requests[-1])
        said = "lines left out" if budget == 1_000 else "more rounds of these 3 operations"
        assert any(said in user(r) for r in server.requests)


class Many(OptoEnv):
    """Ten numbers in a sum."""

    objective, scores = "Make the sum 10.", (-100.0, 0.0)
    splits = {"train": (None,), "test": (None,)}
    instance = True
    parameters = tuple(Parameter(f"x{k}", Number(), 0.0) for k in range(10))

    def forward(self, p, example):
        total = node(0.0)
        for x in p.values():
            total = total + x
        return total, Feedback(total.data - 10, (Part("reward", "Too small."),))


@pytest.mark.parametrize("max_calls", [3, 8, 17, 64])
def test_calls_are_bounded_and_who_was_left_out_is_first_next_time(max_calls):
    with OpenAIServer(lambda body: "<new_value>1</new_value>" if is_step(body) else "larger") as server:
        env = Many()
        agent = made(server, env, max_calls=max_calls)
        values = env.problem.start
        for _ in range(-(-10 // (max_calls // 3))):  # a sum's parameter costs three calls
            assert set(values.values()) != {1.0}
            before = len(server.requests)
            values = agent.propose(env.evaluate(values).observation)
            assert 3 <= len(server.requests) - before <= max_calls
        assert set(values.values()) == {1.0}


def test_the_plan_of_a_diamond():
    x, y = trace.parameter(1, "x"), trace.parameter(2, "y")
    a = x * 2
    output = (a + 1) * (a - 1) + y  # y's use is the output
    graph = trace.backward(output, [x, y])
    plan = plan_criticism(graph, [graph.output], ["x", "y"], 32)
    use = {graph.names[p]: u for p, u in plan.parameter_uses}
    assert use["y"] == graph.output
    assert plan.examples == {use["x"]: [], use["y"]: [0]}
    assert plan.successors == {use["x"]: [use["y"]], use["y"]: []}
    names = [graph.names[k] for k in nodes_between(graph, use["x"], use["y"], set(use.values()))]
    assert names == ["add0", "sub0", "mul1", "add1"]
    wall = graph.names.index("add0")
    names = [graph.names[k] for k in nodes_between(graph, use["x"], use["y"], {wall})]
    assert names == ["sub0", "mul1", "add1"]


def test_without_a_way_each_parameter_is_criticised_by_the_feedback():
    env = TwoPrompts()
    observation = start(env)
    with OpenAIServer(numbered) as server:
        agent = made(server, env)
        proposed = agent.propose(TraceFeedback(observation.graph.masked(["code"]), observation.feedback))
    said = [section(user(r), "feedback") for r in server.requests if not is_step(r["body"])]
    assert len(said) == 2
    assert all("Not polite" in s for s in said)
    assert all(proposed[name] != value for name, value in env.problem.start.items())


def test_where_only_the_score_is_left_it_is_the_feedback():
    env = TwoPrompts()
    with OpenAIServer(numbered) as server:
        made(server, env).propose(ScalarOnly(env).observation(start(env)))
    assert section(user(server.requests[0]), "feedback") == "The score is 0, where 0 is the worst and 1 the best."


@pytest.mark.parametrize(
    "wrong", [{"max_calls": 2}, {"momentum": -1}, {"constraints": "short"}, {"in_context": [1]}, {"temperature": -1}]
)
def test_settings_that_can_t_work_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"expected {name}"):
        opto_gym.make_agent("TextGrad", model="fake", **wrong)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "splits"),
    [
        ("NumericalOptimization-v0", {}, ["train", "train"]),
        ("GSM8K-v1", {"data": "sample", "max_tokens": 16, "batch": 2}, ["train", "val"]),
    ],
)
def test_on_the_embedded_model(name, arguments, splits, monkeypatch, tmp_path):
    for variable in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("OPTO_GYM_MODEL", "local")
    result = run(
        [(name, arguments)],
        [("TextGrad", {"max_tokens": 40, "prompt_budget": 1000})],
        out=tmp_path / "run",
        seeds=1,
        oracle_calls=len(splits) - 1 + ("val" in splits),
        test_scores="never",
        progress=False,
    )
    (trial,) = result.trials
    assert trial.status == "done", trial.error
    calls = [json.loads(line) for line in (trial.path / "llm.jsonl").read_text().splitlines()]
    asked = [c["request"] for c in calls if c["role"] == "optimizer"]
    assert 1 <= sum(map(is_step, asked)) < len(asked)
    assert all(c["tokens_out"] > 0 for c in calls)
    seen = [json.loads(line)["split"] for line in (trial.path / "steps.jsonl").read_text().splitlines()]
    assert seen[:2] == splits
    assert replay(trial.path).differences == []
