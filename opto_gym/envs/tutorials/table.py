"""Tasks of the Trace library's tutorials, re-made: a greeting, a strange order, a regression in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core import OptoEnv


def draw_table(env: OptoEnv, rows: Sequence[Sequence[Any]]) -> Any:
    """What went in and what came out, as `env.render_mode` wants it."""
    assert env.last is not None
    said = f"score {env.last.score:.2f}" if env.last.error is None else f"error: {env.last.error[:90]}"
    if env.render_mode == "ansi":
        marked = (f"{'right' if right else 'wrong'}: {given} -> {answer}\n" for given, answer, right in rows)
        return "".join(marked) + f"{said}\n"
    from ..drawing.charts import table

    return table([(given, answer, right) for given, answer, right in rows], said)
