"""Old names and import paths, which work for one more release with a `DeprecationWarning`."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

MODULES = {
    "agents.answers": "reading.proposals",
    "agents.compat": "reading.trace_opt",
    "agents.external.keeper": "agents.external.supervisor",
    "agents.gradients": "agents.toolkit.gradients",
    "agents.model": "agents.toolkit.model_agent",
    "agents.prompting": "agents.toolkit.prompt_budget",
    "agents.repairs": "agents.toolkit.repairs",
    "baselines.metaworld": "baselines.scripted_expert",
    "baselines.numerical": "baselines.numbers",
    "baselines.opro": "baselines.tours",
    "baselines.traffic": "baselines.scats",
    "commands": "cli.commands",
    "envs.answers": "reading.task_answers",
    "envs.asking": "envs.questions.asking",
    "envs.bbh": "envs.questions.bbh",
    "envs.drawings": "envs.drawing.charts",
    "envs.metaworld_pictures": "envs.metaworld.pictures",
    "envs.metaworld_sim": "envs.metaworld.simulation",
    "envs.negotiation": "envs.tutorials.negotiation",
    "envs.pictures": "envs.drawing.scenes",
    "extras": "utils.extras",
    "functional": "envs.function",
    "journal": "utils.journal",
    "leaderboard.compare": "leaderboard.comparison",
    "leaderboard.figures": "leaderboard.reporting.reproduction_page",
    "leaderboard.gallery": "cli.gallery",
    "leaderboard.reproduce": "leaderboard.reproduction",
    "play": "cli.play",
    "prompts": "cli.prompt",
    "running": "sandbox.candidate",
    "tours": "envs.opro.tours",
}
"""Modules of opto_gym by their old path, with the new one."""


def moved_names(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's ``__getattr__`` that finds names which have moved to another module or have been renamed.

    Args:
        module: The module's name.
        names: The new place of each old name: a module inside opto_gym, such as ``"utils.checks"``, where the name is
            the same; or ``"module:name"``, where the name is another one.
    """

    def find(old: str) -> Any:
        if old not in names:
            raise AttributeError(f"module {module!r} has no attribute {old!r}")
        place, _, new = names[old].partition(":")
        _warn(f"{module}.{old}", f"opto_gym.{place}.{new or old}")
        return getattr(importlib.import_module(f"opto_gym.{place}"), new or old)

    return find


def rename_hooks(cls: type, names: Mapping[str, str]) -> None:
    """Makes renamed methods of a class available under both names, so that a subclass may define either.

    Call it in ``__init_subclass__``. If a class defines only the old name, callers of the new name get its method, with
    a `DeprecationWarning`. ``super()`` works with both names.

    Args:
        cls: The class.
        names: The new names by the old ones.
    """
    for old, new in names.items():
        if new in vars(cls):
            setattr(cls, old, vars(cls)[new])
        elif old in vars(cls):
            text = (
                f"{cls.__qualname__}.{old} is now called {new}; the old name is not called any more in the next release"
            )
            warnings.warn(text, DeprecationWarning, stacklevel=3)
            setattr(cls, new, vars(cls)[old])


def _warn(old: str, new: str) -> None:
    text = f"{old} has moved to {new}; the old path is removed in the next release"
    warnings.warn(text, DeprecationWarning, stacklevel=3)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules by their old path. It comes last in ``sys.meta_path``, after the paths that exist."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        package, _, name = fullname.partition(".")
        if package != "opto_gym" or name not in MODULES:
            return None
        return importlib.machinery.ModuleSpec(fullname, _Loader(f"opto_gym.{MODULES[name]}"))


class _Loader(importlib.abc.Loader):
    """Loads the module of the new path in place of the old one."""

    def __init__(self, new: str) -> None:
        self.new = new

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        _warn(spec.name, self.new)
        module = importlib.import_module(self.new)
        self._own_spec = module.__spec__  # the import system puts the old one in its place
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own_spec


def install() -> None:
    """Makes old paths importable."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
