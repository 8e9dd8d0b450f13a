from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from opto_gym import data
from opto_gym.llm import adapting
from tests.support.openai_server import OpenAIServer
from tests.support.soak import SOAK

# A busy machine is no fault. The examples are the same in each run, so that a failure is of the last change; those of
# `make soak` are new, and more.
settings.register_profile("suite", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("soak", deadline=None, max_examples=500)
settings.load_profile("soak" if SOAK else "suite")

if "OPTO_GYM_DATA" not in os.environ:  # the data sets beside this checkout, or else the package's few examples
    beside = Path(__file__).parents[2] / "shared" / "data"
    os.environ["OPTO_GYM_DATA"] = str(beside if beside.is_dir() else data.SAMPLE)


@pytest.fixture(scope="session", autouse=True)
def _state_folder_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Marks of trust go into no developer's home; programs that tests start have the same folder."""
    os.environ["OPTO_GYM_STATE"] = str(tmp_path_factory.mktemp("state"))


def pytest_collection_finish() -> None:
    """Thousands of tests and all modules stay to the end: the garbage collector need not visit them each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_model_of_the_developer_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that asks a model says which."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPTO_GYM_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _nothing_known_of_endpoints() -> Iterator[None]:
    """A server of an earlier test may have had the same port."""
    yield
    adapting.forget()


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """A scripted server, which counts words as tokens."""
    with OpenAIServer() as s:
        s.count = lambda text: len(text.split())
        yield s


@pytest.fixture(scope="session")
def dead_url() -> Iterator[str]:
    """The URL of an address on this machine where nobody listens, and nobody can: the port is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def unwritable(tmp_path: Path) -> Path:
    """A path where nothing can be made, by root either: a file is in the way."""
    (tmp_path / "a file").write_text("in the way")
    return tmp_path / "a file" / "below"
