from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import opto_gym
from opto_gym import Choice, Code, Feedback, Number, Parameter, Part, Permutation, Problem, Prompt, TraceFeedback, trace
from opto_gym.leaderboard import replay, run
from opto_gym.llm import Client
from opto_gym.reading.proposals import Unusable
from opto_gym.reading.solutions import read_solution
from opto_gym.utils.tokenizer import count_exactly
from opto_gym.wrappers import MaskGraph
from tests.support.openai_server import OpenAIServer
from tests.support.tasks import Adder, Mixed, Valley

GRAPH = trace.backward(trace.parameter(0, "x") + 1)


def body(*texts):
    """An endpoint's answer with several choices."""
    choices = [{"index": i, "message": {"role": "assistant", "content": t}} for i, t in enumerate(texts)]
    return json.dumps({"choices": choices}).encode()


def made(server, problem, **keywords):
    agent = opto_gym.make_agent("OPRO", model="fake", base_url=server.url, **keywords)
    agent.reset(problem, seed=0)
    return agent


def stepping(agent, env):
    """Drives the agent's own loop: a step's list of proposals at each call."""
    loop = agent.run()
    next(loop)
    answer = env.evaluate(env.problem.start, seed=0).observation
    while True:
        wanted = loop.send(answer)
        yield wanted
        answer = [env.evaluate(values, seed=k).observation for k, values in enumerate(wanted)]


def sent(server, k=-1):
    (message,) = server.requests[k]["body"]["messages"]
    return message["content"]


def test_n_candidates_come_of_one_call_and_are_evaluated_together():
    answers = [f"<x>{k}</x>" for k in (1, 2, 5, -4, 9, 7, 6, 4)]
    with OpenAIServer(script=[body(*answers)]) as server:
        agent = made(server, Valley().problem)
        wanted = next(stepping(agent, Valley()))
    assert wanted == [{"x": k} for k in (1, 2, 5, -4, 9, 7, 6, 4)]
    assert [(r["body"]["n"], r["body"]["temperature"]) for r in server.requests] == [(8, 1.0)]
    assert [m["role"] for m in server.requests[0]["body"]["messages"]] == ["user"]
    assert agent.invalid_answers == []


@pytest.mark.parametrize("top", [2, 3, 20])
def test_the_history_is_the_best_solutions_worst_first_each_once(top):
    with OpenAIServer(script=[body("<x>9</x>", "<x>4</x>", "<x>-4</x>", "<x>1</x>")]) as server:
        agent = made(server, Valley().problem, n=4, top=top)
        steps = stepping(agent, Valley())
        next(steps)
        next(steps)
        shown = re.findall(r"<x>(-?\d+)</x>\nscore: (\d+)", sent(server))
    assert shown == [("-4", "49"), ("9", "36"), ("0", "9"), ("1", "4"), ("4", "1")][-top:]
    assert "Lower scores are better." in sent(server)


def test_a_repeated_solution_is_skipped_and_counted():
    texts = ["<x>0</x>", "<x>4</x>", "<x>4.2</x>", "<x> 4 </x>", "nothing", "<x>11</x>", "", "<x>5</x>"]
    with OpenAIServer(script=[body(*texts)]) as server:
        agent = made(server, Valley().problem)
        assert next(stepping(agent, Valley())) == [{"x": 4}, {"x": 5}]
    assert agent.duplicates == 3  # of the start, and twice of 4, to which 4.2 is rounded
    assert len(agent.invalid_answers) == 6
    assert sum("there before" in reason for reason in agent.invalid_answers) == 3
    assert "the answer is empty" in agent.invalid_answers
    assert "x: expected a number in [-10, 10], got 11" in agent.invalid_answers


def test_of_several_answers_those_that_are_there_are_used():
    with OpenAIServer(script=[body("<x>4</x>", None, "<x>5</x>")]) as server:
        agent = made(server, Valley().problem, n=3)
        assert next(stepping(agent, Valley())) == [{"x": 4}, {"x": 5}]
    assert len(agent.invalid_answers) == 1


