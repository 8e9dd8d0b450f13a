"""What the sandbox costs: a new program to its first answer, a later call, and what one would do without it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from opto_gym.sandbox import Sandbox

MAP = [["."] * 8 for _ in range(8)]
SOURCE = "def act(map, plan):\n    return [len(map) - 1, 0]\n"


@pytest.fixture(scope="module")
def box():
    with Sandbox() as box:
        box.call(SOURCE, "act", [MAP, 1])
        yield box


def test_bare_call(benchmark):
    space = {}
    exec(SOURCE, space)
    assert benchmark(space["act"], MAP, 1) == [7, 0]


def test_later_call(benchmark, box):
    with box.load({"act": SOURCE}) as program:
        assert benchmark(program.call, "act", [MAP, 1]).value == [7, 0]


def test_new_program_to_its_first_answer_and_closed(benchmark, box):
    assert benchmark.pedantic(box.call, (SOURCE, "act", [MAP, 1]), rounds=200).value == [7, 0]


def test_new_sandbox_to_its_first_answer(benchmark):
    def cold():
        with Sandbox() as box:
            return box.call(SOURCE, "act", [MAP, 1])

    assert benchmark.pedantic(cold, rounds=5).value == [7, 0]


def test_fresh_interpreter_with_numpy(benchmark):
    command = [sys.executable, "-c", f"import numpy\n{SOURCE}\nprint(act({MAP!r}, 1))"]
    answer = benchmark.pedantic(subprocess.run, (command,), {"capture_output": True, "text": True}, rounds=5)
    assert answer.stdout == "[7, 0]\n"
