from __future__ import annotations

import json

import pytest

import opto_gym
from opto_gym import data
from opto_gym.envs.questions.bbh import ANSWER_KINDS, SOLVERS
from opto_gym.leaderboard import replay, report, run
from tests.support.openai_server import OpenAIServer

full = pytest.mark.skipif(data.root() == data.SAMPLE, reason="needs the published data sets")


def bbh(task="object_counting", **arguments):
    return opto_gym.make(f"BBH-{task}-v1", **arguments).unwrapped


@pytest.fixture
def answering(monkeypatch):
    """An endpoint that gives the same reply to all, or what a function makes of the prompt."""
    servers = []

    def start(reply):
        servers.append(OpenAIServer(reply if isinstance(reply, str) else lambda body: reply(body["messages"])))
        monkeypatch.setenv("OPENAI_BASE_URL", servers[-1].url)
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_the_workflow(answering):
    server = answering("Answer: 4")
    env = bbh(data="sample", max_tokens=77)
    example = {"input": "How many {a}?", "target": "4"}
    e = env.evaluate(env.problem.start, examples=[example])
    assert (e.score, e.success, e.error) == (1.0, True, None)
    assert str(e.feedback) == "The answer is right: 4"
    (request,) = [r["body"] for r in server.requests]
    assert request["messages"] == [{"role": "user", "content": "Question: How many {a}?\nAnswer:"}]
    assert (request["temperature"], request["max_tokens"]) == (0.0, 77)
    assert {"create_prompt", "ask_model", "extract_answer", "question"} <= {op.name for op in e.graph.operators}
    assert env.llm.role == "task"


def test_feedback_says_what_was_wrong(answering):
    answering("Answer: 5 apples")
    env, example = bbh(data="sample"), {"input": "How many?", "target": "4"}
    start = env.problem.start
    said = str(env.evaluate(start, examples=[example]).feedback)
    assert said == "The answer is wrong: '5 apples' The right answer is 4"
    nothing = {**start, "extract_answer": "def extract_answer(a, b, c):\n    return 'many'"}
    said = str(env.evaluate(nothing, examples=[example]).feedback)
    assert "No answer was found in it, which must be a whole number." in said
    deaf = env.evaluate({**start, "prompt_template": "Count {x!r} {0.__class__}"}, examples=[example])
    assert "The prompt does not hold the question." in str(deaf.feedback)
    assert deaf.metrics["prompt"] == "Count {x!r} {0.__class__}"  # only {question} is a slot
    strict = bbh(data="sample", rule="strict").evaluate(start, examples=[{**example, "target": "5"}])
    assert "Only its form is wrong" in str(strict.feedback)
    assert bbh(data="sample").evaluate(start, examples=[{**example, "target": "5"}]).score == 1.0


@pytest.mark.parametrize(("made", "error"), [("7", "TypeError"), ("'x' * 60000", "ValueError")])
def test_what_is_no_prompt_is_not_sent(answering, made, error):
    server = answering("Answer: 4")
    env = bbh(data="sample")
    source = f"def create_prompt(prompt_template, question):\n    return {made}\n"
    e = env.evaluate({**env.problem.start, "create_prompt": source})
    assert f"({error})" in e.error
    assert server.requests == []


def test_an_unusable_answer_is_feedback(answering):
    answering(lambda messages: None)
    env = bbh(data="sample")
    e = env.evaluate(env.problem.start)
    assert "the model gave no reply" in e.error
    assert e.score == 0.0


def test_the_code_may_ask_the_model(answering):
    server = answering(lambda messages: "It is four." if "Q" in messages[0]["content"] else "Answer: 4")
    env = bbh(data="sample")
    source = (
        "def extract_answer(prompt_template, question, response):\n"
        "    return ask_model('In digits: ' + response).split(': ')[1]\n"
    )
    e = env.evaluate({**env.problem.start, "extract_answer": source}, examples=[{"input": "Q", "target": "4"}])
    assert (e.score, e.error) == (1.0, None)
    assert [r["body"]["messages"][0]["content"] for r in server.requests][1] == "In digits: It is four."
    source = source.replace("'In digits: ' + response", "3")
    e = env.evaluate({**env.problem.start, "extract_answer": source}, examples=[{"input": "Q", "target": "4"}])
    assert "expected a prompt as text, got int" in e.error


