"""Prompts that an endpoint refuses, in any provider's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opto_gym.llm.error_body import read_error_body
from opto_gym.llm.refusals import REFUSED, TOO_LONG, refused_prompt

from . import refused_prompts as said

ROWS = [(row, TOO_LONG) for row in said.TOO_LONG]
ROWS += [(row, REFUSED) for row in said.FILTERED]
ROWS += [(row, None) for row in said.OTHER]


def as_body(body: Any) -> bytes:
    return (body if isinstance(body, str) else json.dumps(body)).encode()


@pytest.mark.parametrize(("row", "expected"), [pytest.param(*r, id=f"{r[1] and r[1][:24]}, {r[0][0]}") for r in ROWS])
def test_a_refused_prompt_is_known_by_its_message(row: tuple[str, int, Any, str], expected: str | None):
    _, status, body, _ = row
    assert refused_prompt(read_error_body(as_body(body)), status) == expected
