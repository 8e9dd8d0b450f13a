"""One trial: an agent on an environment under a budget, recorded, resumable, replayable."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import inspect
import json
import os
import platform
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from .. import registration
from ..agents.base import Agent, Values
from ..core import OptoEnv
from ..errors import BudgetSpent, OptoGymError, RecordError
from ..llm import Budget, CallRecord, Client, Ledger
from ..wrappers import FeedbackKinds, MaskedGraph
from .oracle import RecordedOracle, plain, score_on_test
from .records import VERSION, TrialFolder, digest

SCORING = ("each", "end", "never")


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
        optimizer_model: The agent's model.
        task_model: The model inside the environment.
        base_url: The endpoint of both, or None for the environment's.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Spec:
        """The inverse of `to_dict`."""
        feedback = None if data["feedback"] is None else tuple(data["feedback"])
        return cls(**{**data, "mask": tuple(data["mask"]), "feedback": feedback})

    def make_env(self, oracle_calls: int | None = None) -> gym.Env[Any, Any]:
        """The environment with its wrappers."""
        arguments = dict(self.env_arguments)
        if oracle_calls is not None:
            arguments["oracle_calls"] = oracle_calls
        env = registration.make(self.env, disable_env_checker=True, **arguments)
        if self.mask:
            env = MaskedGraph(env, self.mask)
        if self.feedback is not None:
            env = FeedbackKinds(env, self.feedback)
        return env

    def identity(self) -> dict[str, Any]:
        """What ran, in full: spec with wrappers, problem, agent with its source, models, seed."""
        env = self.make_env()
        problem = unwrapped(env).problem
        cls = registration.agent_class(self.agent)
        spec = env.spec
        assert spec is not None
        return {
            "env": json.loads(spec.to_json()),
            "problem": problem.content_hash,
            "agent": {"name": self.agent, "settings": dict(self.settings), "source": source_hash(cls)},
            "models": {
                "optimizer": [self.optimizer_model, self.base_url] if cls.uses_model else None,
                "task": [self.task_model, self.base_url] if unwrapped(env).uses_model else None,
            },
            "seed": self.seed,
        }

    def trial_id(self) -> str:
        """A readable name with the hash of `identity`."""
        parts = [self.env.split(":")[-1], self.agent.split(":")[-1], str(self.seed)]
        safe = "-".join("".join(c if c.isalnum() else "_" for c in p) for p in parts)
        return f"{safe}-{digest(self.identity())[:12]}"


def unwrapped(env: gym.Env[Any, Any]) -> OptoEnv:
    """The `OptoEnv` under the wrappers.

    Raises:
        TypeError: If there is none.
    """
    if not isinstance(env.unwrapped, OptoEnv):
        raise TypeError(f"expected an OptoEnv under the wrappers, got {type(env.unwrapped).__name__}")
    return env.unwrapped


def source_hash(cls: type[Agent]) -> str:
    """A hash of the source that makes an agent what it is: its classes' modules, and what these import beside them."""
    todo = [sys.modules[c.__module__] for c in cls.__mro__ if c.__module__ not in ("builtins", "opto_gym.agents.base")]
    package = {m.__name__.rpartition(".")[0] for m in todo} | {"opto_gym.agents"}
    seen: dict[str, str] = {}
    while todo:
        module = todo.pop()
        if module.__name__ in seen or module.__name__ == "opto_gym.agents.base":
            continue
        try:
            seen[module.__name__] = inspect.getsource(module)
        except (OSError, TypeError):
            seen[module.__name__] = "unknown"
        for value in list(vars(module).values()):
            home = sys.modules.get(getattr(value, "__module__", None) or "")
            if home is not None and home.__name__.rpartition(".")[0] in package - {""}:
                todo.append(home)
    return hashlib.sha256("".join(f"{k}\0{v}\0" for k, v in sorted(seen.items())).encode()).hexdigest()[:16]


@functools.cache
def where() -> dict[str, Any]:
    """The machine and the versions."""
    names = ("opto-gym", "gymnasium", "numpy", "openai", "xllamacpp")
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    from ..sandbox import shared

    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": os.cpu_count(),
        "versions": versions,
        "sandbox": shared().in_force(),
    }


@dataclasses.dataclass(slots=True)
class Outcome:
    """How a trial ended.

    Attributes:
        trial: Its id.
        path: Its folder.
        status: ``done`` or ``failed``.
        error: The last line of the traceback, if it failed.
        differences: In a replay, what disagrees with the record.
        steps: Oracle calls, the start values' apart.
    """

    trial: str
    path: Path
    status: str
    error: str | None = None
    differences: list[str] = dataclasses.field(default_factory=list)
    steps: int = 0


