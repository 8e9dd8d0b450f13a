"""Tries to end, hang or fool `opto-gym run` by a suite or a configuration with odd types, sizes and characters."""

from __future__ import annotations

import os
import re

import pytest

from opto_gym.cli import main
from opto_gym.leaderboard import RunConfig
from opto_gym.leaderboard.suites import load
from opto_gym.utils.checks import budget_limits, seed_list
from opto_gym.utils.tables import MOST_BYTES, parse_toml, read_toml
from opto_gym.utils.text import one_line, visible

SUITE = 'about = "x"\nagents = ["RandomSearch"]\nbudget = { oracle_calls = 2 }\n\n[[tasks]]\nenv = "BinaryLock-v0"\n'
CONFIG = 'envs = ["BinaryLock-v0"]\nagents = ["RandomSearch"]\nbudget = { oracle_calls = 2 }\n'
HUGE = "0x" + "f" * 9000
REFUSED = {
    "a billion seeds": ("budget", "seeds = 1_000_000_000\nbudget", "expected at most 10,000 seeds, got more"),
    "seeds with a fraction": ("budget", "seeds = 1e9\nbudget", "[Ee]xpected .*got"),
    "seeds of 36,000 bits": ("budget", f"seeds = {HUGE}\nbudget", "at most 64 bits, got one of 36,000 bits"),
    "seeds of 5,000 digits": ("budget", f"seeds = {'9' * 5000}\nbudget", "4300 digits"),
    "a budget of 36,000 bits": ("= 2", f"= {HUGE}", "at most 64 bits"),
    "a budget of 400 digits": ("= 2", f"= {'9' * 400}", "at most 64 bits"),
    "a budget without end": ("= 2", "= inf", "expected oracle_calls to be a number, got inf"),
    "a budget that is too large": ("= 2", "= 1e300", r"expected oracle_calls of at most 1e\+15"),
    "a budget of tables": ("= 2", "= { a = 1 }", "expected|Expected"),
    "arrays in arrays": ('["RandomSearch"]', "[" * 5000 + "]" * 5000, "nested at most 16 deep"),
    "arrays in arrays, less": ('["RandomSearch"]', "[" * 30 + "]" * 30, "nested at most 16 deep"),
    "tables in tables": ('["RandomSearch"]', "{a=" * 3000 + "1" + "}" * 3000, "nested at most 16 deep"),
    "a key of many parts": ("budget", "a" + ".a" * 3000 + " = 1\nbudget", "nested at most 16 deep"),
    "a key of too many parts": ("budget", "a" + ".a" * 60_000 + " = 1\nbudget", "line 3 has 120,.* at most 16,000"),
    "a terminal's escape in a name": ("BinaryLock-v0", "Bin\\u001b[31m-v0", r"visible characters, got 'Bin\\x1b\[31m"),
    "a C1 escape in a name": ("RandomSearch", "R\\u009b31m", r"visible characters, got 'R\\x9b31m'"),
    "a title in a name": ("RandomSearch", "R\\u001b]0;x\\u0007", "visible characters"),
    "another direction in a name": ("RandomSearch", "R\\u202eabc", r"got 'R\\u202eabc'"),
    "a line end in a name": ("RandomSearch", "R\\nopto-gym: all is well", r"got 'R\\nopto-gym"),
    "a NUL in a name": ("RandomSearch", "R\\u0000", "visible characters"),
    "an empty name": ("RandomSearch", "", "1 to 200 visible characters, got ''"),
    "a name of 15,000": ("RandomSearch", "R" * 15_000, "1 to 200 visible characters, got 'R{79}"),
    "a key with an escape": ("budget", '"\\u001b[2J" = 1\nbudget', r"expected keys of .*got '\\x1b\[2J'"),
    "a date": ("budget", "seeds = 1979-05-27\nbudget", "got the date or time 1979-05-27"),
    "a time": ("= 2", "= 07:32:00", "got the date or time 07:32:00"),
}  # fmt: skip


def one_error(capsys) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 1000
    assert visible(line) == line
    return line


@pytest.mark.parametrize(("option", "form"), [("--suite", SUITE), ("--config", CONFIG)])
@pytest.mark.parametrize("what", REFUSED)
def test_a_value_that_is_refused_is_one_line(tmp_path, capsys, option, form, what):
    old, new, message = REFUSED[what]
    path = tmp_path / "x.toml"
    path.write_text(form.replace(old, new, 1))
    assert main(["run", option, str(path), "--dry-run"]) == 2
    assert re.search(message, one_error(capsys))


