"""The interface of agents: optimizers that see observations and propose parameters.

An agent implements one of three methods. ``optimize(problem, oracle)`` is the whole loop. ``propose(observation)`` is
one step of it. ``run()`` is a generator that yields parameters, or a list of them, and is sent the observation, or the
list of observations.
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

ProposalLoop = Generator[Any, Any, None]
"""What `Agent.run` returns: a generator that yields `Values`, or a list of them, and is sent the observations."""

ONE_OF_EACH = (
    Parameter("number", Number(0, 1), 0.5),
    Parameter("choice", Choice(["a", "b"]), "a"),
    Parameter("permutation", Permutation(3), [0, 1, 2]),
    Parameter("prompt", Prompt(), "Answer."),
    Parameter("code", Code("code(x)"), "def code(x):\n    return x\n"),
)
"""One parameter of each kind: `Agent.supported_kinds` tries an agent on them."""


class Oracle(Protocol):
    """The trace oracle as an agent calls it.

    Each call spends the budget; a call that the budget can't hold raises `BudgetSpent`.
    """

    @property
    def start(self) -> TraceFeedback:
        """The observation of the start values; it costs no oracle call."""

    @property
    def budget(self) -> Budget:
        """What the trial has spent, and what is left."""

    @property
    def over(self) -> bool:
        """Whether no further call is possible: the problem is solved, or the oracle calls are spent."""

    @property
    def recorded(self) -> Sequence[Values]:
        """The parameters of the recorded calls in order, where a trial is resumed or replayed."""

    def __call__(
        self, parameters: Values, examples: Sequence[int] | None = None, split: str = "train"
    ) -> TraceFeedback:
        """Evaluates parameters in one oracle call.

        Args:
            parameters: A value for each parameter. Bad values are no error: the feedback says what is wrong.
            examples: Indices into the split; None draws a batch of train, or takes the whole of val.
            split: ``"train"`` or ``"val"``.

        Raises:
            BudgetSpent: If the budget does not hold the call.
        """

    def many(self, proposals: Sequence[Values]) -> list[TraceFeedback]:
        """Evaluates several proposals, one oracle call each; the observations are in the proposals' order."""


