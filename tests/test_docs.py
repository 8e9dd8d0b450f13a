"""The examples in README and docs run as they stand, with the embedded model's place taken by a server on loopback."""

from __future__ import annotations

import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml  # MkDocs brings it

import opto_gym
from opto_gym import trace
from opto_gym.agents import Agent, Oracle
from opto_gym.cli.gallery import families
from opto_gym.errors import OptoGymError, SandboxError
from opto_gym.leaderboard import run
from opto_gym.leaderboard.records import read_json
from opto_gym.llm import Budget, local
from opto_gym.registration import agent_class, env_class
from opto_gym.sandbox import Sandbox
from opto_gym.spaces import ValueSpace
from opto_gym.utils.extras import EXTRAS
from scripts import make_environments_table
from tests.support.openai_server import OpenAIServer
from tests.support.transcripts import Transcript, working_folder

ROOT = Path(__file__).parent.parent


def blocks(path: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / path).read_text(encoding="utf-8"), re.DOTALL)


OPTIMIZERS = (ROOT / "docs" / "write-an-optimizer.md").read_text(encoding="utf-8")
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
    [
        *("docs/index.md", "docs/own-program.md", "docs/wrappers.md", "docs/protocol.md"),
        *("docs/tracing.md", "docs/sandbox.md"),
        *(pytest.param(path, marks=pytest.mark.slow) for path in ("README.md", "docs/interop.md")),
    ],
)
def test_examples_run(path, monkeypatch, capsys, tmp_path):
    with OpenAIServer('{"suggestion": {"x": 2.0, "act": "def act(map, plan):\\n    return [0, 0]"}}') as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        found = blocks(path)
        assert found
        module = tmp_path / "example.py"
        module.write_text("\n".join(found).replace('"local"', '"fake"'))
        exec(compile(module.read_text(encoding="utf-8"), str(module), "exec"), {"__name__": "example"})


def test_the_gallery_shows_every_family():
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == list(families()), "run scripts/make_gallery.py"
    shown = {path.name for path in (ROOT / "docs" / "gallery").iterdir()}
    assert set(re.findall(r"^!\[.+\]\(gallery/(.+)\)$", page, re.MULTILINE)) == shown
    for card in page.split("\n## ")[1:]:
        assert "* Parameters: " in card
        assert "| floor | reference |" in card or "A language model answers inside it" in card


def test_every_agent_is_on_its_page():
    page = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("agents.md", "external.md"))
    classes = [agent_class(name) for name in opto_gym.registered_agents()]
    assert {f"{c.__module__}.{c.__qualname__}" for c in classes} <= set(re.findall(r"^::: (.*)$", page, re.MULTILINE))


TUTORIAL, WITH_A_MODEL = (
    (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8").split("\n## With a language model\n")
)
FIRST_STEPS = TUTORIAL.split("\n## Run it\n")[0]


def test_the_tutorial_up_to_the_agent(tmp_path):
    with working_folder(tmp_path):
        assert Transcript().run(FIRST_STEPS) == 7


@pytest.mark.slow
def test_the_tutorial_without_a_model(tmp_path):
    with working_folder(tmp_path):
        assert Transcript().run(TUTORIAL) == 14


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tutorial_with_a_model(tmp_path):
    (tmp_path / "secant.py").write_text(re.search(r'title="secant.py"\n(.*?)```', TUTORIAL, re.DOTALL)[1])
    with working_folder(tmp_path):
        assert Transcript(exact=False).run(WITH_A_MODEL) == 2


def documented(heading: str) -> set[str]:
    """The names in the first column of a section of docs/interface.md."""
    section = INTERFACE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = [line.split(" | ")[0] for line in section.split("\n") if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"[`\s](?:oracle\.)?([a-z_]+)(?=[`(,=])", cell)}


INTERFACE = (ROOT / "docs" / "interface.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("Problem", opto_gym.Problem),
        ("Parameter", opto_gym.Parameter),
        ("Spaces", ValueSpace),
        ("TraceFeedback", opto_gym.TraceFeedback),
        ("Feedback", opto_gym.Feedback),
        ("Part", opto_gym.Part),
        ("TraceGraph", trace.TraceGraph),
        ("GraphNode", trace.GraphNode),
        ("OperatorInfo", trace.OperatorInfo),
        ("Oracle", Oracle),
        ("Budget", Budget),
        ("Agent", Agent),
    ],
)
def test_every_attribute_that_an_optimizer_is_given_is_in_the_table(heading, kind):
    inherited = {"count", "index"} if issubclass(kind, tuple) else set()
    public = {name for name in dir(kind) if not name.startswith("_")} - inherited
    assert public <= documented(heading)


def test_the_values_in_the_table_of_attributes_are_real():
    (setup,) = blocks("docs/interface.md")
    exec(setup, names := {"Number": opto_gym.Number})
    examples = re.findall(r"`([^`]+)` → `([^`]+)` \|$", INTERFACE, re.MULTILINE)
    assert len(examples) > 50
    assert [e for e, value in examples if eval(e, names) != eval(value, names)] == []
    (shown,) = re.findall(r"```text\n(.*?)```", INTERFACE, re.DOTALL)
    assert names["graph"].to_pseudocode() == shown.rstrip("\n")


