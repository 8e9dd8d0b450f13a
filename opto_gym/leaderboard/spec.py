"""What a trial runs: everything that its id depends on, and how it is made."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import msgspec
import numpy as np

from .. import registration, wrappers
from ..core import OptoEnv
from ..llm import Client
from ..llm.endpoint import without_credentials
from ..utils.arguments import naming_arguments
from ..utils.checks import one_of
from ..wrappers.observations import unwrapped
from ..wrappers.supported import check_wrappers
from .identity import RULES, AgentIdentity, EnvIdentity, Identity, ModelNames, source_hash


class TrialSpec(msgspec.Struct, frozen=True):
    """What a trial runs.

    Attributes:
        env: The environment's id or ``module:Class``.
        env_arguments: Its keyword arguments.
        mask: Parts of the graph that are hidden.
        feedback: Kinds of feedback that are kept; None for all.
        agent: The agent's name or ``module:Class``.
        settings: Its settings.
        seed: The trial's.
        optimizer_model: The agent's model; None if it uses none.
        task_model: The model inside the environment; None if there is none.
        base_url: The endpoint of those that are not the embedded model, without credentials; None if there is none.
        wrappers: More wrappers, the innermost first: (name in `opto_gym.wrappers`, keyword arguments).
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

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return msgspec.to_builtins(self, enc_hook=str)  # type: ignore[no-any-return]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrialSpec:
        """The inverse of `to_dict`."""
        return msgspec.convert(dict(data), cls)

    @property
    def text(self) -> str:
        """Its JSON text: equal for specs that a record can't tell apart."""
        return json.dumps(self.to_dict(), sort_keys=True, default=str)

    @property
    def env_key(self) -> str:
        """The JSON text of what makes the environment: equal for trials on the same task."""
        return json.dumps(
            [self.env, self.env_arguments, self.mask, self.feedback, self.wrappers], sort_keys=True, default=str
        )

    @property
    def task_key(self) -> str:
        """The JSON text of the task with the model inside it: equal for trials that can be compared."""
        return json.dumps([self.env_key, self.task_model])

    @property
    def resumable(self) -> bool:
        """Whether the trial can be continued from its record after an interruption; else it begins again."""
        return registration.agent_class(self.agent).resumable(**self.settings)

    def resolved(self, env: OptoEnv) -> TrialSpec:
        """The same with its models and endpoint by name, whatever the environment variables are when it continues.

        Args:
            env: The environment, see `make_env`.

        Raises:
            ValueError: If the endpoint's URL holds a login, which would be recorded.
            OptoGymError: If an endpoint is configured but no model.
        """
        url = self.settings.get("base_url") or self.base_url
        if url and "@" in url:
            raise ValueError("expected an endpoint without name and password, which belong into OPENAI_BASE_URL")
        optimizer = task = None
        if registration.agent_class(self.agent).uses_model:
            optimizer = Client(self.settings.get("model") or self.optimizer_model, base_url=url)
        if env.uses_model:
            task = Client(self.task_model, base_url=url)
        remote = [client.endpoint for client in (optimizer, task) if client is not None and client.endpoint != "local"]
        return msgspec.structs.replace(
            self,
            optimizer_model=optimizer.model if optimizer else None,
            task_model=task.model if task else None,
            base_url=remote[0] if remote else None,
        )

    def client(self, model: str | None, **settings: Any) -> Client:
        """A client for one of the models; a login comes from ``OPENAI_BASE_URL``, if that is the same endpoint."""
        url = os.environ.get("OPENAI_BASE_URL")
        same = bool(url) and without_credentials(str(url)) == self.base_url
        return Client(model, base_url=None if same else self.base_url, **settings)

    def make_env(self, oracle_calls: int | None = None) -> gym.Env[Any, Any]:
        """The environment with its wrappers."""
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
        """The agent's seed and the episode's."""
        agent, episode = np.random.SeedSequence(self.seed).generate_state(2)
        return int(agent), int(episode)

    def identity(self, env: gym.Env[Any, Any] | None = None) -> Identity:
        """What decides the trial's results.

        Args:
            env: The environment, see `make_env`; None makes one.
        """
        made = self.make_env() if env is None else env
        cls = registration.agent_class(self.agent)
        files = [(f.name, hashlib.sha256(f.read_bytes()).hexdigest()) for f in cls.files(**self.settings)]
        return Identity(
            rules=RULES,
            env=self._env_identity(made),
            agent=AgentIdentity(
                name=self.agent, settings=dict(self.settings), source=source_hash(cls), files=files or None
            ),
            models=ModelNames(optimizer=self.optimizer_model, task=self.task_model),
            seed=self.seed,
        )

    def _env_identity(self, env: gym.Env[Any, Any]) -> EnvIdentity:
        inner, spec = unwrapped(env), env.spec
        assert spec is not None
        source = None
        if ":" in self.env:  # it has no version that says when its results change
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
        """A readable name with the hash of the identity."""
        parts = [self.env.split(":")[-1], self.agent.split(":")[-1], str(self.seed)]
        safe = "-".join("".join(c if c.isalnum() else "_" for c in p) for p in parts)
        return f"{safe}-{digest(msgspec.to_builtins(identity, enc_hook=str))[:12]}"


def digest(data: Any) -> str:
    """SHA-256 of plain data's canonical JSON, in hexadecimal."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