def test_the_code_may_ask_ten_times_a_question(answering):
    server = answering("Answer: 4")
    env, examples = bbh(data="sample"), [{"input": "Q", "target": "4"}] * 2
    source = "def extract_answer(a, b, c):\n    return [ask_model('again') for _ in range({})][-1][-1]\n"
    start = env.problem.start
    e = env.evaluate({**start, "extract_answer": source.format(10)}, examples=examples)
    assert (e.score, e.error, len(server.requests)) == (1.0, None, 2 * 11)
    e = env.evaluate({**start, "extract_answer": source.format(11)}, examples=examples)
    assert "ask_model: at most 10 calls a question" in e.error
    assert len(server.requests) == 4 * 11
    for call, said in (("ask_model(prompt='Q')", "by position"), ("ask_model('Q', 'S')", "arguments (prompt), got 2")):
        e = env.evaluate({**start, "extract_answer": f"def extract_answer(a, b, c):\n    return {call}\n"})
        assert "ask_model" in e.error
        assert said in e.error


def test_model_dependence(answering):
    answering(lambda messages: f"Answer: {sum(map(ord, messages[0]['content']))}")
    env = bbh("multistep_arithmetic_two", data="sample")
    start = env.problem.start
    assert env.model_dependence(start) == 1.0
    assert env.model_dependence(env.reference_solution()) == 0.0
    half = "def extract_answer(a, question, response):\n    return response if question == {!r} else '1'\n"
    first = env.splits["val"][0]["input"]
    assert env.model_dependence({**start, "extract_answer": half.format(first)}) == 0.5
    answering("Answer: 1")
    assert bbh("multistep_arithmetic_two", data="sample").model_dependence(start) is None


@full
@pytest.mark.parametrize("task", SOLVERS)
def test_the_reference_answers_everything_without_the_model(task):
    env = bbh(task)
    examples = [{**e, "reply": ""} for split in env.splits.values() for e in split][::5]
    e = env.evaluate(env.reference_solution(), examples=examples)
    assert (e.score, e.error) == (1.0, None)


@full
@pytest.mark.parametrize("task", ANSWER_KINDS)
def test_partitions(task):
    examples, _ = data.load(f"bbh/{task}.json")
    env, paper = bbh(task), bbh(task, partition="trace-paper")
    assert [len(env.splits[s]) for s in ("train", "val")] == [50, 50]
    assert [e for s in ("train", "val", "test") for e in paper.splits[s]] == examples
    assert [len(paper.splits[s]) for s in ("train", "val")] == [15, 5]
    kept = [e["input"] for s in env.splits.values() for e in s]
    assert len(set(kept)) == len(kept) == len(examples) - len(env.left_out(task))
    if env.answer_kind == "choice":  # what is left has its target among its options
        assert all(e["target"] in e["input"] and "(B)" in e["input"] for s in env.splits.values() for e in s)


@full
def test_the_own_partition_stays():
    first = {task: bbh(task).splits["test"][0] for task in ("navigate", "snarks")}
    assert [examples.index(e) for task, e in first.items() for examples in [data.load(f"bbh/{task}.json")[0]]] == [
        9,
        153,
    ]


def test_arguments_are_checked():
    for bad in ({"task": "chess"}, {"partition": "mine"}, {"rule": "kind"}, {"batch": 0}, {"max_tokens": 0}):
        with pytest.raises(ValueError, match="expected"):
            opto_gym.envs.questions.bbh.BBH(data="sample", **bad)


def test_a_trial_records_the_data_s_hash(tmp_path):
    result = run(
        [("BBH-navigate-v1", {"data": "sample"})], ["FewShot"], out=tmp_path / "r", seeds=1, oracle_calls=2,
        progress=False,
    )  # fmt: skip
    (trial,) = result.trials
    assert trial.status == "done", trial.error
    assert data.load("bbh/navigate.json", "sample")[1] in json.dumps(
        json.loads((trial.path / "trial.json").read_text())
    )


@pytest.mark.slow
def test_a_trial_measures_the_model_s_part_and_the_report_shows_it(tmp_path, answering, capsys):
    answering(lambda messages: f"Answer: {sum(map(ord, messages[0]['content']))}")
    result = run(
        [("BBH-multistep_arithmetic_two-v1", {"data": "sample"})], ["ModelAlone"], out=tmp_path / "r", seeds=1,
        oracle_calls=2, progress=False,
    )  # fmt: skip
    (trial,) = result.trials
    assert json.loads((trial.path / "trial.json").read_text())["summary"]["measures"] == {"model_dependence": 1.0}
    assert replay(trial.path).differences == []
    page = report(tmp_path / "r").read_text()
    assert '<th scope="col">model dependence</th>' in page
    assert "<td>1.000</td>" in page
    assert "model dependence" in capsys.readouterr().out
