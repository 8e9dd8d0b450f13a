"""What a run is estimated to spend, against what it spends."""

from __future__ import annotations

import re

import pytest

from opto_gym.cli import estimates, main
from opto_gym.leaderboard import plan, run
from opto_gym.leaderboard.amounts import Limits, Totals
from opto_gym.leaderboard.records import read_trial
from opto_gym.leaderboard.spending import described, money
from tests.support.agents import Asking
from tests.support.openai_server import OpenAIServer
from tests.support.tasks import Valley

HERE = "tests.leaderboard.test_estimate"
GSM = ("GSM8K-v1", {"data": "sample"})
PRICED = {"model": "gpt-4o-mini", "seeds": 1}


class Questions(Valley):
    """The valley, with a model inside that is asked twice for each of two examples."""

    uses_model, batch = True, 2
    instance = False
    splits = {"train": ("a", "b", "c"), "test": tuple("defghij")}

    def forward(self, p, example):
        for part in (1, 2):
            self.llm.chat([{"role": "user", "content": f"What of {example}, part {part}?"}], max_tokens=100)
        return super().forward(p, example)


class ManyQuestions(Questions):
    """The same with more examples in an oracle call."""

    batch = 20
    splits = {"train": tuple("abcdefghijklmnopqrstuvwxyz"), "test": tuple("0123456")}


class Validated(Questions):
    """The same with a val split."""

    splits = {"train": ("a", "b", "c"), "val": ("d", "e", "f"), "test": tuple("ghijklm")}


class RecommendingLast(Asking):
    """An agent that recommends what it proposed last."""

    last = {"x": 0}

    def propose(self, observation):
        self.llm.chat([{"role": "user", "content": "x?"}])
        self.last = {"x": int(self.rng.integers(-10, 0))}
        return self.last

    def recommend(self):
        return self.last


class RecommendingNew(RecommendingLast):
    """An agent that recommends what it never proposed."""

    def recommend(self):
        return {"x": 1 + abs(self.last["x"]) % 8}


class Raising(Asking):
    """An agent that can't read a made-up answer."""

    def propose(self, observation):
        return {"x": int(self.llm.chat([{"role": "user", "content": "x?"}]).text)}


def roles(made):
    return {name: role and role["calls"] for name, role in made.estimate()["roles"].items()}


def spent(outcome):
    ledger = read_trial(outcome.path).summary.ledger
    return {"optimizer": ledger.optimizer, "task": ledger.task, "scoring": ledger.test}


@pytest.mark.parametrize(
    ("agent", "scores", "expected"),
    [
        # a call of the agent's for each oracle call; 2 examples of 2 calls, also for the start values; 7 scored
        ("OptoPrime", None, {"optimizer": (3, 3), "task": (16, 16), "scoring": (14, 3 * 14)}),
        ("OptoPrime", "each", {"optimizer": (3, 3), "task": (16, 16), "scoring": (14, 4 * 14)}),
        ("OptoPrime", "never", {"optimizer": (3, 3), "task": (16, 16), "scoring": (0, 0)}),
        ("OptoPrime-CoT", "end", {"optimizer": (6, 6), "task": (16, 16), "scoring": (14, 3 * 14)}),
        (("OptoPrime-Candidates", {"n": 2}), "end", {"optimizer": (9, 9), "task": (16, 16), "scoring": (14, 3 * 14)}),
        (("OPRO", {"n": 3}), "end", {"optimizer": (1, 1), "task": (16, 16), "scoring": (14, 3 * 14)}),
        ("RandomSearch", "end", {"optimizer": (0, 0), "task": (16, 16), "scoring": (14, 3 * 14)}),
    ],
)
def test_the_calls_of_all_roles_are_counted(agent, scores, expected):
    made = plan([f"{HERE}:Questions"], [agent], limits={"oracle_calls": 3}, test_scores=scores, **PRICED)
    amounts = made.estimate()
    assert {name: role["calls_range"] for name, role in amounts["roles"].items()} == expected
    assert amounts["llm_calls_range"] == tuple(sum(ends) for ends in zip(*expected.values(), strict=True))
    assert amounts["llm_calls"] == pytest.approx(sum(roles(made).values()), abs=1)
    for name in ("llm_calls", "tokens", "usd", "seconds"):
        low, high = amounts[f"{name}_range"]
        assert low <= amounts[name] <= high


def scorings(agent, oracle_calls, *, env="Questions", scores="end"):
    """(the fewest, a middle number, the most) sets of parameters that are scored."""
    made = plan([f"{HERE}:{env}"], [agent], limits={"oracle_calls": oracle_calls}, test_scores=scores, **PRICED)
    found = made.estimate()["roles"]["scoring"]
    return found["calls_range"][0] / 14, found["calls"] / 14, found["calls_range"][1] / 14


