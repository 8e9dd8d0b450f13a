"""JSON text is bounded before it is parsed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto_gym.utils import bounded_json
from opto_gym.utils.bounded_json import MOST_DEPTH, MOST_VALUES

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text('[]{},"\\ax\ud800'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('[]{}"\\a'), inner),
)


@given(VALUES, st.booleans())
def test_what_is_within_the_bounds_is_read(value: Any, ascii: bool):
    text = json.dumps(value, ensure_ascii=ascii)
    assert bounded_json.loads(text) == value
    if ascii:
        assert bounded_json.loads(text.encode()) == value


def nested(depth: int) -> str:
    return '[{"a":' * (depth // 2) + "1" + "}]" * (depth // 2)


@pytest.mark.parametrize("inside", ["1", '"' + "[" * 1000 + '"', '"\\"' + "{" * 1000 + '"', '"' + "]," * 1000 + '"'])
def test_the_depth_is_bounded(inside: str):
    bounded_json.loads(nested(MOST_DEPTH).replace("1", inside))
    for deep in (nested(MOST_DEPTH + 2).replace("1", inside), "[" * 200_000, "[" * 900 + "]" * 900):
        with pytest.raises(ValueError, match="nested more than 200 levels deep"):
            bounded_json.loads(deep)


def test_wide_text_is_not_deep():
    assert bounded_json.loads("[" + "[], " * 1000 + "{}]") == [[]] * 1000 + [{}]


def test_the_number_of_values_is_bounded():
    with pytest.raises(ValueError, match="it has 1,000,002 values, expected 1,000,000 at most"):
        bounded_json.loads("[" + "1," * (MOST_VALUES + 1) + "1]")
    commas = "," * (MOST_VALUES + 1)
    assert bounded_json.loads(json.dumps(commas)) == commas


NO_JSON: list[str | bytes] = ["", '"', '"\\', "[" * 201 + '"\\"' * 100_000, "]" * 300, b"\xff", b"[" * 201 + b"\xff"]


@pytest.mark.parametrize("text", NO_JSON, ids=range(len(NO_JSON)))
def test_what_is_no_json_is_refused_at_once(text: str | bytes):
    with pytest.raises(ValueError, match=r"Expecting value|Unterminated string|nested|codec can.t decode"):
        bounded_json.loads(text)
