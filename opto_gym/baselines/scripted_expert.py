"""Baselines for Meta-World: its scripted experts, proposed as code."""

from __future__ import annotations

from ..agents.base import Agent, ProposalLoop
from ..envs.metaworld.simulation import expert_source
from ..problems import Problem


class ScriptedExpert(Agent):
    """Proposes the task's scripted expert, which is part of Meta-World, as the controller.

    Its source is the installed package's, inside a controller that passes it the parts of the observation and returns
    the target of the hand. It solves all test conditions of every task that opto_gym registers. Needs
    `pip install 'opto-gym[metaworld]'`.
    """

    needs = ("metaworld",)

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """The reason if the problem is not a task of Meta-World, else None."""
        ours = problem.id.startswith("MetaWorld-")
        return None if ours else "ScriptedExpert knows the tasks of Meta-World"

    def run(self) -> ProposalLoop:
        """Proposes the expert in each step."""
        yield
        arguments = self.problem.arguments
        by_key = not self.problem.id.endswith("-v0")  # whose observations have the expert's own names
        source = expert_source(arguments.get("task", "reach-v3"), arguments.get("relative", True), by_key=by_key)
        while True:
            yield {"controller": source}
