"""Any registered agent as an optimizer over one's own traced program, in torch.optim's manner.

>>> from opto_gym import optim, trace
>>> x = trace.parameter(-1.0, "x")
>>> optimizer = optim.RandomSearch([x])
>>> for _ in range(3):
...     y = (x + 3) * 2
...     optimizer.zero_feedback()
...     optimizer.backward(y, f"The output is {y.data}; it should be 10.", score=-abs(y.data - 10))
...     optimizer.step()
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .errors import TraceError
from .problems import OBJECTIVE, Feedback, Part, TraceFeedback, problem_of
from .trace import Node, backward, batch
from .trace import Parameter as Traced
from .utils.moved import moved_names

if TYPE_CHECKING:
    from .agents import Agent


class Optimizer:
    """An agent over one's own parameters.

    Args:
        parameters: What `trace.model` objects give by ``.parameters()``, or any list of `trace.Parameter`.
        agent: The agent's name, ``"module:Class"``, or an agent.
        objective: What to achieve, in words.
        seed: The seed of the agent's random choices.
        settings: The agent's settings (``model``, ``memory_size``, ...).
    """

    def __init__(
        self,
        parameters: Iterable[Traced],
        agent: str | Agent,
        *,
        objective: str = OBJECTIVE,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        from .registration import make_agent

        self.parameters = list(parameters)
        if not self.parameters:
            raise TraceError("the optimizer expected at least one parameter, got none")
        names = [p.name for p in self.parameters]
        if len(set(names)) < len(names):
            raise TraceError(f"the optimizer expected parameters with names of their own, got {names}")
        self.agent = make_agent(agent, **settings) if isinstance(agent, str) else agent
        self.problem = problem_of(self.parameters, objective)
        self.agent.reset(self.problem, seed=seed)
        self._given: list[tuple[Node, Feedback]] = []

    def __copy__(self) -> Optimizer:
        """Another optimizer of the same parameters, with an agent of its own that goes on from here.

        With `copy.deepcopy` and pickle the parameters are copied, too: copy the program with its optimizer,
        ``copy.deepcopy((program, optimizer))``, so that they stay one.
        """
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.agent, made._given = copy.deepcopy(self.agent), list(self._given)
        return made

    def zero_feedback(self) -> None:
        """Drops the feedback that no step has used."""
        self._given = []

    def backward(self, output: Any, feedback: Any = "", *, score: float | None = None) -> None:
        """Gives feedback on an output; several before a step are the examples of one batch.

        Args:
            output: A node, the error node of a `trace.ExecutionError` included.
            feedback: Text, a number (which is the score too), or a `Feedback`.
            score: Higher is better, for agents that compare.

        Raises:
            TraceError: If `output` is no node.
        """
        node = output.node if isinstance(output, Traced) else output
        if not isinstance(node, Node):
            raise TraceError(f"backward() expected a node as output, got {type(output).__name__}")
        if isinstance(feedback, Node):
            feedback = feedback.data
        if not isinstance(feedback, Feedback):
            if score is None:
                number = isinstance(feedback, int | float) and not isinstance(feedback, bool)
                score = float(feedback) if number else 0.0
            feedback = Feedback(score, (Part("hindsight_negative", str(feedback)),), reward=score)
        self._given.append((node, feedback))

    def step(self) -> None:
        """Asks the agent for new values and sets the parameters to them.

        Raises:
            TraceError: If no feedback was given.
        """
        if not self._given:
            raise TraceError("step() expected feedback on an output: call backward(output, feedback) first")
        nodes, feedbacks = zip(*self._given, strict=True)
        graph = backward(nodes[0] if len(nodes) == 1 else batch(nodes), self.parameters)
        feedback = feedbacks[0]
        if len(feedbacks) > 1:
            score = sum(f.score for f in feedbacks) / len(feedbacks)
            parts = tuple(p._replace(example=k) for k, f in enumerate(feedbacks) for p in f.parts)
            feedback = Feedback(score, parts, all(f.success for f in feedbacks), score)
        proposed = self.agent.propose(TraceFeedback(graph, feedback))
        for p in self.parameters:
            p.data = proposed[p.name]
        self._given = []


def __getattr__(name: str) -> Any:
    """Every registered agent, by its name: ``optim.OptoPrime(parameters, ...)``."""
    if name.startswith("_"):
        raise AttributeError(name)
    if name in ("signature", "space_of"):  # for one release
        return moved_names(__name__, {"signature": "problems", "space_of": "problems"})(name)
    from .registration import agent_class

    try:
        agent_class(name)
    except KeyError as e:
        raise AttributeError(str(e)) from None

    def optimizer(parameters: Iterable[Traced], *, objective: str = OBJECTIVE, seed: int = 0, **settings: Any) -> Any:
        return Optimizer(parameters, name, objective=objective, seed=seed, **settings)

    optimizer.__name__ = optimizer.__qualname__ = name
    optimizer.__doc__ = f"The agent {name} as an optimizer over a program's parameters: see `Optimizer`."
    return optimizer


def __dir__() -> list[str]:
    from .registration import registered_agents

    return sorted([*globals(), *(n for n in registered_agents() if n.isidentifier())])
