"""A trial's identity: what decides an agent's proposals changes it, and nothing else does."""

from __future__ import annotations

import itertools
import subprocess
import sys
import textwrap

import pytest

from opto_gym.agents.optoprime import OptoPrime
from opto_gym.agents.random_search import RandomSearch
from opto_gym.leaderboard import plan
from opto_gym.leaderboard.identity import definitions, source_hash
from opto_gym.registration import agent_class, registered_agents
from tests.support import agents

COUNTER = itertools.count()
AGENT = """
    from opto_gym.agents import Agent
    from {package}.helpers import step
    from {package} import tables

    LIMIT = 3
    UNUSED = 1

    class Mine(Agent):
        \"\"\"Proposes.\"\"\"

        def propose(self, observation):
            return {{"x": min(step(self.rng), LIMIT, tables.TABLE["most"])}}
"""
HELPERS = """
    def step(rng):
        return half(rng.integers(9))

    def half(x):
        return int(x) // 2

    def unused():
        return 1
"""
TABLES = """
    TABLE = {"most": 9}
    TABLE["least"] = 1
"""


@pytest.fixture
def author(tmp_path, monkeypatch):
    """Makes an author's package with other texts, and gives the hash of its agent."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(agent=AGENT, helpers=HELPERS, tables=TABLES):
        package = f"author{next(COUNTER)}"
        folder = tmp_path / package
        folder.mkdir()
        (folder / "__init__.py").touch()
        for name, text in (("agent", agent), ("helpers", helpers), ("tables", tables)):
            text = textwrap.dedent(text)
            (folder / f"{name}.py").write_text(text.format(package=package) if name == "agent" else text)
        return source_hash(agent_class(f"{package}.agent:Mine"))

    return make


@pytest.mark.parametrize(
    "changed",
    [
        {"helpers": HELPERS.replace("// 2", "// 3")},
        {"helpers": HELPERS.replace("integers(9)", "integers(8)")},
        {"agent": AGENT.replace("LIMIT = 3", "LIMIT = 4")},
        {"agent": AGENT.replace("min(", "max(")},
        {"tables": TABLES.replace("9", "8")},
        {"tables": TABLES + "    TABLE.update(most=2)\n"},
        {"tables": TABLES + "    for name in ('most',):\n        TABLE[name] = 5\n"},
    ],
)
def test_what_decides_a_proposal_changes_it(author, changed):
    assert author(**changed) != author()


@pytest.mark.parametrize(
    "changed",
    [
        {},  # another name of the package
        {"helpers": HELPERS + "    # a remark\n"},
        {"helpers": HELPERS.replace("return 1", "return 2")},
        {"helpers": HELPERS.replace("def half(x):", 'def half(x: "float") -> int:\n        """Half of x."""')},
        {"agent": AGENT.replace("UNUSED = 1", "UNUSED = 2").replace("Proposes.", "Proposes a number.")},
        {"agent": AGENT.replace("import tables", "import tables as lists").replace("tables.TABLE", "lists.TABLE")},
        {
            "agent": AGENT.replace("{package}.helpers", "{package}.tables"),
            "helpers": "",
            "tables": TABLES + HELPERS,
        },
    ],
)
def test_words_and_places_do_not_change_it(author, changed):
    assert author(**changed) == author()


def reached(cls):
    """The modules of opto_gym in which something decides an agent's proposals."""
    return {place.module for place in definitions(cls)}


def test_it_reaches_what_reads_answers_and_what_renders_the_trace():
    assert {
        "opto_gym.agents.base",
        "opto_gym.agents.toolkit.prompt_budget",
        "opto_gym.reading.proposals",
        "opto_gym.trace.render",
    } <= reached(OptoPrime)


@pytest.mark.parametrize("name", registered_agents())
def test_each_agent_has_its_own_and_none_reaches_the_harness_or_the_client(name):
    modules = reached(agent_class(name))
    assert "opto_gym.agents.base" in modules
    apart = ("opto_gym.leaderboard", "opto_gym.llm", "opto_gym.sandbox", "opto_gym.registration")
    assert not [m for m in modules if m.startswith(apart)]


def test_agents_differ():
    hashes = {name: source_hash(agent_class(name)) for name in registered_agents()}
    assert len(set(hashes.values())) == len(hashes)
    assert source_hash(OptoPrime) != source_hash(RandomSearch)
    assert source_hash(agents.Steps) != source_hash(agents.Parallel)


def test_another_process_finds_the_same():
    code = "from opto_gym.leaderboard.identity import source_hash; from opto_gym.agents.opro import OPRO; "
    script = code + "print(source_hash(OPRO))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == source_hash(agent_class("OPRO"))


def test_a_class_without_source_is_named():
    made = type("Made", (RandomSearch,), {"__module__": "nowhere"})
    assert source_hash(made) != source_hash(RandomSearch)


def identity(*given, **keywords):
    """The identity of the only trial of a plan."""
    asked = {"seeds": 1, "limits": {"oracle_calls": 3}, **keywords}
    (spec,) = plan(*given, **asked).specs.values()
    return spec.identity()


def test_addresses_and_budgets_are_no_part_of_it():
    one, other = (
        identity(
            ["tests.support.tasks:Valley"],
            ["tests.support.agents:Asking"],
            model="m",
            base_url=f"http://127.0.0.1:{port}/v1",
            limits={"oracle_calls": port},
        )
        for port in (1, 2)
    )
    assert one == other


def test_an_environment_without_a_version_is_identified_by_its_source(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "from tests.support.tasks import Valley\n\nclass Mine(Valley):\n    def forward(self, p, example):\n"
    found = []
    for k in (3, 4):
        (tmp_path / f"task{k}.py").write_text(f"{text}        return (p.x - {k}) ** 2\n")
        made = identity([f"task{k}:Mine"], ["RandomSearch"])
        found.append((made.env.problem, made.env.source))
    assert found[0][0] == found[1][0]
    assert found[0][1] != found[1][1]
    assert identity(["NumericalOptimization-v0"], ["RandomSearch"]).env.source is None
