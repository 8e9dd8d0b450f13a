"""Operators for small graphs."""

from __future__ import annotations

from opto_gym.trace import operator


@operator
def join(*values):
    """Joins."""
    return len(values)