class ReadsTheTable(Agent):
    """Evaluates the examples in the tables of the oracle and its budget."""

    evaluated: ClassVar[dict[str, Any]] = {}

    def optimize(self, problem, oracle):
        for example in re.findall(r"\| `([^`]+)` \|$", INTERFACE.split("\n## Oracle\n")[1], re.MULTILINE):
            self.evaluated[example] = eval(example, {"oracle": oracle})


def test_the_examples_of_the_oracle_run(tmp_path):
    run(["NumericalOptimization-v0"], ["tests.test_docs:ReadsTheTable"], seeds=1, oracle_calls=5, out=tmp_path / "run")
    assert len(sys.modules["tests.test_docs"].ReadsTheTable.evaluated) == 11


INSTALL = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")


def quoted(error: BaseException) -> bool:
    """Whether the install page quotes an error, with ``...`` in place of folders and of a machine's own words."""
    shown = [" ".join(block.split()) for block in re.findall(r"```text\n(.*?)```", INSTALL, re.DOTALL)]
    messages = [m.strip() for block in shown for m in re.split(r"opto-gym: |\w+Error: (?=expected)", block)]
    text = " ".join(str(error).split())
    return any(re.fullmatch(re.escape(message).replace(r"\.\.\.", ".*"), text) for message in messages)


def test_the_install_page_quotes_real_errors(monkeypatch, tmp_path):
    monkeypatch.setenv("OPTO_GYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPTO_GYM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for fails in (local.model_path, local.pull, lambda: opto_gym.make("BBH-navigate-v1")):
        with pytest.raises(OptoGymError) as caught:
            fails()
        assert quoted(caught.value), caught.value
    with pytest.raises(SandboxError) as refused, Sandbox(most="L1") as box:
        box.call("def f():\n    return 1\n", "f", [])
    assert quoted(refused.value) or "grants L0" in str(refused.value), refused.value


def test_the_install_page_has_every_extra():
    assert re.findall(r"^\| `\[(\w+)\]` \|", INSTALL, re.MULTILINE) == [*EXTRAS, "all"]
    for module, extra in re.findall(r"(\w+) is not installed: pip install 'opto-gym\[(\w+)\]'", INSTALL):
        assert module in EXTRAS[extra]


LINK = re.compile(r"(?<=\]\()[^)\s]+|(?<=src=\")[^\"]+")
SITE = "https://opto-gym.readthedocs.io/en/latest/"


def test_links_in_the_readme_work_on_the_package_index():
    links = LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(links) > 10
    assert [link for link in links if not link.startswith("https://")] == []
    for link in links:
        if link.startswith(SITE):
            page, _, anchor = link.removeprefix(SITE).partition("#")
            folder = ROOT / "docs" / page
            source = next((p for p in (folder.with_suffix(".md"), folder / "index.md", folder) if p.is_file()), None)
            assert source, f"{link}: no such page in docs/"
            assert not anchor or anchor in {
                slug(title) for title in HEADING.findall(source.read_text(encoding="utf-8"))
            }, link


HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def slug(title: str) -> str:
    """The anchor that MkDocs gives a heading."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower())


def test_the_table_of_environments_is_made_of_the_classes():
    page = (ROOT / "docs" / "environments" / "index.md").read_text(encoding="utf-8")
    shown = make_environments_table.TABLE.search(page)[0]
    assert shown == make_environments_table.table(), "run scripts/make_environments_table.py"


def test_every_environment_has_its_page():
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "environments").iterdir()]
    shown = re.findall(r"^::: (.*)$", "".join(pages), re.MULTILINE)
    classes = {f"{c.__module__}.{c.__qualname__}" for c in map(env_class, families())}
    assert sorted(shown) == sorted(classes)


def test_the_map_has_every_package_and_module():
    """CONTRIBUTING says what each is for: the packages of the tree, and the modules at its top."""
    shown = re.findall(r"^\| `([\w/.]+)` \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    top = ROOT / "opto_gym"
    packages = [path.parent for path in top.rglob("__init__.py")]
    rooms = {f"{path.relative_to(top)}/" for path in packages if path != top}
    rooms |= {path.name for path in top.glob("*.py")}
    assert sorted(shown) == sorted(rooms)


def test_the_way_of_a_proposal_names_what_is_there():
    section = (
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## The way of a proposal")[1].split("\n## ")[0]
    )
    names = re.findall(r"`([a-z_]+\.(?!jsonl?`)[\w.]+)`", section)
    assert len(names) > 25
    for name in names:
        pkgutil.resolve_name(f"opto_gym.{name}")


def test_citation():
    data = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(data)
    assert data["version"] == opto_gym.__version__
    assert all({"title", "authors", "type"} <= set(work) for work in data["references"])
