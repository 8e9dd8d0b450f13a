"""How the models of a run are asked: one endpoint or one a role, with what keys, and what of it is part of a trial."""

from __future__ import annotations

import json
import time

import pytest
from msgspec.structs import replace

from opto_gym.cli import main
from opto_gym.errors import EndpointError, OptoGymError, SettingsError
from opto_gym.leaderboard import RunConfig, TrialFolder, plan, replay, resume, run
from tests.support.openai_server import OpenAIServer
from tests.support.runs import HERE, ask, go

BOTH = ["tests.support.tasks:Asked"], [f"{HERE}:Asking"]
"""A task with a model inside, and an agent that asks one."""


@pytest.fixture
def other():
    with OpenAIServer("2") as server:
        yield server


def record_of(outcome):
    return TrialFolder(outcome.path).trial()


def test_each_role_has_its_endpoint_key_and_fields(tmp_path, server, other, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-everyone")
    monkeypatch.setenv("TASK_KEY", "sk-of-the-task\n")
    result = run(
        *BOTH,
        out=tmp_path,
        seeds=1,
        oracle_calls=2,
        progress=False,
        optimizer_model="big",
        task_model="small",
        base_url=server.url,
        task_base_url=other.url,
        task_api_key_env="TASK_KEY",
        extra_body={"reasoning_effort": "low"},
        task_extra_body={"top_k": 1},
    )
    (outcome,) = result.trials
    assert outcome.error is None
    assert {r["body"]["model"] for r in server.requests} == {"big"}
    assert {r["body"]["model"] for r in other.requests} == {"small"}
    assert {r["headers"]["authorization"] for r in server.requests} == {"Bearer sk-for-everyone"}
    assert {r["headers"]["authorization"] for r in other.requests} == {"Bearer sk-of-the-task"}
    assert all(r["body"]["reasoning_effort"] == "low" and "top_k" not in r["body"] for r in server.requests)
    assert all(r["body"]["top_k"] == 1 and "reasoning_effort" not in r["body"] for r in other.requests)
    where = record_of(outcome).where.endpoints
    assert where == {"optimizer": server.url, "task": other.url, "test": other.url}
    for path in (p for p in tmp_path.rglob("*") if p.suffix in (".json", ".jsonl")):
        assert "sk-" not in path.read_text()
    asked = len(server.requests), len(other.requests)
    assert replay(outcome.path).differences == []
    resume(tmp_path, progress=False)
    assert (len(server.requests), len(other.requests)) == asked


def planned(**settings):
    (trial,) = plan(*BOTH, seeds=1, limits={"oracle_calls": 2}, model="m", **settings).trials
    return trial


def test_what_is_part_of_a_trials_id():
    plain = planned(base_url="http://one/v1")
    assert planned(base_url="http://two/v1", timeout=9, attempts=2, prices={"m": (1, 2)}) == plain
    assert planned(base_url="http://one/v1", task_base_url="http://two/v1", api_key_env="PATH") == plain
    others = [
        planned(base_url="http://one/v1", **settings)
        for settings in (
            {"endpoint_label": "8-bit"},
            {"task_endpoint_label": "8-bit"},
            {"extra_body": {"reasoning_effort": "low"}},
            {"optimizer_extra_body": {"reasoning_effort": "low"}},
        )
    ]
    assert len({plain, *others}) == 5


def test_a_server_that_moves_reruns_nothing(tmp_path, server, other):
    first = ask(tmp_path, server)
    asked = len(server.requests)
    again = ask(tmp_path, other)
    assert again.trial == first.trial
    assert len(json.loads((tmp_path / "run.json").read_text())["trials"]) == 1
    assert other.requests == []
    resume(tmp_path, progress=False, limits={"oracle_calls": 8}, base_url=other.url)
    assert len(server.requests) == asked
    assert len(other.requests) == 2
    record = record_of(first)
    assert record.where.endpoints == {"optimizer": other.url}
    assert record.spec.base_url == other.url
    assert replay(first.path).differences == []


def test_a_role_moves_alone(tmp_path, server, other):
    settings = {"optimizer_model": "big", "task_model": "small", "base_url": server.url, "seeds": 1, "progress": False}
    (outcome,) = run(*BOTH, out=tmp_path, oracle_calls=1, **settings).trials
    assert outcome.error is None
    resume(tmp_path, progress=False, limits={"oracle_calls": 2}, task_base_url=other.url)
    assert {r["body"]["model"] for r in other.requests} == {"small"}
    assert {r["body"]["model"] for r in server.requests} == {"big", "small"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"optimizer_model": "big"}, r"tests.support.tasks:Asked asks .* inside the task.*role \(task\).*--task-model"),
        ({"task_model": "small"}, r"Asking asks .*role \(optimizer\); the task's model is 'small'.*--optimizer-model"),
        ({"base_url": "http://one/v1"}, r"an endpoint is configured, but no model.*--model"),
        ({"task_base_url": "http://one/v1"}, r"an endpoint is configured, but no model.*--model"),
    ],
)
def test_which_role_lacks_a_model_is_said(given, said):
    with pytest.raises(OptoGymError, match=said):
        plan(*BOTH, seeds=1, limits={"oracle_calls": 2}, **given)


