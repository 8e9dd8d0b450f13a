from __future__ import annotations

import io
import stat
import sys

import pytest

from opto_gym.cli import main

VALLEY, ADDER, MIXED = "tests.support.tasks:Valley", "tests.support.tasks:Adder", "tests.support.tasks:Mixed"
RIGHT = "def add(a, b):\n    return a + b\n"


@pytest.fixture
def play(monkeypatch, capsys):
    """Plays by a script: what is said."""
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)

    def game(env, *lines, status=0, arguments=()):
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        got = main(["play", env, *arguments])
        said = capsys.readouterr()
        assert got == status, said.err
        return said.out if status == 0 else said.err

    return game


@pytest.fixture
def editor(tmp_path, monkeypatch):
    """An editor that does what its body says with the file `path`."""

    def make(body, variable="EDITOR"):
        script = tmp_path / "my editor"
        script.write_text(f"#!{sys.executable}\nimport pathlib, sys\npath = pathlib.Path(sys.argv[-1])\n{body}\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv(variable, f"'{script}' --wait")

    return make


def test_a_game_to_the_solution(play):
    said = play(VALLEY, "x = 1", "run", "x=3", "run", "never read")
    assert "Make the output small." in said
    assert "x: a whole number in [-10, 10] (the position)" in said
    assert "The start values" in said
    assert "#Code" in said
    assert "The output is 4. larger" in said
    assert "Score: 4, best so far 4 (worst 10000, best 0)" in said
    assert "[2 calls]" not in said
    assert "Solved." in said
    assert "Score on test: 0; the start values' is 9." in said


def test_the_budget_ends_it(play):
    said = play(f"{VALLEY}:oracle_calls=2", "run", "x = 2", "run", "never read")
    assert "[1 of 2 calls]" in said
    assert "All oracle calls are spent." in said
    assert "Score on test: 1" in said


def test_what_is_wrong_costs_nothing(play):
    said = play(VALLEY, "x = 50", "x = 1.5", "x = far", "x =", "y = 1", "jump", "", "edit y", "run fast", "run", "quit")
    assert "x stays as it was: expected a number in [-10, 10], got 50." in said
    assert said.count("x stays as it was") == 4
    assert said.count("There is no parameter 'y': expected one of x.") == 2
    assert "There is no command 'jump'; help lists them." in said
    assert "There is no command 'run fast'" in said
    assert said.count("[0 calls]") == 10
    assert said.count("[1 calls]") == 1
    assert "Score: 9" in said  # x was 0 all along


def test_going_back_and_looking(play):
    said = play(VALLEY, "x = 2", "run", "x = -5", "run", "best", "show", "start", "help", "graph", "finish")
    assert said.count("\n[2 calls] > x = 2") == 2
    assert "[2 calls] > x = 0" in said
    assert "set a parameter" in said
    assert said.count("#Code") == 4
    assert "Score on test: 1; the start values' is 9." in said
    assert "Solved" not in said


@pytest.mark.parametrize("lines", [[], ["quit"], ["x = 1"]])
def test_leaving_early(play, lines):
    assert "Score on test" not in play(VALLEY, *lines)


def test_every_kind_of_parameter(play):
    said = play(
        MIXED,
        "times = 2",
        "mark = ?",
        "mark = nonsense",
        "text = '3'",
        "text = 3",
        "text = a = b",
        "show",
        "edit",
        "run",
    )
    assert "mark stays as it was: expected one of ['!', '?'], got 'nonsense'." in said
    assert "times = 2\nmark = '?'\ntext =\na = b\nchange =\ndef change(text):" in said
    assert "Which one? edit NAME, of times, mark, text, change." in said
    assert "11 characters" in said  # twice "a = b", and the mark


def test_code_by_the_editor(play, editor):
    editor(f"assert path.name == 'add.py'; path.write_text({RIGHT!r})")
    said = play(ADDER, "edit", "run", "edit add", "finish")
    assert "add is set; run tries it." in said
    assert "Score: 1, best so far 1" in said
    assert "add is unchanged." in said
    assert "Score on test: 1; the start values' is 0." in said


def test_visual_comes_before_editor(play, editor):
    editor("sys.exit(1)")
    editor(f"path.write_text({RIGHT!r})", "VISUAL")
    assert "add is set" in play(ADDER, "edit")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit(3)", "ended with status 3"),
        ("path.unlink()", "gave nothing back"),
        ("path.write_bytes(b'\\xff\\xfe')", "gave nothing back"),
        ("path.write_text('def add(a, b)\\n    return 0')", "add stays as it was: expected ':' in line 1."),
        ("path.write_text('def sum(a, b):\\n    return 0')", "found no function add"),
        ("path.write_text('')", "got nothing"),
        ("path.write_text('a\\0b')", "add stays as it was: source code"),
        ("path.write_text('#' * 30_000)", "expected at most 20000 characters"),
    ],
)
def test_what_an_editor_gives_may_be_wrong(play, editor, body, said):
    editor(body)
    out = play(ADDER, "edit", "show")
    assert said in out
    assert "> add =\ndef add(a, b):\n    return 0\n" in out


def test_no_such_editor(play, monkeypatch):
    monkeypatch.setenv("EDITOR", "/no/such/editor")
    assert "gave nothing back" in play(ADDER, "edit")
    monkeypatch.setenv("EDITOR", "vi 'unclosed")
    assert "gave nothing back" in play(ADDER, "edit")


def test_a_refused_text_is_there_to_be_mended(play, editor):
    editor("path.write_text(path.read_text().replace('return 0', 'return (a').replace('return (a\\n', 'return (a\\n'))")
    out = play(ADDER, "edit", "run", "quit")
    assert "edit add goes on with what you wrote." in out
    editor("text = path.read_text(); path.write_text(text + 'x' if 'y' in text else 'def y')")
    assert "x" in play(ADDER, "edit", "edit")


def test_code_without_an_editor(play):
    said = play(ADDER, "edit", *RIGHT.splitlines(), ".", "run", "edit", "half a line")
    assert "line by line; a line with nothing but a dot ends it" in said
    assert "Score: 1, best so far 1" in said


def test_the_board_is_shown(play):
    said = play("Battleship-v0", "quit")
    assert "with 0 shots" in said
    assert said.count(". . . . . . . .") == 8


def test_seeds_and_wrong_names(play):
    a, b = (play("Battleship-v0:turns=3", "act = def act(map, plan): return [4, 4]", "run", arguments=["--seed", s])
            for s in ("0", "3"))  # fmt: skip
    assert a != b
    assert "Battleship" in play("Batleship-v0", status=2)
    assert "nonsense" in play("Battleship-v0:nonsense=1", status=2)
