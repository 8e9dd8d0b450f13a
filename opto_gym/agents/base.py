"""What an agent is: an optimizer that sees observations and proposes parameters.

One primitive, ``optimize(problem, oracle)``, and two shorter ways to write an agent: ``propose(observation)``, and
``run()``, a generator that yields parameters, or a list of them, and is sent the observation or the list. Write one.
"""

from __future__ import annotations

import copy
import queue
import threading
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from ..errors import BudgetSpent, OptoGymError
from ..problems import Parameter, Problem, TraceFeedback
from ..spaces import Choice, Code, Number, Permutation, Prompt
from ..trace import TraceGraph
from ..utils.extras import require
from ..utils.moved import moved_names, rename_hooks
from ..wrappers.observations import only_the_score

if TYPE_CHECKING:
    from ..llm import Budget, Client

Values = dict[str, Any]
"""Proposed parameters: name -> value."""

Run = Generator[Any, Any, None]
"""What `Agent.run` returns: it yields `Values` or a list of them, and is sent an observation or a list of them."""


ONE_OF_EACH = (
    Parameter("number", Number(0, 1), 0.5),
    Parameter("choice", Choice(["a", "b"]), "a"),
    Parameter("permutation", Permutation(3), [0, 1, 2]),
    Parameter("prompt", Prompt(), "Answer."),
    Parameter("code", Code("code(x)"), "def code(x):\n    return x\n"),
)
"""A parameter of each kind."""


class Oracle(Protocol):
    """The trace oracle as an agent meets it. Each call is paid from the budget; its end raises `BudgetSpent`."""

    @property
    def start(self) -> TraceFeedback:
        """The observation of the start values, which is not counted."""

    @property
    def budget(self) -> Budget:
        """What is spent and left."""

    @property
    def over(self) -> bool:
        """Whether no call is possible any more: the problem is solved, or the oracle calls are spent."""

    @property
    def recorded(self) -> Sequence[Values]:
        """The parameters of the calls on record, in order: of an interrupted trial, or of one that is replayed."""

    def __call__(
        self, parameters: Values, examples: Sequence[int] | None = None, split: str = "train"
    ) -> TraceFeedback:
        """Evaluates parameters, on drawn examples of train by default."""

    def many(self, proposals: Sequence[Values]) -> list[TraceFeedback]:
        """Evaluates several, in order."""


