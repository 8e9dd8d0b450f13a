"""Plans a run: finds its trials before any of them runs, and estimates what they may cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from .. import registration
from ..llm import LIMITS
from ..utils.checks import budget_limits, seed_list
from ..utils.moved import moved_names
from ..wrappers.observations import unwrapped
from .amounts import Limits
from .config import Named, RunConfig, as_argument, named
from .endpoints import TRIAL_ROLES, CallSettings, EndpointSettings
from .estimate import estimate
from .identity import Identity
from .spec import TrialSpec

DEFAULT_SEEDS = 5
"""The number of seeds of a run that names none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Planned:
    """A trial of a plan.

    Attributes:
        spec: What the trial runs.
        identity: Everything that determines its results.
        limits: The trial's budget.
        runs_code: Whether the environment runs proposed code, which needs the sandbox.
        test_scores: When parameters are scored on test; one of `scoring.SCORING`. None is the plan's.
    """

    spec: TrialSpec
    identity: Identity
    limits: Limits
    runs_code: bool
    test_scores: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """The trials of a run.

    Attributes:
        trials: The trials by id.
        skipped: (environment, agent, reason why the agent can't run on it).
        cap: The budget of the whole run.
        test_scores: When parameters are scored on test, where a trial does not say otherwise; one of `scoring.SCORING`.
        calls: How model calls are made, and their prices.
    """

    trials: Mapping[str, Planned]
    skipped: tuple[tuple[str, str, str], ...]
    cap: Limits
    test_scores: str
    calls: CallSettings = dataclasses.field(default_factory=CallSettings)

    @property
    def specs(self) -> Mapping[str, TrialSpec]:
        """The spec of each trial, by the trial's id."""
        return {trial: planned.spec for trial, planned in self.trials.items()}

    @property
    def limits(self) -> Mapping[str, Limits]:
        """The budget of each trial, by the trial's id."""
        return {trial: planned.limits for trial, planned in self.trials.items()}

    def only(self, trials: Iterable[str]) -> Plan:
        """The same plan without any other trials.

        Args:
            trials: Ids of trials. Those that are not in the plan are ignored.
        """
        kept = set(trials)
        return dataclasses.replace(self, trials={t: p for t, p in self.trials.items() if t in kept})

    def outline(self) -> Iterator[str]:
        """A line of text per environment and budget, with the agents and the number of seeds."""
        tasks: dict[tuple[str, str], tuple[dict[str, None], set[int]]] = {}
        for planned in self.trials.values():
            spec = planned.spec
            budget = ", ".join(f"{k}={v:g}" for k, v in planned.limits.to_dict().items())
            agents, seeds = tasks.setdefault((as_argument((spec.env, spec.env_arguments)), budget), ({}, set()))
            agents[as_argument((spec.agent, spec.settings))] = None
            seeds.add(spec.seed)
        for (env, budget), (agents, seeds) in tasks.items():
            yield f"{env}: {', '.join(agents)}; {len(seeds)} seed{'s' if len(seeds) > 1 else ''}; budget {budget}"

    def estimate(self, *, jobs: int = 1) -> dict[str, Any]:
        """Estimates what the whole run will spend. No model is asked.

        The start values and the first steps of each agent on each environment are run with made-up answers, for two
        seconds, and the rest of a trial is taken to be like them. The estimate supposes that each proposal is new and
        usable, and that none solves the problem. `opto_gym.leaderboard.estimate` has it as typed data.

        Args:
            jobs: Number of trials that run at a time.

        Returns:
            ``trials``; ``oracle_calls``, the most; ``llm_calls``, ``tokens`` (in and out) and ``usd`` of all roles
            together, and ``seconds``, with answers of middle length; ``llm_calls_range``, ``tokens_range``,
            ``usd_range`` and ``seconds_range``, (with short answers, with the longest ones), where also the fewest and
            the most sets of parameters are scored; ``roles``, which has ``calls``, ``calls_range``, ``tokens_in``,
            ``tokens_in_range``, ``tokens_out`` (the fewest, a middle number, the most) and ``usd`` (likewise) of
            ``optimizer``, ``task`` and ``scoring``; ``unknown``, (environment, agent, reason) where it isn't known what
            an agent asks. An amount is None where no limit bounds it, a price is unknown, or an agent is in
            ``unknown``.
        """
        return estimate(self, jobs=jobs).to_dict()


