"""Tables of inputs and outputs, by which two of the tutorials' tasks show their last call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...problems import Evaluation
from ..drawing import charts
from ..drawing.scenes import Picture

Rows = Sequence[Sequence[Any]]
"""(input, output, whether it is right) of each case."""


def table_text(last: Evaluation, rows: Rows) -> str:
    """The cases of an evaluation, one a line, and its score or error."""
    marked = (f"{'right' if right else 'wrong'}: {given} -> {output}\n" for given, output, right in rows)
    return "".join(marked) + f"{_title(last)}\n"


def table_image(last: Evaluation, rows: Rows) -> Picture:
    """The cases of an evaluation as a table, with its score or error as the title."""
    return charts.table([(given, output, right) for given, output, right in rows], _title(last))


def _title(last: Evaluation) -> str:
    return f"score {last.score:.2f}" if last.error is None else f"error: {last.error[:90]}"