def test_the_environments_model_is_for_both(monkeypatch):
    monkeypatch.setenv("OPTO_GYM_MODEL", "default")
    made = plan(*BOTH, seeds=1, limits={"oracle_calls": 2}, optimizer_model="big", base_url="http://one/v1")
    (spec,) = made.specs.values()
    assert (spec.optimizer_model, spec.task_model) == ("big", "default")


@pytest.mark.parametrize(
    "settings",
    [
        {"extra_body": {"messages": []}},
        {"task_extra_body": {"n": 2}},
        {"timeout": 0},
        {"attempts": 0},
        {"prices": {"m": (1.0,)}},
        {"prices": {"m": (1.0, -1.0)}},
        {"base_url": "localhost:1/v1"},
        {"task_base_url": "http://user:pass@h/v1"},
        {"optimizer_base_url": "http://h/v1?token=abcdef"},
    ],
)
def test_wrong_settings_are_refused_when_a_run_is_planned(settings):
    with pytest.raises(ValueError, match=r"expected|Expected"):
        plan(*BOTH, seeds=1, limits={"oracle_calls": 2}, model="m", **settings)


# ---- money


def test_a_budget_of_money_with_an_unknown_price_is_refused_when_a_run_is_planned(tmp_path, server):
    for limits, cap in (({"oracle_calls": 2, "usd": 1.0}, {}), ({"oracle_calls": 2}, {"usd": 1.0})):
        settings = {"seeds": 1, "limits": limits, "cap": cap, "task_model": "gpt-4o", "optimizer_model": "unheard-of"}
        with pytest.raises(OptoGymError, match=r"price of 'unheard-of' is unknown.*--price unheard-of=IN,OUT"):
            plan(*BOTH, **settings)
        plan(*BOTH, **settings, prices={"unheard-of": (1.0, 2.0)})
    assert server.requests == []


def test_given_prices_are_kept_with_the_run(tmp_path, server):
    outcome = ask(tmp_path, server, usd=1.0, prices={"fake": (1.0, 2.0, 0.5)})
    assert 0 < record_of(outcome).summary.ledger.optimizer.usd < 0.01
    asked = len(server.requests)
    again = resume(tmp_path, progress=False, limits={"oracle_calls": 8})
    assert again.trials[0].error is None
    assert len(server.requests) == asked + 2
    assert replay(outcome.path).differences == []


# ---- the command line and files