def test_how_many_sets_are_scored_follows_from_how_they_are_recommended():
    assert scorings("OptoPrime", 1) == (1, 2, 2)  # the start values and the last ones, one of which is the best
    trials = [(2, "Questions"), (8, "Questions"), (8, "ManyQuestions"), (40, "ManyQuestions")]
    middle = [scorings("OptoPrime", calls, env=env)[1] for calls, env in trials]
    assert middle == sorted(middle)  # the best of many that are hardly ever equal is rarely the first or the last
    assert 2 < middle[0] < 2.3
    assert 2.6 < middle[-1] < 3
    assert scorings(f"{HERE}:RecommendingLast", 8) == (1, 2, 3)
    assert scorings(f"{HERE}:RecommendingNew", 8) == (1, 3, 3)
    assert scorings(f"{HERE}:RecommendingNew", 8, scores="each") == (1, 9, 17)


@pytest.mark.parametrize(
    ("env", "agent", "proposals", "scored"),
    [
        ("Questions", "OptoPrime", "???", 1),  # unusable: the start values, 0, are evaluated again; 3 is the best
        ("Questions", "OptoPrime", [-1, -2, -3], 2),
        ("Questions", "OptoPrime", [-1, -2, 1], 2),
        ("Questions", "OptoPrime", [1, -1, -2], 3),
        ("Validated", "TextGrad", [1, 2], 2),
        ("Questions", f"{HERE}:RecommendingNew", "???", 3),
    ],
)
def test_the_run_is_in_the_ranges(tmp_path, env, agent, proposals, scored):
    proposed = iter(proposals)

    def reply(body):
        question = str(body["messages"])
        if "What of" in question[:60] or (agent == "TextGrad" and "criticism>" not in question):
            return "fine"
        x = next(proposed, "?")
        return "?" if x == "?" else f'{{"suggestion": {{"x": {x}}}}}'

    what = [f"{HERE}:{env}"], [agent]
    amounts = plan(*what, limits={"oracle_calls": 3}, **PRICED).estimate()
    with OpenAIServer(reply) as server:
        out = run(*what, out=tmp_path, oracle_calls=3, progress=False, base_url=server.url, **PRICED)
    real = spent(out.trials[0])
    assert real["scoring"].calls == scored * 14
    totals = {
        "llm_calls": sum(t.calls for t in real.values()),
        "tokens": sum(t.tokens for t in real.values()),
        "usd": sum(t.usd for t in real.values()),
    }
    for name, total in totals.items():
        low, high = amounts[f"{name}_range"]
        assert low <= total <= high, name


def test_the_estimate_is_what_the_run_spends(tmp_path):
    keywords = {"test_scores": "each", **PRICED}
    amounts = plan([f"{HERE}:Questions"], ["OptoPrime"], limits={"oracle_calls": 6}, **keywords).estimate()["roles"]
    proposals = iter(range(-9, 9))

    def reply(body):
        is_task = body["messages"][0]["content"].startswith("What of")
        return "fine" if is_task else f'{{"suggestion": {{"x": {next(proposals)}}}}}'

    with OpenAIServer(reply) as server:
        server.count = lambda text: round(len(text) / 4)
        out = run([f"{HERE}:Questions"], ["OptoPrime"], out=tmp_path, oracle_calls=6, progress=False,
                  base_url=server.url, **keywords)  # fmt: skip
    for name, totals in spent(out.trials[0]).items():
        assert amounts[name]["calls"] == totals.calls
        if name == "optimizer":
            assert amounts[name]["tokens_in"] == pytest.approx(totals.tokens_in, rel=0.2)


