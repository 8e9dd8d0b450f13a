"""`RunConfig`, the configuration of a run, which converts from and to Python, the command line and TOML files."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..llm.callables import function_name
from ..utils.checks import budget_limits, check_name, one_of, seed_list
from ..utils.tables import parse_toml, read_regular
from ..utils.text import visible
from .endpoints import TRIAL_ROLES, CallSettings, EndpointSettings
from .scoring import SCORING
from .trust import check as check_trust
from .trust import of_config

Named = str | tuple[str, Mapping[str, Any]]
"""An environment, agent or wrapper: its name, or (name, keyword arguments)."""
StoredName = str | tuple[str, dict[str, Any]]
"""The form of `Named` in which `RunConfig` stores it."""

MOST_PAIRS = 5_000
"""The most pairs of an environment and an agent in a run."""

_ROLES = ("", "optimizer_", "task_")
ENDPOINT_TEXTS = tuple(f"{role}{name}" for name in ("base_url", "api_key_env", "endpoint_label") for role in _ROLES)
"""The fields that say in a text how the models are asked, for all roles or for one."""
EXTRA_BODIES = tuple(f"{role}extra_body" for role in _ROLES)
"""The fields that say what is added to the requests."""
ENDPOINT_FIELDS = (*ENDPOINT_TEXTS, *EXTRA_BODIES, "timeout", "attempts", "concurrency", "prices")
"""All fields that say how the models are asked."""

TEST_SEED_DRAWN = "random"
"""The test seed that stands for one which is drawn when the run is planned."""

TEXT_OPTIONS = ("model", "optimizer_model", "task_model", *ENDPOINT_TEXTS, "test_scores", "suite", "out")
"""The fields whose values are text that the command line takes as it is."""


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The configuration of a run: which trials it consists of, their budgets, and how they run.

    A TOML file has keys of the same names::

        envs = ["Battleship-v0", ["NumericalOptimization-v0", { problem = 3 }]]
        agents = ["RandomSearch", ["OptoPrime", { memory_size = 5 }]]
        seeds = 5
        budget = { oracle_calls = 20, usd = 0.5 }
        model = "gpt-4o-mini"

    Attributes:
        envs: The environments: ids or ``module:Class``, or (id, arguments).
        agents: The agents: names or ``module:Class``, or (name, settings).
        suite: The name or file of a suite, in place of `envs`. `agents`, if given, replace the suite's agents.
        seeds: The number of seeds, or the seeds themselves; None for the suite's number, or 5 without a suite.
        budget: The limits of each trial, by the names of `opto_gym.llm.LIMITS`.
        cap: The limits of all trials together, by the same names.
        model: The model of agents and environments; ``"local"`` is the embedded model. A Python function is stored
            by its name, ``module:function``, which is accepted, too.
        optimizer_model: The agents' model, in place of `model`.
        task_model: The model inside environments, in place of `model`.
        base_url: The endpoint of the models.
        optimizer_base_url: The endpoint of the agents' model, in place of `base_url`.
        task_base_url: The endpoint of the model inside environments, in place of `base_url`.
        api_key_env: The name of the environment variable that holds the key; None is ``OPENAI_API_KEY``.
        optimizer_api_key_env: The same for the agents' model alone.
        task_api_key_env: The same for the model inside environments alone.
        extra_body: Fields that are added to every request, such as ``{"reasoning_effort": "low"}``.
        optimizer_extra_body: The same for the agents' model, in place of `extra_body`.
        task_extra_body: The same for the model inside environments, in place of `extra_body`.
        endpoint_label: A name that tells the endpoint from others whose models have equal names but other weights.
        optimizer_endpoint_label: The same for the agents' model, in place of `endpoint_label`.
        task_endpoint_label: The same for the model inside environments, in place of `endpoint_label`.
        timeout: The most seconds that an attempt of a model call may take; None is 600.
        attempts: How often a model call is tried; None is 6.
        concurrency: The number of requests to an endpoint at a time; None begins with 20 and adapts it.
        prices: USD per million tokens (in, out) or (in, out, read from the cache), by the model's name.
        mask: The parts of the trace graph to hide from agents.
        feedback: The kinds of feedback that agents get; None for all.
        wrappers: Further wrappers, the innermost first: names in `opto_gym.wrappers`, or (name, arguments).
        test_scores: When parameters are scored on test: after ``each`` oracle call, at the ``end``, or ``never``. None
            for the suite's choice; without a suite for ``end`` where a model is inside the environment, else ``each``.
        test_seed: Scores on a test split that this number draws, in place of the published one, which proposed code may
            carry (see `OptoEnv.draw_test`). ``"random"`` draws the number when the run is planned. None is the
            published split.
        jobs: The number of trials that run at a time.
        out: The folder of the run.

    Raises:
        ValueError: If a value is not allowed; the message names the value and what was expected.
    """

    envs: tuple[StoredName, ...] = ()
    agents: tuple[StoredName, ...] = ()
    suite: str | None = None
    seeds: int | tuple[int, ...] | None = None
    budget: dict[str, float] = {}
    cap: dict[str, float] = {}
    model: str | None = None
    optimizer_model: str | None = None
    task_model: str | None = None
    base_url: str | None = None
    optimizer_base_url: str | None = None
    task_base_url: str | None = None
    api_key_env: str | None = None
    optimizer_api_key_env: str | None = None
    task_api_key_env: str | None = None
    extra_body: dict[str, Any] = {}
    optimizer_extra_body: dict[str, Any] = {}
    task_extra_body: dict[str, Any] = {}
    endpoint_label: str | None = None
    optimizer_endpoint_label: str | None = None
    task_endpoint_label: str | None = None
    timeout: float | None = None
    attempts: int | None = None
    concurrency: int | None = None
    prices: dict[str, tuple[float, ...]] = {}
    mask: tuple[str, ...] = ()
    feedback: tuple[str, ...] | None = None
    wrappers: tuple[StoredName, ...] = ()
    test_scores: str | None = None
    test_seed: int | str | None = None
    jobs: int = 1
    out: str | None = None

    def __post_init__(self) -> None:
        for name in ("model", "optimizer_model", "task_model"):
            if callable(getattr(self, name)):
                msgspec.structs.force_setattr(self, name, function_name(getattr(self, name)))
        if self.test_scores is not None:
            one_of(SCORING, test_scores=self.test_scores)
        for one in (*self.envs, *self.agents, *self.wrappers):
            check_name(named(one)[0])
        if len(self.envs) * len(self.agents) > MOST_PAIRS:
            raise ValueError(f"expected at most {MOST_PAIRS:,} pairs of environment and agent, got more")
        if self.test_seed not in (None, TEST_SEED_DRAWN):
            check_test_seed(self.test_seed)
        if self.jobs < 1:
            raise ValueError(f"expected at least 1 job, got {self.jobs}")
        if self.seeds is not None:
            seed_list(self.seeds)
        self.calls  # noqa: B018 - its values are checked here
        for role in TRIAL_ROLES:
            self.endpoint(role)
        budget_limits(self.budget)
        budget_limits(self.cap)
        if self.suite is not None and self.envs:
            raise ValueError(f"expected either environments or a suite, got both: {list(self.envs)} and {self.suite}")

    def with_test_seed_drawn(self) -> RunConfig:
        """The same with a number for the test seed where it is to be drawn, which only the trials' records keep."""
        return msgspec.structs.replace(self, test_seed=drawn_test_seed(self.test_seed))

    @property
    def calls(self) -> CallSettings:
        """How model calls are made, and their prices."""
        return CallSettings(
            timeout=self.timeout, attempts=self.attempts, concurrency=self.concurrency, prices=self.prices
        )

    def endpoint(self, role: str) -> EndpointSettings:
        """How the model of a role is asked.

        Args:
            role: Of `endpoints.TRIAL_ROLES`.
        """
        return EndpointSettings(
            base_url=getattr(self, f"{role}_base_url"),
            api_key_env=getattr(self, f"{role}_api_key_env") or self.api_key_env,
            extra_body=getattr(self, f"{role}_extra_body") or self.extra_body or None,
            label=getattr(self, f"{role}_endpoint_label") or self.endpoint_label,
        )

    @classmethod
    def of(
        cls,
        envs: Iterable[Named] = (),
        agents: Iterable[Named] = (),
        *,
        seeds: int | Sequence[int] | None = None,
        limits: Mapping[str, float | None] | None = None,
        cap: Mapping[str, float | None] | None = None,
        mask: Sequence[str] = (),
        feedback: Sequence[str] | None = None,
        wrappers: Sequence[Named] = (),
        out: str | Path | None = None,
        **more: Any,
    ) -> RunConfig:
        """Creates a configuration from Python values.

        The arguments are those of the constructor, except that `limits` is its `budget`. Sequences may be of any type,
        `out` may be a path, and a limit of None means unlimited.
        """
        return cls(
            envs=tuple(map(stored, envs)),
            agents=tuple(map(stored, agents)),
            seeds=seeds if seeds is None or isinstance(seeds, int) else tuple(seeds),
            budget={name: v for name, v in (limits or {}).items() if v is not None},
            cap={name: v for name, v in (cap or {}).items() if v is not None},
            mask=tuple(mask),
            feedback=None if feedback is None else tuple(feedback),
            wrappers=tuple(map(stored, wrappers)),
            out=None if out is None else str(out),
            **more,
        )

    @classmethod
    def from_toml(cls, text: str) -> RunConfig:
        """Reads a configuration from TOML text, such as `to_toml` returns.

        Raises:
            ValueError: If the text is not TOML, if it has an unknown key, or if a value has the wrong type.
        """
        try:
            return msgspec.convert(parse_toml(text), cls)
        except (msgspec.MsgspecError, ValueError) as e:
            raise ValueError(f"the run's configuration can't be read: {e}") from e

    @classmethod
    def from_file(cls, path: str | Path, *, trust: bool = False) -> RunConfig:
        """Reads a configuration from a TOML file.

        Args:
            path: The file.
            trust: Whether to accept what it names and is not registered, if this user has not trusted it before; see
                `leaderboard.trust`.

        Raises:
            ValueError: As for `from_toml`, or if the file can't be read; the message has the path.
            TrustError: If it names what is not registered, and `trust` is not set.
        """
        try:
            config = cls.from_toml(read_regular(Path(path)))
        except ValueError as e:
            raise ValueError(f"{path}: {e}") from e
        check_trust(of_config(config), path, trust=trust)
        return config

    def to_toml(self) -> str:
        """The configuration as TOML text, without the fields that have their default values."""
        return msgspec.toml.encode(msgspec.to_builtins(_without_none(self))).decode()

    def to_arguments(self) -> list[str]:
        """The arguments with which ``opto-gym run`` runs the same configuration."""
        arguments: list[str] = []
        for option, names in (("--env", self.envs), ("--agent", self.agents), ("--wrapper", self.wrappers)):
            arguments += [argument for name in names for argument in (option, as_argument(name))]
        for name in TEXT_OPTIONS:
            if getattr(self, name) is not None:
                arguments += [f"--{name.replace('_', '-')}", getattr(self, name)]
        if self.test_seed is not None:
            arguments += ["--test-seed", str(self.test_seed)]
        if self.seeds is not None:
            arguments += ["--seeds", str(self.seeds) if isinstance(self.seeds, int) else _seeds_argument(self.seeds)]
        arguments += [
            argument for name, v in self.budget.items() for argument in (f"--{name.replace('_', '-')}", _amount(v))
        ]
        if self.cap:
            arguments += ["--cap", ",".join(f"{name}={_amount(v)}" for name, v in self.cap.items())]
        for name in EXTRA_BODIES:
            if getattr(self, name):
                arguments += [f"--{name.replace('_', '-')}", json.dumps(getattr(self, name))]
        for name in ("timeout", "attempts", "concurrency"):
            if getattr(self, name) is not None:
                arguments += [f"--{name}", _amount(getattr(self, name))]
        for model, price in self.prices.items():
            arguments += ["--price", f"{model}={','.join(map(_amount, price))}"]
        if self.mask:
            arguments += ["--mask", ",".join(self.mask)]
        if self.feedback is not None:
            arguments += ["--feedback", ",".join(self.feedback)]
        return [*arguments, "--jobs", str(self.jobs)] if self.jobs != 1 else arguments