class Agent:
    """An optimizer. Subclasses implement one of `propose`, `run` and `optimize`; settings are keyword arguments.

    Args:
        model: The language model that it asks, where it `uses_model`; None takes the default one.
        base_url: The model's endpoint; None takes the default one.

    Attributes:
        uses_model: Whether it calls a language model; then `llm` is its client.
        in_terminal: Whether it asks a person in the terminal.
        needs: The modules of opto_gym's extras that it needs.
        deterministic: Whether it makes the same proposals when it gets the same observations and answers. Then an
            interrupted trial resumes from its record; otherwise it starts again, and what it had spent is lost.
        problem: The current problem, after `reset`.
        rng: The generator for all its random choices, after `reset`.
        invalid_answers: Why answers of the model could not be used, since the last oracle call.

    Raises:
        MissingExtra: If a module that it `needs` is not installed; the message says how to install it.
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
        """Files other than its modules that decide its proposals; their content is part of a trial's identity."""
        return ()

    @classmethod
    def versions(cls) -> Mapping[str, str]:
        """The versions, by name, of the packages that it runs in another process; a trial records them."""
        return {}

    @classmethod
    def model_settings(cls, model: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings that follow from the model where they are not given; by default none.

        They are determined when a run is planned, and are part of a trial's identity.

        Args:
            model: The name of the agent's model.
            settings: The settings that are given.
        """
        return {}

    def use_model_settings(self, settings: Mapping[str, Any]) -> None:
        """Takes what `model_settings` returned when the trial was planned; by default there is nothing to take."""

    @classmethod
    def resumable(cls, **settings: Any) -> bool:
        """Whether an interrupted trial with these settings resumes from its record; by default, `deterministic`."""
        return cls.deterministic

    @property
    def llm(self) -> Client:
        """The client of the model; a trial replaces it by one that records and counts the calls."""
        if self._llm is None:
            from ..llm import Client

            self._llm = Client(self.model, base_url=self.base_url, role="optimizer")
        return self._llm

    @llm.setter
    def llm(self, client: Client) -> None:
        self._llm = client

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem; `propose`, `run` and `optimize` come after it.

        Args:
            problem: The problem.
            seed: The seed of `rng`.

        Raises:
            OptoGymError: If the agent can't work on the problem, see `unsupported_reason`.
        """
        reason = self.unsupported_reason(problem)
        if reason is not None:
            raise OptoGymError(f"{reason}: {problem.id} has {[p.name for p in problem.parameters]}")
        self.problem, self.rng = problem, np.random.default_rng(seed)
        self.invalid_answers = []
        self._loop: ProposalLoop | None = None

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
        """Records that an answer of the model could not be used, and why."""
        self.invalid_answers.append(reason)

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """Why the agent can't work on a problem, such as a problem of another domain than a specialist's; else None."""
        return None

    @classmethod
    def supported_kinds(cls) -> Mapping[str, str]:
        """The kinds of parameters that it works on, each with ``native``, or with how the values are adapted."""
        problems = {type(p.space).__name__: Problem("one", {}, "", (p,), (0.0, 1.0)) for p in ONE_OF_EACH}
        return {kind: "native" for kind, problem in problems.items() if cls.unsupported_reason(problem) is None}

    def recommend(self) -> Values | None:
        """The agent's own choice so far; None recommends the parameters of the best score, on val or else on train."""
        return None

    # ---- implement one of these three
    def propose(self, observation: TraceFeedback) -> Values:
        """The next parameters.

        Args:
            observation: The observation of the last proposal; in the first call, of the start values.

        Returns:
            A value for each parameter, by name.
        """
        if self._loop is None:
            if type(self).run is not Agent.run:
                self._loop = _single_proposals(self.run())
            elif type(self).optimize is not Agent.optimize:
                self._loop = _optimize_as_generator(_without_loop(self))
            else:
                raise TypeError(f"{type(self).__name__} implements none of propose(), run() and optimize()")
            next(self._loop)
        return self._loop.send(observation)  # type: ignore[no-any-return]

    def run(self) -> ProposalLoop:
        """A generator of proposals.

        Its first ``yield`` has no value and receives the observation of the start values. Each later one yields
        parameters, or a list of them, and receives the observation, or the list of observations.
        """
        observation = yield
        while True:
            observation = yield self.propose(observation)

    def optimize(self, problem: Problem, oracle: Oracle) -> None:
        """The whole loop.

        The trial ends when it returns, or when the oracle raises `BudgetSpent`.

        Args:
            problem: The problem.
            oracle: Its oracle.
        """
        loop = self.run()
        next(loop)
        observation: TraceFeedback | list[TraceFeedback] = oracle.start
        try:
            while not oracle.over:  # checked here, so that no model is asked for a proposal that can't be evaluated
                proposed = loop.send(observation)
                observation = oracle.many(proposed) if isinstance(proposed, list) else oracle(proposed)
        except StopIteration:
            return


_OLD_HOOKS = {"why_not": "unsupported_reason", "goes_on": "resumable", "takes": "supported_kinds"}
rename_hooks(Agent, _OLD_HOOKS)


def check_graph(reader: str, graph: TraceGraph, *parts: str) -> None:
    """Checks that a graph has the parts that an agent reads.

    Args:
        reader: The agent's name, for the error.
        graph: The graph.
        parts: The parts that the agent needs, of `trace.PARTS`.

    Raises:
        OptoGymError: If one of the parts is masked, or only the score is left (`ScalarOnly`).
    """
    if only_the_score(graph):
        raise OptoGymError(f"{reader} reads the trace graph, of which only the score is left: remove ScalarOnly")
    masked = [part for part in parts if part in graph.hidden]
    if masked:
        raise OptoGymError(f"{reader} reads the trace graph, where what it needs is masked: unmask {', '.join(masked)}")


def _single_proposals(loop: ProposalLoop) -> ProposalLoop:
    """A generator that yields single proposals, from one that may yield lists."""
    next(loop)
    try:
        proposed = loop.send((yield))
        while True:
            if isinstance(proposed, list):
                observations = []
                for values in proposed:
                    observations.append((yield values))
                proposed = loop.send(observations)
            else:
                proposed = loop.send((yield proposed))
    except StopIteration:  # it makes no more proposals
        return


def _without_loop(agent: Agent) -> Agent:
    """A second agent with the same attributes, but without the loop.

    A loop that held the agent itself would be in a cycle with it, and would not end when the agent is dropped.
    """
    twin = object.__new__(type(agent))
    twin.__dict__ = agent.__dict__
    return twin


class _QueueOracle:
    """An oracle for `optimize` in a thread: it hands each proposal to another thread and waits for the observation.

    Attributes:
        proposals: The proposals; and at the end of `optimize` a `StopIteration`, or what it raised.
        observations: The observations; None ends the waiting calls with `BudgetSpent`.
    """

    def __init__(self, agent_name: str, start: TraceFeedback) -> None:
        from ..llm import Budget

        self.agent_name, self.start, self.budget, self.over, self.recorded = agent_name, start, Budget(), False, ()
        self.proposals: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.observations: queue.SimpleQueue[TraceFeedback | None] = queue.SimpleQueue()
        self._one_call_at_a_time = threading.Lock()

    def __call__(
        self, parameters: Values, examples: Sequence[int] | None = None, split: str = "train"
    ) -> TraceFeedback:
        if examples is not None or split != "train":
            raise TypeError(f"{self.agent_name} chooses its examples, which propose() can't serve: call optimize()")
        with self._one_call_at_a_time:
            self.proposals.put(parameters)
            observation = self.observations.get()
        if observation is None:
            self.observations.put(None)  # for the other calls that wait
            raise BudgetSpent("oracle_calls")
        return observation

    def many(self, proposals: Sequence[Values]) -> list[TraceFeedback]:
        return [self(p) for p in proposals]

    def close(self) -> None:
        """Ends the calls that wait, and those to come."""
        self.over = True
        self.budget.stop()
        self.observations.put(None)


def _optimize_as_generator(agent: Agent) -> ProposalLoop:
    """`optimize` as a generator of proposals: it runs in a thread, which works only while `propose` waits for it.

    The thread ends when the generator is dropped, as it is with the agent.
    """
    oracle = _QueueOracle(type(agent).__name__, (yield))

    def work() -> None:
        try:
            agent.optimize(agent.problem, oracle)
            oracle.proposals.put(StopIteration())
        except BaseException as e:  # also when the budget of the model is spent
            oracle.proposals.put(e)

    threading.Thread(target=work, daemon=True).start()
    try:
        while True:
            proposed = oracle.proposals.get()
            if isinstance(proposed, StopIteration):
                return
            if isinstance(proposed, BudgetSpent):
                raise proposed
            if isinstance(proposed, BaseException):
                raise RuntimeError(f"{type(agent).__name__}.optimize failed: {proposed}") from proposed
            oracle.observations.put((yield proposed))
    finally:
        oracle.close()


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "at_least": "utils.checks",
            "number_in": "utils.checks",
            "Run": "agents.base:ProposalLoop",
        },
    )
