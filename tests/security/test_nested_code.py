"""Tries to hold up a reader of answers by code that is nested deep, long, or has many beginnings without an end."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from opto_gym.reading import trace_opt
from opto_gym.reading.code import read_code
from opto_gym.reading.proposals import Unusable
from opto_gym.reading.trace_opt import read_as_trace_opt
from tests.support.tasks import Adder

START = {"add": "def add(a, b):\n    return 0\n"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("f(" * 1_000 + "1" + ")" * 1_000, "has over 50 brackets inside each other"),
        ("[" * 60, "has over 50 brackets inside each other"),
        ("(" * 30 + "{[" * 15, "has over 50 brackets inside each other"),
        ("-" * 9_000 + "1", "has over 5000 tokens"),
        ("a," * 4_000, "has over 5000 tokens"),
        ("a" * 10_000, "characters, over 10000"),
    ],
)
def test_black_does_not_read_what_would_take_it_long(monkeypatch, body, said):
    black = SimpleNamespace(Mode=lambda: None, format_str=lambda *_, **__: pytest.fail("black was asked"))
    monkeypatch.setattr(trace_opt, "need", lambda _: black)
    answer = json.dumps({"suggestion": {"add": f"def add(a, b):\n    return {body}\n"}})
    with pytest.raises(Unusable, match=said):
        read_as_trace_opt(answer, Adder().problem, START)


def test_code_of_ordinary_depth_is_read_as_before():
    code = "def add(a, b):\n    return " + "(" * 20 + "a" + ")" * 20 + " + b"
    found = read_as_trace_opt(json.dumps({"suggestion": {"add": code}}), Adder().problem, START)
    assert "def add(a, b):" in found["add"]


def test_an_answer_of_beginnings_without_an_end_is_searched_once():
    with pytest.raises(Unusable, match="finds no suggestion"):
        read_as_trace_opt('"suggestion": {' * 20_000, Adder().problem, START)


@pytest.mark.parametrize("piece", ["(", "[", "-", "not ", "lambda: ", "a.b", "x if y else ", "{", "f'{", "\n ", "1+"])
def test_the_reader_of_code_gives_any_depth_back(piece):
    code = "def add(a, b):\n    return " + piece * 3_000
    assert isinstance(read_code(code, "add"), str)
