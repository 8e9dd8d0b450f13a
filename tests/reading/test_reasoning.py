from __future__ import annotations

import time

import pytest

from opto_gym.reading.reasoning import without_reasoning

X = '{"suggestion": {"x": 5}}'


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        (f'<think>perhaps {{"x": 1}}</think>\n{X}', X),
        ("<think>it never closes", ""),
        (f'a draft {{"x": 1}}, {{ or more</think>\n{X}', X),
        (f"</think>\n\n{X}", X),
        (f"<think>\n\n</think>\n\n{X}", X),
        (f'<think>say "<think>x</think>"? or {{"x": 1}}</think>{X}', X),
        (f"<thinking>a</thinking>{X}", X),
        (f"<thought>a</thought>{X}", X),
        (f"<scratchpad>a</scratchpad>{X}", X),
        (f"<seed:think>a</seed:think>{X}", X),
        (f"[THINK]a[/THINK]{X}", X),
        (f"◁think▷a◁/think▷{X}", X),
        (f"<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>{X}<|END_RESPONSE|>", X),
        (f"<|begin_of_thought|>a<|end_of_thought|><|begin_of_solution|>{X}<|end_of_solution|>", X),
        (f"<|channel>thought\na<channel|>{X}", X),
        (
            f"<|channel|>analysis<|message|>a <b><|end|><|start|>assistant<|channel|>final<|message|>{X}<|return|>",
            X,
        ),
        (f"<|channel|>analysis<|message|>a<|end|><|channel|>final <|constrain|>JSON<|message|>{X}", X),
        ("<|channel|>analysis<|message|>a", ""),
        (f'analysisWe need {{"x": 1}}.assistantfinal{X}', X),
        ("analysisWe need", ""),
        (f"{X}<|im_end|>", X),
        (f"Ok. <think>hm {{}}</think> {X}", f"Ok.  {X}"),
    ],
)  # fmt: skip
def test_reasoning_is_left_out(text, rest):
    assert without_reasoning(text) == rest


@pytest.mark.parametrize(
    "text",
    [
        X,
        "",
        " a\n",
        '{"suggestion": {"p": "Use <think>a</think> tags"}}',
        f"The prompt should end with a </think> tag. {X}",
        f"{X}\nI added a closing `</think>` tag.",
        "<new_value>\nUse\n<think>\nthen\n</think>\n</new_value>",
        '```python\ndef f():\n    return "<think>"\n```',
        'I use <think> tags. {"suggestion": {"p": "a </think> b"}}',
        '<variable><name>x</name><value>[THINK]"{</value></variable>',
    ],
)
def test_what_the_answer_mentions_is_content(text):
    assert without_reasoning(text) == text


def test_own_tags_and_a_cut_object_are_content():
    assert without_reasoning("<thought>5</thought>", keep=["thought"]) == "<thought>5</thought>"
    text = '{"suggestion": {"p": "a.</think>\\n{\\"x\\": 1}'
    assert without_reasoning(text, cut=True) == text


@pytest.mark.slow
@pytest.mark.parametrize(
    "atom",
    ["{", "{\"", "<think>", "</think>", "`", "```\n", "<a>", "[THINK]", "<|channel|>final<|message|>", "a <think> "],
)  # fmt: skip
def test_it_takes_linear_time(atom):
    begin = time.process_time()
    without_reasoning(atom * (50_000 // len(atom)))
    without_reasoning("x " + atom * (50_000 // len(atom)), cut=True)
    assert time.process_time() - begin < 5
