"""One trial: an agent on an environment under a budget, recorded, resumable, replayable."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .. import registration
from ..agents.base import Values
from ..errors import BudgetSpent, OptoGymError, RecordError
from ..llm import Budget, CallRecord, Client, Ledger, Reservation
from ..llm.record import collect_call_keys
from ..wrappers.observations import unwrapped
from .oracle import RecordedOracle, plain
from .records import VERSION, TrialFolder, digest
from .spec import Spec, where

SCORING = ("each", "end", "never")


@dataclasses.dataclass(slots=True)
class Outcome:
    """How a trial ended.

    Attributes:
        trial: Its id.
        path: Its folder.
        status: ``done`` or ``failed``.
        error: The last line of the traceback, if it failed.
        differences: In a replay, what disagrees with the record.
        notices: In a replay, what a reader should know of the record.
        steps: Oracle calls, the start values' apart.
    """

    trial: str
    path: Path
    status: str
    error: str | None = None
    differences: list[str] = dataclasses.field(default_factory=list)
    steps: int = 0
    notices: list[str] = dataclasses.field(default_factory=list)


class Trial:
    """Runs a trial in its folder.

    Args:
        spec: What to run.
        path: The folder.
        limits: The budget by name.
        test_scores: When current and recommended parameters are scored on test: after ``each`` call, at the ``end``,
            ``never``.
        parent: The whole run's budget.
        cap: The limits of that, for the record.
        known: Scores on test that trials of one run share, where no model sits inside the task.
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
        cap: Mapping[str, float | None] | None = None,
        known: dict[str, dict[str, Any]] | None = None,
        replay: bool = False,
        progress: Callable[[str, dict[str, Any], Ledger], None] = lambda trial, line, ledger: None,
        stop: threading.Event | None = None,
    ) -> None:
        self.spec, self.path, self.limits, self.test_scores = spec, path, dict(limits), test_scores
        self.parent, self.replay, self._progress, self._stop = parent, replay, progress, stop or threading.Event()
        self.trial, self.cap, self.known = path.name, dict(cap or {}), {} if known is None else known
        self._lock = threading.Lock()

    def run(self) -> Outcome:
        """Runs the trial to its end; what fails inside it is recorded and returned, never raised.

        Raises:
            RecordError: If the record can't be read or written.
        """
        self.folder = TrialFolder(self.path)
        self._identity = self.spec.identity()
        before = self._before = self.folder.summary() or {}
        self.ledger = Ledger()
        self.started = before.get("started") or round(time.time(), 3)
        seconds_before, limits = 0.0, self.limits
        if not self.replay and not self.spec.resumable:
            self.folder.archive_attempt()
        lost = [line for line in self.folder.lost("steps.jsonl") if line["call"]]
        if self.replay:  # ends where the record ends
            calls = sum(line["call"] > 0 for line in self.folder.steps()) + len(lost)
            limits = {**limits, "oracle_calls": calls, "seconds": None}
        else:
            # a killed session's time counts up to its last call
            last = [float(line["spent"].get("seconds", 0.0)) for line in (*lost[-1:], *self.folder.steps()[-1:])]
            seconds_before = max(before.get("seconds", 0.0), *last, 0.0)
            self._write("running", ended=None, seconds=seconds_before)
        self.budget = Budget(limits, parent=self.parent, seconds_before=seconds_before)
        self.lost = {"oracle_calls": len(lost), "evaluations": sum(len(line["examples"]) for line in lost)}
        Reservation(self.budget, self.lost).settle()
        record = CallRecord(self.folder.llm, trial=self.trial, mode="replay" if self.replay else "resume")
        self.tests = {line["parameters_hash"]: line for line in self.folder.tests()}
        self._compared: set[str] = set()  # in a replay: the tests that were made again
        self.oracle: RecordedOracle | None = None
        self.current: Values | None = None
        self._said: Values | None = None  # what the agent recommended, in a replay without it
        self._measures: dict[str, float | None] = {}
        self._best: dict[str, tuple[tuple[float, int], Values]] = {}
        self._recommendations: list[tuple[int, str]] = []
        self.differences: list[str] = []
        status, error = "done", None
        try:
            try:
                ended = self._optimize(record)
            finally:
                if self.oracle is not None and self.test_scores != "never" and not self._stop.is_set():
                    self._score_all()  # of a trial that failed too, which counts with the start values' score
        except (KeyboardInterrupt, RecordError):
            raise
        except BudgetSpent as e:  # outside of the agent's loop: nothing can be said of its parameters
            if self._stop.is_set():
                raise KeyboardInterrupt from e
            status, ended, error = "failed", f"budget: {e.limit}", traceback.format_exc()
        except (Exception, SystemExit) as e:
            status, ended, error = "failed", f"{type(e).__name__}: {e}", traceback.format_exc()
        finally:
            record.close()
            self.folder.close()
        if self.replay:
            self._compare_summary(before)
        else:
            self._write(status, ended=ended, seconds=self.budget.spent["seconds"], error=error)
        steps = 0 if self.oracle is None else len(self.oracle.lines) - 1
        return Outcome(self.trial, self.path, status, ended if error else None, self.differences, steps)

    def _optimize(self, record: CallRecord) -> str:
        """The agent at work; why it ended."""
        calls = self.limits.get("oracle_calls")
        env = self.spec.make_env(int(calls) if calls else None)
        inner = unwrapped(env)
        if inner.uses_model:
            inner.llm = self._client(self.spec.task_model, "task", self.budget, record)
        self.env = inner
        # scoring is not the agent's spending, but it counts in the whole run's
        self.test_env = unwrapped(self.spec.make_env())
        if inner.uses_model:
            self.test_env.llm = self._client(self.spec.task_model, "test", self.parent, record)
            if not self.replay:  # where all is scored again
                self.test_env.llm.book_recorded(key for line in self.tests.values() for key in line.get("calls", ()))
        agent = registration.make_agent(self.spec.agent, **self.spec.settings)
        problem = inner.problem
        reason = agent.unsupported_reason(problem)
        if reason:
            raise OptoGymError(reason)
        if agent.uses_model:
            agent.llm = self._client(self.spec.optimizer_model, "optimizer", self.budget, record)
        self.agent = agent
        agent_seed, episode_seed = self.spec.seeds()
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
        self.differences = self.oracle.differences
        self._note_and_score(self.oracle.lines[0])
        try:
            if self.replay and not self.spec.resumable:
                self._repeat()
            else:
                agent.optimize(problem, self.oracle)
            spent = [name for name in ("oracle_calls", "evaluations") if self.budget.left(name) < 1]
        except BudgetSpent as e:
            spent = [e.limit]
        if self._stop.is_set():
            raise KeyboardInterrupt
        return "solved" if self.oracle.solved else f"budget: {spent[0]}" if spent else "agent"

    def _client(self, model: str | None, role: str, budget: Budget | None, record: CallRecord) -> Client:
        """A client on the trial's books, with the calls of lost tries in them."""
        client = self.spec.client(model, role=role, budget=budget, ledger=self.ledger, record=record)
        client.book_lost(line for line in self.folder.lost(record.path.name) if line["role"] == role)
        return client

    def _repeat(self) -> None:
        """The calls on record again, of an agent that would not make the same; what it recommended is taken as said."""
        assert self.oracle is not None
        for line in self.oracle.record:
            self.agent.invalid_answers = list(line["invalid"])
            self.oracle.again(line)
        self._said = self._before.get("summary", {}).get("recommended")

    def _notes(self) -> list[str]:
        notes, self.agent.invalid_answers = self.agent.invalid_answers, []
        return notes

    def _after(self, line: dict[str, Any]) -> None:
        """After each call: keeps the best, scores, reports; ends the trial if the run is stopped."""
        if self.oracle is None:  # the start values' call, before there is an oracle
            return
        self._note_and_score(line)
        self._progress(self.trial, line, self.ledger)
        if self._stop.is_set():
            raise BudgetSpent("stopped", "the run is stopped")

    def _note_and_score(self, line: dict[str, Any]) -> None:
        with self._lock:
            self.current = line["parameters"]
            best = self._best.get(line["split"])
            rank = line["reward"], line["call"]  # the latest of equals
            if best is None or rank >= best[0]:
                self._best[line["split"]] = rank, line["parameters"]
            recommended = self.recommended()
            self._recommendations.append((line["call"], digest(recommended)))
            if self.test_scores == "each":
                self._score(line["parameters"], line["call"])
                self._score(recommended, line["call"])

    def recommended(self) -> Values:
        """The agent's own choice, else the best on val, else on train."""
        own = self._said or self.agent.recommend()
        if own is not None:
            return dict(plain(own))
        return self._best["val" if "val" in self._best else "train"][1]

    def _score(self, parameters: Values, call: int) -> None:
        """Scores parameters on test, once; in a replay, compares with the record."""
        key = digest(parameters)
        if key in (self._compared if self.replay else self.tests):
            return
        begin = time.monotonic()
        place = digest([self.spec.env, self.spec.env_arguments, key])
        scored, calls = self.known.get(place), []
        if scored is None:
            with collect_call_keys() as calls:
                result = self.test_env.evaluate(parameters, split="test")
            scores = [float(r.feedback.score) for r in result.per_example]
            scored = {
                "parameters_hash": key,
                "score": result.score,
                "reward": result.reward,
                "scores": scores if len(scores) <= 1000 else None,
                "error": result.error,
            }
            if not self.test_env.uses_model:
                self.known[place] = scored
        if self.replay:
            self._compared.add(key)
            old = self.tests.get(key, {"call": call})
            said = f"test at call {old['call']}: {{}} was {{!r:.200}}, is {{!r:.200}}"
            differ = [said.format(k, old.get(k), v) for k, v in scored.items() if plain(v) != old.get(k)]
            self.differences.extend(d for d in differ if d not in self.differences)
            return
        line = {**scored, "call": call, "calls": calls, "seconds": round(time.monotonic() - begin, 4)}
        self.folder.add_test(line)
        self.tests[key] = line

    def _score_all(self) -> None:
        """At the end: the start values, the current and the recommended parameters."""
        assert self.oracle is not None
        for parameters in (self.oracle.lines[0]["parameters"], self.current, self.recommended()):
            if parameters is not None:
                self._score(parameters, self.oracle.lines[-1]["call"])
        self._measures = dict(self.test_env.measure(self.recommended()))

    def _compare_summary(self, recorded: Mapping[str, Any]) -> None:
        """In a replay: what the trial says of itself; time, prices and the recorder's own counts apart."""
        old = recorded.get("summary")
        if old is None or self.oracle is None:
            return
        new, apart = plain(self._summary()), {"ledger", "spent", "models", "lost"}
        if [line["call"] for line in self.oracle.lines] != [line["call"] for line in self.folder.steps()]:
            apart |= {"recommendations", "current_score"}  # an agent's threads came in another order
        if not self.spec.resumable:
            apart |= {"recommendations", "invalid"}  # as the agent had them at the end
        for name in sorted(set(old) - apart):
            if old[name] != new.get(name):
                self.differences.append(f"summary: {name} was {old[name]!r:.200}, is {new.get(name)!r:.200}")

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
            "cap": self.cap,
            "test_scores": self.test_scores,
            "started": self.started,
            "seconds": round(seconds, 3),
            "where": where(registration.agent_class(self.spec.agent)),
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
        roles = ("optimizer", "task", "judge", "test")
        tries = len(self.folder.tries())
        lost = {"tries": tries, **self.lost, "ledger": {role: self.ledger.totals(role, lost=True) for role in roles}}
        env = self.env
        return {
            "problem": json.loads(env.problem.to_json()),
            "scale": env.scale,
            "anchors": None if env.anchors is None else dataclasses.asdict(env.anchors),
            "oracle_calls": len(lines) - 1,
            "evaluations": sum(len(line["examples"]) for line in lines[1:]),
            # those after the last call count too
            "invalid": sum(len(line["invalid"]) for line in lines) + len(self.agent.invalid_answers),
            "errors": sum(line["error"] is not None for line in lines[1:]),
            "solved": self.oracle.solved,
            "start_score": start and start["score"],
            "current_score": tests["current"] and tests["current"]["score"],
            "recommended_score": tests["recommended"] and tests["recommended"]["score"],
            "recommended": plain(recommended),
            "measures": self._measures,
            "recommendations": self._recommendations,
            "models": {"optimizer": self.agent.llm.describe() if self.agent.uses_model else None,
                       "task": env.llm.describe() if env.uses_model else None},
            "ledger": {role: self.ledger.totals(role) for role in roles},
            "lost": lost if tries else None,
            "spent": self.budget.spent,
        }  # fmt: skip