@pytest.mark.parametrize("reply", ["no idea", None, "", "<x>5</x>"])
def test_steps_without_a_new_candidate_evaluate_the_best_again_and_end_with_the_budget(tmp_path, reply):
    with OpenAIServer(reply) as server:
        result = run(
            [("LinearRegression-v0", {})],
            [("OPRO", {"n": 3})],
            model="fake",
            base_url=server.url,
            out=tmp_path / "run",
            seeds=1,
            oracle_calls=4,
            progress=False,
        )
    (trial,) = result.trials
    assert trial.status == "done", trial.error
    steps = [json.loads(line) for line in (trial.path / "steps.jsonl").read_text().splitlines()]
    assert [s["parameters"] for s in steps] == [steps[0]["parameters"]] * 5
    assert all(s["invalid_answers"] for s in steps[1:])
    assert len(server.requests) == 4
    assert replay(trial.path).differences == []


def test_what_is_evaluated_again_is_shown_once_with_its_mean():
    problem = Problem("p", {}, "o", (Parameter("x", Number(), 1.0),), (0.0, 100.0))
    with OpenAIServer("nothing") as server:
        agent = made(server, problem)
        for score in (10.0, 20.0, 60.0):
            assert agent.propose(TraceFeedback(GRAPH, Feedback(score))) == {"x": 1.0}
    assert re.findall(r"score: (.*)", sent(server)) == ["30"]


@pytest.mark.parametrize(
    ("scores", "score", "decimals", "shown"),
    [
        ((0.0, 1.0), 0.614, 0, "61"),
        ((0.0, 1.0), 0.6166, 1, "61.7"),
        ((1e9, 0.0), 393704.96, 0, "393704"),  # cut, as int() does
        ((-1e9, 0.0), -3.99, 0, "-3"),
        ((1e9, 0.0), 0.0129, 2, "0.01"),
        ((0.0, 1e300), 1e299, 0, "1e+299"),
        ((0.0, 1.0), math.nan, 0, "nan"),
    ],
)
def test_scores_are_shown_as_the_paper_does(scores, score, decimals, shown):
    problem = Problem("p", {}, "o", (Parameter("x", Number(), 1.0),), scores)
    with OpenAIServer("nothing") as server:
        made(server, problem, decimals=decimals).propose(TraceFeedback(GRAPH, Feedback(score)))
    assert re.findall(r"score: (.*)", sent(server)) == [shown]
    assert ("They go from 0 to 100." in sent(server)) == (scores == (0.0, 1.0))


def test_the_first_solutions_are_evaluated_before_the_model_is_asked():
    with OpenAIServer("nothing") as server:
        env = opto_gym.make("TSP-v0").unwrapped
        agent = made(server, env.problem, starts=5)
        steps = stepping(agent, env)
        first = next(steps)
        assert (len(first), len(server.requests)) == (4, 0)
        assert all(env.problem.invalid_reasons(values) == {} for values in first)
        next(steps)
    assert sent(server).count("score: ") == 5


def questions(server, batch=2):
    env = opto_gym.make("GSM8K-v1", data="sample", batch=batch)
    env.unwrapped.llm = Client("fake", base_url=server.url, role="task")
    return env


def test_prompts_come_with_cases_that_were_met():
    with OpenAIServer("It is 1.") as server:
        env = questions(server).unwrapped
        start = env.evaluate(env.problem.start, seed=0).observation
        asked = [r["body"]["messages"][1]["content"] for r in server.requests]
        made(server, env.problem).propose(start)
        shown = sent(server)
        made(server, env.problem, exemplars=1).propose(start)
    assert len(asked) == 2
    for question in asked:
        case = shown.split(f"question: {question}\n")[1].split("\n")[0]
        record = next(e for e in env.splits["train"] if e["input"] == question)
        assert case.endswith(f"The right answer is {record['target']}")
    assert sent(server).count("question: ") == 1


@pytest.mark.parametrize("parts", [["inputs"], ["inputs", "code"]])
def test_there_are_no_cases_where_the_inputs_are_masked(parts):
    with OpenAIServer("It is 1.") as server:
        env = questions(server)
        start = env.unwrapped.evaluate(env.unwrapped.problem.start, seed=0).observation
        made(server, env.unwrapped.problem).propose(MaskGraph(env, parts).observation(start))
    assert "cases" not in sent(server)


def test_there_are_no_cases_for_code():
    with OpenAIServer("nothing") as server:
        env = Adder()
        made(server, env.problem).propose(env.evaluate(env.problem.start, seed=0).observation)
    assert "cases" not in sent(server)
    assert "def add(a, b):" in sent(server)