def check_test_seed(seed: Any) -> None:
    """Checks a test seed that is given as a number.

    Raises:
        ValueError: If it is something else.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise ValueError(f"expected a test_seed from 0 to 2^63 - 1, or {TEST_SEED_DRAWN!r}, got {seed!r}")


def drawn_test_seed(seed: int | str | None) -> int | None:
    """The test seed as a number, drawn by the operating system's generator where it is to be drawn; None stays."""
    return secrets.randbits(62) if isinstance(seed, str) else seed


def stored(name: Named) -> StoredName:
    """Converts a name, or (name, arguments), to the form in `RunConfig`: without arguments, the name alone."""
    if isinstance(name, str):
        return name
    return (name[0], dict(name[1])) if name[1] else name[0]


def named(name: Named) -> tuple[str, dict[str, Any]]:
    """Converts a name, or (name, arguments), to (name, arguments); the arguments of a mere name are empty."""
    return (name, {}) if isinstance(name, str) else (name[0], dict(name[1]))


def as_argument(name: Named) -> str:
    """Formats a name with arguments as the command line takes it: ``NAME:key=value,...``."""
    base, arguments = named(name)
    return f"{base}:{','.join(f'{k}={_value(v)}' for k, v in arguments.items())}" if arguments else base


def _value(value: Any) -> str:
    return visible(json.dumps(value, ensure_ascii=False)) if isinstance(value, str) else repr(value)


def _amount(value: float) -> str:
    return repr(int(value)) if float(value).is_integer() else repr(value)


def _seeds_argument(seeds: Sequence[int]) -> str:
    return ",".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")


def _without_none(config: RunConfig) -> dict[str, Any]:
    """The fields that differ from their defaults, without those that are None, for which TOML has no value."""
    data: dict[str, Any] = msgspec.to_builtins(config, enc_hook=str)
    return {name: value for name, value in data.items() if value is not None}
