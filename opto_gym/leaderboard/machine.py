"""Describes the machine that a trial runs on, the versions of packages, and the active protections of the sandbox."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform

import msgspec

from ..agents.base import Agent
from ..sandbox import shared
from .schema import Machine, SandboxRecord

PACKAGES = (
    *("opto-gym", "gymnasium", "numpy", "scipy", "openai", "xllamacpp", "uxsim", "metaworld", "mujoco"),
    *("scikit-optimize", "pyswarms", "optuna", "cmaes"),
)
"""The packages whose versions are recorded where they are installed."""


def machine(agent: type[Agent] = Agent) -> Machine:
    """Describes this machine for a trial's record.

    Args:
        agent: The agent's class. The versions of the programs that it runs (`Agent.versions`) are recorded, too.
    """
    return Machine(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cores=os.cpu_count(),
        versions={**agent.versions(), **package_versions()},
        sandbox=msgspec.convert(shared().in_force(), SandboxRecord),
    )


@functools.cache
def package_versions() -> dict[str, str]:
    """The version of each package of `PACKAGES` that is installed."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
