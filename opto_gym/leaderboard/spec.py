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
from ..llm.settings import from_environment
from ..utils.arguments import naming_arguments
from ..utils.checks import one_of
from ..wrappers.observations import unwrapped
from ..wrappers.supported import check_wrappers
from .endpoints import EndpointSettings, check_address, check_recorded, client_of_role, named_models
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
        endpoints: How the models are asked, by role, of `endpoints.TRIAL_ROLES`; roles without settings are left out.
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
    endpoints: dict[str, EndpointSettings] = {}

    def to_dict(self) -> dict[str, Any]:
        """The spec as plain data; without the last fields where they are empty, as in records of older releases."""
        data: dict[str, Any] = msgspec.to_builtins(self, enc_hook=str)
        return {name: value for name, value in data.items() if value or name not in ("model_settings", "endpoints")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrialSpec:
        """The inverse of `to_dict`."""
        return msgspec.convert(dict(data), cls)

    @property
    def text(self) -> str:
        """The spec as JSON text, without addresses and keys. Specs that are recorded alike have the same text."""
        data = self.to_dict() | {"base_url": None}
        data["endpoints"] = {role: settings.identity for role, settings in self.endpoints.items()}
        return json.dumps(data, sort_keys=True, default=str)

    @property
    def env_key(self) -> str:
        """The environment, its arguments and wrappers as JSON text; the same for all trials on one environment."""
        return json.dumps(
            [self.env, self.env_arguments, self.mask, self.feedback, self.wrappers], sort_keys=True, default=str
        )

    @property
    def task_key(self) -> str:
        """`env_key` with the model inside the environment. Trials can be compared if they have the same key."""
        settings = self.endpoint("task").identity
        return json.dumps([self.env_key, self.task_model, *([settings] if settings else [])], sort_keys=True)

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
            ValueError: If the endpoint's URL or a setting holds a password or a key, which would be recorded.
            OptoGymError: If the name of a model is missing; the message says of which role.
        """
        for whose, settings in ((self.agent, self.settings), (self.env, [self.env_arguments, self.wrappers])):
            check_recorded(whose, settings)
        for role, endpoint in self.endpoints.items():
            check_recorded(f"the {role}'s extra_body", endpoint.extra_body)
        agent_class, asked = registration.agent_class(self.agent), {}
        if agent_class.uses_model:
            asked["optimizer"] = f"{self.agent} asks a language model"
        if env.uses_model:
            asked["task"] = f"{self.env} asks a language model inside the task"
        addresses = {role: self.address(role) for role in asked}
        for address in addresses.values():
            check_address(address)
        given = {"optimizer": self.settings.get("model") or self.optimizer_model, "task": self.task_model}
        configured = (*addresses.values(), *map(from_environment, ("OPENAI_BASE_URL", "OPENAI_API_KEY")))
        names = named_models(asked, given, any(configured))
        clients = {role: self.client(name, role=role) for role, name in names.items()}
        found = {role: client.endpoint for role, client in clients.items() if client.is_remote}
        own = {role for role in found if self.address(role) != self.base_url}
        common = [address for role, address in found.items() if role not in own]
        return msgspec.structs.replace(
            self,
            optimizer_model=clients["optimizer"].model if "optimizer" in clients else None,
            task_model=clients["task"].model if "task" in clients else None,
            base_url=common[0] if common else None,
            endpoints={
                role: msgspec.structs.replace(settings, base_url=found.get(role) if settings.base_url else None)
                for role, settings in self.endpoints.items()
                if role in clients
            },
            model_settings=dict(agent_class.model_settings(names["optimizer"], self.settings))
            if "optimizer" in names
            else {},
        )

    def endpoint(self, role: str) -> EndpointSettings:
        """How the model of a role is asked; scoring on test (``"test"``) asks the task's."""
        return self.endpoints.get("optimizer" if role == "optimizer" else "task", EndpointSettings())

    def address(self, role: str) -> str | None:
        """The address at which the model of a role is asked, as it is given; None for the default."""
        own = self.settings.get("base_url") if role == "optimizer" else None
        return own or self.endpoint(role).base_url or self.base_url

    def moved(self, base_url: str | None, endpoints: Mapping[str, EndpointSettings]) -> TrialSpec:
        """A copy whose models are asked at other addresses, or with the keys of other environment variables.

        Args:
            base_url: The new address of all roles; None keeps theirs.
            endpoints: New addresses and names of variables by role; what is None is kept. Other fields are ignored.
        """
        settings = dict(self.endpoints)
        for role, new in endpoints.items():
            old = self.endpoint(role)
            kept = None if base_url else old.base_url
            key = new.api_key_env or old.api_key_env
            changed = msgspec.structs.replace(old, base_url=new.base_url or kept, api_key_env=key)
            settings[role] = changed
        plain = {role: value for role, value in settings.items() if value != EndpointSettings()}
        return msgspec.structs.replace(self, base_url=base_url or self.base_url, endpoints=plain)

    def client(self, model: str | None, *, role: str, **settings: Any) -> Client:
        """Creates a client for one of the models.

        Args:
            model: The name of the model.
            role: Of `opto_gym.llm.ROLES`.
            settings: Further arguments of `opto_gym.llm.Client`.
        """
        return client_of_role(model, self.address(role), self.endpoint(role), role=role, **settings)

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
            models=ModelNames(
                optimizer=self.optimizer_model,
                task=self.task_model,
                optimizer_settings=self.endpoint("optimizer").identity,
                task_settings=self.endpoint("task").identity,
            ),
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
