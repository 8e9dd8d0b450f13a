"""What a trial runs, its identity, and where it runs."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from .. import registration, wrappers
from ..agents.base import Agent
from ..llm import Client
from ..llm.endpoint import without_credentials
from ..sandbox import shared
from ..utils.arguments import naming_arguments
from ..wrappers.observations import unwrapped
from ..wrappers.supported import check_wrappers
from .identity import RULES, source_hash
from .records import digest


@dataclasses.dataclass(frozen=True, slots=True)
class Spec:
    """What a trial runs: everything that its id depends on.

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
    env_arguments: Mapping[str, Any]
    mask: tuple[str, ...]
    feedback: tuple[str, ...] | None
    agent: str
    settings: Mapping[str, Any]
    seed: int
    optimizer_model: str | None
    task_model: str | None
    base_url: str | None
    wrappers: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Spec:
        """The inverse of `to_dict`."""
        feedback = None if data["feedback"] is None else tuple(data["feedback"])
        more = tuple((name, dict(arguments)) for name, arguments in data.get("wrappers", ()))
        return cls(**{**data, "mask": tuple(data["mask"]), "feedback": feedback, "wrappers": more})

    def resolved(self) -> Spec:
        """The same with its models and endpoint by name, whatever the environment variables are when it goes on.

        Raises:
            ValueError: If the endpoint's URL holds a login, which would be recorded.
            OptoGymError: If an endpoint is configured but no model.
        """
        url = self.settings.get("base_url") or self.base_url
        if url and "@" in url:
            raise ValueError("expected an endpoint without name and password, which belong into OPENAI_BASE_URL")
        models: dict[str, Client] = {}
        if registration.agent_class(self.agent).uses_model:
            models["optimizer"] = Client(self.settings.get("model") or self.optimizer_model, base_url=url)
        if unwrapped(self.make_env()).uses_model:
            models["task"] = Client(self.task_model, base_url=url)
        remote = [client.endpoint for client in models.values() if client.endpoint != "local"]
        return dataclasses.replace(
            self,
            optimizer_model=models["optimizer"].model if "optimizer" in models else None,
            task_model=models["task"].model if "task" in models else None,
            base_url=remote[0] if remote else None,
        )

    @property
    def resumable(self) -> bool:
        """Whether the trial goes on from its record when it was interrupted; else it begins again."""
        return registration.agent_class(self.agent).resumable(**self.settings)

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
        if self.mask:
            env = wrappers.MaskGraph(env, self.mask)
        if self.feedback is not None:
            env = wrappers.FeedbackKinds(env, self.feedback)
        for name, settings in self.wrappers:
            if name not in wrappers.__all__:
                raise ValueError(f"expected a wrapper of {wrappers.__all__}, got {name!r}")
            wrapper = getattr(wrappers, name)
            with naming_arguments(wrapper, settings):
                env = wrapper(env, **settings)
        check_wrappers(env)
        return env

    def seeds(self) -> tuple[int, int]:
        """The agent's seed and the episode's."""
        agent, episode = np.random.SeedSequence(self.seed).generate_state(2)
        return int(agent), int(episode)

    def identity(self) -> dict[str, Any]:
        """What ran, in full: the environment with wrappers and problem, the agent with its source, models, seed.

        Addresses, budgets and the machine are no part of it, nor are names of modules.
        """
        env = self.make_env()
        inner, spec = unwrapped(env), env.spec
        assert spec is not None
        cls = registration.agent_class(self.agent)
        made: dict[str, Any] = {
            "id": spec.id,
            "arguments": dict(spec.kwargs),
            "wrappers": [[w.name, dict(w.kwargs or {})] for w in spec.additional_wrappers],
            "problem": inner.problem.content_hash,
        }
        if ":" in self.env:  # it has no version that says when its results change
            made["source"] = source_hash(registration.env_class(self.env), without=("opto_gym",))
        if inner.data_files:
            made["data"] = dict(inner.data_files)
        agent: dict[str, Any] = {"name": self.agent, "settings": dict(self.settings), "source": source_hash(cls)}
        files = [[f.name, hashlib.sha256(f.read_bytes()).hexdigest()] for f in cls.files(**self.settings)]
        if files:
            agent["files"] = files
        return {
            "rules": RULES,
            "env": made,
            "agent": agent,
            "models": {"optimizer": self.optimizer_model, "task": self.task_model},
            "seed": self.seed,
        }

    def trial_id(self) -> str:
        """A readable name with the hash of `identity`."""
        parts = [self.env.split(":")[-1], self.agent.split(":")[-1], str(self.seed)]
        safe = "-".join("".join(c if c.isalnum() else "_" for c in p) for p in parts)
        return f"{safe}-{digest(self.identity())[:12]}"


def where(agent: type[Agent] = Agent) -> dict[str, Any]:
    """The machine, the versions, what an agent runs beside them included, and what the sandbox had in force."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": os.cpu_count(),
        "versions": {**agent.versions(), **_versions()},
        "sandbox": shared().in_force(),
    }


@functools.cache
def _versions() -> dict[str, str]:
    versions = {}
    for name in (
        *("opto-gym", "gymnasium", "numpy", "scipy", "openai", "xllamacpp", "uxsim", "metaworld", "mujoco"),
        *("scikit-optimize", "pyswarms", "optuna", "cmaes"),
    ):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
