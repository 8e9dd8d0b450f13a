from __future__ import annotations

import pytest

from opto_gym.sandbox import Limits, Sandbox
from opto_gym.sandbox.inside.protocol import LEVELS
from tests.support.sandbox import LIMIT


@pytest.fixture(scope="module", params=LEVELS)
def box(request):
    with Sandbox(Limits(seconds=LIMIT), level="L0", most=request.param) as box:
        if box.level != request.param:
            pytest.skip(f"this machine grants {box.level}: {box.in_force()['missing']}")
        yield box
