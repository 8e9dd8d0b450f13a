"""The readers of answers to tasks, by tables of texts with their sources."""

from __future__ import annotations

import pytest

from opto_gym.reading.task_answers import ANSWER_KINDS, read, right
from tests.support.answer_rows import CUT, ROWS, STRICT
from tests.support.answer_sources import CONSTRUCTED, SOURCES

ALL = [(kind, *row) for kind, rows in ROWS.items() for row in rows]


@pytest.mark.parametrize(("kind", "text", "value", "source"), ALL)
def test_a_text_is_read_as_meant(kind, text, value, source):
    assert read(kind, text) == value


@pytest.mark.parametrize(("answer", "target", "is_right", "source"), STRICT)
def test_the_strict_rule_is_the_paper_s(answer, target, is_right, source):
    assert right("strict", "choice", answer, target) == is_right


@pytest.mark.parametrize(("kind", "text", "value", "source"), CUT)
def test_what_touches_the_cut_does_not_count(kind, text, value, source):
    assert read(kind, text, cut=True) == value


def test_the_tables_are_large_and_sourced():
    assert set(ROWS) == set(ANSWER_KINDS)
    assert min(map(len, [*ROWS.values(), STRICT])) >= 30
    sources = [row[-1] for row in [*ALL, *STRICT, *CUT]]
    assert len(sources) >= 240
    assert sum(source != CONSTRUCTED for source in sources) >= 80
    assert set(sources) - {CONSTRUCTED} <= set(SOURCES)
    assert len({(kind, text) for kind, text, *_ in ALL}) == len(ALL)
