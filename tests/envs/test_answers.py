from __future__ import annotations

import pytest

from opto_gym import data
from opto_gym.envs.questions.bbh import ANSWER_KINDS as TASKS
from opto_gym.envs.questions.bbh import LEFT_OUT
from opto_gym.reading.task_answers import ANSWER_KINDS, read, right, text_of

PHRASINGS = ["{t}", "The answer is {t}.", "Let me think.\nAnswer: {t}", "So the answer is **{t}**"]


def phrasings(kind, target):
    """Six ways to say it."""
    other = target if kind == "choice" else target.lower()
    naked = target.strip("()") if kind == "choice" else target
    return [p.format(t=target) for p in PHRASINGS] + [f"answer: {other}", f"Answer: {naked}"]


@pytest.mark.parametrize("task", TASKS)
def test_six_phrasings_are_accepted_and_all_other_options_refused(task):
    kind, broken = TASKS[task], LEFT_OUT.get(task, ())
    examples, _ = data.load(f"bbh/{task}.json")
    targets = sorted({e["target"] for k, e in enumerate(examples) if k not in broken})
    assert all(read(kind, t) is not None for t in targets)
    forms = {t: read(kind, t) for t in targets}
    assert len(set(forms.values())) == len(targets)  # so that what reads as one target is no other
    for said in targets:
        for text in phrasings(kind, said):
            assert read(kind, text) == forms[said], text
        assert right("lenient", kind, text, said)


@pytest.mark.parametrize(
    ("kind", "text", "answer"),
    [
        ("integer", "-35", "-35"),
        ("integer", "\u221235", "-35"),
        ("integer", "The answer is eight.", "8"),
        ("integer", "thirty-five", "35"),
        ("integer", "Twenty-one apples", "21"),
        ("integer", "The answer is ninety nine.", "99"),
        ("integer", "forty\u2011two", "42"),
        ("integer", "twenty", "20"),
        ("integer", "The answer is one hundred.", None),  # and not 1
        ("integer", "one hundred and five", None),
        ("integer", "Answer: two dozen eggs", None),
        ("integer", "a hundred", None),
        ("integer", "three four", None),
        ("integer", "one, two, three", "3"),
        ("integer", "between one and two", "2"),
        ("integer", "0" * 30 + "7", "7"),
        ("integer", "The answer is -" + "9" * 10_000, None),
        ("integer", "eight-sided", None),
        ("integer", "the twenty-first", None),
        ("integer", "two twenty-sided dice", "2"),
        ("integer", "16 - 3 - 4 = 9, and 9 * 2 = 18.", "18"),
        ("integer", "10-3", "3"),
        ("integer", "That makes $1,234.00 in all", "1234"),
        ("integer", "The answer is 2.5", "2.5"),
        ("integer", "#### 18", "18"),
        ("integer", "\\boxed{18}", "18"),
        ("integer", "Answer:\n42", "42"),
        ("integer", "I don't know", None),
        ("integer", "", None),
        ("choice", "The answer is (B) because (A) is wrong", "(B)"),
        ("choice", "(A) is wrong, so it is (C)", "(C)"),
        ("choice", "**Answer:** b)", "(B)"),
        ("choice", "Option C", "(C)"),
        ("choice", "A dog barks", None),
        ("choice", "Answer: ", None),
        ("valid or invalid", "The argument is not valid.", "invalid"),
        ("valid or invalid", "It is deductively invalid", "invalid"),
        ("yes or no", "No, since a yes would need a reason.", "no"),
        ("yes or no", "I know nothing", None),
        ("true or false", "not ( True ) = False", "false"),
        ("true or false", "That is not true", "false"),
        ("words", "Sorted: apple, Bear, you've", "apple bear you've"),
        ("words", "  ", None),
        ("brackets", "The answer is ]) >.", "] ) >"),
        ("brackets", "none", None),
    ],
)
def test_readings(kind, text, answer):
    assert read(kind, text) == answer


def test_answers_of_programs():
    assert right("lenient", "integer", 8, "8")
    assert right("lenient", "integer", 8.0, "8")
    assert right("lenient", "true or false", True, "True")
    assert right("lenient", "words", ["a", "b"], "a b")
    for nothing in (None, {}, [], [1], object(), 10**5000):
        assert text_of(nothing) is None
        assert not any(right(rule, kind, nothing, "8") for rule in ("lenient", "strict") for kind in ANSWER_KINDS)


def test_the_paper_s_rule():
    assert right("strict", "choice", "It is (A), no, (B)", "(B)")
    assert not right("strict", "choice", "(B), not (A)", "(B)")
    assert not right("strict", "choice", "B", "(B)")
    assert right("strict", "integer", "8", "8")
    assert not right("strict", "integer", "8.", "8")
    assert not right("strict", "integer", 8, "8")
    assert not right("strict", "yes or no", "No", "no")