EVERY = Problem(
    "t", {}, "o",
    (
        Parameter("n", Number(-100, 100), 1.0),
        Parameter("k", Number(0, 9, integer=True), 1),
        Parameter("c", Choice([True, "auto", 3]), True),
        Parameter("p", Prompt(300), "hello"),
        Parameter("f", Code("f(x)"), "def f(x):\n    return x\n"),
        Parameter("order", Permutation(3), [0, 1, 2]),
    ),
    (0.0, 1.0),
)  # fmt: skip
LINE = Problem("l", {}, "o", (Parameter("w", Number(), 1.0), Parameter("b", Number(-9, 9, True), 1)), (9.0, 0.0))
TOUR = Problem("t", {}, "o", (Parameter("tour", Permutation(4), [0, 1, 2, 3]),), (9.0, 0.0))


@pytest.mark.parametrize(
    ("problem", "answer", "values"),
    [
        (EVERY, "<n>5.5</n> <k>3</k>", {"n": 5.5, "k": 3}),
        (EVERY, "I take <n>1</n>. No: <n>2</n>, which is better.", {"n": 2.0}),
        (EVERY, "<n>5 <k>2.7", {"n": 5.0, "k": 3}),  # no closing tags; whole numbers are rounded
        (EVERY, "<c>True</c><order>2 -> 0 -> 1</order>", {"c": True, "order": [2, 0, 1]}),
        (EVERY, "<p>\nThink <b>hard</b>, then answer.\n</p>", {"p": "Think <b>hard</b>, then answer."}),
        (EVERY, "<f>\n```python\ndef f(x):\n    return 1\n```\n</f>", {"f": "def f(x):\n    return 1\n"}),
        (EVERY, '```json\n{"suggestion": {"n": 4, "c": "auto"}}\n```', {"n": 4.0, "c": "auto"}),
        (LINE, "The pair [1, 2] was bad.\n[w=18.5, b=3]", {"w": 18.5, "b": 3}),
        (LINE, "[18, -2.6]", {"w": 18.0, "b": -3}),
        (TOUR, "A short one: [3, 0, 1, 2]", {"tour": [3, 0, 1, 2]}),
        (TOUR, "<tour>[3,0,1,2]</tour>", {"tour": [3, 0, 1, 2]}),
    ],
)
def test_answers_are_read_in_many_forms(problem, answer, values):
    assert read_solution(answer, problem) == values


@pytest.mark.parametrize(
    ("problem", "answer"),
    [
        (EVERY, ""), (EVERY, "5"), (EVERY, "any prose"), (EVERY, "<n></n>"), (EVERY, "<n>nan</n>"),
        (EVERY, "<n>1e400</n>"), (EVERY, "<k>12</k>"), (EVERY, "<c>other</c>"), (EVERY, "<order>0, 1</order>"),
        (EVERY, f"<p>{'x' * 301}</p>"), (EVERY, "<f></f>"), (EVERY, "[1, 2]"), (LINE, "[1e400, nan]"),
        (LINE, "[1, 2, 3]"), (LINE, "[w, b]"), (TOUR, "[0, 1, 1, 2]"), (TOUR, "[0, 1, 2, 3, 0]"), (TOUR, "[]"),
    ],
)  # fmt: skip
def test_answers_that_hold_no_solution(problem, answer):
    with pytest.raises(Unusable):
        read_solution(answer, problem)


PIECES = [
    *("<n>", "</n>", "<k>", "</k>", "<p>", "</p>", "<f>", "</f>", "<order>", "<c>", "<tour>", "<w>", "suggestion"),
    *("[", "]", "=", "{", "}", '"', ":", ",", "1e400", "-0", "nan", "3", "true", "[0, 1, 2]", "\0", "\ud800", "```\n"),
]
MALFORMED = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40).map("".join)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([EVERY, LINE, TOUR]), MALFORMED | st.text())
def test_no_answer_breaks_the_parser_or_gives_a_value_out_of_its_space(problem, text):
    try:
        values = read_solution(text, problem)
    except Unusable:
        return
    assert values
    assert problem.invalid_reasons({**problem.start, **values}) == {}
    json.dumps(values).encode()