class Trial:
    """Runs a trial in its folder.

    Args:
        spec: What to run.
        path: The folder.
        limits: The budget by name.
        test_scores: When current and recommended parameters are scored on test: after ``each`` call, at the ``end``,
            ``never``.
        parent: The whole run's budget.
        replay: Run from the record alone and compare.
        progress: Called with (trial, line of a step, ledger).
        stop: Set to end all trials of the run.
    """

    def __init__(
        self,
        spec: Spec,
        path: Path,
        *,
        limits: Mapping[str, float | None],
        test_scores: str = "each",
        parent: Budget | None = None,
        replay: bool = False,
        progress: Callable[[str, dict[str, Any], Ledger], None] = lambda trial, line, ledger: None,
        stop: threading.Event | None = None,
    ) -> None:
        self.spec, self.path, self.limits, self.test_scores = spec, path, dict(limits), test_scores
        self.parent, self.replay, self._progress, self._stop = parent, replay, progress, stop or threading.Event()
        self.trial = path.name

    def run(self) -> Outcome:
        """Runs the trial to its end; what fails inside it is recorded and returned, never raised.

        Raises:
            RecordError: If the record can't be read or written.
        """
        self.folder = TrialFolder(self.path)
        self._identity = self.spec.identity()
        before = self.folder.summary() or {}
        self.ledger = Ledger()
        self.started = before.get("started") or round(time.time(), 3)
        seconds_before = 0.0 if self.replay else float(before.get("seconds") or 0.0)
        if not self.replay and not before:
            self._write("running", ended=None, seconds=0.0)
        steps = self.folder.steps()
        if steps and not self.replay:  # a killed session's time counts up to its last call
            seconds_before = max(seconds_before, float((steps[-1].get("spent") or {}).get("seconds") or 0.0))
        self.budget = Budget(self.limits, parent=self.parent, seconds_before=seconds_before)
        record = CallRecord(self.folder.llm, trial=self.trial, mode="replay" if self.replay else "resume")
        self.tests = {line["parameters_hash"]: line for line in self.folder.tests()}
        self.oracle: RecordedOracle | None = None
        self.current: Values | None = None
        self._best: dict[str, tuple[float, Values]] = {}
        self._recommendations: list[tuple[int, str]] = []
        error = None
        try:
            ended = self._optimize(record)
            if self.test_scores != "never" and not self.replay:
                self._score_all()
            status = "done"
        except (KeyboardInterrupt, RecordError):
            raise
        except Exception as e:
            status, ended, error = "failed", f"{type(e).__name__}: {e}", traceback.format_exc()
        finally:
            record.close()
            self.folder.close()
        outcome = Outcome(self.trial, self.path, status, ended if error else None)
        if self.oracle is not None:
            outcome.differences = self.oracle.differences
            outcome.steps = max(0, len(self.oracle.lines) - 1)
        if not self.replay:
            self._write(status, ended=ended, seconds=self.budget.spent["seconds"], error=error)
        return outcome

    def _optimize(self, record: CallRecord) -> str:
        """The agent at work; why it ended."""
        calls = self.limits.get("oracle_calls")
        env = self.spec.make_env(int(calls) if calls else None)
        inner = unwrapped(env)
        common: dict[str, Any] = {"base_url": self.spec.base_url, "ledger": self.ledger, "record": record}
        if inner.uses_model:
            inner.llm = Client(self.spec.task_model, role="task", budget=self.budget, **common)
        self.env = inner
        # scoring is not the agent's spending, but it counts in the whole run's
        self.test_env = unwrapped(self.spec.make_env())
        if inner.uses_model:
            self.test_env.llm = Client(self.spec.task_model, role="test", budget=self.parent, **common)
        agent = registration.make_agent(self.spec.agent, **self.spec.settings)
        problem = inner.problem
        why_not = agent.why_not(problem)
        if why_not:
            raise OptoGymError(why_not)
        if agent.uses_model:
            agent.llm = Client(self.spec.optimizer_model, role="optimizer", budget=self.budget, **common)
        self.agent = agent
        agent_seed, episode_seed = (int(s) for s in np.random.SeedSequence(self.spec.seed).generate_state(2))
        agent.reset(problem, seed=agent_seed)
        self.oracle = RecordedOracle(
            env,
            self.budget,
            self.folder,
            seed=episode_seed,
            replay=self.replay,
            on_call=self._after,
            notes=self._notes,
        )
        self._after_start()
        try:
            agent.optimize(problem, self.oracle)
        except BudgetSpent as e:
            if self._stop.is_set():
                raise KeyboardInterrupt from None
            return "solved" if self.oracle.solved else f"budget: {e.limit}"
        if self.oracle.solved:
            return "solved"
        spent = [name for name in ("oracle_calls", "evaluations") if self.budget.left(name) < 1]
        return f"budget: {spent[0]}" if spent else "agent"

    def _notes(self) -> list[str]:
        notes, self.agent.invalid_answers = self.agent.invalid_answers, []
        return notes

    def _after_start(self) -> None:
        assert self.oracle is not None
        self._note(self.oracle.lines[0])
        if self.test_scores == "each" and not self.replay:
            self._score(self.oracle.lines[0]["parameters"], 0)

    def _after(self, line: dict[str, Any]) -> None:
        """After each call: keeps the best, scores, reports; ends the trial if the run is stopped."""
        if self.oracle is None:  # the start values' call, before there is an oracle
            return
        self._note(line)
        if self.test_scores == "each" and not self.replay:
            self._score(line["parameters"], line["call"])
            recommended = self.recommended()
            if recommended is not None:
                self._score(recommended, line["call"])
        self._progress(self.trial, line, self.ledger)
        if self._stop.is_set():
            raise BudgetSpent("stopped", "the run is stopped")

    def _note(self, line: dict[str, Any]) -> None:
        self.current = line["parameters"]
        best = self._best.get(line["split"])
        if best is None or line["reward"] >= best[0]:  # the latest of equals
            self._best[line["split"]] = (line["reward"], line["parameters"])
        self._recommendations.append((line["call"], digest(self.recommended())))

    def recommended(self) -> Values | None:
        """The agent's own choice, else the best on val, else on train."""
        own = self.agent.recommend()
        if own is not None:
            return dict(own)
        for split in ("val", "train"):
            if split in self._best:
                return self._best[split][1]
        return None

    def _score(self, parameters: Values, call: int) -> None:
        """Scores parameters on test, once."""
        key = digest(parameters)
        if key in self.tests:
            return
        begin = time.monotonic()
        result, scores = score_on_test(self.test_env, parameters)
        line = {
            "parameters_hash": key,
            "call": call,
            "score": result.score,
            "reward": result.reward,
            "scores": scores if len(scores) <= 1000 else None,
            "error": result.error,
            "seconds": round(time.monotonic() - begin, 4),
        }
        self.folder.add_test(line)
        self.tests[key] = line

    def _score_all(self) -> None:
        """At the end: the start values, the current and the recommended parameters."""
        assert self.oracle is not None
        for parameters in (self.oracle.lines[0]["parameters"], self.current, self.recommended()):
            if parameters is not None:
                self._score(parameters, self.oracle.lines[-1]["call"])

    def _write(self, status: str, *, ended: str | None, seconds: float, error: str | None = None) -> None:
        data: dict[str, Any] = {
            "version": VERSION,
            "trial": self.trial,
            "status": status,
            "ended": ended,
            "error": error,
            "spec": self.spec.to_dict(),
            "identity": self._identity,
            "limits": self.limits,
            "test_scores": self.test_scores,
            "started": self.started,
            "seconds": round(seconds, 3),
            "where": where(),
        }
        if status != "running" and self.oracle is not None:
            data["summary"] = self._summary()
        self.folder.write_summary(data)

    def _summary(self) -> dict[str, Any]:
        assert self.oracle is not None
        lines = self.oracle.lines
        recommended = self.recommended()
        tests = {
            name: self.tests.get(digest(p)) for name, p in (("current", self.current), ("recommended", recommended))
        }
        start = self.tests.get(lines[0]["parameters_hash"])
        env = self.env
        return {
            "problem": json.loads(env.problem.to_json()),
            "scale": env.scale,
            "anchors": None if env.anchors is None else dataclasses.asdict(env.anchors),
            "oracle_calls": len(lines) - 1,
            "evaluations": sum(len(line["examples"]) for line in lines[1:]),
            "invalid": sum(len(line["invalid"]) for line in lines),
            "errors": sum(line["error"] is not None for line in lines[1:]),
            "solved": self.oracle.solved,
            "start_score": start and start["score"],
            "current_score": tests["current"] and tests["current"]["score"],
            "recommended_score": tests["recommended"] and tests["recommended"]["score"],
            "recommended": plain(recommended),
            "recommendations": self._recommendations,
            "models": {"optimizer": self.agent.llm.describe() if self.agent.uses_model else None,
                       "task": env.llm.describe() if env.uses_model else None},
            "ledger": {role: self.ledger.totals(role) for role in ("optimizer", "task", "judge", "test")},
            "spent": self.budget.spent,
        }  # fmt: skip
