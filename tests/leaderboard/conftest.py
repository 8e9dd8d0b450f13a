from __future__ import annotations

import pytest

from tests.support.openai_server import OpenAIServer
from tests.support.runs import count


@pytest.fixture
def server():
    with OpenAIServer(count) as server:
        yield server
