from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys

import pytest

import opto_gym
from opto_gym.cli import entry, main
from opto_gym.cli.arguments import parse_named, parse_pairs
from opto_gym.cli.commands import COMMANDS
from opto_gym.cli.parser import make_parser

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
    assert "Push the puck at object_pos" in lines["MetaWorld-Push-v1"]
    assert "Questions whose answer is yes or no." in lines["BBH-navigate-v1"]
    assert "Find a hidden fleet" in lines["Battleship-v0"]
    status, out, _ = call(capsys, "agents")
    assert all(name in out for name in opto_gym.registered_agents())
    assert "Version history" in call(capsys, "envs", "Battleship-v0")[1]
    page = call(capsys, "agents", "OptoPrime")[1]
    assert '"Trace is the Next AutoDiff", NeurIPS 2024' in page
    assert "Differences from the authors' program" in page


def test_a_page_needs_no_data(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("OPTO_GYM_DATA", str(tmp_path))
    assert "Version history" in call(capsys, "envs", "BBH-navigate-v1")[1]
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
    assert re.search(r"optimizer +6 calls, [\d,]+ to [\d,]+ tokens in, 120 to [\d,]+ out, USD 0\.0\d+ to 0\.\d+\n", out)
    assert re.search(r"usd +about 0\.00\d+ \(0\.00\d+ to 0\.\d+\)\n", out)
    assert re.search(r"tokens +about [\d,]+ \([\d,]+ to [\d,]+\)\n", out)
    assert re.search(r"time +about \d+ (s|min) \(.* to .*\)\n", out)
    assert re.search(r"ranges +by the length of prompts and answers, and by how many", out)
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seeds", "1,1"], "--seeds expected seeds that differ, got 1 more than once"),
        (["--seeds", "0"], "--seeds expected at least one seed, got 0"),
        (["--seeds", "-3"], "--seeds expected at least one seed, got -3"),
        (["--seeds", "1,-3"], "--seeds expected seed to be a whole number of 0 or more, got -3"),
        (["--seeds", ","], "--seeds expected at least one seed"),
        (["--seeds", "a"], "--seeds expected a number, such as 5, or a list, such as 0,3,7; got 'a'"),
        (["--seeds", "1.5"], "--seeds expected a number"),
        (["--seeds", "1,b"], "--seeds expected a number"),
        (["--oracle-calls", "0"], "argument --oracle-calls: expected a whole number, at least 1, got '0'"),
        (["--evaluations", "0"], "argument --evaluations: expected a whole number, at least 1, got '0'"),
        (["--oracle-calls", "-2"], "argument --oracle-calls: expected a whole number, at least 1, got '-2'"),
        (["--oracle-calls", "2.5"], "argument --oracle-calls: expected a whole number, at least 1, got '2.5'"),
        (["--tokens", "nan"], "argument --tokens: expected a whole number, at least 0, got 'nan'"),
        (["--llm-calls", "1e3"], "argument --llm-calls: expected a whole number, at least 0, got '1e3'"),
        (["--usd", "nan"], "argument --usd: expected a number, at least 0, got 'nan'"),
        (["--usd", "inf"], "argument --usd: expected a number, at least 0, got 'inf'"),
        (["--seconds", "-1"], "argument --seconds: expected a number, at least 0, got '-1'"),
        (["--seconds", "x"], "argument --seconds: expected a number, at least 0, got 'x'"),
        (["--jobs", "0"], "argument --jobs: expected a whole number, at least 1 job, got '0'"),
        (["--jobs", "two"], "argument --jobs: expected a whole number, at least 1 job, got 'two'"),
        (["--cap", "calls=3"], "--cap: expected limits of oracle_calls, evaluations, llm_calls, tokens, usd, seconds"),
        (["--cap", "usd=nan"], "--cap: expected usd to be a number, got 'nan'"),
        (["--cap", "usd=-1"], "--cap: expected usd of at least 0, got -1"),
        (["--cap", "tokens=1.5"], "--cap: expected tokens to be a whole number, got 1.5"),
        (["--cap", "usd=1,usd=2"], "--cap: expected each key once, got 'usd' twice in 'usd=1,usd=2'"),
        (["--cap", "usd"], "--cap: expected KEY=VALUE, got 'usd'"),
        (["--sandbox", "L9"], "argument --sandbox: invalid choice: 'L9' (choose from L0, L1, L2, L3)"),
        (["--out"], "argument --out: expected one argument; see `opto-gym COMMAND --help`"),
        (["more"], "there is no argument 'more'; see `opto-gym COMMAND --help`"),
    ],
)
@pytest.mark.parametrize("command", ["run", "compare", "resume"])
def test_values_that_no_option_takes(capsys, tmp_path, monkeypatch, command, arguments, said):
    if command == "resume" and arguments[0] in ("--seeds", "--out"):
        return  # the folder has them
    monkeypatch.chdir(tmp_path)
    task = ["--env", "tests.support.tasks:Valley", "--agent", "RandomSearch"]
    commands = {
        "run": ["run", *task, "--out", "x"],
        "compare": ["compare", *task, "--against", "Grid", "--out", "x"],
        "resume": ["run", "--resume", "x"],
    }
    status, out, err = call(capsys, *commands[command], *arguments)
    assert status == 2
    assert out == ""
    (line,) = err.splitlines()
    assert said.replace("COMMAND", commands[command][0]) in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["play", "prompt", "reproduce"])
def test_so_it_is_with_the_other_commands(capsys, command):
    option = "--jobs" if command == "reproduce" else "--seed"
    for value in ("-1", "1.5", "x"):
        status, _, err = call(
            capsys, command, *["NumericalOptimization-v0", "OptoPrime"][: command != "play"], option, value
        )
        assert status == 2
        assert f"argument {option}: expected a whole number, at least" in err


def test_every_command_and_option_has_a_help(capsys):
    for command in (None, *COMMANDS):
        with pytest.raises(SystemExit) as e:
            main([command, "--help"] if command else ["--help"])
        assert e.value.code == 0
        text = capsys.readouterr().out
        entries = re.split(r"\n  (?=-)", text.partition("\noptions:\n")[2].partition("\n\n")[0])
        assert all(re.search(r"  +\S|\n +\S", entry.strip()) for entry in entries), text


def test_the_table_of_commands_is_the_parser_s():
    assert set(COMMANDS) == set(make_parser().commands)
    for path in COMMANDS.values():
        module, _, function = path.partition(":")
        assert callable(getattr(importlib.import_module(f"opto_gym.cli.{module}"), function))


def test_a_file_system_s_error_is_one_line(capsys, tmp_path, monkeypatch):
    def fail(options):
        (tmp_path / "missing" / "file").read_bytes()

    monkeypatch.setattr(entry, "run_command", fail)
    status, _, err = call(capsys, "agents")
    assert status == 1
    assert err == f"opto-gym: {tmp_path / 'missing' / 'file'}: No such file or directory\n"


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


@pytest.mark.slow
def test_the_console_script_and_the_module_do_the_same():
    for words, status in ((["data", "path"], 0), (["agents", "Nobody"], 2), (["report", "/no/such/run"], 1)):
        script = os.path.join(os.path.dirname(sys.executable), "opto-gym")
        by_module, by_script = (
            subprocess.run([*command, *words], capture_output=True, text=True)
            for command in ([sys.executable, "-m", "opto_gym"], [script])
        )
        assert (by_module.returncode, by_module.stdout, by_module.stderr) == (
            by_script.returncode, by_script.stdout, by_script.stderr,
        )  # fmt: skip
        assert by_module.returncode == status
