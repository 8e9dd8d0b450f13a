"""What opto_gym promises of programs in processes of their own: small real ones, through the real harness."""

from __future__ import annotations

import gc
import importlib.metadata
import json
import sys
import time
from pathlib import Path

import pytest

import opto_gym
from opto_gym.agents.base import ONE_OF_EACH
from opto_gym.agents.external import install
from opto_gym.agents.external.base import External
from opto_gym.agents.external.program import ModelProgram, Program
from opto_gym.cli import main
from opto_gym.errors import OptoGymError
from opto_gym.leaderboard import plan, run
from opto_gym.leaderboard.machine import machine
from opto_gym.registration import agent_class
from scripts import make_external_table
from tests.support.openai_server import OpenAIServer
from tests.support.program_trials import VALLEY, command, family, go, gone, threads
from tests.support.runs import count
from tests.support.tasks import Valley

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("homes")]  # processes of other programs, begun and ended

HERE = "tests.agents.test_external"


# ------------------------------------------------------------------ what it is given
def test_its_environment_holds_what_is_meant_and_no_key(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-real-key")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    with OpenAIServer() as server:
        outcome, _ = go(
            tmp_path / "r", "environment", tmp_path / "told", agent="Program-Model", model="fake", base_url=server.url
        )
    told = json.loads((tmp_path / "told").read_text())
    assert "sk-the-real-key" not in json.dumps(told)
    home = told.pop("cwd")
    assert {told[name] for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")} == {home}
    assert not Path(home).exists()
    assert told["OPENAI_API_KEY"] == told["OPTO_GYM_TOKEN"]
    kept = {"PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "SSL_CERT_FILE", "NO_PROXY"}
    wanted = ("HOME", "TMPDIR", "XDG_", "PYTHON", "OMP_", "OPENBLAS_", "MKL_", "OPTO_GYM_", "OPENAI_")
    assert [name for name in told if name not in kept and not name.startswith(wanted)] == []
    record = "".join(path.read_text() for path in outcome.path.rglob("*.json*") if path.suffix != ".gz")
    assert told["OPTO_GYM_TOKEN"] not in record
    assert "sk-the-real-key" not in record


def test_the_packages_versions_are_on_record():
    named = machine(agent_class("external/gepa")).versions
    pins = {package.name: package.version for package in install.packages()}
    for name in ("trace-opt", "textgrad", "dspy", "gepa", "openevolve"):
        assert named[name] == pins[name]
        assert name not in machine().versions
    assert named["openai"] == importlib.metadata.version("openai")  # ours, which asks the endpoint


def test_the_program_s_file_is_part_of_what_ran(tmp_path):
    script = tmp_path / "program.py"
    names = []
    for text in ("print(1)", "print(2)"):
        script.write_text(text)
        agent = ("Program", {"command": f"{sys.executable} {script}"})
        names += plan(["tests.support.tasks:Valley"], [agent], seeds=1, limits={"oracle_calls": 3}).specs
    assert len(set(names)) == 2


def test_a_python_program_may_import_the_protocol_from_the_package(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(
        "from opto_gym.agents.external.programs import protocol\n"
        "protocol.run(lambda trial: trial.evaluate({'x': trial.start['score'] and 2}))\n"
    )
    agent = ("Program", {"command": f"{sys.executable} {script}"})
    (outcome,) = run(
        ["tests.support.tasks:Valley"], [agent], out=tmp_path / "r", seeds=1, oracle_calls=3, progress=False
    ).trials
    assert (outcome.status, outcome.steps) == ("done", 1)


class Numbers(Program):
    """Takes one number."""

    kinds = {"Number": "native"}


def test_kinds_are_refused_by_name_before_anything_is_spent(tmp_path):
    agent = (f"{HERE}:Numbers", {"command": command("climb")})
    result = run(
        [VALLEY, "tests.support.tasks:Mixed", "tests.support.tasks:Adder"], [agent], out=tmp_path, seeds=1,
        oracle_calls=1, progress=False,
    )  # fmt: skip
    assert [why for _, _, why in result.skipped] == [
        "Numbers takes parameters of kind Number, not mark (Choice), text (Prompt), change (Code)",
        "Numbers takes parameters of kind Number, not add (Code)",
    ]
    assert len(result.trials) == 1


@pytest.mark.parametrize("bad", [{"memory": 0}, {"patience": -1}, {"memory": "x"}, {"patience": float("nan")}])
def test_settings_are_checked_at_once(bad):
    with pytest.raises(ValueError, match=f"expected {next(iter(bad))} to be a number"):
        Program(command=command("climb"), **bad)


def test_what_the_endpoint_finds_wrong_may_be_asked_otherwise(tmp_path):
    with OpenAIServer("7", script=[(400, {"message": "no JSON mode here"})]) as server:
        outcome, _ = go(tmp_path / "a", "mends_itself", agent="Program-Model", model="fake", base_url=server.url)
        assert (outcome.status, outcome.steps) == ("done", 1)
        server.script = [(400, {"message": "no JSON mode here"})]
        _, data = go(tmp_path / "b", "does_not_mend_itself", agent="Program-Model", model="fake", base_url=server.url)
        assert data.ended.startswith("EndpointError: ")
        assert "no JSON mode here" in data.ended


# ------------------------------------------------------------------ by hand
@pytest.mark.parametrize("name", ["climb", "asks", "persistent"])
def test_propose_by_hand_leaves_nothing_behind(name):
    env = Valley()
    with OpenAIServer(count) as server:
        before = threads()
        agent = ModelProgram(command=command(name), model="fake", base_url=server.url)
        for _ in range(2):  # a reset ends the old one
            agent.reset(env.problem, seed=0)
            observation, values = env.evaluate(env.problem.start).observation, []
            for _ in range(3):
                values.append(agent.propose(observation)["x"])
                observation = env.evaluate({"x": values[-1]}).observation
        assert name != "climb" or values == [-9, -8, -7]
        agent.recommend()
        programs = family()
        assert programs
        del agent
        gc.collect()
        assert all(gone(one.pid) for one in programs)
        end = time.monotonic() + 5
        while threads() - before and time.monotonic() < end:
            time.sleep(0.01)


def test_a_program_that_fails_by_hand_says_so():
    agent = Program(command=command("crash"))
    agent.reset(Valley().problem, seed=0)
    start = Valley().evaluate({"x": 0}).observation
    assert agent.propose(start) == {"x": 1}
    with pytest.raises(RuntimeError, match=r"Program\.optimize failed: Program ended with status 1") as caught:
        agent.propose(start)
    assert isinstance(caught.value.__cause__, OptoGymError)


# ------------------------------------------------------------------ what it takes
def test_the_page_s_table_is_what_the_classes_say(capsys):
    made = make_external_table.table()
    assert made in make_external_table.PAGE.read_text(), "run scripts/make_external_table.py"
    names = {name for name in opto_gym.registered_agents() if issubclass(agent_class(name), External)}
    assert {row.split("`")[1] for row in made.splitlines()[2:]} == names | set(make_external_table.OURS)
    kinds = {type(p.space).__name__ for p in ONE_OF_EACH}
    for name in names:
        cls = agent_class(name)
        assert cls.kinds
        assert cls.kinds.keys() <= kinds
        assert main(["agents", name]) == 0
        said = capsys.readouterr().out
        assert all(f"    {kind}: {how}\n" in said for kind, how in cls.kinds.items())


def test_ours_take_every_kind():
    for name in make_external_table.OURS:
        assert set(agent_class(name).supported_kinds().values()) == {"native"}
        assert len(agent_class(name).supported_kinds()) == len(ONE_OF_EACH)
    assert agent_class("Adam").supported_kinds() == {"Number": "native"}
