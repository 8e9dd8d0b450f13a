"""Tries to end `opto-gym envs` and `agents` by a plug-in: markup, escapes, odd documentation, errors and exits."""

from __future__ import annotations

import importlib.metadata
import sys

import gymnasium as gym
import pytest

from opto_gym import registration
from opto_gym.cli import main

FINE = (
    "from opto_gym.agents.random_search import RandomSearch\n"
    "from opto_gym.envs.numerical import NumericalOptimization\n"
)
MODULES = {
    "markup": FINE
    + "class E(NumericalOptimization):\n    '''Closes [/red] what [bold]was not[/] open [link=x].'''\n"
    + "class A(RandomSearch):\n    '''Closes [/red] what [bold]was not[/] open [link=x].'''\n",
    "escapes": FINE
    + "class E(NumericalOptimization):\n    '''Clears \\x1b[2J the \\x9b31m screen.'''\n"
    + "class A(RandomSearch):\n    '''Clears \\x1b[2J the \\x9b31m screen.'''\n",
    "number": FINE + "class E(NumericalOptimization):\n    __doc__ = 3\nclass A(RandomSearch):\n    __doc__ = 3\n",
    "about": FINE
    + "class E(NumericalOptimization):\n    about = classmethod(lambda cls, **k: ['[/x]'])\n"
    + "class A(RandomSearch):\n    needs = 5\n",
    "late": FINE
    + "class E(NumericalOptimization):\n    def __init__(self, **k): raise SystemExit(3)\n"
    + "class A(RandomSearch):\n    needs = 5\n",
    "raises": "raise RuntimeError('[/bold] \\x1b[2J')\n",
    "exits": "import sys\nsys.exit('[/bold]')\n",
    "base": "class Stop(BaseException): pass\nraise Stop('[/bold]')\n",
    "syntax": "def f(:\n",
    "missing": "x = 1\n",
    "needs": "import no_such_package\n",
}


class Point:
    def __init__(self, name, value):
        self.name, self.value = name, value


@pytest.fixture
def plugins(monkeypatch, tmp_path):
    """Installs plug-ins for a test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = list(gym.registry), list(registration.AGENTS)

    def install(name, module):
        (tmp_path / f"plugged_{name}.py").write_text(module)
        groups = {
            "opto_gym.envs": [Point("Plugged[-v0", f"plugged_{name}:E"), Point("Plugged-v0", f"plugged_{name}:E")],
            "opto_gym.agents": [Point("Plugged[/b]", f"plugged_{name}:A")],
        }
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: groups.get(group, []))
        registration.load_plugins.cache_clear()

    yield install
    registration.load_plugins.cache_clear()
    for registry, known in zip((gym.registry, registration.AGENTS), names, strict=True):
        for name in [name for name in registry if name not in known]:
            del registry[name]
    for name in [name for name in sys.modules if name.startswith("plugged_")]:
        del sys.modules[name]


def listed(capsys, what, *names):
    """What ``opto-gym agents`` or ``opto-gym envs`` prints, in which these names are, and no escape is."""
    assert main([what]) == 0
    said = capsys.readouterr().out
    for expected in names:
        assert expected in said
    assert "\x1b" not in said
    assert "\x9b" not in said
    return said


@pytest.mark.filterwarnings("ignore:plug-in")
@pytest.mark.parametrize("name", MODULES)
def test_a_plugin_does_not_end_the_list_of_agents(plugins, capsys, name):
    plugins(name, MODULES[name])
    said = listed(capsys, "agents", "Plugged[/b]", "RandomSearch")
    assert ("broken: " in said) == (name not in ("markup", "escapes", "number"))


@pytest.mark.filterwarnings("ignore:plug-in")
@pytest.mark.parametrize("name", MODULES)
def test_a_plugin_does_not_end_the_list_of_environments(plugins, capsys, monkeypatch, name):
    plugins(name, MODULES[name])
    monkeypatch.setattr(
        registration, "registered_envs", lambda: ["BinaryLock-v0", "Plugged-v0"]
    )  # the others take long
    registration.load_plugins()
    listed(capsys, "envs", "Plugged-v0", "BinaryLock-v0")


@pytest.mark.parametrize("name", ["raises", "exits", "syntax", "missing"])
def test_the_page_of_a_broken_plugin_is_one_line(plugins, capsys, name):
    plugins(name, MODULES[name])
    assert main(["agents", "Plugged[/b]"]) in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert "\x1b" not in line


def test_the_page_of_a_plugin_has_no_escapes(plugins, capsys):
    plugins("escapes", MODULES["escapes"])
    assert main(["agents", "Plugged[/b]"]) == 0
    assert "Clears \\x1b[2J the \\x9b31m screen." in capsys.readouterr().out
