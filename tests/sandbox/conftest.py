from __future__ import annotations

import pytest

from opto_gym.sandbox import Limits, Sandbox
from opto_gym.sandbox.inside.protocol import LEVELS
from tests.support.sandbox import LIMIT

BETWEEN = [pytest.param(level, marks=pytest.mark.slow) for level in LEVELS[1:-1]]
"""Levels between no wall and all of them."""


@pytest.fixture(scope="module", params=[LEVELS[0], *BETWEEN, LEVELS[-1]])
def box(request):
    with Sandbox(Limits(seconds=LIMIT), level="L0", most=request.param) as box:
        if box.level != request.param:
            pytest.skip(f"this machine grants {box.level}: {box.in_force()['missing']}")
        yield box


@pytest.fixture(scope="module", params=[LEVELS[0], *BETWEEN, LEVELS[-1]])
def patient_box(request):
    """Like `box`, for calls that end by themselves but may take long on a busy machine, such as large imports."""
    with Sandbox(Limits(seconds=20), level="L0", most=request.param) as box:
        if box.level != request.param:
            pytest.skip(f"this machine grants {box.level}: {box.in_force()['missing']}")
        yield box
