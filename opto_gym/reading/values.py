"""A single new value, as TextGrad asks for it."""

from __future__ import annotations

import re
from typing import Any

from ..problems import Problem
from .proposals import cast_value, read_suggestion


def read_value(text: str, alone: Problem) -> Any:
    """The new value of a problem's only parameter: between the tags, or as JSON, as the other agents' answers.

    Of several pairs of tags the last counts that holds something: prose before may name them. Without any closing tag
    the rest counts.

    Raises:
        Unusable: If there is no value, or one of another type.
    """
    pieces = [re.split("</new_value>", piece, flags=re.I) for piece in re.split("<new_value>", text, flags=re.I)[1:]]
    closed = [piece[0].strip() for piece in pieces if len(piece) > 1]
    bodies = list(filter(None, closed or [piece[0].strip() for piece in pieces]))
    (p,) = alone.parameters
    return cast_value(bodies[-1], p.space, p.name) if bodies else read_suggestion(text, alone)[p.name]
