"""Every agent that asks a model, and tasks with a model inside, make three calls on each scripted endpoint."""

from __future__ import annotations

import pytest

from tests.support.openai_server import Page

from . import cells
from .profiles import PROFILES, Profile

QUICK = ("OpenAI, reasoning models", "Anthropic", "vLLM", "llama.cpp")
"""Those that differ most; the others' rows take a second each, and are held by the slow tests."""


@pytest.mark.parametrize(
    "profile",
    [p if p.name in QUICK else pytest.param(p, marks=pytest.mark.slow) for p in PROFILES],
    ids=lambda p: p.name,
)
def test_the_row_of_the_docs_is_what_happens(profile: Profile):
    row = cells.row(profile)
    assert set(row[2:]) == {"✓"}
    shown = cells.TABLE.search(cells.PAGE.read_text(encoding="utf-8"))
    assert shown is not None
    assert cells.markdown(row) in shown[0], "run scripts/make_endpoints_table.py"


def test_the_how_to_is_in_the_docs():
    assert cells.how_to() in cells.PAGE.read_text(encoding="utf-8"), "run scripts/make_endpoints_table.py"


@pytest.mark.parametrize("profile", [p for p in PROFILES if p.first], ids=lambda p: p.name)
def test_its_first_response_ends_nothing(profile: Profile):
    (first,) = profile.first
    cell = cells.task_cell(profile, "GSM8K", first)
    if isinstance(first, Page) and first.status == 200:  # tried again
        assert cell.problem == ""
    else:  # that question's wrong answer
        assert "the model gave no reply: the" in cell.problem
        assert cell.problem.count("gave no reply") == 1


def test_every_profile_names_its_source():
    assert [p.name for p in PROFILES if "https://" not in str(p.behave.__doc__)] == []
