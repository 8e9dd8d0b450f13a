"""What opto_gym promises of programs in processes of their own: small real ones, through the real harness."""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

import opto_gym
from opto_gym.agents.base import ONE_OF_EACH
from opto_gym.agents.external import install
from opto_gym.agents.external.base import External
from opto_gym.agents.external.process import OUTPUT_TAIL
from opto_gym.agents.external.program import ModelProgram, Program
from opto_gym.cli import main
from opto_gym.errors import OptoGymError
from opto_gym.leaderboard import TrialFolder, plan, replay, resume, run
from opto_gym.leaderboard.machine import machine
from opto_gym.leaderboard.reporting.page import html, notes
from opto_gym.leaderboard.results import load, rows
from opto_gym.registration import agent_class
from scripts import make_external_table
from tests.support.openai_server import OpenAIServer
from tests.support.runs import content, count
from tests.support.tasks import Valley

pytestmark = pytest.mark.slow  # processes of other programs, begun and ended

SCRIPT = Path(__file__).parents[1] / "support" / "command_lines" / "behaving.py"
VALLEY = "tests.support.tasks:Valley"
HERE = "tests.agents.test_external"


def command(name, *more):
    return " ".join([sys.executable, str(SCRIPT), name, *map(str, more)])


def go(out, name, *more, agent="Program", settings=(), **keywords):
    """A trial of a program on Valley, and its trial.json."""
    keywords = {"seeds": 1, "oracle_calls": 4, "progress": False, "test_scores": "end", **keywords}
    agent = (agent, {"command": command(name, *more), "patience": 20.0, **dict(settings)})
    (outcome,) = run(["tests.support.tasks:Valley"], [agent], out=out, **keywords).trials
    return outcome, TrialFolder(outcome.path).summary()


def family():
    """The processes that this one has begun for programs, as far as they live."""
    ours = []
    for one in psutil.Process().children(recursive=True):
        try:
            if str(SCRIPT) in one.cmdline():
                ours.append(one)
        except psutil.Error:
            pass
    return ours


def threads():
    """Those of this process, but for the test server's, which end when their client does."""
    return {t for t in threading.enumerate() if "process_request" not in t.name}


