"""The examples in README and docs run as they stand, with the embedded model's place taken by a server on loopback."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import opto_gym
from opto_gym.leaderboard import run
from opto_gym.leaderboard.gallery import families
from opto_gym.registration import agent_class
from tests.openai_server import OpenAIServer

ROOT = Path(__file__).parent.parent


def blocks(path: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / path).read_text(), re.DOTALL)


def test_write_an_optimizer(tmp_path, monkeypatch):
    (source,) = blocks("docs/write-an-optimizer.md")
    assert len([line for line in source.splitlines() if line.strip()]) <= 20
    (tmp_path / "shrink.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    result = run(
        ["NumericalOptimization-v0"], [("shrink:Shrink", {"first_step": 3})], out=tmp_path / "r", seeds=2,
        oracle_calls=10, progress=False,
    )  # fmt: skip
    assert [t.status for t in result.trials] == ["done", "done"]
    sys.modules.pop("shrink")


@pytest.mark.parametrize(
    "path",
    ["README.md", "docs/index.md", "docs/own-program.md", "docs/wrappers.md", "docs/interop.md", "docs/protocol.md"],
)
def test_examples_run(path, monkeypatch, capsys, tmp_path):
    with OpenAIServer('{"suggestion": {"x": 2.0, "act": "def act(map, plan):\\n    return [0, 0]"}}') as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        found = blocks(path)
        assert found
        module = tmp_path / "example.py"
        module.write_text("\n".join(found).replace('"local"', '"fake"'))
        exec(compile(module.read_text(), str(module), "exec"), {"__name__": "example"})


def test_the_gallery_shows_every_family():
    page = (ROOT / "docs" / "gallery.md").read_text()
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == list(families()), "run scripts/make_gallery.py"
    shown = {path.name for path in (ROOT / "docs" / "gallery").iterdir()}
    assert set(re.findall(r"^!\[.+\]\(gallery/(.+)\)$", page, re.MULTILINE)) == shown
    for card in page.split("\n## ")[1:]:
        assert "* Parameters: " in card
        assert "| floor | reference |" in card or "A language model answers inside it" in card


def test_every_agent_is_on_its_page():
    page = "".join((ROOT / "docs" / name).read_text() for name in ("agents.md", "external.md"))
    classes = [agent_class(name) for name in opto_gym.registered_agents()]
    assert {f"{c.__module__}.{c.__qualname__}" for c in classes} <= set(re.findall(r"^::: (.*)$", page, re.MULTILINE))
