"""The examples of BIG-Bench Hard that are left out for a wrong target are those that the script finds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import opto_gym
from opto_gym import data
from opto_gym.envs.questions.bbh import LEFT_OUT, WRONG_TARGETS
from scripts.bbh_dates import asked_date
from scripts.check_bbh import CHECKS, wrong_targets

full = pytest.mark.skipif(data.root() == data.SAMPLE, reason="needs the published data sets")


@full
def test_the_list_is_what_the_script_finds():
    found = {task: sorted(reasons) for task, reasons in wrong_targets().items()}
    assert found == {task: sorted(indices) for task, indices in WRONG_TARGETS.items()}
    assert all(len(set(indices)) == len(indices) for indices in WRONG_TARGETS.values())


@full
@pytest.mark.parametrize("task", WRONG_TARGETS)
def test_the_new_version_leaves_them_out_and_the_first_keeps_them(task):
    examples, _ = data.load(f"bbh/{task}.json")
    wrong = {examples[k]["input"] for k in WRONG_TARGETS[task]}
    kept = [
        {e["input"] for s in opto_gym.make(f"BBH-{task}-v{k}").unwrapped.splits.values() for e in s} for k in (0, 1)
    ]
    assert wrong <= kept[0]
    assert kept[1] == kept[0] - wrong


def test_the_documentation_names_each():
    table = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for task, indices in [*LEFT_OUT.items(), *WRONG_TARGETS.items()]:
        rows = re.findall(rf"^\| `{task}` \| ([^|]*)\|", table, re.MULTILINE)
        assert sorted(int(n) for row in rows for n in re.findall(r"\d+", row)) == sorted(indices)


@pytest.mark.parametrize(
    ("task", "question", "right", "wrong"),
    [
        ("navigate", "Take 2 steps. Turn right. Take 1 step. Turn left. Take 2 steps backward.", "No", "Yes"),
        ("navigate", "Always face forward. Take 3 steps left. Take 3 steps right.", "Yes", "No"),
        ("web_of_lies", "Ann lies. Bob says Ann lies. Does Bob tell the truth?", "Yes", "No"),
        ("object_counting", "I have two apples, a cat, and an orange. How many fruits do I have?", "3", "4"),
        ("word_sorting", "List: cup apple", "apple cup", "cup apple"),
        ("dyck_languages", "Input: [ (", ") ]", "] )"),
        (
            "logical_deduction_three_objects",
            "The statements are logically consistent within each paragraph. There are three birds: an owl, a quail "
            "and a crow. The owl is the rightmost. The crow is to the left of the quail.\nOptions:\n(A) The crow is "
            "the leftmost\n(B) The quail is the leftmost",
            "(A)",
            "(B)",
        ),
        (
            "geometric_shapes",
            '<path d="M 0,0 L 4,0 L 4,2 L 0,2 L 0,0"/>\nOptions:\n(A) rectangle\n(B) trapezoid',
            "(A)",
            "(B)",
        ),
        (
            "geometric_shapes",
            '<path d="M 0,0 A 2,2 0 1,0 4,0 A 2,2 0 1,0 0,0"/>\nOptions:\n(A) circle\n(B) ellipse',
            "(A)",
            "(B)",
        ),
    ],
)
def test_a_check_knows_right_from_wrong(task, question, right, wrong):
    assert CHECKS[task](question, right) is None
    assert CHECKS[task](question, wrong) is not None


def test_dates():
    assert str(asked_date("2015 is coming in 36 hours. What is the date tomorrow in MM/DD/YYYY?")) == "2014-12-31"
    assert str(asked_date("Today is Mar 31, 2008. What is the date a month ago in MM/DD/YYYY?")) == "2008-02-29"
