from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import opto_gym
from opto_gym.cli import main
from opto_gym.cli.arguments import parse_named, parse_pairs

RUN = [
    "run",
    "--env",
    "tests.support.tasks:Valley",
    "--agent",
    "RandomSearch",
    "--seeds",
    "2",
    "--oracle-calls",
    "3",
    "--quiet",
]


def call(capsys, *arguments):
    status = main(list(arguments))
    said = capsys.readouterr()
    return status, said.out, said.err


def test_lists(capsys):
    status, out, _ = call(capsys, "envs")
    assert status == 0
    assert all(name in out for name in ("Battleship-v0", "NumericalOptimization-v0"))
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "Push the puck at puck_pos" in lines["MetaWorld-Push-v0"]
    assert "Questions whose answer is yes or no." in lines["BBH-navigate-v0"]
    assert "Find a hidden fleet" in lines["Battleship-v0"]
    status, out, _ = call(capsys, "agents")
    assert all(name in out for name in opto_gym.registered_agents())
    assert "Version history" in call(capsys, "envs", "Battleship-v0")[1]
    page = call(capsys, "agents", "OptoPrime")[1]
    assert '"Trace is the Next AutoDiff", NeurIPS 2024' in page
    assert "Differences from the paper's program" in page


def test_a_page_needs_no_data(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("OPTO_GYM_DATA", str(tmp_path))
    assert "Version history" in call(capsys, "envs", "BBH-navigate-v0")[1]
    assert "(not usable here: its data is missing)" in call(capsys, "envs")[1]


def test_doctor_never_shows_a_key(capsys, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")
    _, out, _ = call(capsys, "doctor")
    assert "secret" not in out
    assert "OPENAI_API_KEY is set" in out
    assert "L2 or better is asked for" in out


def test_run_report_replay_resume(capsys, tmp_path):
    out = str(tmp_path / "r")
    status, said, _ = call(capsys, *RUN, "--out", out)
    assert status == 0
    assert f"2 trials done, 0 failed. See: opto-gym report {out}" in said
    assert call(capsys, "report", out)[0] == 0
    assert (tmp_path / "r" / "report.html").exists()
    trials = sorted(str(p) for p in (tmp_path / "r" / "trials").iterdir())
    status, said, _ = call(capsys, "replay", *trials)
    assert status == 0
    assert said.count("agree with the record") == 2
    assert call(capsys, "run", "--resume", out, "--oracle-calls", "5", "--quiet")[0] == 0
    steps = tmp_path / "r" / "trials" / os.path.basename(trials[0]) / "steps.jsonl"
    text = steps.read_text()
    steps.write_text(text.replace('"call":2', '"call":4', 1).replace('"score":', '"score":1', 1))
    status, said, _ = call(capsys, "replay", trials[0])
    assert status == 1
    assert "differences" in said


def test_dry_run_says_what_it_would_cost_and_runs_nothing(capsys, tmp_path):
    command = [*RUN, "--agent", "OptoPrime", "--model", "gpt-4o-mini", "--out", str(tmp_path / "r"), "--dry-run"]
    status, out, _ = call(capsys, *command)
    assert status == 0
    assert out.startswith("tests.support.tasks:Valley: RandomSearch, OptoPrime; 2 seeds; budget oracle_calls=3\n")
    assert re.search(r"trials +4\n", out)
    assert re.search(r"oracle calls +at most 12\n", out)
    assert re.search(r"llm calls +about 6\n", out)
    assert re.search(r"usd +about 0\.00\d+\n", out)
    assert not (tmp_path / "r").exists()
    assert "unknown" in call(capsys, *command[:-1], "--model", "my-own-model", "--dry-run")[1]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (
            ["run", "--env", "Batleship-v0", "--agent", "RandomSearch", "--oracle-calls", "1", "--out", "x"],
            2,
            "Battleship",
        ),
        (
            ["run", "--env", "Battleship-v0", "--agent", "Nobody", "--oracle-calls", "1", "--out", "x"],
            2,
            "`opto-gym agents` lists the names",
        ),
        (["run", "--env", "Battleship-v0"], 2, "--agent"),
        ([*RUN], 2, "--out"),
        ([*RUN, "--out", "x", "--mask", "coed"], 2, "coed"),
        ([*RUN, "--out", "x", "--feedback", "praise"], 2, "praise"),
        ([*RUN, "--out", "x", "--cap", "usd"], 2, "KEY=VALUE"),
        (["run", "--resume", "nowhere"], 1, "run.json does not exist"),
        (["run", "--resume", "nowhere", "--env", "Battleship-v0"], 2, "--resume takes everything"),
        (["run", "--resume", "nowhere", "--test-scores", "end"], 2, "--resume takes everything"),
        ([*RUN, "--out", "x", "--seeds", "many"], 2, "--seeds expected"),
        ([*RUN, "--out", "x", "--seeds", "0"], 2, "at least one seed"),
        ([*RUN, "--out", "x", "--jobs", "0"], 2, "at least 1 job"),
        ([*RUN, "--out", "x", "--tokens", "-1"], 2, "at least 0"),
        (["run", "--env", "Battleship", "--agent", "RandomSearch", "--oracle-calls", "1"], 2, "'Battleship-v0'"),
        ([*RUN, "--env", "Battleship-v0:foo=3"], 2, "Battleship has no argument 'foo'; it has: batch, "),
        ([*RUN, "--agent", "TPE:foo=1"], 2, "TPE has no argument 'foo'; it has: "),
        ([*RUN, "--agent", "TPE:foo=1", "--dry-run"], 2, "TPE has no argument 'foo'; it has: "),
        ([*RUN, "--wrapper", "NoisyFeedback"], 2, "NoisyFeedback needs the argument 'p'; it has: p, seed"),
        ([*RUN, "--wrapper", "DelayedFeedback:q=1"], 2, "DelayedFeedback has no argument 'q'; it has: k"),
        (["report", "nowhere"], 1, "holds no trials"),
        (["replay", "nowhere"], 1, "trial.json"),
        (["models", "pull", "gpt-9"], 1, "smollm2"),
        (["envs", "Nothing-v0"], 2, "Nothing"),
    ],
)
def test_wrong_use_is_one_clear_line(capsys, tmp_path, monkeypatch, arguments, status, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    got, _, err = call(capsys, *arguments)
    assert got == status
    assert said in err
    assert "Traceback" not in err
    assert not (tmp_path / "x").exists()


def test_arguments_of_environments_and_agents():
    assert parse_named("Battleship-v0") == ("Battleship-v0", {})
    assert parse_named("Battleship-v0:width=5,fleet=(3,2)") == ("Battleship-v0", {"width": 5, "fleet": (3, 2)})
    assert parse_named("my.module:Agent") == ("my.module:Agent", {})
    assert parse_named("my.module:Agent:memory-size=5,name=x") == ("my.module:Agent", {"memory_size": 5, "name": "x"})
    assert parse_pairs("a=none,b=True,c=[1,2]") == {"a": None, "b": True, "c": [1, 2]}
    assert parse_pairs("""a='it, "so',b=["x,y", ")"],c=don't,d=1""") == {
        "a": 'it, "so', "b": ["x,y", ")"], "c": "don't", "d": 1,
    }  # fmt: skip
    assert parse_named("Program:command=node climb.mjs --up,memory=1") == (
        "Program", {"command": "node climb.mjs --up", "memory": 1},
    )  # fmt: skip
    assert parse_named("Program:command='a b=1,2 \"c d\"',memory=1") == (
        "Program", {"command": 'a b=1,2 "c d"', "memory": 1},
    )  # fmt: skip
    assert parse_named("m:Agent:base_url=http://127.0.0.1:80/v1?a=b") == (
        "m:Agent",
        {"base_url": "http://127.0.0.1:80/v1?a=b"},
    )


def test_no_command_shows_the_help(capsys):
    assert main([]) == 2
    assert "replay" in capsys.readouterr().out
    assert main(["--version"]) == 0


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from opto_gym.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'scipy', 'matplotlib', 'openai', 'xllamacpp', 'jinja2', 'rich', 'mujoco'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_console_script_is_installed():
    done = subprocess.run([sys.executable, "-m", "opto_gym", "envs"], capture_output=True, text=True, check=True)
    assert "Battleship-v0" in done.stdout
