"""Old names go on working for one release: import paths, names that moved, and hooks that plug-ins override."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import opto_gym
from opto_gym import Number, Problem, make_agent
from opto_gym.agents import Agent
from opto_gym.errors import OptoGymError
from opto_gym.spaces import ValueSpace
from opto_gym.utils.moved import MODULES

PROBLEM = Problem("P", {}, "", (opto_gym.Parameter("x", Number(0, 1), 0.5),), (0.0, 1.0))


@pytest.mark.parametrize(("old", "new"), MODULES.items())
def test_an_old_module_path_gives_the_module_of_the_new_one(old, new):
    import sys

    sys.modules.pop(f"opto_gym.{old}", None)
    with pytest.warns(DeprecationWarning, match=f"has moved to opto_gym.{new}"):
        found = importlib.import_module(f"opto_gym.{old}")
    assert found is importlib.import_module(f"opto_gym.{new}")
    assert found.__spec__.name == f"opto_gym.{new}"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("opto_gym.core", "normalized"),
        ("opto_gym.spaces", "at_least"),
        ("opto_gym.agents.base", "number_in"),
        ("opto_gym.trace.graph", "backward"),
        ("opto_gym.envs.opro", "LinearRegression"),
        ("opto_gym.envs.tutorials", "Greeting"),
        ("opto_gym.envs.questions", "GSM8K"),
        ("opto_gym.baselines.search", "CMAES"),
        ("opto_gym.optim", "space_of"),
    ],
)
def test_a_name_that_moved_is_still_found_where_it_was(module, name):
    with pytest.warns(DeprecationWarning, match=rf"{module}.{name} has moved to opto_gym\."):
        assert getattr(importlib.import_module(module), name).__name__ == name
    with pytest.raises(AttributeError, match="nothing_like_that"):
        importlib.import_module(module).nothing_like_that


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("opto_gym.agents.base", "Run", "opto_gym.agents.base.ProposalLoop"),
        ("opto_gym.evaluation", "PATIENCE", "opto_gym.evaluation.TIMEOUTS_IN_A_ROW"),
        ("opto_gym.agents.external.install", "Package", "opto_gym.agents.external.install.PinnedPackage"),
        ("opto_gym.agents.external.install", "asked", "opto_gym.agents.external.install.requested_versions"),
        ("opto_gym.agents.external.package", "Package", "opto_gym.agents.external.package.PackageAgent"),
        ("opto_gym.agents.human", "Desk", "opto_gym.agents.human.ParameterConsole"),
        ("opto_gym.agents.textgrad", "Plan", "opto_gym.agents.toolkit.criticism_order.CriticismPlan"),
        ("opto_gym.agents.textgrad", "in_turn", "opto_gym.agents.toolkit.criticism_order.round_robin"),
        ("opto_gym.agents.toolkit.model_agent", "tried", "opto_gym.agents.toolkit.model_agent.history_line"),
        ("opto_gym.agents.toolkit.prompt_budget", "tokens", "opto_gym.agents.toolkit.prompt_budget.count_tokens"),
        ("opto_gym.agents.toolkit.prompt_budget", "listed", "opto_gym.agents.toolkit.prompt_budget.fit_list"),
        ("opto_gym.reading.task_answers", "KINDS", "opto_gym.reading.task_answers.ANSWER_KINDS"),
        ("opto_gym.reading.trace_opt", "known_parser", "opto_gym.reading.trace_opt.check_parser"),
    ],
)
def test_a_renamed_name_is_still_found(module, old, new):
    place, _, name = new.rpartition(".")
    with pytest.warns(DeprecationWarning, match=rf"{module}.{old} has moved to {new};"):
        found = getattr(importlib.import_module(module), old)
    assert found is getattr(importlib.import_module(place), name)


def test_a_plug_in_finds_the_budget_of_its_prompt_by_the_old_name():
    agent = make_agent("OptoPrime", model="fake")
    with pytest.warns(DeprecationWarning, match="ModelAgent.room is now called token_budget"):
        assert agent.room == agent.token_budget


def test_a_name_that_changed_is_found_by_its_old_one():
    from opto_gym import sandbox

    with pytest.warns(DeprecationWarning, match=r"sandbox.Program has moved to opto_gym\.sandbox\.process\.Candidate"):
        assert sandbox.Program is sandbox.CandidateProcess


def test_the_readers_are_found_where_they_were():
    from opto_gym.agents.opro import read_solution
    from opto_gym.agents.textgrad import read_value
    from opto_gym.envs.tutorials.negotiation import read_action

    assert all(map(callable, (read_solution, read_value, read_action)))


def test_a_plug_in_that_defines_the_old_hook_has_it_called():
    with pytest.warns(DeprecationWarning, match=r"why_not is now called unsupported_reason"):

        class Old(Agent):
            @classmethod
            def why_not(cls, problem):
                return super().why_not(problem) or "I only work on Mondays"

            @classmethod
            def goes_on(cls, **settings):
                return False

            def propose(self, observation):
                return {"x": 0.1}

    assert Old.unsupported_reason(PROBLEM) == "I only work on Mondays"
    assert not Old.resumable()
    with pytest.raises(OptoGymError, match="I only work on Mondays"):
        Old().reset(PROBLEM)

    class Newer(Old):
        @classmethod
        def unsupported_reason(cls, problem):
            return (super().unsupported_reason(problem) or "") + ", and not then"

    class Newest(Newer):
        pass

    assert Newest.unsupported_reason(PROBLEM) == Newest.why_not(PROBLEM) == "I only work on Mondays, and not then"


def test_a_plug_in_s_space_that_defines_the_old_hook_has_it_called():
    with pytest.warns(DeprecationWarning, match=r"why_not is now called invalid_reason"):

        class Even(ValueSpace):
            def why_not(self, x):
                return None if x % 2 == 0 else f"expected an even number, got {x}"

    assert Even().invalid_reason(3) == "expected an even number, got 3"
    assert 4 in Even()
    assert 3 not in Even()


def test_callers_of_the_old_names_are_served():
    assert make_agent("Adam").why_not(PROBLEM) is None
    assert Number(0, 1).why_not(2) == Number(0, 1).invalid_reason(2) is not None
    with pytest.warns(DeprecationWarning, match="invalid_reasons"):
        assert set(PROBLEM.why_not({"x": 7})) == {"x"}


def test_the_package_lists_its_public_names_and_no_others():
    assert dir(opto_gym) == sorted(opto_gym.__all__)
    assert all(hasattr(opto_gym, name) for name in opto_gym.__all__)


def test_no_module_has_the_name_of_something_that_its_package_exports():
    packages = [m.name for m in pkgutil.walk_packages(opto_gym.__path__, "opto_gym.") if m.ispkg]
    for name in ["opto_gym", *(p for p in packages if "programs" not in p and "inside" not in p)]:
        package = importlib.import_module(name)
        modules = {m.name for m in pkgutil.iter_modules(package.__path__)}
        exported = {n for n in getattr(package, "__all__", []) if not isinstance(getattr(package, n), type(pytest))}
        assert not modules & exported, f"{name}: {modules & exported}"
