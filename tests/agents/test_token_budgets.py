"""The tokens of prompts and answers: what follows from the model, what the endpoint reports, what a budget leaves."""

from __future__ import annotations

import json
import math
import warnings

import pytest

import opto_gym
from opto_gym.agents.toolkit import model_agent
from opto_gym.agents.toolkit.calibration import Calibration
from opto_gym.agents.toolkit.prompt_budget import FRAME, count_tokens
from opto_gym.leaderboard import TrialFolder, plan, replay, resume, run
from opto_gym.leaderboard.reporting.page import notes
from opto_gym.leaderboard.results import load
from opto_gym.llm import prices
from opto_gym.llm.answer import Answer
from opto_gym.utils.tokenizer import count_exactly
from tests.support.openai_server import OpenAIServer

ENV = "NumericalOptimization-v0"
OURS = ["OptoPrime", "OPRO", "OPRO-Trace", "TextGrad"]


def answer(tokens_in: int, counted: str = "usage") -> Answer:
    return Answer("x", ("x",), "stop", tokens_in, 1, 0.0, 0.0, counted)


def message(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def suggests(body):
    text = body["messages"][-1]["content"]
    number = len(text) % 7 - 3.5
    return json.dumps({"suggestion": {"x0": number}})


@pytest.fixture
def server(monkeypatch):
    with OpenAIServer(suggests) as s:
        monkeypatch.setenv("OPENAI_BASE_URL", s.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPTO_GYM_MODEL", "scripted")
        yield s


def go(out, agent="OptoPrime", **settings):
    budget = {"oracle_calls": 4, **settings}
    return run([ENV], [agent], out=out, seeds=1, progress=False, test_scores="never", **budget).trials[0]


# ---- by the model
@pytest.mark.parametrize(
    ("model", "prompt", "most"),
    [
        ("local", 4_000, 1_024),
        ("a-model-of-nobody", 16_000, 8_192),
        ("gpt-4o-mini", 128_000 - 16_384, 16_384),
        ("gpt-3.5-turbo", 16_385 - 4_096, 4_096),
        ("claude-opus-4-5", 200_000 - 16_384, 16_384),
        ("gemini-gemma-2-9b-it", 4_096, 4_096),  # its answer may have all of its context of 8,192
    ],
)
@pytest.mark.parametrize("name", OURS)
def test_tokens_follow_the_model(name, model, prompt, most):
    agent = opto_gym.make_agent(name, model=model, base_url="http://127.0.0.1:9")
    assert (agent.prompt_budget, agent.max_tokens) == (prompt, most)
    given = opto_gym.make_agent(name, model=model, base_url="http://127.0.0.1:9", prompt_budget=2_000, max_tokens=77)
    assert (given.prompt_budget, given.max_tokens) == (2_000, 77)


def test_a_plan_has_them_and_a_resumed_trial_does_not_ask_the_table_again(server, tmp_path, monkeypatch):
    planned = plan([ENV], ["OptoPrime"], seeds=1, limits={"oracle_calls": 2}, model="gpt-4o-mini")
    (trial,) = planned.trials.values()
    tokens = {"prompt_budget": 128_000 - 16_384, "max_tokens": 16_384}
    assert trial.spec.model_settings == tokens
    assert tokens.items() <= trial.identity.agent.settings.items()
    assert trial.spec.settings == {}  # in a report the row is OptoPrime's
    outcome = run(
        [ENV], ["OptoPrime"], out=tmp_path, seeds=1, oracle_calls=2, progress=False, optimizer_model="gpt-4o-mini"
    ).trials[0]
    assert {request["body"]["max_tokens"] for request in server.requests} == {16_384}
    monkeypatch.setattr(model_agent, "limits_of", lambda model: prices.ModelLimits(None, None))
    assert resume(tmp_path, limits={"oracle_calls": 4}, progress=False).trials[0].steps == 4
    assert {request["body"]["max_tokens"] for request in server.requests} == {16_384}
    assert replay(outcome.path).differences == []


def test_an_agent_whose_constructor_takes_no_tokens_has_them_too(server, tmp_path):
    outcome = go(tmp_path, f"{__name__}:Narrow")
    assert outcome.status == "done", outcome.error
    assert TrialFolder(outcome.path).trial().spec.model_settings == {"prompt_budget": 16_000, "max_tokens": 8_192}


class Narrow(opto_gym.registration.agent_class("OptoPrime")):
    def __init__(self):
        super().__init__(memory_size=0)


# ---- by what the endpoint reports
def test_the_factor_changes_between_steps_alone():
    calibration, text = Calibration(), "some words of a prompt " * 40
    estimated = count_tokens(text) + FRAME
    for k in (1, 2):
        calibration.add(message(text), answer(int(estimated * 0.8)), "m")
        assert calibration.factor == (1 if k == 1 else pytest.approx(0.8, abs=0.01))
        calibration.end_step()
    calibration.add(message(text), answer(5, "estimate"), "m")  # nobody counted
    calibration.end_step()
    assert calibration.factor == pytest.approx(0.8, abs=0.01)
    assert calibration.cut_prompts == 0


def test_the_factor_is_over_all_finished_steps_in_any_order():
    factors = set()
    for sizes in ([30, 500, 70], [500, 70, 30]):
        calibration = Calibration()
        for size in sizes:
            text = "x, " * size
            calibration.add(message(text), answer(2 * size + 9), "m")
        calibration.end_step()
        factors.add(calibration.factor)
    assert len(factors) == 1


def test_reports_of_other_texts_move_the_factor_only_so_far():
    calibration = Calibration()
    calibration.add(message("a short one"), answer(100_000), "m")  # an endpoint's own hidden prompt
    calibration.end_step()
    assert calibration.factor == 2


def test_a_server_that_cuts_prompts_is_named_at_the_second_one():
    calibration, text = Calibration(), "a word, and 12345.678 more words of it; " * 100
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calibration.add(message(text), answer(512), "qwen at http://127.0.0.1:11434/v1")
    with pytest.warns(UserWarning, match=r"qwen at http://127.0.0.1:11434/v1 probably cuts prompts: .* 512 tokens"):
        calibration.add(message(text), answer(512), "qwen at http://127.0.0.1:11434/v1")
    calibration.end_step()
    assert (calibration.cut_prompts, calibration.factor) == (2, 1)


@pytest.mark.parametrize(
    "text",
    [
        "31415926535897932384 " * 200,
        "每次迭代都会得到反馈，然后模型给出新的数值。" * 50,
        "हम प्रोग्राम के मापदंडों को सुधारने के लिए " * 50,
        "    \t\n\n" * 400 + "x",
        "=" * 900,
        "Donaudampfschifffahrtsgesellschaft " * 90,
    ],
)
def test_texts_of_few_tokens_are_no_cut(text):
    calibration = Calibration()
    for _ in range(3):
        calibration.add(message(text), answer(count_exactly(text)), "m")
    assert calibration.cut_prompts == 0


@pytest.mark.parametrize("env", ["Battleship-v0", "BlameAssign-v0", ENV, "LinearRegression-v0"])
def test_after_two_steps_the_estimate_is_within_15_per_cent(env, tmp_path, server):
    server.count, server.reply = count_exactly, "I can't."
    outcome = run(
        [env], ["OptoPrime"], out=tmp_path, seeds=1, oracle_calls=5, progress=False, test_scores="never"
    ).trials[0]
    folder = TrialFolder(outcome.path)
    calls = {line.key: line for line in folder.calls()}
    for step in folder.steps()[3:]:
        (key,) = step.optimizer_calls
        estimated = sum(count_tokens(m["content"]) for m in calls[key].request["messages"]) + FRAME
        assert step.token_factor * estimated == pytest.approx(calls[key].tokens_in, rel=0.15)


@pytest.mark.parametrize("name", OURS)
def test_prompts_stay_within_the_reported_tokens(name, server, tmp_path):
    """An endpoint that counts three tokens for two of ours: from the second step on, prompts have fewer of ours."""
    server.count = lambda text: math.ceil(count_tokens(text) * 1.5)
    settings = {"prompt_budget": 1_000}
    outcome = run(
        ["LongTrace-v0"], [(name, settings)], out=tmp_path, seeds=1, oracle_calls=4, progress=False, test_scores="never"
    ).trials[0]
    folder = TrialFolder(outcome.path)
    calls = {line.key: line for line in folder.calls()}
    reported = [calls[key].tokens_in for step in folder.steps()[2:] for key in step.optimizer_calls]
    assert reported
    assert max(reported) <= 1_000


def test_cut_prompts_are_counted_in_the_report(server, tmp_path):
    server.count = lambda text: 64
    with pytest.warns(UserWarning, match="probably cuts prompts"):
        outcome = go(tmp_path)
    assert TrialFolder(outcome.path).trial().summary.cut_prompts == 4
    assert any("cut 4 prompts" in note for note in notes(load(tmp_path)))
    with pytest.warns(UserWarning, match="probably cuts prompts"):
        assert replay(outcome.path).differences == []


# ---- what a step records
@pytest.mark.parametrize("name", OURS)
def test_a_step_records_the_calls_that_led_to_it_and_how_they_were_read(name, server, tmp_path):
    outcome = go(tmp_path, name)
    folder = TrialFolder(outcome.path)
    steps, calls = folder.steps(), [line.key for line in folder.calls() if line.role == "optimizer"]
    assert (steps[0].optimizer_calls, steps[0].answers) == (None, None)
    assert [key for step in steps[1:] for key in step.optimizer_calls] == calls
    assert {reading.call for step in steps[1:] for reading in step.answers} == set(calls)
    assert any(reading.read for step in steps[1:] for reading in step.answers)
    assert replay(outcome.path).differences == []


def test_a_refused_answer_is_recorded_with_its_reason(server, tmp_path):
    server.reply = "I can't."
    step = TrialFolder(go(tmp_path).path).steps()[1]
    (reading,) = step.answers
    assert (reading.read, [reading.refused]) == (None, step.invalid_answers)


@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_an_interrupted_trial_goes_on_with_the_same_factors(killed_after, server, tmp_path):
    server.count = lambda text: count_tokens(text) * 3 // 4
    whole = [step.token_factor for step in TrialFolder(go(tmp_path / "whole").path).steps()]
    path = go(tmp_path / "killed").path
    lines = (path / "steps.jsonl").read_bytes().splitlines(keepends=True)
    (path / "steps.jsonl").write_bytes(b"".join(lines[: killed_after + 1]))
    trial = json.loads((path / "trial.json").read_text())
    (path / "trial.json").write_text(json.dumps({**trial, "status": "running", "summary": None}))
    assert resume(tmp_path / "killed", progress=False).trials[0].status == "done"
    assert [step.token_factor for step in TrialFolder(path).steps()] == whole
    assert len(set(whole[1:])) > 1


# ---- what a budget leaves
def test_an_answer_has_at_most_the_tokens_that_are_left(server, tmp_path):
    outcome = go(tmp_path, tokens=12_000, oracle_calls=50)
    folder = TrialFolder(outcome.path)
    sent = [request["body"]["max_tokens"] for request in server.requests]
    assert sent[0] == 8_192
    assert sent == sorted(sent, reverse=True)
    assert 256 <= sent[-1] < sent[0]
    assert folder.trial().summary.spent.tokens <= 12_000
    lines = folder.calls()
    assert {line.request["max_tokens"] for line in lines} == {8_192}  # what was asked for
    assert [line.max_tokens or 8_192 for line in lines] == sent
    assert replay(outcome.path).differences == []


def test_an_answer_that_the_budget_cut_says_so(server, tmp_path):
    body = {"choices": [{"message": {"content": '{"suggestion": {"x0": 1'}, "finish_reason": "length"}]}
    server.script = [json.dumps(body).encode()] * 9
    step = TrialFolder(go(tmp_path, tokens=6_000).path).steps()[1]
    assert "tokens, which were left of the budget" in step.invalid_answers[0]
    assert "raise the budget" in step.invalid_answers[0]


def test_money_leaves_tokens_too(server, tmp_path):
    price = prices.price_of("gpt-4o-mini")
    outcome = run(
        [ENV], ["OptoPrime"], out=tmp_path, seeds=1, oracle_calls=3, usd=0.004, progress=False, test_scores="never",
        optimizer_model="gpt-4o-mini",
    ).trials[0]  # fmt: skip
    assert outcome.steps
    sent = server.requests[0]["body"]["max_tokens"]
    assert 256 <= sent < 16_384
    assert sent * price.tokens_out <= 0.004
