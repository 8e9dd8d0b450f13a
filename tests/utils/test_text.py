"""Files are UTF-8 and printing never fails, in every locale."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opto_gym.utils.text import printable, write_text

ROOT = Path(__file__).parents[2]
C_LOCALE = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


# ------------------------------------------------------------------ every call names its encoding
def without_encoding(source: str) -> Iterator[tuple[int, str]]:
    """Calls that open text in the locale's encoding: (line, call)."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and _is_text(call):
            yield call.lineno, ast.unparse(call)


def _is_text(call: ast.Call) -> bool:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in given:
        return False
    method = isinstance(call.func, ast.Attribute)
    name = call.func.attr if method else getattr(call.func, "id", "")
    if name == "fdopen":
        return "b" not in _mode(call, given, 1, "r")
    if name in ("read_text", "write_text", "TextIOWrapper", "FileHandler"):
        return not (name == "write_text" and not method)  # the function of opto_gym.utils.text
    if name == "open" and not method:
        return "b" not in _mode(call, given, 1, "r")
    if name in ("NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile"):
        return "b" not in _mode(call, given, 0, "w+b")
    if name == "open" and isinstance(call.func.value, ast.Name) and call.func.value.id in ("os", "tarfile", "server"):
        return False
    if name == "open":  # of a path; other objects have an `open` too, whose first argument is no mode
        mode = _mode(call, given, 0, "r")
        return "b" not in mode and set(mode) <= set("rwxat+")
    return name in ("run", "Popen", "check_output") and bool({"text", "universal_newlines"} & set(given))


def _mode(call: ast.Call, given: dict[str | None, ast.expr], position: int, default: str) -> str:
    mode = given.get("mode") or (call.args[position] if len(call.args) > position else None)
    return default if mode is None else str(mode.value) if isinstance(mode, ast.Constant) else "?"


def test_every_text_file_is_opened_with_an_encoding():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {call}"
        for folder in ("opto_gym", "scripts", "examples", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, call in without_encoding(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("p.read_text()", True),
        ("p.read_text(encoding='utf-8')", False),
        ("p.write_text(x)", True),
        ("write_text(p, x)", False),
        ("open(p)", True),
        ("open(p, 'rb')", False),
        ("open(p, mode='w')", True),
        ("p.open()", True),
        ("p.open('wb')", False),
        ("os.open(p, flags)", False),
        ("os.fdopen(d, 'w')", True),
        ("os.fdopen(d, 'rb')", False),
        ("subprocess.run(c, text=True)", True),
        ("subprocess.run(c, text=True, encoding='utf-8')", False),
        ("tempfile.NamedTemporaryFile('w')", True),
        ("tempfile.NamedTemporaryFile()", False),
    ],
)
def test_what_that_test_finds(source, found):
    assert bool(list(without_encoding(source))) is found


# ------------------------------------------------------------------ what can't be encoded
def test_text_that_utf_8_cannot_hold(tmp_path):
    assert printable("größe ✓") == "größe ✓"
    assert printable(os.fsencode("größe").decode("ascii", "surrogateescape")) == "größe"
    assert printable("a \ud800 b") == "a \\ud800 b"
    assert printable("ß \udcff") == "ß \\udcff"
    write_text(tmp_path / "x", "ä \ud800")
    assert (tmp_path / "x").read_bytes() == "ä \\ud800".encode()


# ------------------------------------------------------------------ the commands in the C locale
AGENT = """
from opto_gym.agents.random_search import RandomSearch
class Mine(RandomSearch):
    '''Größe, Übermut ✓'''
"""
SUITE = """
about = "Zwei Größen"
agents = ["RandomSearch"]
budget = { oracle_calls = 2 }
[[tasks]]
env = "NumericalOptimization-v0"
"""


PROGRAM = """
import glob, os, sys
from opto_gym.cli import gallery, main
gallery.families = lambda: {"NumericalOptimization-v0": []}
words = []
for word in sys.argv[1:]:
    if word == ";":
        words = [path for w in words for path in (sorted(glob.glob(w)) if "*" in w else [w])]
        sys.stdout.flush()
        status = main(words)
        sys.stdout.flush()
        os.write(1, f"\\n=== {status}\\n".encode())
        words = []
    else:
        words.append(word)
"""


@pytest.fixture(scope="module")
def in_c_locale(tmp_path_factory):
    """Runs commands in a locale without UTF-8, in a folder with names and texts beyond ASCII.

    All are run in one process; gives (exit status, standard output) of each, the standard error of all, the folder.
    """
    folder = tmp_path_factory.mktemp("umlaut") / "Müller"
    folder.mkdir()
    (folder / "größe.py").write_text(AGENT, encoding="utf-8")
    (folder / "größe.toml").write_text(SUITE, encoding="utf-8")
    env = {**os.environ, **C_LOCALE, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])}

    def run(*commands, given=b""):
        words = [word for command in commands for word in (*command, ";")]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words], input=given, capture_output=True, cwd=folder, env=env, timeout=200
        )
        assert done.returncode == 0, done.stderr
        parts = re.split(rb"\n=== (\d)\n", done.stdout)
        return list(zip(map(int, parts[1::2]), parts[::2], strict=False)), done.stderr, folder

    return run


TASK = ("--env", "NumericalOptimization-v0", "--seeds", "3", "--oracle-calls", "2", "--quiet")


@pytest.mark.slow
def test_no_command_fails_for_the_locale(in_c_locale):
    commands = [
        ("run", "--suite", "größe.toml", "--out", "größe", "--quiet"),
        ("report", "größe"),
        ("replay", "größe/trials/*"),
        ("run", *TASK, "--agent", "größe:Mine", "--out", "ü"),
        ("report", "ü"),
        ("compare", "--agent", "größe:Mine", "--against", "RandomSearch", *TASK, "--out", "vergleich-größe"),
        ("envs",),
        ("envs", "Negotiation-v1"),  # with a superscript
        ("envs", "--gallery", "galerie-ä"),  # with a micro sign where a call takes microseconds
        ("agents",),
        ("agents", "größe:Mine"),
        ("data", "list"),
        ("models", "list"),
        ("external", "list"),
        ("prompt", "Greeting-v0", "OptoPrime:model=x"),
        ("play", "Greeting-v0"),
    ]
    done, said, folder = in_c_locale(*commands, given=b"show\nquit\n")
    assert [status for status, _ in done] == [0] * len(commands), said.decode("utf-8", "replace")
    assert b"codec" not in said
    outputs = {command: output for command, (_, output) in zip(commands, done, strict=True)}
    assert "opto-gym report größe".encode() in outputs[commands[0]]  # a name as the user's terminal shows it
    assert b"n\\xb2 points" in outputs["envs", "Negotiation-v1"]
    assert "<title>größe" in (folder / "größe" / "report.html").read_text(encoding="utf-8")
    assert "größe:Mine" in (folder / "ü" / "report.html").read_text(encoding="utf-8")
    assert (folder / "galerie-ä" / "index.html").read_text(encoding="utf-8")


def test_an_error_with_such_a_name_is_one_line(in_c_locale):
    commands = [
        ("agents", "größe:Nothing"),
        ("report", "nichts-Größeres"),
        ("run", "--suite", "ß.toml", "--out", "x"),
    ]
    done, said, _ = in_c_locale(*commands)
    assert [status for status, _ in done] == [2, 1, 2]
    assert len(said.splitlines()) == len(commands)
    assert "the suite ß.toml".encode() in said
