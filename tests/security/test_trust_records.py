"""Tries to run code by a record: names of functions, modules beside it, commands, models, addresses for the key."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

import opto_gym
from opto_gym.cli import main
from opto_gym.cli.prompt import request_after
from opto_gym.errors import OptoGymError, RecordError, TrustError
from opto_gym.leaderboard import replay, report, resume, run
from opto_gym.leaderboard.results import load
from opto_gym.utils import state
from tests.support.own_code import OWN

ENV, AGENT = "NumericalOptimization-v0", "RandomSearch"
TOUCH = {"args": ["touch", "ran"]}
CODE = {
    "a class of the standard library": {"env": "subprocess:Popen", "env_arguments": TOUCH},
    "a function of the standard library": {"env": "os:system", "env_arguments": {"command": "touch ran"}},
    "a builtin": {"env": "builtins:exec", "env_arguments": {"source": "open('ran', 'w')"}},
    "a module beside the record": {"env": "own_code:Env"},
    "an id that a module registers": {"env": "own_code:Mine-v0"},
    "an id of another package": {"env": "other/Mine-v0"},
    "an agent's class": {"agent": "own_code:Agent"},
    "a command": {"agent": "Program", "settings": {"command": "touch ran"}},
    "a command that asks a model": {"agent": "Program-Model", "settings": {"command": "touch ran", "model": "m"}},
    "a function as the agent's model": {"optimizer_model": "own_code:answer"},
    "a function with a blank": {"optimizer_model": " own_code:answer\u200b"},
    "a function as the task's model": {"task_model": "own_code:answer"},
    "a function as a setting": {"settings": {"model": "own_code:answer"}},
}
ADDRESSES = {
    "an address": {"base_url": "https://evil.example/v1"},
    "an address that looks near": {"base_url": "https://localhost.evil.example/v1"},
    "an address as a setting": {"settings": {"base_url": "http://10.1.2.3/v1"}},
    "an address of a role": {"endpoints": {"task": {"base_url": "https://evil.example/v1"}}},
    "a secret as a key": {"endpoints": {"optimizer": {"api_key_env": "AWS_SECRET_ACCESS_KEY"}}},
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A run of registered names."""
    out = tmp_path_factory.mktemp("recorded") / "r"
    run([ENV], [AGENT], out=out, seeds=1, oracle_calls=1, progress=False)
    return out


@pytest.fixture
def strange(recorded, folder):
    """Makes a copy of the run in which the specs are changed; returns its folder and its trial's."""

    def change(**fields):
        shutil.copytree(recorded, folder / "r")
        (trial,) = (folder / "r" / "trials").iterdir()
        for path in (folder / "r" / "run.json", trial / "trial.json"):
            data = json.loads(path.read_text())
            for holder in data.get("trials", [data]):
                holder["spec"] |= fields
            path.write_text(json.dumps(data))
        return folder / "r", trial

    return change


def nothing_ran(folder) -> bool:
    return not (folder / "ran").exists() and "own_code" not in sys.modules


@pytest.mark.parametrize("what", CODE)
def test_neither_replay_nor_resume_runs_what_a_strange_record_names(strange, folder, what):
    out, trial = strange(**CODE[what])
    for attempt in (lambda: replay(trial), lambda: resume(out, progress=False), lambda: resume(out, again=True)):
        with pytest.raises(TrustError, match=r"^\S+ names what is not registered, .* pass --trust"):
            attempt()
    assert nothing_ran(folder)


@pytest.mark.parametrize("what", ADDRESSES)
def test_a_strange_record_sends_no_key_anywhere(strange, what):
    out, trial = strange(**ADDRESSES[what])
    with pytest.raises(TrustError, match=r"address|key"):
        resume(out, progress=False)
    assert replay(trial).trial == trial.name  # which sends nothing


@pytest.mark.parametrize("url", ["https://api.openai.com/v1", "http://127.0.0.1:8000/v1", "https://mine.example/v1"])
def test_addresses_that_get_no_key_of_others_need_no_trust(strange, monkeypatch, url):
    monkeypatch.setenv("OPENAI_BASE_URL", "https://mine.example/v1")
    out, _ = strange(base_url=url)
    assert len(resume(out, progress=False, again=True).trials) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "http://localhost:1/v1", "http://[::1]:8000/v1"])
