"""Our OPRO beside its authors' program: what the meta-prompts show after the same answers with the same scores.

Theirs is recorded, since it can't be installed: scripts/record_opro.py ran it as it is and wrote opro_shown.json.
"""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from pathlib import Path

import pytest

import opto_gym
from opto_gym import Feedback, Number, Parameter, Permutation, Problem, Prompt, TraceFeedback, trace
from tests.support.openai_server import OpenAIServer

RECORD = json.loads(Path(__file__).with_name("opro_shown.json").read_text())
RUNS, ODD = RECORD["runs"], RECORD["odd"]
GRAPH = trace.backward(trace.parameter(0, "x") + 1)
UNKNOWN = 0.5  # the score of what theirs did not evaluate


class Instructions:
    """A prompt, scored from 0 to 1."""

    scores, answer, join = (0.0, 1.0), "<INS>{}</INS>", ""
    block = r"<INS>([^<]*)</INS>\nscore: (\S+)"

    def parameters(self, start):
        return (Parameter("INS", Prompt(), start),)

    def text(self, values):
        return values["INS"]


class Lines:
    """Two numbers; the score is a sum of squares, which should be small."""

    scores, answer, join = (1e9, 0.0), "[{}]", ", "
    block = r"<w>(\d+)</w>\n<b>(\d+)</b>\nscore: (\S+)"

    def parameters(self, start):
        return tuple(
            Parameter(n, Number(0, 100, integer=True), int(v)) for n, v in zip("wb", start.split(", "), strict=True)
        )

    def text(self, values):
        return f"{values['w']}, {values['b']}"


class Tours:
    """An order of points; the score is its length."""

    scores, answer, join = (1e6, 0.0), "<trace>{}</trace>", ","
    block = r"<trace>\[" + ", ".join([r"(\d+)"] * 100) + r"\]</trace>\nscore: (\S+)"

    def parameters(self, start):
        return (Parameter("trace", Permutation(100), [int(k) for k in start.split(",")]),)

    def text(self, values):
        return ",".join(map(str, values["trace"]))


KINDS = {"instructions": Instructions(), "lines": Lines(), "tours": Tours()}


def theirs(run):
    """What their meta-prompts show in each step, as ours words it: [(solution, its score)]."""
    texts = [text for text, _ in run["solutions"]]
    return [
        [(texts[k], f"{100 * float(score):.1f}" if run["decimals"] else score) for k, score in step["shown"]]
        for step in run["steps"]
    ]


def ours(run, agent, server):
    """What ours show, and what it evaluates of each step's answers."""
    kind, solutions = KINDS[run["kind"]], dict(run["solutions"])
    texts = list(solutions)
    first, *others = run["starts"]
    problem = Problem("recorded", {}, "Find a better one.", kind.parameters(texts[first]), kind.scores)
    agent.reset(problem, seed=0)
    loop = agent.run()
    next(loop)
    wanted, evaluated, shown = [problem.start], [], []
    # further starts are given to ours as the answers of a step before
    for answers in [*([others] if others else []), *(step["answers"] for step in run["steps"])]:
        said = [answer if isinstance(answer, str) else kind.answer.format(texts[answer]) for answer in answers]
        choices = [{"index": k, "message": {"role": "assistant", "content": text}} for k, text in enumerate(said)]
        server.script = [json.dumps({"choices": choices}).encode()]
        scores = [float(solutions.get(kind.text(values), UNKNOWN)) for values in wanted]
        observed = [TraceFeedback(GRAPH, Feedback(score)) for score in scores]
        wanted = loop.send(observed if shown else observed[0])
        blocks = re.findall(kind.block, server.requests[-1]["body"]["messages"][0]["content"])
        shown.append([(kind.join.join(parts), score) for *parts, score in blocks])
        evaluated.append([kind.text(values) for values in wanted])
    steps = len(run["steps"])
    return shown[-steps:], evaluated[-steps:]


@pytest.fixture(scope="module")
def through_ours():
    """`ours` of a run, with one client for all."""
    with OpenAIServer() as server:

        @functools.cache
        def agent(top, decimals):
            settings = {"model": "fake", "base_url": server.url, "prompt_budget": 10**6}
            return opto_gym.make_agent("OPRO", top=top, decimals=decimals, **settings)

        yield lambda run: ours(run, agent(run["top"], run["decimals"]), server)


def test_the_record_is_of_the_three_experiments():
    kinds = Counter(run["kind"] for run in RUNS)
    shown = [len(step["shown"]) for run in RUNS for step in run["steps"]]
    more = repeated = 0
    for run in RUNS:
        answers = [answer for step in run["steps"][:-1] for answer in step["answers"] if not isinstance(answer, str)]
        more += len({*run["starts"], *answers}) > len(run["steps"][-1]["shown"]) == run["top"]
        repeated += len(answers) - len({*answers})
    print(
        f"\n{dict(kinds)}: {len(shown)} meta-prompts with {sum(shown)} solutions; {more} runs with more than were shown"
    )
    assert kinds == {"instructions": 194, "lines": 5, "tours": 1}
    assert more > 150
    assert repeated > len(RUNS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_solutions_are_shown_in_the_same_order_with_the_same_scores(kind, through_ours):
    for run in RUNS:
        if run["kind"] != kind:
            continue
        for a, b in zip(theirs(run), through_ours(run)[0], strict=True):
            if kind != "instructions":  # solutions of equal scores come there in the order of a set
                assert [score for _, score in a] == [score for _, score in b]
                a, b = sorted(a), sorted(b)
            assert a == b


def test_their_filters_of_instructions_are_not_ours(through_ours):
    odd, (start, _) = ODD["odd"], ODD["solutions"][0]
    inside = {what: answer.removeprefix("<INS>").removesuffix("</INS>").strip() for what, answer in odd.items()}
    (_, _, there), (shown, evaluated) = theirs(ODD), through_ours(ODD)
    there, here = ([text for text, _ in last] for last in (there, shown[-1]))
    # Theirs evaluates the start again and then shows it twice, takes prose for an instruction, and rewrites one; it
    # does not evaluate those with digits, the letters INS, or over 500 characters, nor show what scores under 0.3.
    assert there.count(start) == 2
    assert {*inside.values()} & {*there} == {start, inside["untagged"]}
    assert "Go slowly now." in there
    # Ours does not repeat the start, takes no prose, and all else as it is.
    taken = [text for what, text in inside.items() if what not in ("the start again", "untagged")]
    assert evaluated[1][: len(taken)] == taken
    assert here.count(start) == 1
    assert {*taken} < {*here}
    assert inside["untagged"] not in here
