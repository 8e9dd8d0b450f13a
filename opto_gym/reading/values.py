"""A reader of a single new value, which TextGrad asks for."""

from __future__ import annotations

import re
from typing import Any

from ..problems import Problem
from .proposals import cast_value, read_suggestion


def read_value(text: str, alone: Problem) -> Any:
    """The new value of a problem's only parameter, between ``<new_value>`` tags or in JSON (`read_suggestion`).

    The last pair of tags that is not empty counts, since the prose before may mention the tags. Without a closing tag,
    the value is all that comes after the opening one.

    Args:
        text: The answer.
        alone: A problem with one parameter.

    Raises:
        Unusable: If there is no value, or one of another type.
    """
    pieces = [re.split("</new_value>", piece, flags=re.I) for piece in re.split("<new_value>", text, flags=re.I)[1:]]
    closed = [piece[0].strip() for piece in pieces if len(piece) > 1]
    bodies = list(filter(None, closed or [piece[0].strip() for piece in pieces]))
    (p,) = alone.parameters
    return cast_value(bodies[-1], p.space, p.name) if bodies else read_suggestion(text, alone)[p.name]