def test_a_program_of_this_machine_gets_no_key_by_a_strange_record(strange, monkeypatch, url):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    out, _ = strange(base_url=url)
    with pytest.raises(TrustError, match="address"):
        resume(out, progress=False)


def test_an_address_that_the_user_names_needs_no_trust(strange):
    out, _ = strange(base_url="https://evil.example/v1")
    assert len(resume(out, progress=False, again=True, base_url="https://mine.example/v1").trials) == 1


@pytest.mark.parametrize("command", [["replay", "TRIAL"], ["run", "--resume", "RUN"]])
def test_the_command_line_says_it_in_one_line(strange, folder, capsys, command):
    out, trial = strange(env="subprocess:Popen\x1b[31m", env_arguments=TOUCH)
    assert main([{"TRIAL": str(trial), "RUN": str(out)}.get(word, word) for word in command]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert 'environment subprocess:Popen\\x1b[31m {"args": ["touch", "ran"]}' in line
    assert "older release" in line
    assert nothing_ran(folder)


def test_a_long_list_of_names_is_cut(strange):
    _, trial = strange(env="m:" + "A" * 10_000, agent="n:B", settings={"x": "y" * 10_000})
    with pytest.raises(TrustError) as caught:
        replay(trial)
    assert len(str(caught.value)) < 1000


def test_trust_is_remembered_for_exactly_what_was_trusted(strange, folder):
    out, trial = strange(agent="own_code:Agent")
    said = replay(trial, trust=True).differences  # the agent is another, so that its calls alone are evaluated
    assert all("in the spec" in line or line.startswith("identity: agent") for line in said)
    assert replay(trial).differences == said
    data = json.loads((trial / "trial.json").read_text())
    data["spec"]["settings"] = {"explore": 0.25}
    (trial / "trial.json").write_text(json.dumps(data))
    with pytest.raises(TrustError, match="explore"):
        replay(trial)
    with pytest.raises(TrustError, match=r"agent own_code:Agent"):
        replay(shutil.copytree(out, folder / "elsewhere") / "trials" / trial.name)


def test_a_trusted_function_is_not_called_as_an_environment(strange, folder):
    _, trial = strange(env="os:system", env_arguments={"command": "touch ran"})
    with pytest.raises(TypeError, match=r"expected a subclass of opto_gym\.OptoEnv"):
        replay(trial, trust=True)
    assert nothing_ran(folder)


def test_an_own_run_needs_no_trust_until_it_is_copied_or_edited(folder, monkeypatch):
    (trial,) = run(["own_code:Env"], ["own_code:Agent"], out="mine", seeds=1, oracle_calls=1, progress=False).trials
    assert replay(trial.path).differences == []
    assert resume("mine", limits={"oracle_calls": 2}, progress=False).trials[0].steps == 2
    with pytest.raises(TrustError, match="own_code:Env"):
        resume(shutil.copytree("mine", "copy"), progress=False)
    monkeypatch.setenv("OPTO_GYM_STATE", str(folder / "another user"))
    with pytest.raises(TrustError, match="own_code:Env"):
        resume("mine", progress=False)


def test_a_run_into_a_strange_folder_trusts_nothing_else_in_it(strange, folder):
    out, _ = strange(agent="own_code:Agent")
    run([ENV], [(AGENT, {"explore": 0.3})], out=out, seeds=1, oracle_calls=1, progress=False)
    with pytest.raises(TrustError, match="own_code:Agent"):
        resume(out, progress=False)
    assert nothing_ran(folder)


def test_reading_a_record_imports_nothing(strange, folder, capsys):
    out, _ = strange(env="own_code:Env", agent="own_code:Agent", optimizer_model="own_code:answer")
    assert load(out)[0].agent == "own_code:Agent"
    with pytest.raises(RecordError, match=r"agent is 'own_code:Agent' in the spec"):
        report(out)
    assert main(["report", str(out)]) == 1
    assert nothing_ran(folder)


def test_the_prompt_after_a_recorded_call_needs_trust(strange, folder):
    _, trial = strange(env="own_code:Env")
    with pytest.raises(TrustError, match="own_code:Env"):
        request_after(trial, 0, env="own_code:Env", agent=AGENT)
    assert nothing_ran(folder)


@pytest.mark.parametrize("limits", [{}, {"oracle_calls": float("inf")}, {"seconds": 1e300}, {"tokens": -1}])
def test_a_record_without_a_budget_is_not_resumed(strange, limits):
    out, _ = strange()
    data = json.loads((out / "run.json").read_text())
    data["trials"][0]["limits"] = limits
    (out / "run.json").write_text(json.dumps(data))
    with pytest.raises(
        (ValueError, OptoGymError), match=r"needs a budget|expected (a finite number|oracle_calls|seconds|tokens)"
    ):
        resume(out, progress=False)
    if not limits:
        assert resume(out, limits={"oracle_calls": 1}, progress=False).trials[0].status == "done"


# ------------------------------------------------------------------ names in Python and on the command line
@pytest.mark.parametrize("name", ["subprocess:Popen", "os:system", "builtins:exec", "own_code:answer"])
def test_a_function_is_no_environment_unless_it_is_declared(folder, name):
    with pytest.raises(TypeError, match=rf"'{name}' .*expected a subclass of opto_gym.OptoEnv, or a function with the"):
        opto_gym.make(name)


def test_a_declared_function_makes_an_environment(folder):
    code = "import opto_gym\n@opto_gym.env_factory\ndef small(**keywords):\n    return Env(**keywords)\n"
    (folder / "own_code.py").write_text(OWN + code)
    assert opto_gym.make("own_code:small", oracle_calls=3).unwrapped.oracle_calls == 3


def test_a_class_is_no_model(folder):
    with pytest.raises(OptoGymError, match="has no function Env"):
        opto_gym.make_agent("OptoPrime", model="own_code:Env").llm


# ------------------------------------------------------------------ the key and the marks
def test_the_key_is_made_once_and_for_the_user_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("OPTO_GYM_STATE", str(tmp_path / "state"))
    assert not state.is_marked("a")
    assert not (tmp_path / "state").exists()  # looking makes nothing
    state.mark(["a"])
    key = tmp_path / "state" / "key"
    before = key.read_bytes()
    state.mark(["b"])
    assert (len(before), key.read_bytes()) == (32, before)
    assert key.stat().st_mode & 0o777 == 0o600
    assert (state.is_marked("a"), state.is_marked("b"), state.is_marked("c")) == (True, True, False)


@pytest.mark.parametrize("damage", ["short", "readable", "another's", "a link"])
def test_marks_do_not_hold_with_a_key_that_others_may_know(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("OPTO_GYM_STATE", str(tmp_path))
    state.mark(["a"])
    key = tmp_path / "key"
    if damage == "short":
        key.write_bytes(b"x")
    elif damage == "readable":
        key.chmod(0o644)
    elif damage == "another's":
        key.write_bytes(bytes(32))
    else:
        key.rename(tmp_path / "k")
        key.symlink_to(tmp_path / "k")
    assert not state.is_marked("a")


def test_marks_without_the_key_prove_nothing(tmp_path, monkeypatch):
    for user in ("theirs", "mine"):
        monkeypatch.setenv("OPTO_GYM_STATE", str(tmp_path / user))
        state.mark([user])
    shutil.copytree(tmp_path / "theirs" / "marks", tmp_path / "mine" / "marks", dirs_exist_ok=True)
    assert not state.is_marked("theirs")


def test_a_state_folder_that_can_t_be_written_stops_no_run(folder, monkeypatch, unwritable, capsys):
    monkeypatch.setenv("OPTO_GYM_STATE", str(unwritable))
    (trial,) = run(["own_code:Env"], [AGENT], out="mine", seeds=1, oracle_calls=1).trials
    assert trial.status == "done"
    assert "can't be marked as yours" in capsys.readouterr().err
    with pytest.raises(TrustError):
        replay(trial.path)
    assert replay(trial.path, trust=True).differences == []
