"""`OptoEnv`, the base class of all environments.

The primitive is the stateless trace oracle `OptoEnv.evaluate`; Gymnasium's ``reset`` and ``step`` are defined on it.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

import gymnasium as gym
import numpy as np

from . import evaluation
from .errors import ProposalError
from .evaluation import Parameters as Parameters
from .problems import KINDS, Anchors, Evaluation, Feedback, Parameter, Problem, TraceFeedback, TraceSpace
from .sandbox.candidate import describe_runtime
from .spaces import Code
from .splits import check_disjoint, chosen_examples, drawn_seeds
from .utils.checks import at_least
from .utils.extras import require
from .utils.moved import moved_names

if TYPE_CHECKING:
    from .llm import Client


class OptoEnv(gym.Env[TraceFeedback, dict[str, Any]]):
    """An OPTO problem as a Gymnasium environment: subclass it and fill in the upper half.

    Attributes:
        objective: ω, what to achieve, in words.
        parameters: Θ; give them in the class, or in ``__init__`` before ``super().__init__(**kwargs)``.
        splits: Examples by split, sequences of plain data: ``train``, ``test`` and perhaps ``val``. A task of one case
            gives the same for train and test.
        seeded_examples: Whether an example is a number that seeds the generator of its case, so that there are others.
        overlapping_splits: Whether the splits of a task of several cases share examples on purpose; else that is an
            error, since held-out examples must not be trained on.
        scores: (worst, best): the direction, the score of a failure, the normalization.
        batch: The number of examples of an oracle call.
        scale: ``"linear"``, or ``"log"`` where scores are normalized by log(1 + distance to the best).
        anchors: Dated scores for the normalization.
        feedback_kinds: The kinds of feedback that the task can give.
        kept_kinds: The kinds that `keep_feedback` has left; None for all.
        ends_when_solved: Whether one successful oracle call proves the problem solved.
        nondeterministic: Whether equal arguments may give other answers (a hosted model inside).
        instance: Whether θ answers one fixed case (else it must generalize).
        uses_model: Whether the task itself calls a language model, as ``self.llm``.
        formats: What the arguments of proposed code look like, where their values alone do not say it. Optimizers are
            told it with the limits of the code.
        needs: Modules of opto_gym's extras without which it can't be made.
        data_files: SHA-256 of the files that the examples come from, by name; trials record it.

    Args:
        oracle_calls: After how many steps an episode is truncated; None for never.
        render_mode: One of ``metadata["render_modes"]``.
        feedback: The kinds of feedback to give, of `feedback_kinds`; None for all. What a task puts of them into its
            graph goes by this, too.
        test_seed: Draws another test split of the same distribution (see `draw_test`); None for the published one.
            Neither agents nor proposed code are told it.

    Raises:
        MissingExtra: If something that it `needs` is not installed; the message is the line that installs it.
        TypeError: If the class does not define `parameters`.
        ValueError: For an argument out of its range, or if two splits share an example (see `overlapping_splits`).
    """

    objective: str
    parameters: Sequence[Parameter]
    splits: Mapping[str, Sequence[Any]]
    scores: tuple[float, float]
    batch: int = 1
    scale: str = "linear"
    anchors: Anchors | None = None
    feedback_kinds: tuple[str, ...] = KINDS
    ends_when_solved: bool = False
    nondeterministic: bool = False
    instance: bool = False
    seeded_examples: bool = False
    overlapping_splits: bool = False
    uses_model: bool = False
    formats: str = ""
    needs: ClassVar[tuple[str, ...]] = ()
    data_files: Mapping[str, str] = {}
    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 1}
    kept_kinds: tuple[str, ...] | None = None

    # ---------------------------------------------------------------- an author writes these
    def forward(self, p: Parameters, example: Any) -> Any:
        """Runs the task on one example: an output node, or (output node, `Feedback`).

        Where `uses_model` is set, it runs for several examples at a time, in threads.

        Args:
            p: The parameters as traced values; code parameters are called like functions.
            example: Plain data that holds all of the run's randomness.
        """
        raise NotImplementedError

    def judge(self, output: Any, example: Any) -> Feedback:
        """Feedback on an output's value, where `forward` gives the node alone."""
        raise NotImplementedError

    def draw(self, seed: int, call: int, last: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """The examples of an episode's call number `call`: indices into train, or examples themselves.

        Args:
            seed: The seed of the episode.
            call: The number of the call in the episode; call 0 evaluates the start values.
            last: The metrics of the call before, for tasks that keep a state from call to call.
        """
        n = len(self.splits["train"])
        if self.batch >= n:
            return range(n)
        drawn = np.random.default_rng([seed, call]).choice(n, size=self.batch, replace=False)
        return [int(i) for i in drawn]

    def draw_test(self, seed: int) -> Sequence[Any]:
        """Another test split of the same distribution and size; for tasks that generate their examples.

        Proposed code can carry the published examples, or their seeds and the generator, and be right on them alone.
        It can't carry examples whose seed nobody knew who had a part in the proposal.

        Args:
            seed: The same seed gives the same examples.
        """
        return drawn_seeds(len(self.splits["test"]), seed)

    def host(self) -> Mapping[str, Callable[..., Any]]:
        """Functions of this process that code parameters may call by name, with plain data; none by default.

        It is called once for each example, and for `problem`, which tells optimizers the functions' names, arguments
        and docstrings.
        """
        return {}

    def reference_solution(self) -> dict[str, Any] | None:
        """The best parameters known, or None."""
        return None

    def measure(self, parameters: Mapping[str, Any]) -> Mapping[str, float | None]:
        """Further figures about the parameters that a trial recommends, by name; none by default."""
        return {}

    @classmethod
    def about(cls, **arguments: Any) -> str:
        """One line about the environment with these arguments; by default the first line of the class's docstring."""
        return (inspect.getdoc(cls) or "").split("\n")[0]

    # ---------------------------------------------------------------- the rest is done
    def __init__(
        self,
        *,
        oracle_calls: int | None = None,
        render_mode: str | None = None,
        feedback: Sequence[str] | None = None,
        test_seed: int | None = None,
    ) -> None:
        require(*self.needs)
        _check_defines_parameters(self)
        modes = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in modes:
            raise ValueError(f"{type(self).__name__}: expected a render_mode of {modes}, got {render_mode!r}")
        if oracle_calls is not None:
            at_least(1, oracle_calls=oracle_calls)
        at_least(1, batch=self.batch)
        if test_seed is not None:
            at_least(0, test_seed=test_seed)
            if not self.draws_test:
                raise ValueError(f"{type(self).__name__}: {NO_TEST_SEED}, so expected no test_seed, got {test_seed!r}")
            self.splits = {**self.splits, "test": self.draw_test(test_seed)}
        if not (self.instance or self.overlapping_splits):
            check_disjoint(type(self).__name__, self.splits)
        if feedback is not None:
            self.keep_feedback(feedback)
        self.render_mode, self.oracle_calls = render_mode, oracle_calls
        self.parameters = tuple(dataclasses.replace(p, space=copy.deepcopy(p.space)) for p in self.parameters)
        self.action_space = cast(Any, gym.spaces.Dict([(p.name, p.space) for p in self.parameters]))
        self.observation_space = cast(Any, TraceSpace())
        self.last: Evaluation | None = None
        self._episode, self._calls = 0, 0
        self._llm: Client | None = None

    def keep_feedback(self, kinds: Sequence[str]) -> None:
        """Gives no other kinds of feedback from now on.

        Args:
            kinds: Of `feedback_kinds`.

        Raises:
            ValueError: For a kind that the task does not have.
        """
        are_kinds = isinstance(kinds, Iterable) and all(k in self.feedback_kinds for k in kinds)
        if isinstance(kinds, str) or not are_kinds:
            raise ValueError(
                f"{type(self).__name__}: expected kinds of feedback of {list(self.feedback_kinds)}, got {kinds!r}"
            )
        self.feedback_kinds = self.kept_kinds = tuple(k for k in self.feedback_kinds if k in kinds)

    @property
    def draws_test(self) -> bool:
        """Whether the task can draw another test split, with the argument ``test_seed``."""
        return not self.instance and (self.seeded_examples or type(self).draw_test is not OptoEnv.draw_test)

    @property
    def llm(self) -> Client:
        """The client of the model inside the task. A trial sets one that records the calls and counts their cost."""
        if self._llm is None:
            from .llm import Client

            self._llm = Client(role="task")
        return self._llm

    @llm.setter
    def llm(self, client: Client) -> None:
        self._llm = client

    def __getstate__(self) -> dict[str, Any]:
        """All attributes but the client: a copy makes its own, since connections can't be copied."""
        return {**vars(self), "_llm": None}

    @property
    def problem(self) -> Problem:
        """What an agent may know, as plain data."""
        _check_defines_parameters(self)
        spec = self.spec
        return Problem(
            spec.id.split("/")[-1] if spec else type(self).__name__,
            {k: v for k, v in (spec.kwargs if spec else {}).items() if k not in _UNTOLD},
            self.objective,
            tuple(self.parameters),
            self.scores,
            self.oracle_calls,
            self.feedback_kinds,
            {name: len(self.splits[name]) for name in ("train", "val") if name in self.splits},
            "\n".join(filter(None, [describe_runtime(self.host()), self.formats])) if self.runs_code else "",
        )

    def evaluate(
        self,
        parameters: Mapping[str, Any],
        *,
        split: str = "train",
        examples: Sequence[Any] | None = None,
        seed: int | None = None,
    ) -> Evaluation:
        """The trace oracle: stateless; the same arguments give the same answer.

        Args:
            parameters: A value for every parameter. Bad values are feedback.
            split: ``train``, ``val`` or ``test``.
            examples: Whole numbers are indices into the split, anything else is an example itself. None takes a batch
                of train, drawn by `seed`, and all of another split.
            seed: For the draw; None is 0.

        Raises:
            ProposalError: For unknown or missing parameter names.
            KeyError: For a split that the task does not have.
            IndexError: For an index that the split does not have.
            ValueError: If `examples` is empty.
        """
        values = self._values(parameters)
        if split not in self.splits:
            raise KeyError(f"expected a split of {sorted(self.splits)}, got {split!r}")
        if examples is None:
            examples = self.draw(seed or 0, 0) if split == "train" else range(len(self.splits[split]))
        chosen = chosen_examples(type(self).__name__, split, len(self.splits[split]), examples)
        return evaluation.evaluate(self, values, split, chosen)

    @property
    def runs_code(self) -> bool:
        """Whether there are parameters of kind code, which need the sandbox."""
        return any(isinstance(q.space, Code) for q in self.parameters)

    def _values(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        names = [p.name for p in self.parameters]
        if not isinstance(parameters, Mapping):
            raise ProposalError(f"expected a dict of the parameters {names}, got {type(parameters).__name__}")
        unknown, missing = [k for k in parameters if k not in names], [n for n in names if n not in parameters]
        if unknown or missing:
            raise ProposalError(f"expected exactly the parameters {names}; unknown: {unknown}, missing: {missing}")
        return {n: v.item() if isinstance(v := parameters[n], np.generic) else v for n in names}

    def reward(self, score: float) -> float:
        """A score turned so that higher is better."""
        return (score if self.scores[1] > self.scores[0] else -score) + 0.0  # no -0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[TraceFeedback, dict[str, Any]]:
        """Begins an episode: evaluates the start values (call 0, which is not counted)."""
        super().reset(seed=seed)
        self._episode, self._calls, self.last = int(self.np_random.integers(2**31)), 0, None
        return self._call(self.problem.start), self._info()

    def step(self, action: dict[str, Any]) -> tuple[TraceFeedback, float, bool, bool, dict[str, Any]]:
        """Evaluates parameters: one oracle call.

        Args:
            action: A value for every parameter.

        Returns:
            (observation, reward, terminated, truncated, info)

        Raises:
            gymnasium.error.ResetNeeded: Before `reset`, and after the last oracle call.
            ProposalError: For unknown or missing parameter names.
        """
        if self.last is None:
            raise gym.error.ResetNeeded(f"call {type(self).__name__}.reset() before step()")
        if self.oracle_calls is not None and self._calls >= self.oracle_calls:
            raise gym.error.ResetNeeded(f"all {self.oracle_calls} oracle calls are spent: call reset()")
        action = self._values(action)
        self._calls += 1
        observation = self._call(action)
        assert self.last is not None
        solved = self.last.success and self.ends_when_solved
        truncated = self.oracle_calls is not None and self._calls >= self.oracle_calls
        return observation, self.last.reward, solved, truncated, self._info()

    def _call(self, parameters: Mapping[str, Any]) -> TraceFeedback:
        examples = self.draw(self._episode, self._calls, self.last.metrics if self.last else None)
        self.last = self.evaluate(parameters, examples=examples)
        return self.last.observation

    def _info(self) -> dict[str, Any]:
        assert self.last is not None
        return {"score": self.last.score, "success": self.last.success, "call": self._calls, "error": self.last.error}

    def render(self) -> Any:
        """Shows the last oracle call in the form that `render_mode` asks for.

        An environment that lists ``"ansi"`` or ``"rgb_array"`` in its ``metadata["render_modes"]`` overrides
        `render_text` or `render_image`. They show the last example where the call has a batch.

        Returns:
            A text for ``"ansi"``; an array of uint8, of shape (height, width, 3), for ``"rgb_array"``. None, with a
            warning, where the environment was made without a render mode.

        Raises:
            gymnasium.error.ResetNeeded: Before `reset`.
        """
        if self.render_mode is None:
            name = self.spec.id if self.spec else type(self).__name__
            gym.logger.warn(f"render() shows nothing: {name} was made without a render_mode")
            return None
        if self.last is None:
            raise gym.error.ResetNeeded(f"call {type(self).__name__}.reset() before render()")
        return self.render_text() if self.render_mode == "ansi" else self.render_image()

    def render_text(self) -> str:
        """The last oracle call as text, which ends with a line break; called after `reset` only, like `render_image`.

        `last` holds the evaluation.
        """
        raise NotImplementedError(f"{type(self).__name__} has the render mode 'ansi' but defines no render_text()")

    def render_image(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The last oracle call as a picture: uint8, of shape (height, width, 3)."""
        raise NotImplementedError(
            f"{type(self).__name__} has the render mode 'rgb_array' but defines no render_image()"
        )


_UNTOLD = ("oracle_calls", "render_mode", "test_seed")
"""The arguments that a problem does not tell."""
NO_TEST_SEED = "its test split is one case, or data, and can't be drawn anew"


def _check_defines_parameters(env: OptoEnv) -> None:
    """Checks that an environment's class, or the environment itself, has an attribute or property `parameters`.

    Raises:
        TypeError: If it has none; the message says how to define it.
    """
    if inspect.getattr_static(env, "parameters", None) is None:
        name = type(env).__name__
        raise TypeError(
            f"{name}: expected a sequence of opto_gym.Parameter in the attribute or property `parameters`, got none. "
            f'Define it in the class, for example parameters = (Parameter("x", Number(0, 1), 0.5),), or set it in '
            f"__init__ before super().__init__(**kwargs)"
        )


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "Anchors": "problems",
            "Evaluation": "problems",
            "ExampleResult": "problems",
            "Feedback": "problems",
            "KINDS": "problems",
            "Parameter": "problems",
            "Part": "problems",
            "Problem": "problems",
            "TraceFeedback": "problems",
            "normalized": "problems",
        },
    )