def test_budgets_bound_the_estimate():
    def tokens(**limits):
        return plan([f"{HERE}:Questions"], ["OptoPrime"], limits=limits, test_scores="never", **PRICED).estimate()

    assert tokens(oracle_calls=3, evaluations=4)["roles"]["optimizer"]["calls"] == 2
    assert tokens(llm_calls=14)["llm_calls"] <= 14
    assert tokens(tokens=5000)["tokens"] <= 5000
    assert tokens(tokens=5000)["tokens_range"][1] <= 5000 + 1e-6
    free, bounded = (tokens(oracle_calls=3, **limits)["roles"] for limits in ({}, {"tokens": 8000}))
    for name in ("optimizer", "task"):  # the limit is above the middle numbers, which it leaves as they are
        assert bounded[name]["tokens_out"][:2] == free[name]["tokens_out"][:2]
        assert bounded[name]["tokens_out"][2] < free[name]["tokens_out"][2]
    assert tokens(usd=0.002)["usd_range"][1] <= 0.002 + 1e-9
    assert tokens(seconds=60)["seconds"] <= 60
    capped = plan([f"{HERE}:Questions"], ["OptoPrime"], limits={"oracle_calls": 3}, cap={"usd": 1e-6}, **PRICED)
    assert capped.estimate()["usd"] == 1e-6


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        (f"{HERE}:Raising", "ValueError: invalid literal for int"),
        ("Program-Model:command='true'", "it runs in a process of its own"),
    ],
)
def test_what_can_t_be_rehearsed_is_unknown(agent, reason):
    name, _, command = agent.partition(":command=")
    named = (name, {"command": command.strip("'")}) if command else name
    amounts = plan([f"{HERE}:Questions"], [named], limits={"oracle_calls": 3}, **PRICED).estimate()
    assert (amounts["llm_calls"], amounts["usd"], amounts["seconds"]) == (None, None, None)
    assert amounts["roles"]["optimizer"] is None
    assert amounts["roles"]["task"]["calls"] == 4 * 4
    ((_, _, said),) = amounts["unknown"]
    assert reason in said


def test_finished_trials_are_not_counted(tmp_path, capsys):
    command = ["run", "--env", "tests.support.tasks:Valley", "--agent", "RandomSearch", "--oracle-calls", "2"]
    command += ["--out", str(tmp_path / "r"), "--quiet"]
    main([*command, "--seeds", "2"])
    capsys.readouterr()
    main([*command, "--seeds", "3", "--dry-run"])
    said = capsys.readouterr().out
    assert "done already   2 of 3 trials" in said
    assert re.search(r"trials +1\n", said)


def test_a_run_that_is_expensive_asks_in_a_terminal(tmp_path, capsys, monkeypatch):
    class Terminal:
        answers = iter(["n\n", "y\n"])

        def isatty(self):
            return True

        def readline(self):
            return next(self.answers)

    made = plan([f"{HERE}:Questions"], ["OptoPrime"], limits={"oracle_calls": 3}, **PRICED)
    what = {"out": tmp_path / "r", "jobs": 1}
    low, high = made.estimate()["usd_range"]
    monkeypatch.setattr(estimates, "MOST_USD", 0.99 * high)  # only the upper end is above it
    assert estimates.confirmed(made, **what)  # no terminal
    monkeypatch.setattr("sys.stdin", Terminal())
    assert estimates.confirmed(made, **what)  # standard error is none
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert not estimates.confirmed(made, **what)
    said = capsys.readouterr().err
    assert re.search(r"This run may cost about 0\.0\d+ \(0\.00\d+ to 0\.\d+\) USD", said)
    assert low < made.estimate()["usd"] < 0.99 * high
    assert estimates.confirmed(made, **what)
    monkeypatch.setattr(estimates, "MOST_USD", 1.0)
    assert estimates.confirmed(made, **what)  # cheap: the answers are used up


def test_money_is_never_shown_as_nothing():
    assert [money(usd) for usd in (None, 0, 1e-9, 0.0099, 0.01, 1234.5)] == [
        "unknown", "0.00", "<0.01", "<0.01", "0.01", "1,234.50",
    ]  # fmt: skip
    one = Totals(calls=2, attempts=2, tokens_in=1000, tokens_out=500, usd=0.001)
    assert described({"optimizer": Totals(usd=0.0), "scoring": one}) == "scoring 2 calls, 1,500 tokens, <0.01 USD"
    assert described({"optimizer": one, "scoring": one}).endswith("total 4 calls, 3,000 tokens, <0.01 USD")
    assert described({"optimizer": Totals(usd=0.0)}) == ""


class Detailed(OpenAIServer):
    """An endpoint that tells cached tokens and those of reasoning."""

    def completion(self, body, number):
        page = super().completion(body, number)
        page["usage"] |= {"prompt_tokens_details": {"cached_tokens": 3}}
        page["usage"] |= {"completion_tokens_details": {"reasoning_tokens": 1}}
        return page


def test_cached_tokens_and_those_of_reasoning_are_counted_by_role(tmp_path, capsys):
    with Detailed("ok") as server:
        (outcome,) = run(
            [f"{HERE}:Questions"], ["RandomSearch"], out=tmp_path, seeds=1, oracle_calls=1, model="m",
            base_url=server.url, progress=False,
        ).trials  # fmt: skip
    totals = spent(outcome)
    assert [(t.cached_tokens, t.reasoning_tokens) for t in (totals["task"], totals["scoring"])] == [(24, 8), (84, 28)]
    assert (totals["optimizer"].cached_tokens, totals["optimizer"].reasoning_tokens) == (None, None)
    main(["report", str(tmp_path)])
    assert re.search(r"scoring +28 .*\(84 cached\) .*\(28 reasoning\)", capsys.readouterr().out)


