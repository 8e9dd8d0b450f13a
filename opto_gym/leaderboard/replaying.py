"""Replays a trial from its record, without an endpoint or a model, and compares everything that it computes again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from .. import registration
from ..agents.base import Agent, Values
from ..core import OptoEnv
from ..errors import RecordError, ReplayMismatch
from ..utils.moved import moved_names
from .call_checks import call_contradictions, given_up_scorings, recorded_price
from .consistency import contradictions, lost_contradictions
from .endpoints import CallSettings
from .identity import RULES, Identity
from .notes import AgentNotes
from .records import RunFolder, TrialFolder, read_trial
from .replayed import COMPARED_FIELDS as COMPARED_FIELDS
from .replayed import ReplayedOracle, ReplayedScorer, field_differences
from .schema import StepRecord, TrialRecord, TrialSummary, plain
from .scoring import Scorer
from .spec import digest
from .summary import summary_of
from .trial import Outcome, TrialRunner
from .trust import check as check_trust
from .trust import of_spec, place_of_trial, without_endpoints
from .unverifiable import REASONS

_MODEL_LIMITS = ("llm_calls", "tokens", "usd")
_CHECKED_ALREADY = ("oracle_calls", "evaluations", "errors", "start_score", "recommended_score")  # by `contradictions`
_OF_THE_AGENT = ("invalid_answers", "cut_prompts", "caveats")
_DESCRIPTION = ("model", "endpoint", "file")  # not the price, which is told


def replay(path: str | Path, *, trust: bool = False) -> Outcome:
    """Runs a trial again from its record, without an endpoint or a model, and compares all that it computes again.

    The agent's model calls are answered from ``llm.jsonl``. Every oracle call and every scoring on test is evaluated
    again. Each deviation from the record, and whatever contradicts itself in it, is added to `Outcome.differences`.
    Nothing is written. An agent that can't resume from its record (`Agent.resumable`), or whose source has changed
    since, does not run again; its recorded oracle calls are evaluated instead.

    Args:
        path: The trial's folder.
        trust: Whether to run what the record names and is not registered, if this user has neither made nor trusted it;
            see `leaderboard.trust`.

    Returns:
        The outcome of the replay. The record agrees if there are no `differences` and it is not `incomplete`: a record
        without oracle calls, of an unfinished trial or of a failed one verifies no result. `unverifiable` names what
        was not compared, and `notices` say if the agent or the rules of identities have changed since the record was
        made.

    Raises:
        RecordError: If the folder holds no trial, or a record is damaged.
        TrustError: If the record names what is not registered, this user has not made it, and `trust` is not set.
    """
    path = Path(path)
    record = read_trial(path)
    if record is None:
        raise RecordError(f"{path} holds no trial.json: expected the folder of a trial")
    check_trust(without_endpoints(of_spec(record.spec)), place_of_trial(path), trust=trust)
    folder = TrialFolder(path)
    steps = folder.steps()
    found = contradictions(path, record, steps, folder.tests())
    found += [*lost_contradictions(folder, record.summary), *call_contradictions(folder, record, steps)]
    incomplete = _why_incomplete(record, steps)
    if not steps:
        return Outcome(path.name, path, record.status, differences=found, incomplete=incomplete)
    replayer = Replayer(record, path)
    outcome = replayer.run()
    outcome.differences = list(dict.fromkeys([*found, *_identity(record, replayer), *replayer.differences]))
    outcome.incomplete, outcome.unverifiable = incomplete, replayer.unverifiable
    if record.identity.rules != RULES:
        outcome.notices.append("the rules that identify a trial have changed since the record")
    elif replayer.agent_has_changed:
        outcome.notices.append("the agent has changed since the record: its recorded calls were evaluated without it")
    return outcome


def _why_incomplete(record: TrialRecord, steps: Sequence[StepRecord]) -> str | None:
    """Why a record verifies no result; None if it may."""
    if record.status == "failed":
        return f"the trial failed ({' '.join((record.ended or '').split())[:200]})"
    if record.status == "running":
        return "the trial is not finished"
    return None if any(step.call for step in steps) else "it has no oracle call"


def _identity(record: TrialRecord, replayer: Replayer) -> Iterator[str]:
    """Where the recorded identity is not that of the recorded spec. A changed source of the agent is no difference."""
    was, now = record.identity, replayer.identity
    if was.rules == RULES and was.env != now.env:
        yield "the environment's problem has changed since the record"
    common = ("id", "arguments", "wrappers")  # of all rules
    pairs = {
        "seed": (was.seed, now.seed),
        "models": (was.models, now.models),
        "agent": (_named(was), _named(now)),
        "environment": ([getattr(was.env, name) for name in common], [getattr(now.env, name) for name in common]),
    }
    for what, (a, b) in pairs.items():
        if a != b:
            yield f"identity: {what} was {a!r:.200}, is {b!r:.200}"


def _named(identity: Identity) -> list[Any]:
    return [identity.agent.name, identity.agent.settings]


class Replayer(TrialRunner):
    """Runs a trial again and compares it with its record.

    Args:
        record: The content of the trial's ``trial.json``.
        path: The trial's folder. Nothing in it is changed.

    Attributes:
        differences: Each deviation from the record, as a line of text.
    """

    call_mode = "replay"

    def __init__(self, record: TrialRecord, path: Path) -> None:
        # The record of a killed trial may lack the scorings after its last oracle calls, so none are compared.
        test_scores = record.test_scores if record.status != "running" else "never"
        calls = _at_recorded_prices(record, path)
        super().__init__(record.spec, path, limits=record.limits, test_scores=test_scores, calls=calls)
        self.record, self._repeated = record, list[StepRecord]()
        self._recommended: dict[str, Values] = {}  # what the agent recommended, by its hash
        self.differences: list[str] = []
        self._unverifiable = {"times", "machine", "limits"}

    @property
    def unverifiable(self) -> list[str]:
        """What of the record was not compared, of `unverifiable.REASONS`, in its order."""
        return [name for name in REASONS if name in self._unverifiable]

    @property
    def agent_has_changed(self) -> bool:
        """Whether the agent may propose otherwise than at the time of the record."""
        recorded = self.record.identity
        return recorded.rules != RULES or recorded.agent != self.identity.agent

    @property
    def _agent_runs(self) -> bool:
        """Whether the agent runs again; else the recorded calls are evaluated in its place."""
        return self.spec.resumable and not self.agent_has_changed

    @property
    def _chooses_itself(self) -> bool:
        """Whether the agent's class recommends parameters of its own choice."""
        return registration.agent_class(self.spec.agent).recommend is not Agent.recommend

    @property
    def _recorded_calls(self) -> int:
        return sum(step.call > 0 for step in self.folder.steps())

    def _open(self) -> None:
        """Makes the recorded budget without its time limit.

        Where the recorded budget can't tell when the trial ended, it is one of as many oracle calls as are recorded.
        """
        lost = [step for step in self.folder.lost_steps() if step.call]
        limits = self.limits.to_dict()
        limits.pop("seconds", None)
        if not self._agent_runs or self.record.status == "running" or self._ends_by_chance():
            limits["oracle_calls"] = float(self._recorded_calls + len(lost))
        if lost:
            self._unverifiable.add("lost")
        self._make_budget(type(self.limits).of(limits), lost, 0.0)

    def _ends_by_chance(self) -> bool:
        """Whether the record's end depends on more than the recorded calls."""
        name = (self.record.ended or "").removeprefix("budget: ")
        if name == self.record.ended or self.record.status != "done":
            return False
        own, of_run = (getattr(limits, name, None) for limits in (self.limits, self.record.cap))
        if name == "seconds" or own is None or of_run is not None:
            return True
        if name not in _MODEL_LIMITS:
            return False
        return any(line.place or line.model == "local" for line in self.folder.calls())

    def _make_oracle(self, env: Any, seed: int) -> ReplayedOracle:
        return ReplayedOracle(
            env,
            self.budget,
            self.folder,
            self.differences,
            self._calls,
            is_agent_run=self._agent_runs,
            seed=seed,
            on_step=self._on_step,
            take_notes=self._take_notes,
        )

    def _make_scorer(self, env: OptoEnv) -> Scorer:
        return ReplayedScorer(env, self.spec, self.folder, self.differences, self._calls)

    def _run_agent(self) -> None:
        """Runs the agent; or evaluates the recorded calls, if the agent might not make the same calls again."""
        oracle = self.oracle
        assert isinstance(oracle, ReplayedOracle)
        if not self._agent_runs:
            numbers = [step.call for step in self.folder.steps()]
            oracle.side_by_side = numbers != sorted(numbers)
            self._repeat(oracle.recorded_steps)
            return
        try:
            super()._run_agent()
        finally:
            if oracle.side_by_side and oracle.solved:  # others were under way, and may come too late this time
                self._repeat(oracle.not_made)

    def _repeat(self, steps: Sequence[StepRecord]) -> None:
        """Evaluates recorded calls in place of the agent."""
        assert isinstance(self.oracle, ReplayedOracle)
        for step in steps:
            self._repeated.append(step)
            self.oracle.repeat(step)

    def _take_notes(self) -> AgentNotes:
        if not self._repeated:
            return super()._take_notes()
        # the agent does nothing, so what it did is not compared
        return AgentNotes(**{name: getattr(self._repeated[-1], name) for name in AgentNotes.__struct_fields__})

    def _agent_recommendation(self) -> Values | None:
        if self._agent_runs or not self._chooses_itself:
            chosen = super()._agent_recommendation()
        else:
            chosen = self._recorded_choice()
        if chosen is not None:
            self._recommended[digest(plain(chosen))] = chosen
        return chosen

    def _recorded_choice(self) -> Values | None:
        """What an agent that does not run recommends according to the record."""
        summary = self.record.summary
        if summary is None or self.oracle is None or len(self._repeated) == self._recorded_calls:
            return None if summary is None else summary.recommended
        now = self._repeated[-1] if self._repeated else self.oracle.steps[0]
        known = {step.parameters_hash: step.parameters for step in (*self._repeated, self.oracle.steps[0])}
        chosen: Values = known.get(dict(summary.recommendations).get(now.call, ""), now.parameters)
        return chosen

    def _close(self, status: str, ended: str, error: str | None) -> None:
        """Compares how the trial ended; and what follows from its calls, if they were all made again."""
        oracle, made = self.oracle, 0 if self.oracle is None else len(self.oracle.steps) - 1
        is_whole = oracle is not None and made == self._recorded_calls
        side_by_side = isinstance(oracle, ReplayedOracle) and oracle.side_by_side
        self._note_unverifiable(side_by_side)
        same_end = (status, ended) == (self.record.status, self.record.ended)
        if not same_end and not (is_whole and self._may_end_otherwise(status, ended, side_by_side)):
            self.differences += self._end_differences(status, ended)
        if oracle is not None and not is_whole and not ended.startswith(ReplayMismatch.__name__):
            self.differences.append(f"{self._recorded_calls} calls are recorded, {made} were made")
        if is_whole and (same_end or self.record.status == "done"):
            assert isinstance(oracle, ReplayedOracle)
            self._compare_rest(oracle, side_by_side)

    def _note_unverifiable(self, side_by_side: bool) -> None:
        agent_asks = self.spec.optimizer_model is not None
        noted = {
            "answers": agent_asks or self.spec.task_model is not None,
            "agent": not self._agent_runs,
            "order": side_by_side,
        }
        self._unverifiable |= {name for name, holds in noted.items() if holds}

    def _may_end_otherwise(self, status: str, ended: str, side_by_side: bool) -> bool:
        """Whether a replay of all recorded calls may end so where the trial did not; notes what is not known."""
        if registration.agent_class(self.spec.agent).in_terminal:
            self._unverifiable.add("end")
            return True
        missing = ended.startswith(ReplayMismatch.__name__)  # a call that the record does not have
        if status != "done" and not missing:
            return False
        recorded = self.record
        if recorded.status == "failed":  # by a fault of the machine, which the replay does not have
            self._unverifiable.add("failure")
            return missing or not self._agent_runs
        by_budget = (recorded.ended or "").startswith("budget: ")
        chance = self._ends_by_chance() or (side_by_side and by_budget and recorded.ended != "budget: oracle_calls")
        if chance and recorded.status == "done":
            self._unverifiable.add("end")
        return chance or recorded.status == "running" or not self._agent_runs

    def _end_differences(self, status: str, ended: str) -> Iterator[str]:
        if status == "failed" and self.record.status != "failed":
            yield ended
        elif self.record.status != status:
            yield f"trial.json: status was {self.record.status!r}, is {status!r}"
        if self.record.ended != ended:
            yield f"trial.json: ended was {self.record.ended!r:.200}, is {ended!r:.200}"

    def _compare_rest(self, oracle: ReplayedOracle, side_by_side: bool) -> None:
        """Compares the order of the calls, the scorings and the model calls that are left, and the summary."""
        lines = self.folder.steps()
        if not side_by_side and [step.call for step in oracle.steps] != [step.call for step in lines]:
            self.differences.append("steps.jsonl: the lines are not in the order in which the calls ended")
        if self.record.summary is None:
            return
        self._compare_tests(oracle, self.record.summary, side_by_side)
        if self.record.status == "done":
            self._compare_model_calls(lines, side_by_side)
        self._compare_summary(oracle, self.record.summary, side_by_side)

    def _compare_tests(self, oracle: ReplayedOracle, summary: TrialSummary, side_by_side: bool) -> None:
        assert isinstance(self.scorer, ReplayedScorer)
        hashes = {step.call: step.parameters_hash for step in oracle.steps}
        known = {step.parameters_hash: step.parameters for step in oracle.steps} | self._recommended
        recommended, last = dict(summary.recommendations), max(hashes)

        def may_be_scored(key: str, call: int) -> bool:
            if self._chooses_itself:
                return call in hashes
            return call < last and key in (hashes[0], hashes.get(call), recommended.get(call))

        self.scorer.compare_rest(known, may_be_scored, is_ordered=not side_by_side)

    def _compare_model_calls(self, steps: Sequence[StepRecord], side_by_side: bool) -> None:
        """Adds the recorded model calls that the replay did not ask for."""
        of_steps = [key for step in steps for key in (*step.task_calls, *(step.optimizer_calls or ()))]
        used = {self._calls.current_key(key) for key in of_steps}
        at_end = side_by_side or self._ends_by_chance()  # calls for a proposal that the budget's end left over
        given_up = given_up_scorings(self.folder, self._calls)
        for line in (line for line in self._calls.unused if line not in given_up):
            is_of_end = at_end and line.role != "test" and self._calls.current_key(line.key) not in used
            if not is_of_end and (line.role != "optimizer" or self._agent_runs):
                what = f"the {line.role}'s call {line.key[:16]}, n={line.n}"
                self.differences.append(f"llm.jsonl: the replay does not make {what}")

    def _compare_summary(self, oracle: ReplayedOracle, recorded: TrialSummary, side_by_side: bool) -> None:
        """Compares the summary, except for times, prices, and what `contradictions` compares."""
        left_out = {"ledger", "spent", "models", "lost", *_CHECKED_ALREADY}
        if side_by_side:
            left_out |= {"recommendations", "current_score"}
        if not self._agent_runs:
            left_out |= {*_OF_THE_AGENT, *(["recommendations"] if self._chooses_itself else [])}
        found = summary_of(self, oracle)
        if recorded.problem.runtime is None:  # not recorded
            found = replace(found, problem=replace(found.problem, runtime=None))
        names = [name for name in TrialSummary.__struct_fields__ if name not in left_out]
        self.differences += field_differences("summary", recorded, found, names)
        for role in ("optimizer", "task"):
            was, now = (_described(getattr(summary.models, role)) for summary in (recorded, found))
            if was != now:
                self.differences.append(f"summary: models {role} was {was!r:.200}, is {now!r:.200}")


def _described(model: dict[str, Any] | None) -> dict[str, Any] | None:
    """The part of the description of a model that is no price."""
    return model and {name: model.get(name) for name in _DESCRIPTION}


def _at_recorded_prices(record: TrialRecord, path: Path) -> CallSettings | None:
    """How the run made its calls, with the prices in the trial's record; they may have changed since."""
    run = RunFolder(path.parent.parent)
    calls = run.plan.calls if run.has_plan else CallSettings()
    if record.summary is None:
        return calls
    models = {"optimizer": record.spec.optimizer_model, "task": record.spec.task_model}
    prices = {name: recorded_price(record.summary, role) or (0.0, 0.0) for role, name in models.items() if name}
    return calls.with_changes(CallSettings(prices=prices))


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "COMPARED": "leaderboard.replaying:COMPARED_FIELDS",
            "different": "leaderboard.replaying:field_differences",
        },
    )