CONTENTS = {
    "not UTF-8": (b"# \xff", "not in UTF-8 .byte"),
    "UTF-16": (SUITE.encode("utf-16"), "not in UTF-8 .byte 0"),
    "a NUL": (SUITE.encode() + b"\0", "not TOML"),
    "a byte order mark": (b"\xef\xbb\xbf" + SUITE.encode(), "not TOML"),
    "too long": (b"#\n" * MOST_BYTES, f"expected at most {MOST_BYTES:,} bytes"),
    "one long line": (b"#" * 20_000, "line 1 has 20,000 characters"),
}
KINDS = {
    "a named pipe": (os.mkfifo, "it is a named pipe"),
    "a folder": (os.mkdir, "Is a directory"),
    "a device without end": (lambda path: os.symlink("/dev/zero", path), "it is a device"),
    "a link to itself": (lambda path: os.symlink(path, path), "does not exist|symbolic links"),
    "a link to nothing": (lambda path: os.symlink("/nowhere/at all", path), "does not exist|No such file"),
}


@pytest.mark.parametrize("option", ["--suite", "--config"])
@pytest.mark.parametrize("what", [*CONTENTS, *KINDS])
def test_a_file_that_is_none_is_one_line(tmp_path, capsys, option, what):
    path = tmp_path / "x.toml"
    if what in CONTENTS:
        content, message = CONTENTS[what]
        path.write_bytes(content)
    else:
        make, message = KINDS[what]
        make(str(path))
    assert main(["run", option, str(path), "--dry-run"]) == 2
    assert re.search(message, one_error(capsys))


def test_too_many_pairs_are_refused_before_one_is_made(tmp_path):
    many = "[" + "'RandomSearch'," * 100 + "]"
    (tmp_path / "x.toml").write_text(
        SUITE.replace('["RandomSearch"]', many) + "[[tasks]]\nenv = 'BinaryLock-v0'\n" * 60
    )
    with pytest.raises(ValueError, match="at most 5,000 pairs of task and agent"):
        load(str(tmp_path / "x.toml"))
    with pytest.raises(ValueError, match="at most 5,000 pairs of environment and agent"):
        RunConfig(envs=("BinaryLock-v0",) * 60, agents=("RandomSearch",) * 100)


def test_escapes_in_values_are_shown_as_text(tmp_path, capsys):
    path = tmp_path / "x.toml"
    suite = SUITE.replace("BinaryLock-v0", "NumericalOptimization-v0")
    path.write_text(suite + 'arguments = { problem = "\\u001b[2Jx\\u009b31m" }\n')
    assert main(["run", "--suite", str(path), "--dry-run"]) == 2
    assert "\\x1b[2Jx\\x9b31m" in one_error(capsys)


@pytest.mark.parametrize(
    "arguments", ["width = 1_000_000_000", "height = 0x7fffffffffffffff", "fleet = [10_000_000_000]"]
)
def test_boards_have_a_bound(tmp_path, capsys, arguments):
    path = tmp_path / "x.toml"
    path.write_text(SUITE.replace("BinaryLock-v0", "Battleship-v0") + f"arguments = {{ {arguments} }}\n")
    assert main(["run", "--suite", str(path), "--dry-run"]) == 2
    assert "expected sizes of at most 100" in one_error(capsys)


def test_many_different_seeds_are_checked_at_once():
    assert len(seed_list(range(10_000))) == 10_000
    with pytest.raises(ValueError, match="at most 10,000 seeds"):
        seed_list(iter(int, 1))  # without end


def test_amounts_of_a_budget_from_python():
    for value in (10**400, float("nan"), -float("inf"), 10**5000, "9" * 10_000, [[]], True):
        refused(value)


def refused(value):
    with pytest.raises(ValueError, match="expected tokens") as caught:
        budget_limits({"tokens": value})
    assert len(str(caught.value)) < 200


def test_what_is_allowed_stays_allowed(tmp_path):
    text = "Line one\\nline two \\u001b[1m" + "x" * 10_000
    (tmp_path / "x.toml").write_text(f'a = "{text}"\nb = [1, 2.5, true, {{ c = [[-3]] }}]\nd = inf\n')
    assert read_toml(tmp_path / "x.toml")["b"] == [1, 2.5, True, {"c": [[-3]]}]
    assert parse_toml("x = 9223372036854775807") == {"x": 2**63 - 1}


def test_texts_for_a_terminal():
    assert visible("a\x1b[31m\x9b\u202eb\n\té\u00a0\U0001f600") == "a\\x1b[31m\\x9b\\u202eb\n\té\u00a0\U0001f600"
    assert one_line("a\nb\ud800") == "a\\nb\\ud800"
    assert one_line("x" * 1000, 10) == "xxxxx…xxxx"