def test_the_scoring_of_a_task_with_a_model_is_at_the_end_and_in_the_cap(tmp_path, capsys):
    command = ["run", "--env", f"{HERE}:Questions", "--env", "tests.support.tasks:Valley", "--agent", "RandomSearch"]
    command += ["--seeds", "1", "--oracle-calls", "3", "--model", "gpt-4o-mini", "--usd", "0.1"]
    with OpenAIServer("ok") as server:
        out = tmp_path / "r"
        assert main([*command, "--base-url", server.url, "--out", str(out)]) == 0
        said = capsys.readouterr()
        scores = {read_trial(path).spec.env: read_trial(path).test_scores for path in (out / "trials").iterdir()}
        assert scores == {f"{HERE}:Questions": "end", "tests.support.tasks:Valley": "each"}
        assert re.search(
            r"spent: task \d+ calls, .* USD; scoring \d+ calls, .*<0.01 USD; total .*only in --cap", said.out
        )
        assert re.search(r"\[\d/2\] .*; task \d+ calls, .* tokens, <0.01 USD; scoring ", said.err)
        main(["report", str(out)])
        report = capsys.readouterr().out
        assert re.search(r"scoring +\d+ .*<0.01", report)
        assert main([*command, "--base-url", server.url, "--out", str(tmp_path / "s"), "--cap", "usd=0.0005"]) == 1
        assert "budget: usd" in capsys.readouterr().err
        assert sum(r.usd for t in _ended(tmp_path / "s") for r in t.values()) <= 0.0005
        before = len(server.requests)
        assert main(["run", "--resume", str(out), "--quiet"]) == 0  # each trial is scored as it was planned
        assert len(server.requests) == before


def _ended(out):
    records = [read_trial(path) for path in (out / "trials").iterdir()]
    return [{"task": r.summary.ledger.task, "test": r.summary.ledger.test} for r in records if r.summary]


@pytest.mark.parametrize(
    ("answer", "limits", "said"),
    [
        ("I don't know.", {"oracle_calls": 2}, "every answer of the optimizer's model was unusable"),
        ('{"suggestion": {"x": 99}}', {"oracle_calls": 2}, "every proposal was refused or ended in an error"),
        ("ok", {"llm_calls": 0}, "no oracle call was made; the optimizer's model was not asked"),
    ],
)
def test_a_trial_that_means_nothing_says_so(tmp_path, capsys, answer, limits, said):
    command = ["run", "--env", "tests.support.tasks:Valley", "--agent", "OptoPrime", "--seeds", "1"]
    command += [word for name, value in limits.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    with OpenAIServer(answer) as server:
        assert main([*command, "--model", "m", "--base-url", server.url, "--out", str(tmp_path / "r")]) == 0
    shown = capsys.readouterr()
    assert f": {said}" in shown.err
    assert "1 trials done, 0 failed, 1 of those done without meaning. See" in shown.out
    main(["report", str(tmp_path / "r")])
    assert f"means nothing: {said}." in " ".join(capsys.readouterr().out.split())
    (trial,) = (tmp_path / "r" / "trials").iterdir()
    assert main(["replay", str(trial)]) == (1 if "no oracle call" in said else 0)  # such a record verifies nothing


def test_cut_answers_are_counted(tmp_path, capsys):
    def cut(body):
        return b'{"choices": [{"finish_reason": "length", "message": {"content": "{\\"suggestion\\": {\\"x\\": 1}}"}}]}'

    with OpenAIServer(profile=cut) as server:
        out = run(["tests.support.tasks:Valley"], ["OptoPrime"], out=tmp_path, oracle_calls=2, seeds=1, progress=False,
                  model="m", base_url=server.url)  # fmt: skip
    assert "2 of 2 answers of the optimizer's model were cut by a limit of tokens" in out.trials[0].caveats


def test_a_trial_that_means_something_says_nothing(tmp_path):
    with OpenAIServer('{"suggestion": {"x": 1}}') as server:
        out = run(["tests.support.tasks:Valley"], ["OptoPrime"], out=tmp_path, oracle_calls=2, seeds=1, progress=False,
                  model="m", base_url=server.url)  # fmt: skip
    assert out.trials[0].caveats == []
    assert Limits.of({"oracle_calls": 2}) == read_trial(out.trials[0].path).limits