def test_options_and_files_say_the_same():
    config = RunConfig.of(
        ["Battleship-v0"],
        ["OptoPrime"],
        limits={"oracle_calls": 2},
        model="m",
        optimizer_base_url="http://one/v1",
        task_api_key_env="KEY",
        extra_body={"reasoning_effort": "low", "nested": {"a": [1, 2]}},
        task_endpoint_label="8-bit",
        timeout=30.5,
        attempts=3,
        prices={"ft:gpt-4o:me::x": (1.0, 2.5, 0.5), "a=b": (1.0, 2.0)},
    )
    assert RunConfig.from_toml(config.to_toml()) == config
    from opto_gym.cli.arguments import run_config
    from opto_gym.cli.parser import parse

    assert run_config(parse(["run", *config.to_arguments()])) == config


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--price", "gpt-9"], "MODEL=IN,OUT"),
        (["--price", "gpt-9=1"], "MODEL=IN,OUT"),
        (["--price", "gpt-9=1,x"], "MODEL=IN,OUT"),
        (["--price", "=1,2"], "MODEL=IN,OUT"),
        (["--extra-body", "reasoning_effort=low"], "JSON object"),
        (["--task-extra-body", "[1]"], "JSON object"),
        (["--timeout", "0"], "greater than 0"),
        (["--attempts", "0"], "at least 1 attempt"),
        (["--base-url", "localhost:8000/v1"], "such as http://localhost:8000/v1"),
        (["--usd", "1"], "--price m=IN,OUT"),
        (["--api-key-env", "NO_SUCH_KEY", "--base-url", "http://127.0.0.1:9/v1"], "NO_SUCH_KEY"),
    ],
)
def test_the_command_line_says_what_is_wrong_with_an_option(capsys, tmp_path, options, said):
    command = ["run", "--env", BOTH[0][0], "--agent", BOTH[1][0], "--seeds", "1", "--oracle-calls", "2", "--model", "m"]
    assert main([*command, "--out", str(tmp_path / "r"), "--quiet", *options]) in (1, 2)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "r" / "trials").exists()


def test_a_key_that_is_not_there_is_missed_before_the_first_trial(tmp_path, server):
    with pytest.raises(SettingsError, match="NO_SUCH_KEY"):
        go(tmp_path, agent="Asking", model="fake", base_url=server.url, api_key_env="NO_SUCH_KEY")
    assert server.requests == []


# ---- the probe before a run


def test_a_dead_endpoint_ends_a_run_before_its_first_trial(tmp_path, server):
    begin = time.monotonic()
    with pytest.raises(EndpointError, match="can't be reached"):
        go(tmp_path, agent="Asking", model="fake", base_url="http://127.0.0.1:9/v1", seeds=5, jobs=5)
    assert time.monotonic() - begin < 4
    assert not (tmp_path / "trials").exists()
    result = resume(tmp_path, progress=False, base_url=server.url)  # and it goes on where the server is
    assert [t.status for t in result.trials] == ["done"] * 5
    assert server.probes == 1


def test_there_is_one_probe_for_each_model_and_none_where_calls_are_recorded(tmp_path, server):
    settings = {"base_url": server.url, "progress": False, "seeds": 3, "jobs": 3}
    run(*BOTH, out=tmp_path, oracle_calls=2, optimizer_model="big", task_model="small", **settings)
    assert server.probes == 2
    server.close()
    assert resume(tmp_path, progress=False).trials[0].error is None
    folder = next((tmp_path / "trials").iterdir())
    TrialFolder(folder).write_trial(replace(TrialFolder(folder).trial(), status="running"))
    assert resume(tmp_path, progress=False).trials[0].error is None
    assert replay(folder).differences == []
    go(tmp_path / "none", agent="Steps")  # no model, no probe


def test_a_probe_counts_in_the_cap_of_the_run(tmp_path, server):
    go(tmp_path, agent="Asking", model="fake", base_url=server.url, cap={"llm_calls": 4})
    assert (server.probes, len(server.requests)) == (1, 3)


# ---- functions


def steps_of_five(messages):
    return str(len(messages[-1]["content"]))


def test_functions_are_models_of_a_run(tmp_path, server):
    name = f"{__name__}:steps_of_five"
    settings = {"oracle_calls": 2, "seeds": 1, "progress": False}
    (outcome,) = run(*BOTH, out=tmp_path / "a", model=steps_of_five, **settings).trials
    assert outcome.error is None
    record = record_of(outcome)
    assert record.spec.optimizer_model == record.spec.task_model == name
    assert record.spec.base_url is None
    assert record.where.endpoints == {"optimizer": "python", "task": "python", "test": "python"}
    assert replay(outcome.path).differences == []
    mixed = {"optimizer_model": name, "task_model": "small", "base_url": server.url}
    (other,) = run(*BOTH, out=tmp_path / "b", **mixed, **settings).trials
    assert other.error is None
    assert {r["body"]["model"] for r in server.requests} == {"small"}
    assert server.probes == 1
