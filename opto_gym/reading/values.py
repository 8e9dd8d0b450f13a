"""A reader of a single new value, which TextGrad asks for."""

from __future__ import annotations

import re
from typing import Any

from ..problems import Problem
from .cuts import stands
from .proposals import Unusable, answer_text, cast_value, read_suggestion


def read_value(text: str, alone: Problem, *, cut: bool = False) -> Any:
    """The new value of a problem's only parameter, between ``<new_value>`` tags, in JSON or in a fenced block of code.

    The last pair of tags that is not empty counts, since the prose before may mention the tags. Without a closing tag,
    the value is all that comes after the opening one, unless the answer was cut. See `read_suggestion` for the others.

    Args:
        text: The answer.
        alone: A problem with one parameter.
        cut: Whether the answer ended by length. Then only what had closed before counts, if nothing may replace it.

    Raises:
        Unusable: If there is no value, or one of another type.
    """
    (p,) = alone.parameters
    answer = answer_text(text, cut=cut, keep=[p.name])
    begin, *pieces = re.split("<new_value>", answer, flags=re.I)
    parts = [re.split("</new_value>", piece, flags=re.I) for piece in pieces]
    closed = [part[0].strip() for part in parts if len(part) > 1]
    if cut and pieces:
        end = len(answer) - len(parts[-1][-1])
        if len(parts[-1]) < 2 or not stands(answer, len(begin), end):
            raise Unusable(f"{p.name}: its value was cut")
    bodies = list(filter(None, closed or [part[0].strip() for part in parts]))
    if bodies:
        return cast_value(bodies[-1], p.space, p.name)
    values = read_suggestion(answer, alone, cut=cut)
    if p.name not in values:
        raise Unusable(f"{p.name}: no new value in the answer")
    return values[p.name]
