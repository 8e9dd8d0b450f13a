"""The configuration of a run as one struct, which Python, the command line and TOML files can all express."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..utils.checks import budget_limits, one_of, seed_list
from .scoring import SCORING

Named = str | tuple[str, Mapping[str, Any]]
"""An environment, agent or wrapper: its name, or (name, keyword arguments)."""
StoredName = str | tuple[str, dict[str, Any]]
"""The same as a configuration holds it."""

FLAGS = ("model", "optimizer_model", "task_model", "base_url", "test_scores", "suite", "out")


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a run is.

    A TOML file holds the same names::

        envs = ["Battleship-v0", ["NumericalOptimization-v0", { problem = 3 }]]
        agents = ["RandomSearch", ["OptoPrime", { memory = 5 }]]
        seeds = 5
        budget = { oracle_calls = 20, usd = 0.5 }
        model = "gpt-4o-mini"

    Attributes:
        envs: Ids or ``module:Class``, or (id, arguments).
        agents: Names or ``module:Class``, or (name, settings).
        suite: A suite's name or file in place of environments and agents; given agents replace the suite's own.
        seeds: How many, or which; None for 5, or the suite's.
        budget: The most that each trial may spend, by the names of `opto_gym.llm.LIMITS`.
        cap: The most that the whole run may spend, by the same names.
        model: For both roles; ``"local"`` is the embedded one.
        optimizer_model: The agents' model.
        task_model: The model inside environments.
        base_url: Their endpoint.
        mask: Parts of the graph to hide.
        feedback: Kinds of feedback to keep; None for all.
        wrappers: More wrappers, the innermost first: names in `opto_gym.wrappers`, or (name, arguments).
        test_scores: When parameters are scored on test: after ``each`` oracle call, at the ``end``, or ``never``; None
            for ``each``, or what the suite says.
        jobs: Trials at a time.
        out: The run's folder.

    Raises:
        ValueError: If a value is impossible; the message names it.
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
    mask: tuple[str, ...] = ()
    feedback: tuple[str, ...] | None = None
    wrappers: tuple[StoredName, ...] = ()
    test_scores: str | None = None
    jobs: int = 1
    out: str | None = None

    def __post_init__(self) -> None:
        if self.test_scores is not None:
            one_of(SCORING, test_scores=self.test_scores)
        if self.jobs < 1:
            raise ValueError(f"expected at least 1 job, got {self.jobs}")
        if self.seeds is not None:
            seed_list(self.seeds)
        budget_limits(self.budget)
        budget_limits(self.cap)
        if self.suite is not None and self.envs:
            raise ValueError("expected environments or a suite, and not both")

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
        """A configuration from Python's values: any sequences, budgets in which None is unlimited."""
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
        """The inverse of `to_toml`.

        Raises:
            ValueError: If the text is no TOML, or holds an unknown name or a value of another type.
        """
        try:
            return msgspec.toml.decode(text, type=cls)
        except (msgspec.MsgspecError, ValueError) as e:
            raise ValueError(f"the run's configuration can't be read: {e}") from e

    @classmethod
    def from_file(cls, path: str | Path) -> RunConfig:
        """A configuration from a TOML file.

        Raises:
            ValueError: As `from_toml`, and if the file can't be read; the message names it.
        """
        try:
            return cls.from_toml(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as e:
            raise ValueError(f"{path}: {getattr(e, 'strerror', None) or e}") from e

    def to_toml(self) -> str:
        """The configuration as TOML text; what has its default is left out."""
        return msgspec.toml.encode(msgspec.to_builtins(_without_none(self))).decode()

    def to_arguments(self) -> list[str]:
        """The command-line arguments of ``opto-gym run`` that express the same configuration."""
        words: list[str] = []
        for option, names in (("--env", self.envs), ("--agent", self.agents), ("--wrapper", self.wrappers)):
            words += [word for name in names for word in (option, as_argument(name))]
        for name in FLAGS:
            if getattr(self, name) is not None:
                words += [f"--{name.replace('_', '-')}", getattr(self, name)]
        if self.seeds is not None:
            words += ["--seeds", str(self.seeds) if isinstance(self.seeds, int) else _seeds_argument(self.seeds)]
        words += [w for name, v in self.budget.items() for w in (f"--{name.replace('_', '-')}", _amount(v))]
        if self.cap:
            words += ["--cap", ",".join(f"{name}={_amount(v)}" for name, v in self.cap.items())]
        if self.mask:
            words += ["--mask", ",".join(self.mask)]
        if self.feedback is not None:
            words += ["--feedback", ",".join(self.feedback)]
        return [*words, "--jobs", str(self.jobs)] if self.jobs != 1 else words


def stored(name: Named) -> StoredName:
    """A name with arguments as a configuration holds it; one without arguments is the name alone."""
    if isinstance(name, str):
        return name
    return (name[0], dict(name[1])) if name[1] else name[0]


def named(name: Named) -> tuple[str, dict[str, Any]]:
    """A name with its arguments, of which there may be none."""
    return (name, {}) if isinstance(name, str) else (name[0], dict(name[1]))


def as_argument(name: Named) -> str:
    """An environment or agent as the command line takes it: ``NAME:key=value,...``."""
    base, arguments = named(name)
    return f"{base}:{','.join(f'{k}={_value(v)}' for k, v in arguments.items())}" if arguments else base


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _amount(value: float) -> str:
    return repr(int(value)) if float(value).is_integer() else repr(value)


def _seeds_argument(seeds: Sequence[int]) -> str:
    return ",".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")


def _without_none(config: RunConfig) -> dict[str, Any]:
    """The fields that differ from their defaults: TOML has no null."""
    data: dict[str, Any] = msgspec.to_builtins(config, enc_hook=str)
    return {name: value for name, value in data.items() if value is not None}