@pytest.mark.parametrize("piece", ["<n>", "n : ", '{"n":', "[1]", "```\n", '"n": "', "{", "[", "\0"])
@pytest.mark.parametrize("problem", [EVERY, LINE, TOUR], ids=["every", "line", "tour"])
def test_answers_of_hostile_size_are_refused_briefly(problem, piece):
    text = piece * (60_000 // len(piece))
    with pytest.raises(Unusable) as refused:
        read_solution(text, problem)
    assert len(str(refused.value)) < 500


@given(
    st.fixed_dictionaries(
        {
            "n": st.floats(-100, 100),
            "k": st.integers(0, 9),
            "c": st.sampled_from([True, "auto", 3]),
            "p": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<>"), max_size=50).map(str.strip),
            "f": st.just("def f(x):\n    return x < 3"),
            "order": st.permutations([0, 1, 2]),
        }
    )
)
def test_what_the_prompt_shows_reads_back(values):
    with OpenAIServer() as server:
        agent = made(server, EVERY)
    assert read_solution(agent.block(values, 0.5, 10_000), EVERY) == values


@pytest.mark.parametrize("budget", [1_000, pytest.param(1_500, marks=pytest.mark.slow), 4_000])
@pytest.mark.parametrize("many", [1, pytest.param(60, marks=pytest.mark.slow)])
def test_prompts_stay_within_their_budget(budget, many):
    parameters = [Parameter(f"text{k}", Prompt(), f"start {k} " * 800, "what it is " * 300) for k in range(many)]
    problem = Problem("p", {}, "objective " * 800, tuple(parameters), (0.0, 1.0))
    theta = trace.parameter("start", "text0")
    case = TraceFeedback(
        trace.backward(theta + trace.node("question " * 3000, "question"), [theta]),
        Feedback(0.5, (Part("reward", "feedback " * 3000),)),
    )
    with OpenAIServer("<text0>{n} " + "words " * 3000 + "</text0>") as server:
        agent = made(server, problem, n=2, prompt_budget=budget)
        for _ in range(25):
            agent.propose(case)
        sizes = [count_exactly(sent(server, k)) for k in range(len(server.requests))]
    assert len(sizes) == 25
    assert max(sizes) <= budget
    assert sent(server).count("score: ") >= 1
    assert "worse ones are left out" in sent(server)
    assert "question: question" in sent(server)


def test_an_old_history_does_not_lengthen_the_prompt():
    problem = Problem("p", {}, "o", (Parameter("x", Number(), 0.0),), (0.0, 1e6))
    with OpenAIServer("<x>{n}</x>") as server:
        agent = made(server, problem, n=1)
        for k in range(60):
            agent.propose(TraceFeedback(GRAPH, Feedback(float(k))))
    assert sent(server, 20).count("score: ") == sent(server).count("score: ") == 20
    assert "score: 59\n" in sent(server)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("n", 0), ("top", 0), ("starts", 0), ("exemplars", -1), ("decimals", 0.5), ("prompt_budget", 100)],
)
def test_settings_that_can_t_work_are_refused(setting, value):
    with pytest.raises(ValueError, match=setting):
        opto_gym.make_agent("OPRO", model="fake", **{setting: value})


def test_all_kinds_in_one_solution():
    code = 'def change(text):\n    return "<b>" + text'
    answer = f"<times>5</times>\n<mark>?</mark>\n<text>a long text</text>\n<change>\n{code}\n</change>"
    with OpenAIServer(answer) as server:
        env = Mixed()
        agent = made(server, env.problem)
        values = agent.propose(env.evaluate(env.problem.start, seed=0).observation)
    assert values == {"times": 5, "mark": "?", "text": "a long text", "change": code}
    assert env.evaluate(values, seed=0).score == len("<b>" + "a long text" * 5 + "?")


@pytest.mark.slow
def test_on_the_embedded_model(tmp_path, monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPTO_GYM_MODEL"):
        monkeypatch.delenv(name, raising=False)
    result = run(
        ["LinearRegression-v0", "TSP-v0"],
        [("OPRO", {"n": 3, "starts": 2, "max_tokens": 50})],
        model="local",
        out=tmp_path / "run",
        seeds=1,
        oracle_calls=2,
        progress=False,
    )
    assert len(result.trials) == 2
    for trial in result.trials:
        assert trial.status == "done", trial.error
        steps = [json.loads(line) for line in (trial.path / "steps.jsonl").read_text().splitlines()]
        calls = [json.loads(line) for line in (trial.path / "llm.jsonl").read_text().splitlines()]
        assert [s["call"] for s in steps] == [0, 1, 2]
        assert len(calls) == 3  # the embedded model gives one answer a call
        assert len({c["request"]["seed"] for c in calls}) == 3
        assert len({json.dumps(c["request"]["messages"]) for c in calls}) == 1
        assert {c["request"]["temperature"] for c in calls} == {1.0}
        assert all(c["tokens_out"] > 0 for c in calls)
        assert replay(trial.path).differences == []
