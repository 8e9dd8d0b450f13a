"""``opto-gym read``."""

from __future__ import annotations

import io
import sys

import pytest

from opto_gym.cli import main


@pytest.fixture
def read(tmp_path, capsys):
    def run(agent, text, *options, env="tests.support.tasks:Mixed"):
        file = tmp_path / "answer.txt"
        file.write_bytes(text.encode())
        status = main(["read", f"{agent}:model=fake,base_url=http://localhost:9/v1", env, str(file), *options])
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


def test_it_shows_each_value_and_whether_it_fits(read):
    status, said = read("OptoPrime", '<think>{"times": 1}</think>{"suggestion": {"times": 3, "mark": "%"}}')
    assert status == 0
    assert "of which 27 are reasoning" in said
    assert "times      3" in said
    assert "refused when it is evaluated: expected one of" in said
    assert "not in the answer: stays" in said


@pytest.mark.parametrize("agent", ["OptoPrime", "OPRO", "OPRO-Trace"])
def test_it_says_why_an_answer_is_refused(read, agent):
    status, said = read(agent, "I can't.")
    assert status == 1
    assert "Refused: no value for times" in said
    status, said = read(agent, '{"suggestion": {"times": 1', "--cut")
    assert status == 1
    assert "can't be read before it ended" in said


def test_a_decision_is_no_refusal(read):
    status, said = read("OptoPrime", "**TERMINATE**")
    assert status == 0
    assert "No change is needed" in said


def test_textgrad_asks_for_one_parameter_at_a_time(read):
    status, said = read("TextGrad", "<new_value>3</new_value>")
    assert status == 0
    assert "As the answer about times:" in said
    assert "Refused: order" in said or "As the answer about text:" in said


def test_the_answer_may_come_from_the_standard_input(read, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"times": 4}')))
    assert main(["read", "OptoPrime:model=fake,base_url=http://localhost:9", "tests.support.tasks:Mixed", "-"]) == 0
    assert "times      4" in capsys.readouterr().out


def test_errors_are_one_line(read, capsys):
    assert main(["read", "OptoPrime", "tests.support.tasks:Mixed", "missing.txt"]) != 0
    assert "can't read the answer from 'missing.txt'" in capsys.readouterr().err
    status, said = read("OptoPrime", '{"times": 4}', env="No-v0")
    assert status != 0
    assert "No-v0" in said
    assert main(["read", "RandomSearch", "tests.support.tasks:Mixed", __file__]) != 0
    assert "reads no answers of a model" in capsys.readouterr().err