class Agent:
    """An optimizer. Subclasses write one of `propose`, `run` and `optimize`; settings are keyword arguments.

    Attributes:
        uses_model: Whether it calls a language model; then `llm` is its client.
        in_terminal: Whether it asks a person in the terminal.
        needs: Modules of opto_gym's extras without which it can't be made.
        deterministic: Whether equal answers make it propose the same, so that an interrupted trial goes on from its
            record; else it begins again, and what was spent is lost.
        problem: The problem at work, after `reset`.
        rng: The generator for all its random choices, after `reset`.
        invalid_answers: Why answers of the model could not be used, since the last oracle call.

    Raises:
        MissingExtra: If something that it `needs` is not installed; the message is the line that installs it.
    """

    uses_model: ClassVar[bool] = False
    in_terminal: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[bool] = True
    __slots__ = ("__dict__", "__weakref__", "_loop")  # see `_without_loop`

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        rename_hooks(cls, _OLD_HOOKS)

    def __init__(self, *, model: str | None = None, base_url: str | None = None) -> None:
        require(*self.needs)
        self.model, self.base_url = model, base_url
        self._llm: Client | None = None
        self.invalid_answers: list[str] = []

    @classmethod
    def files(cls, **settings: Any) -> Sequence[Path]:
        """Files beside its modules that make it what it is: their content is part of a trial's identity."""
        return ()

    @classmethod
    def versions(cls) -> Mapping[str, str]:
        """What it runs beside opto_gym's own process, and of which version: for a trial's record."""
        return {}

    @classmethod
    def resumable(cls, **settings: Any) -> bool:
        """Whether an interrupted trial goes on from its record; else it begins again. As `deterministic` says."""
        return cls.deterministic

    @property
    def llm(self) -> Client:
        """The client for the model; the leaderboard puts its own here, which records and counts."""
        if self._llm is None:
            from ..llm import Client

            self._llm = Client(self.model, base_url=self.base_url, role="optimizer")
        return self._llm

    @llm.setter
    def llm(self, client: Client) -> None:
        self._llm = client

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem.

        Raises:
            OptoGymError: If the agent can't work on it, see `unsupported_reason`.
        """
        reason = self.unsupported_reason(problem)
        if reason is not None:
            raise OptoGymError(f"{reason}: {problem.id} has {[p.name for p in problem.parameters]}")
        self.problem, self.rng = problem, np.random.default_rng(seed)
        self.invalid_answers = []
        self._loop: Run | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle holds: all attributes but the client, since connections can't be copied.

        Raises:
            OptoGymError: If the agent is in the middle of its `run` or `optimize`: Python copies no running code.
        """
        if getattr(self, "_loop", None) is not None:
            form = "run" if type(self).run is not Agent.run else "optimize"
            raise OptoGymError(
                f"{type(self).__name__} can't be copied or pickled between two proposals, since Python can't copy its "
                f"running {form}(). Copy it before the first proposal, or after reset()"
            )
        return {**vars(self), "_llm": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._loop = None

    def __copy__(self) -> Agent:
        made = type(self).__new__(type(self))
        made.__setstate__({**self.__getstate__(), "_llm": self._llm})
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Agent:
        made = memo[id(self)] = type(self).__new__(type(self))
        made.__setstate__({**copy.deepcopy(self.__getstate__(), memo), "_llm": self._llm})
        return made

    def invalid(self, reason: str) -> None:
        """Notes that an answer of the model could not be used; the last good parameters are proposed again."""
        self.invalid_answers.append(reason)

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """Why the agent can't work on a problem (a specialist on another domain's), or None."""
        return None

    @classmethod
    def supported_kinds(cls) -> Mapping[str, str]:
        """The kinds of parameters that it works on, each ``native``, or how it is adapted."""
        problems = {type(p.space).__name__: Problem("one", {}, "", (p,), (0.0, 1.0)) for p in ONE_OF_EACH}
        return {kind: "native" for kind, problem in problems.items() if cls.unsupported_reason(problem) is None}

    def recommend(self) -> Values | None:
        """The agent's own choice so far; None leaves it to the best score seen, on val or else on train."""
        return None

    # ---- write one of these three
    def propose(self, observation: TraceFeedback) -> Values:
        """The next parameters, from the observation of the last ones (at first: of the start values)."""
        if self._loop is None:
            if type(self).run is not Agent.run:
                self._loop = _one_by_one(self.run())
            elif type(self).optimize is not Agent.optimize:
                self._loop = _from_optimize(_without_loop(self))
            else:
                raise TypeError(f"{type(self).__name__} writes none of propose(), run() and optimize()")
            next(self._loop)
        return self._loop.send(observation)  # type: ignore[no-any-return]

    def run(self) -> Run:
        """A generator: receives the start's observation at its first bare ``yield``, then yields parameters."""
        observation = yield
        while True:
            observation = yield self.propose(observation)

    def optimize(self, problem: Problem, oracle: Oracle) -> None:
        """The whole loop. Returning ends the trial; so does the budget, by a `BudgetSpent` from the oracle."""
        loop = self.run()
        next(loop)
        observation: TraceFeedback | list[TraceFeedback] = oracle.start
        try:
            while not oracle.over:  # asked before the agent pays for a proposal that nobody would evaluate
                wanted = loop.send(observation)
                observation = oracle.many(wanted) if isinstance(wanted, list) else oracle(wanted)
        except StopIteration:
            return


_OLD_HOOKS = {"why_not": "unsupported_reason", "goes_on": "resumable", "takes": "supported_kinds"}
rename_hooks(Agent, _OLD_HOOKS)


def check_graph(reader: str, graph: TraceGraph, *parts: str) -> None:
    """Checks that a graph still has what an agent reads in it.

    Args:
        reader: The agent's name.
        graph: The graph.
        parts: What the agent needs, of `trace.PARTS`.

    Raises:
        OptoGymError: If one of the parts is masked, or only the score is left (`ScalarOnly`).
    """
    if only_the_score(graph):
        raise OptoGymError(f"{reader} reads the trace graph, of which only the score is left: remove ScalarOnly")
    masked = [part for part in parts if part in graph.hidden]
    if masked:
        raise OptoGymError(f"{reader} reads the trace graph, where what it needs is masked: unmask {', '.join(masked)}")


def _one_by_one(loop: Run) -> Run:
    """A generator that may yield lists, as one that yields single proposals."""
    next(loop)
    try:
        wanted = loop.send((yield))
        while True:
            if isinstance(wanted, list):
                observations = []
                for values in wanted:
                    observations.append((yield values))
                wanted = loop.send(observations)
            else:
                wanted = loop.send((yield wanted))
    except StopIteration:  # it has no more to propose
        return


def _without_loop(agent: Agent) -> Agent:
    """The same agent, attributes and all, but for its loop: who holds it does not keep the agent from being dropped."""
    same = object.__new__(type(agent))
    same.__dict__ = agent.__dict__
    return same


def _from_optimize(agent: Agent) -> Run:
    """`optimize` in a thread that is only ever awake while `propose` waits: a coroutine in all but name.

    Ends when its generator is dropped, as it is with the agent.
    """
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    turn = threading.Lock()

    class Bridge:
        def __init__(self, start: TraceFeedback) -> None:
            from ..llm import Budget

            self.start, self.budget, self.over, self.recorded = start, Budget(), False, ()

        def __call__(
            self, parameters: Values, examples: Sequence[int] | None = None, split: str = "train"
        ) -> TraceFeedback:
            if examples is not None or split != "train":
                raise TypeError(
                    f"{type(agent).__name__} chooses its examples, which propose() can't serve: call optimize()"
                )
            with turn:
                asked.put(parameters)
                answer = answers.get()
            if answer is None:
                answers.put(None)  # for the others that wait
                raise BudgetSpent("oracle_calls")
            return answer  # type: ignore[no-any-return]

        def many(self, proposals: Sequence[Values]) -> list[TraceFeedback]:
            return [self(p) for p in proposals]

    bridge = Bridge((yield))

    def work() -> None:
        try:
            agent.optimize(agent.problem, bridge)
            asked.put(StopIteration())
        except BaseException as e:  # a spent budget of the model's among them
            asked.put(e)

    threading.Thread(target=work, daemon=True).start()
    try:
        while True:
            wanted = asked.get()
            if isinstance(wanted, StopIteration):
                return
            if isinstance(wanted, BudgetSpent):
                raise wanted
            if isinstance(wanted, BaseException):
                raise RuntimeError(f"{type(agent).__name__}.optimize failed: {wanted}") from wanted
            answers.put((yield wanted))
    finally:
        bridge.over = True
        bridge.budget.stop()
        answers.put(None)


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "at_least": "utils.checks",
            "number_in": "utils.checks",
        },
    )