def gone(pid, seconds=5.0):
    """Whether a process ends in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


@pytest.fixture(autouse=True)
def homes(tmp_path_factory, monkeypatch):
    """The folder in which programs have their homes; no test leaves anything there, nor a process or thread."""
    before, homes = threads(), tmp_path_factory.mktemp("homes")
    monkeypatch.setenv("TMPDIR", str(homes))
    monkeypatch.setattr("tempfile.tempdir", str(homes))
    yield homes
    assert family() == []
    assert threads() <= before
    assert list(homes.iterdir()) == []


# ------------------------------------------------------------------ how it may end
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("crash", r"ended with status 1: (.|\n)*RuntimeError: no idea left"),
        ("exits", "ended with status 3: giving up"),
        ("killed", r"was killed by SIGKILL: what is this\?"),
        ("kills_its_group", "was killed by SIGKILL: it had no output"),
    ],
)
def test_a_crash_is_the_trial_s_failure_with_its_last_words(tmp_path, name, said):
    outcome, data = go(tmp_path, name)
    assert (outcome.status, outcome.steps) == ("failed", 1)
    assert re.search(said, data["error"])
    assert data["summary"]["recommended"] == {"x": 1}
    assert data["summary"]["recommended_score"] == 4.0  # scored, for who looks; it counts as the start


@pytest.mark.parametrize("name", ["hang", "stop_dead"])
def test_a_hang_ends_after_the_patience(tmp_path, name):
    outcome, data = go(tmp_path, name, settings={"patience": 0.5})
    assert (outcome.status, outcome.steps) == ("failed", 1)
    assert data["ended"] == "OptoGymError: Program made no request for 0.5 seconds: thinking"


@pytest.mark.parametrize(
    ("name", "patience", "status"), [("hang_elsewhere", 2.0, "failed"), ("elsewhere", 20.0, "done")]
)
def test_who_left_the_group_and_the_parent_ends_too(tmp_path, name, patience, status):
    outcome, _ = go(tmp_path, name, tmp_path / "pid", settings={"patience": patience})
    assert outcome.status == status
    assert gone(int((tmp_path / "pid").read_text()))


def test_too_much_memory_is_the_trial_s_failure(tmp_path):
    outcome, data = go(tmp_path, "memory", settings={"memory": 0.3})
    assert (outcome.status, outcome.steps) == ("failed", 1)
    assert "GB of memory, more than its 0.3 GB" in data["ended"]


def test_endless_words_fill_no_disk(tmp_path):
    _, data = go(tmp_path, "endless")
    assert data["ended"].endswith("0 bytes on the disk")
    assert OUTPUT_TAIL - 10 < len(data["ended"]) < OUTPUT_TAIL + 100


def test_a_command_that_can_t_be_run(tmp_path):
    script = tmp_path / "not_a_program"
    script.write_text("hello")
    script.chmod(0o755)
    (outcome,) = run(
        [VALLEY], [("Program", {"command": str(script)})], out=tmp_path / "r", seeds=1, oracle_calls=1,
        progress=False,
    ).trials  # fmt: skip
    assert "can't be run: Exec format error" in TrialFolder(outcome.path).trial().ended


# ------------------------------------------------------------------ the budget's end
@pytest.mark.parametrize(
    ("name", "recommended"),
    [
        ("climb", 0),  # the start values were better
        ("crash_over_budget", 2),
        ("persistent", 2),  # ended; the incumbent is kept
        ("persistent_once", -4),  # its own choice
    ],
)
def test_the_budget_s_end(tmp_path, name, recommended):
    outcome, data = go(tmp_path, name)
    assert (outcome.status, data["ended"], outcome.steps) == ("done", "budget: oracle_calls", 4)
    assert data["summary"]["recommended"] == {"x": recommended}


def test_a_program_that_stays_after_the_budget_s_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("opto_gym.agents.external.base.GRACE_SECONDS", 0.5)
    outcome, data = go(tmp_path, "persistent_slowly")
    assert (outcome.status, data["ended"], data["summary"]["recommended"]) == (
        "done",
        "budget: oracle_calls",
        {"x": -4},
    )


def test_time_ends_a_program_that_hangs(tmp_path):
    outcome, data = go(tmp_path, "hang", seconds=1.5)
    assert (outcome.status, data["ended"]) == ("done", "budget: seconds")
    assert data["summary"]["recommended"] == {"x": 1}
    assert data["seconds"] < 6


def test_it_may_end_by_itself_and_recommend_what_it_likes(tmp_path):
    assert go(tmp_path / "a", "ends")[1]["ended"] == "agent"
    data = go(tmp_path / "b", "recommends")[1]
    assert (data["summary"]["recommended"], data["summary"]["recommended_score"]) == ({"x": -5}, 64.0)


def test_threads_can_t_overspend(tmp_path):
    outcome, data = go(tmp_path, "threads", oracle_calls=5)
    assert (outcome.status, data["ended"], outcome.steps) == ("done", "budget: oracle_calls", 5)
    assert sorted(line["call"] for line in TrialFolder(outcome.path).steps()) == list(range(6))


def test_hostile_values_are_observations(tmp_path):
    outcome, data = go(tmp_path, "hostile_values", oracle_calls=9)
    assert (outcome.status, outcome.steps, data["summary"]["errors"]) == ("done", 5, 5)


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


# ------------------------------------------------------------------ the model
def test_a_dead_endpoint_fails_the_trial_and_resume_goes_on(tmp_path, monkeypatch):
    sleep = time.sleep
    monkeypatch.setattr("opto_gym.llm.client.time.sleep", lambda s: sleep(min(s, 0.01)))
    with OpenAIServer(count, script=["ok", "ok", *[500] * 6]) as server:
        outcome, data = go(tmp_path, "shrugs", agent="Program-Model", model="fake", base_url=server.url)
        assert (outcome.status, data["ended"].partition(":")[0]) == ("failed", "EndpointError")
        assert outcome.steps == 2  # though the program went on
        (outcome,) = resume(tmp_path, progress=False).trials
        assert (outcome.status, outcome.steps) == ("done", 4)
        assert len(server.requests) == 2 + 6 + 2


def test_what_the_endpoint_finds_wrong_may_be_asked_otherwise(tmp_path):
    with OpenAIServer("7", script=[(400, {"message": "no JSON mode here"})]) as server:
        outcome, _ = go(tmp_path / "a", "mends_itself", agent="Program-Model", model="fake", base_url=server.url)
        assert (outcome.status, outcome.steps) == ("done", 1)
        server.script = [(400, {"message": "no JSON mode here"})]
        _, data = go(tmp_path / "b", "does_not_mend_itself", agent="Program-Model", model="fake", base_url=server.url)
        assert data["ended"].startswith("EndpointError: ")
        assert "no JSON mode here" in data["ended"]


def test_the_model_s_budget_ends_it(tmp_path):
    with OpenAIServer(count) as server:
        outcome, data = go(
            tmp_path, "asks", agent="Program-Model", model="fake", base_url=server.url, oracle_calls=9, llm_calls=3
        )
    assert (data["status"], data["ended"], outcome.steps) == ("done", "budget: llm_calls", 3)


def test_a_replay_needs_no_endpoint(tmp_path):
    with OpenAIServer(count) as server:
        outcome, _ = go(tmp_path, "asks", agent="Program-Model", model="fake", base_url=server.url)
    assert replay(outcome.path).differences == []


# ------------------------------------------------------------------ interruptions
def begun(out, process):
    """Waits for the first oracle call of a run in a process."""
    end = time.monotonic() + 30
    while not any(len(p.read_bytes().splitlines()) > 1 for p in out.glob("trials/*/steps.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def in_a_process(out, name, *more, agent="Program", settings=""):
    words = [sys.executable, "-m", "opto_gym", "run", "--env", "tests.support.tasks:Valley", "--out", str(out)]
    words += ["--agent", f"{agent}:command={command(name)},patience=300{settings}", "--seeds", "1", *more]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[3])}
    return subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_when_opto_gym_ends_the_program_does(tmp_path, homes, number):
    process = in_a_process(tmp_path / "r", "stop_dead", "--oracle-calls", "5")
    begun(tmp_path / "r", process)
    programs = [one.pid for one in family()]
    assert len(programs) == 2  # the keeper, and it
    begin = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert all(map(gone, programs))
    assert time.monotonic() - begin < 8
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert f"opto-gym run --resume {tmp_path / 'r'}" in said
        assert not list(homes.iterdir())
    (path,) = (tmp_path / "r" / "trials").iterdir()
    assert TrialFolder(path).trial().status == "running"
    for home in homes.iterdir():
        home.rmdir()  # nobody is left to do it after kill -9


def test_after_kill_9_nothing_recorded_is_paid_twice(tmp_path, homes):
    more = ["--oracle-calls", "12", "--model", "fake"]
    with OpenAIServer(lambda body: count(body, delay=0.02)) as server:
        kills = 0
        for delay in (0.05, 0.15):
            process = in_a_process(tmp_path / "r", "asks", *more, "--base-url", server.url, agent="Program-Model")
            begun(tmp_path / "r", process)
            time.sleep(delay)
            programs = [one.pid for one in family()]
            kills += process.poll() is None
            process.kill()
            process.communicate()
            assert all(map(gone, programs))
        assert kills == 2
        (outcome,) = resume(tmp_path / "r", progress=False).trials
        assert (outcome.status, outcome.steps) == ("done", 12)
        assert 12 <= len(server.requests) <= 12 + kills
        settings = {"patience": 300}
        whole, _ = go(
            tmp_path / "whole", "asks", agent="Program-Model", model="fake", base_url=server.url, oracle_calls=12,
            settings=settings, test_scores="each",
        )  # fmt: skip
    assert whole.trial == outcome.trial
    assert content(outcome.path) == content(whole.path)
    assert replay(outcome.path).differences == []
    for home in homes.iterdir():
        home.rmdir()


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


# ------------------------------------------------------------------ who can't go on
def drawing(out, server, **keywords):
    keywords = {"oracle_calls": 12, "test_scores": "each", "settings": {"deterministic": False}, **keywords}
    return go(out, "asks_and_draws", agent="Program-Model", model="fake", base_url=server.url, **keywords)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_who_can_t_go_on_starts_again_within_the_same_budget(tmp_path, homes):
    """Two kills later, and a third while a record was set aside, all that was paid is on the books, once."""
    out = tmp_path / "r"
    more = ["--oracle-calls", "12", "--model", "fake"]
    with OpenAIServer("a few words") as server:
        for kill in range(2):
            process = in_a_process(
                out, "asks_and_draws", *more, "--base-url", server.url, agent="Program-Model",
                settings=",deterministic=False",
            )  # fmt: skip
            while len(list(out.glob("trials/*/lost/*/steps.jsonl"))) < kill:  # the last one's record is still there
                time.sleep(0.01)
            begun(out, process)
            process.kill()
            process.communicate()
        (path,) = (out / "trials").iterdir()
        folder = TrialFolder(path)
        (path / "lost" / "2").mkdir()
        (path / "llm.jsonl").rename(path / "lost" / "2" / "llm.jsonl")  # the third
        (outcome,) = resume(out, progress=False).trials
        data = folder.summary()
        requests = len(server.requests)
    assert [p.name for p in folder.attempts()] == ["1", "2"]
    assert all((p / "steps.jsonl").exists() and (p / "llm.jsonl").exists() for p in folder.attempts())
    steps = [line for p in path.rglob("steps.jsonl") for line in lines(p) if line["call"]]
    calls = [line for p in path.rglob("llm.jsonl") for line in lines(p)]
    summary, lost = data["summary"], data["summary"]["lost"]
    assert (outcome.status, data["ended"], len(steps)) == ("done", "budget: oracle_calls", 12)
    assert requests - 2 <= len(calls) <= requests  # the one in flight at each kill is in no record
    assert summary["spent"]["oracle_calls"] == summary["spent"]["evaluations"] == 12
    assert summary["spent"]["llm_calls"] == summary["ledger"]["optimizer"]["calls"] == len(calls)
    assert summary["spent"]["tokens"] == sum(line["tokens_in"] + line["tokens_out"] for line in calls)
    assert (lost["tries"], lost["oracle_calls"]) == (2, 12 - outcome.steps)
    assert lost["ledger"]["optimizer"]["calls"] == len(calls) - len(lines(path / "llm.jsonl"))
    assert data["seconds"] > 0
    again = replay(path)
    assert (again.differences, again.steps) == ([], outcome.steps)
    trials = load(out)
    said = f"{lost['evaluations']} evaluations, {lost['ledger']['optimizer']['calls']} LLM calls and "
    assert any(said in note for note in notes(trials))
    assert said in html("r", trials)
    (row,) = rows(trials)
    assert (row.total("evaluations"), row.ledger("calls")) == (12, len(calls))
    for home in homes.iterdir():
        home.rmdir()


def test_a_lost_try_may_have_spent_it_all(tmp_path):
    with OpenAIServer("words") as server:
        outcome, _ = drawing(tmp_path, server, oracle_calls=5, llm_calls=3)
        assert outcome.steps == 3
        summary = outcome.path / "trial.json"
        summary.write_text(json.dumps({**json.loads(summary.read_text()), "status": "running"}))
        (outcome,) = resume(tmp_path, progress=False).trials
        data = TrialFolder(outcome.path).summary()
        assert (outcome.status, data["ended"], outcome.steps) == ("done", "budget: llm_calls", 0)
        assert len(server.requests) == data["summary"]["spent"]["llm_calls"] == 3
        assert data["summary"]["recommended"] == {"x": 0}


def test_what_is_done_is_not_lost_to_a_budget_that_it_did_not_lack(tmp_path):
    with OpenAIServer("words") as server:
        first, _ = drawing(tmp_path, server, oracle_calls=3)
        (again,) = resume(tmp_path, limits={"llm_calls": 50}, cap={"usd": None, "tokens": 10**6}, progress=False).trials
        assert (again.steps, TrialFolder(first.path).attempts(), len(server.requests)) == (3, [], 3)
        (again,) = resume(tmp_path, limits={"oracle_calls": 5}, progress=False).trials
        assert (again.steps, len(TrialFolder(first.path).attempts()), len(server.requests)) == (2, 1, 5)


class Drawing(ModelProgram):
    """A program that would not do the same again, by its class."""

    deterministic = False


def test_a_class_may_say_that_it_can_t_go_on(tmp_path):
    with OpenAIServer("words") as server:
        keywords = {"agent": f"{HERE}:Drawing", "model": "fake", "base_url": server.url}
        outcome, _ = go(tmp_path, "asks_and_draws", oracle_calls=1, **keywords)
        assert resume(tmp_path, limits={"oracle_calls": 2}, progress=False).trials[0].steps == 1
    assert len(TrialFolder(outcome.path).attempts()) == 1


def test_start_values_alone_are_no_loss(tmp_path):
    with OpenAIServer("words") as server:
        outcome, _ = drawing(tmp_path, server, oracle_calls=1, llm_calls=0)
        resume(tmp_path, limits={"llm_calls": 1}, progress=False)
    assert TrialFolder(outcome.path).attempts() == []
    assert TrialFolder(outcome.path).trial().summary.lost is None


def test_a_replay_finds_what_was_changed_in_the_last_try(tmp_path):
    with OpenAIServer("words") as server:
        outcome, _ = drawing(tmp_path, server, oracle_calls=3)
    path = outcome.path / "steps.jsonl"
    changed = lines(path)
    changed[2]["score"] -= 1
    path.write_text("".join(json.dumps(line) + "\n" for line in changed))
    (difference,) = replay(outcome.path).differences
    assert "call 2: score was" in difference


@pytest.mark.parametrize("limits", [{"oracle_calls": 6}, {"evaluations": 6, "oracle_calls": None}])
def test_who_goes_on_otherwise_than_it_said_spends_no_more_than_its_budget(tmp_path, limits):
    outcome, _ = go(tmp_path, "draws", **limits)
    assert len(TrialFolder(outcome.path).steps()) == 7
    cut(outcome.path, "steps.jsonl", 5)
    (outcome,) = resume(tmp_path, progress=False).trials
    assert outcome.status == "done"
    assert len(TrialFolder(outcome.path).steps()) == 7


def test_nor_does_who_asks_otherwise(tmp_path):
    with OpenAIServer("words") as server:
        keywords = {"agent": "Program-Model", "model": "fake", "base_url": server.url}
        outcome, _ = go(tmp_path, "asks_and_draws", oracle_calls=50, llm_calls=6, **keywords)
        cut(outcome.path, "llm.jsonl", 4)
        (outcome,) = resume(tmp_path, progress=False).trials
        assert (outcome.status, len(lines(outcome.path / "llm.jsonl"))) == ("done", 6)
        assert len(server.requests) == 6 + 2


def cut(path, name, keep):
    """A trial as a kill would have left it."""
    (path / name).write_text("".join((path / name).read_text().splitlines(keepends=True)[:keep]))
    data = json.loads((path / "trial.json").read_text())
    (path / "trial.json").write_text(json.dumps({**data, "status": "running"}))
