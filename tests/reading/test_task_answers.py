"""The readers of answers to tasks, by tables of texts with their sources."""

from __future__ import annotations

import re

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


GOOD = [(kind, text, value) for kind, text, value, _ in ALL if value is not None]
ENDINGS = ("", "\n", "\n\nThat follows from the second premise.", " because the rest is excluded.", "\n\n---\n")


def good_answers():
    """Good answers to tasks: the table's, with several beginnings and ends."""
    beginnings = ("", "Let me think about it step by step.\n\n", "<think>Perhaps 3 or (A)? No.</think>\n")
    for kind, text, _ in GOOD:
        for beginning in beginnings:
            for ending in ENDINGS:
                whole = beginning + text + ending
                yield kind, whole, read(kind, whole)


def adopted_otherwise(answers, step=1):
    """The cut texts that are read as another value than the whole."""
    wrong = []
    for kind, whole, value in answers:
        content = whole.encode()
        for end in range(0, len(content) + 1, step):
            cut = content[:end].decode("utf-8", "ignore")
            found = read(kind, cut, cut=True)
            if found is not None and found != value:
                wrong.append((kind, cut, found, value))
    return wrong


REVISED = r"first try|First \\boxed|a sign was lost|On reflection"


def test_no_cut_answer_is_adopted_with_another_value():
    sample = [a for a in list(good_answers())[::37] if not re.search(REVISED, a[1], re.IGNORECASE)]
    assert adopted_otherwise(sample, step=3) == []


@pytest.mark.slow
def test_no_cut_of_any_good_answer_is_adopted_with_another_value():
    answers = [a for a in good_answers() if not re.search(REVISED, a[1], re.IGNORECASE)]
    assert len(answers) > 2000
    assert adopted_otherwise(answers) == []
