"""The examples in README and docs run as they stand, with the embedded model's place taken by a server on loopback."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import opto_gym
from opto_gym.cli.gallery import families
from opto_gym.leaderboard.records import read_json
from opto_gym.registration import agent_class
from tests.support.openai_server import OpenAIServer

ROOT = Path(__file__).parent.parent


def blocks(path: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / path).read_text(), re.DOTALL)


OPTIMIZERS = (ROOT / "docs" / "write-an-optimizer.md").read_text()
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not on this machine")


@pytest.mark.slow
@pytest.mark.parametrize("file", ["shrink.py", "evolve.py", pytest.param("shrink.mjs", marks=needs_node)])
def test_write_an_optimizer(tmp_path, file):
    """Each file of the page by the command below it, which is the installed script's, in the folder of the files."""
    for name, source in re.findall(r'```\w+ title="(\S+)"\n(.*?)```', OPTIMIZERS, re.DOTALL):
        (tmp_path / name).write_text(source)
    section = OPTIMIZERS.split(f'title="{file}"')[1]
    command, said = re.search(r"^(opto-gym compare .*)\n```\n\n\*(.*?)\*", section, re.MULTILINE).groups()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        shlex.split(command),
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.findall(r"better|worse|cannot tell yet", done.stdout)[0] == said.lower()
    trials = [read_json(path) for path in tmp_path.glob("runs/*/trials/*/trial.json")]
    assert [trial["status"] for trial in trials] == ["done"] * 16


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
