"""Meta-World's specialists: the scripted experts, proposed as code."""

from __future__ import annotations

from ..agents.base import Agent, ProposalLoop
from ..envs.metaworld.simulation import expert_source
from ..problems import Problem


class ScriptedExpert(Agent):
    """Proposes the task's scripted expert, which comes with Meta-World, as the controller.

    Its source is the installed package's, with a controller around it that hands it the observation's parts and
    answers with the target of its hand. It solves all test conditions of every task that opto_gym registers.
    Needs `pip install 'opto-gym[metaworld]'`.
    """

    needs = ("metaworld",)

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """Why not: only Meta-World's tasks have one."""
        ours = problem.id.startswith("MetaWorld-")
        return None if ours else "ScriptedExpert knows the tasks of Meta-World"

    def run(self) -> ProposalLoop:
        """Proposes the expert."""
        yield
        given = self.problem.arguments
        source = expert_source(given.get("task", "reach-v3"), given.get("relative", True))
        while True:
            yield {"controller": source}