class Environments:
    """Makes each environment once for all trials on the same task. Planning only reads them; no trial runs on them."""

    def __init__(self) -> None:
        self._env_by_key: dict[str, gym.Env[Any, Any]] = {}

    def of(self, spec: TrialSpec) -> gym.Env[Any, Any]:
        """The environment of a trial, with its wrappers."""
        if spec.env_key not in self._env_by_key:
            self._env_by_key[spec.env_key] = spec.make_env()
        return self._env_by_key[spec.env_key]


def grid(config: RunConfig) -> Plan:
    """Plans to run every agent on every environment with every seed.

    A pair whose agent can't run on the environment is skipped, and its reason is kept in the plan. Where a model is
    inside the environment, a scoring asks it about each example of test; so such trials are scored at the end by
    default, and the others after each oracle call.

    Args:
        config: The configuration. Its `suite` is ignored; see `suites.suite_plan`.

    Raises:
        ValueError: If there is no budget, an argument is invalid, or no pair can run.
        MissingExtra: If an extra that an environment or agent needs is not installed.
    """
    config = config.with_test_seed_drawn()
    limits, cap = Limits.of(config.budget), Limits.of(config.cap)
    money_is_limited = limits.usd is not None or cap.usd is not None
    check_budget(config.budget)
    trials: dict[str, Planned] = {}
    skipped = []
    environments = Environments()
    for env, agent in ((e, a) for e in config.envs for a in config.agents):
        for seed in seed_list(DEFAULT_SEEDS if config.seeds is None else config.seeds):
            spec = unresolved_spec(config, env, agent, seed)
            wrapped_env = environments.of(spec)
            base_env = unwrapped(wrapped_env)
            spec = spec.resolved(base_env)
            registration.make_agent(spec.agent, **spec.settings)  # raises now, not in the run, if a setting is unknown
            reason = registration.agent_class(spec.agent).unsupported_reason(base_env.problem)
            if reason is not None:
                skipped.append((spec.env, spec.agent, reason))
                break
            if money_is_limited:
                config.calls.check_prices(spec.optimizer_model, spec.task_model)
            identity = spec.identity(wrapped_env)
            scores = "end" if base_env.uses_model and config.test_scores is None else None
            trials[spec.trial_id(identity)] = Planned(spec, identity, limits, base_env.runs_code, scores)
    if not trials:
        reasons = "; ".join(f"{agent} on {env}: {reason}" for env, agent, reason in skipped)
        raise ValueError(f"there is nothing to run: {reasons or 'expected at least one environment and one agent'}")
    return Plan(trials, tuple(skipped), cap, config.test_scores or "each", config.calls)


def check_budget(limits: Mapping[str, float]) -> None:
    """Checks that the limits of a trial bound it.

    Raises:
        ValueError: If there is none, or one is no number or too small.
    """
    if not budget_limits(limits):
        raise ValueError(f"a run needs a budget: give at least one of {', '.join(LIMITS)}")


def unresolved_spec(config: RunConfig, env: Named, agent: Named, seed: int) -> TrialSpec:
    """The spec of one trial, with the models and the endpoint as the configuration has them.

    `TrialSpec.resolved` replaces missing ones by those that the environment variables name.

    Args:
        config: The configuration.
        env: The environment, one of `config.envs`.
        agent: The agent, one of `config.agents`.
        seed: The trial's seed.
    """
    env_name, env_arguments = named(env)
    if config.test_seed is not None:
        env_arguments.setdefault("test_seed", config.test_seed)
    agent_name, settings = named(agent)
    return TrialSpec(
        env_name,
        env_arguments,
        config.mask,
        config.feedback,
        agent_name,
        settings,
        seed,
        config.optimizer_model or config.model,
        config.task_model or config.model,
        config.base_url,
        tuple(map(named, config.wrappers)),
        endpoints={role: e for role in TRIAL_ROLES if (e := config.endpoint(role)) != EndpointSettings()},
    )


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(__name__, {"asked_spec": "leaderboard.planning:unresolved_spec"})
