"""Where a trial ran, which is no part of what ran: its record can be continued elsewhere."""

from __future__ import annotations

from .base_record import Record


class SandboxRecord(Record, frozen=True, kw_only=True):
    """The protections of the sandbox that were active, see `opto_gym.sandbox.Sandbox.in_force`.

    Attributes:
        times: The limits on the processor time and the wall time of a call and of an example, in seconds; {} in records
            of releases that had wall times alone.
    """

    level: str
    landlock_abi: int | None = None
    seccomp: bool = False
    namespaces: list[str] = []
    uid_dropped: bool = False
    missing: list[str] = []
    least: str = ""
    platform: str = ""
    times: dict[str, float] = {}


class Machine(Record, frozen=True, kw_only=True):
    """The machine that a trial ran on.

    Attributes:
        python: Version of Python.
        system: Operating system, its release, and the processor's architecture.
        cores: Number of processor cores; None if unknown.
        versions: Versions of packages and programs, by name.
        sandbox: The protections of the sandbox.
        endpoints: The addresses of the models by role, without credentials; None if not recorded.
    """

    python: str
    system: str
    cores: int | None
    versions: dict[str, str]
    sandbox: SandboxRecord
    endpoints: dict[str, str] | None = None
