"""`TrialSpec`: which environment, agent, models and seed a trial uses, and how to create them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import msgspec
import numpy as np

from .. import registration, wrappers
from ..core import OptoEnv
from ..llm import Client
from ..llm.settings import from_environment, has_secrets, public_address
from ..utils.arguments import naming_arguments
from ..utils.checks import one_of
from ..wrappers.observations import unwrapped
from ..wrappers.supported import check_wrappers
from .identity import RULES, AgentIdentity, EnvIdentity, Identity, ModelNames, source_hash


class TrialSpec(msgspec.Struct, frozen=True):
    """The environment, agent, models and seed of a trial, as plain data.

    Attributes:
        env: The environment's id or ``module:Class``.
        env_arguments: The environment's keyword arguments.
        mask: The parts of the trace graph that are hidden from the agent.
        feedback: The kinds of feedback that the agent gets; None for all.
        agent: The agent's name or ``module:Class``.
        settings: The agent's settings.
        seed: The seed of the trial.
        optimizer_model: The agent's model; None if the agent uses none.
        task_model: The model inside the environment; None if there is none.
        base_url: The endpoint of all models except the embedded one, without credentials; None if there is none.
        wrappers: Further wrappers, the innermost first: (name in `opto_gym.wrappers`, keyword arguments).
        model_settings: The agent's settings that are not given and follow from its model, see `Agent.model_settings`.
    """

    env: str
    env_arguments: dict[str, Any]
    mask: tuple[str, ...]
    feedback: tuple[str, ...] | None
    agent: str
    settings: dict[str, Any]
    seed: int
    optimizer_model: str | None
    task_model: str | None
    base_url: str | None
    wrappers: tuple[tuple[str, dict[str, Any]], ...] = ()
    model_settings: dict[str, Any] = {}

    def to_dict(self) -> dict[str, Any]:
        """The spec as plain data; without `model_settings` where there are none, as in records of older releases."""
        data: dict[str, Any] = msgspec.to_builtins(self, enc_hook=str)
        return {name: value for name, value in data.items() if value or name != "model_settings"}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrialSpec:
        """The inverse of `to_dict`."""
        return msgspec.convert(dict(data), cls)

    @property
    def text(self) -> str:
        """The spec as JSON text. Specs that are stored alike in a record have the same text."""
        return json.dumps(self.to_dict(), sort_keys=True, default=str)

    @property
    def env_key(self) -> str:
        """The environment, its arguments and wrappers as JSON text; the same for all trials on one environment."""
        return json.dumps(
            [self.env, self.env_arguments, self.mask, self.feedback, self.wrappers], sort_keys=True, default=str
        )

    @property
    def task_key(self) -> str:
        """`env_key` with the model inside the environment. Trials can be compared if they have the same key."""
        return json.dumps([self.env_key, self.task_model])

    @property
    def resumable(self) -> bool:
        """Whether an interrupted trial continues from its record. If not, it starts again from the beginning."""
        return registration.agent_class(self.agent).resumable(**self.settings)

    def resolved(self, env: OptoEnv) -> TrialSpec:
        """Returns a copy in which the models, the endpoint and the settings that follow from the model are given.

        The copy depends neither on environment variables nor on the table of models, so that a resumed trial uses the
        same models, and gives them the same prompts.

        Args:
            env: The environment, without wrappers.

        Raises:
            ValueError: If the endpoint's URL contains a user name or password, which would be recorded.
            OptoGymError: If there is an endpoint but no model name.
        """
        url = self.settings.get("base_url") or self.base_url
        if url and has_secrets(url):
            raise ValueError(
                "expected a base_url without user name and password, and without a query that may be secret, since it "
                "is recorded; got one with them: set the environment variable OPENAI_BASE_URL to this URL, and leave "
                "base_url out"
            )
        optimizer = task = None
        agent_class = registration.agent_class(self.agent)
        if agent_class.uses_model:
            optimizer = Client(self.settings.get("model") or self.optimizer_model, base_url=url)
        if env.uses_model:
            task = Client(self.task_model, base_url=url)
        remote = [client.endpoint for client in (optimizer, task) if client is not None and client.endpoint != "local"]
        return msgspec.structs.replace(
            self,
            optimizer_model=optimizer.model if optimizer else None,
            task_model=task.model if task else None,
            base_url=remote[0] if remote else None,
            model_settings=dict(agent_class.model_settings(optimizer.model, self.settings)) if optimizer else {},
        )

    def client(self, model: str | None, **settings: Any) -> Client:
        """Creates a client for one of the models.

        If ``OPENAI_BASE_URL`` is the same endpoint, it is used, since it may contain a user name and password.

        Args:
            model: The name of the model.
            settings: Further arguments of `opto_gym.llm.Client`.
        """
        url = from_environment("OPENAI_BASE_URL")
        is_same_endpoint = url is not None and public_address(url) == self.base_url
        return Client(model, base_url=None if is_same_endpoint else self.base_url, **settings)

    def make_env(self, oracle_calls: int | None = None) -> gym.Env[Any, Any]:
        """Makes the environment with its wrappers.

        Args:
            oracle_calls: The number of steps after which an episode is truncated; None keeps that of `env_arguments`.

        Raises:
            ValueError: If a wrapper does not exist, or the environment has one that a trial can't honour.
        """
        arguments = dict(self.env_arguments)
        if oracle_calls is not None:
            arguments["oracle_calls"] = oracle_calls
        env = registration.make(self.env, disable_env_checker=True, **arguments)
        check_wrappers(env)
        if self.mask:
            env = wrappers.MaskGraph(env, self.mask)
        if self.feedback is not None:
            env = wrappers.FeedbackKinds(env, self.feedback)
        for name, settings in self.wrappers:
            one_of(wrappers.__all__, wrapper=name)
            wrapper = getattr(wrappers, name)
            with naming_arguments(wrapper, settings):
                env = wrapper(env, **settings)
        return env

    def seeds(self) -> tuple[int, int]:
        """(seed of the agent, seed of the episode), both derived from the seed of the trial."""
        agent, episode = np.random.SeedSequence(self.seed).generate_state(2)
        return int(agent), int(episode)

    def identity(self, env: gym.Env[Any, Any] | None = None) -> Identity:
        """Computes the identity of the trial: everything that its results depend on.

        Args:
            env: The environment as `make_env` returns it; None makes a new one.
        """
        env = self.make_env() if env is None else env
        cls = registration.agent_class(self.agent)
        files = [(f.name, hashlib.sha256(f.read_bytes()).hexdigest()) for f in cls.files(**self.settings)]
        return Identity(
            rules=RULES,
            env=self._env_identity(env),
            agent=AgentIdentity(
                name=self.agent,
                settings={**self.settings, **self.model_settings},
                source=source_hash(cls),
                files=files or None,
            ),
            models=ModelNames(optimizer=self.optimizer_model, task=self.task_model),
            seed=self.seed,
        )

    def _env_identity(self, env: gym.Env[Any, Any]) -> EnvIdentity:
        inner, spec = unwrapped(env), env.spec
        assert spec is not None
        source = None
        if ":" in self.env:  # such an environment has no version, which would change with its results
            source = source_hash(registration.env_class(self.env), without=("opto_gym",))
        return EnvIdentity(
            id=spec.id,
            arguments={k: v for k, v in spec.kwargs.items() if k != "oracle_calls"},
            wrappers=[(w.name, dict(w.kwargs or {})) for w in spec.additional_wrappers],
            problem=dataclasses.replace(inner.problem, oracle_calls=None).content_hash,
            source=source,
            data=dict(inner.data_files) or None,
        )

    def trial_id(self, identity: Identity) -> str:
        """The trial's id: its environment, agent and seed, and the first 12 digits of the hash of its identity."""
        parts = [self.env.split(":")[-1], self.agent.split(":")[-1], str(self.seed)]
        safe = "-".join("".join(c if c.isalnum() else "_" for c in p) for p in parts)
        return f"{safe}-{digest(msgspec.to_builtins(identity, enc_hook=str))[:12]}"


def digest(data: Any) -> str:
    """The SHA-256 of plain data's canonical JSON, as 64 hexadecimal digits. What JSON can't hold counts as its text."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
