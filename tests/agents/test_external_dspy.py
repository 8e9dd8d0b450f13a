"""DSPy's optimizers as agents, on a scripted model."""

from __future__ import annotations

import json
import re
from itertools import cycle

import pytest

from opto_gym import Feedback, Number, OptoEnv, Parameter, Part, Prompt
from opto_gym.leaderboard import TrialFolder, replay, run
from opto_gym.registration import agent_class
from opto_gym.trace import operator
from tests.support.author_packages import needs_packages
from tests.support.openai_server import OpenAIServer
from tests.support.tasks import Adder

packages = [pytest.mark.slow, needs_packages]
HERE = "tests.agents.test_external_dspy"
AGENTS = ("COPRO", "MIPROv2", "SIMBA", "GEPA")
SMALL = {
    "COPRO": {"breadth": 2, "depth": 2},
    "MIPROv2": {"auto": None, "num_candidates": 3, "num_trials": 4},
    "SIMBA": {"bsize": 3, "num_candidates": 2, "max_steps": 3},
    "GEPA": {},
}
ANIMALS = ("cat", "dog", "hen", "owl", "fox", "cow", "bee", "ant")


class Words(OptoEnv):
    """Two texts that have to hold each example's words; a number beside them, which none of the optimizers changes."""

    objective, scores = "Write all the animals into the texts.", (0.0, 10.0)
    splits = {
        "train": [list(ANIMALS[:n]) for n in range(1, 9)],
        "val": [list(ANIMALS[:4]), list(ANIMALS[2:])],
        "test": [list(ANIMALS)],
    }
    overlapping_splits = True
    parameters = (
        Parameter("times", Number(1, 3, integer=True), 2),
        Parameter("first", Prompt(500), "  Write of a cat.\n\n", "the first text"),
        Parameter("second", Prompt(500), "", "the second text"),
    )

    def forward(self, p, example):
        @operator
        def join(first, second, times):
            """Puts the texts together."""
            return f"{first} {second}" * times

        return join(p.first, p.second, p.times)

    def judge(self, output, example):
        missing = [word for word in example if word not in output]
        said = f"Missing: {', '.join(missing)}." if missing else "None is missing."
        share = 1 - len(missing) / len(example)
        return Feedback(10 * share, (Part("hindsight_negative", said),), not missing)


class OneCase(Words):
    """The same with one case."""

    splits = {"train": [list(ANIMALS)], "test": [list(ANIMALS)]}
    instance = True


FIELDS = {
    "proposed_prefix_for_output_field": "Text:",
    "program_description": "It writes.",
    "module_description": "It writes.",
    "discussion": "Both could be better.",
}


def writer(text="A cat, a dog, a hen, an owl, a fox, a cow, a bee and an ant."):
    """A model that fills in the fields that DSPy asks for, in its form or as JSON."""

    def reply(body):
        values = {**FIELDS, "module_advice": {"prompt_second": text}}
        values |= dict.fromkeys(("proposed_instruction", "new_instruction"), text)
        if "response_format" in body:
            return json.dumps(values)
        filled = {name: v if isinstance(v, str) else json.dumps(v) for name, v in values.items()}
        return "\n\n".join(f"[[ ## {name} ## ]]\n{v}" for name, v in filled.items()) + "\n\n[[ ## completed ## ]]"

    return reply


def go(out, name, reply, env=f"{HERE}:Words", settings=(), **keywords):
    """A trial of an optimizer on a model that answers so: its folder, its steps, and the requests."""
    keywords = {"seeds": 1, "test_scores": "end", "progress": False, "model": "fake", **keywords}
    settings = {**SMALL[name], "train_size": 4, **dict(settings)}
    with OpenAIServer(reply) as server:
        (outcome,) = run([env], [(f"external/dspy-{name}", settings)], out=out, base_url=server.url, **keywords).trials
    folder = TrialFolder(outcome.path)
    assert (outcome.status, outcome.error) == ("done", None)
    return folder, folder.steps(), [r["body"] for r in server.requests]


class TestWithPackages:
    pytestmark = packages

    @pytest.mark.parametrize("name", AGENTS)
    def test_prompts_get_better_and_all_is_on_record(self, tmp_path, name):
        folder, steps, bodies = go(tmp_path, name, writer(), oracle_calls=70, settings={"max_tokens": 99})
        summary = folder.trial().summary
        assert summary.recommended_score == 10 > summary.start_score
        assert {s.parameters["times"] for s in steps} == {2}
        assert steps[0].parameters in [s.parameters for s in steps[1:]]  # margins and all
        assert all(len(s.examples) == 1 for s in steps)
        assert {s.split for s in steps[1:]} == {"train"} | ({"val"} if name in ("MIPROv2", "GEPA") else set())
        assert summary.ledger.optimizer.calls == summary.spent.llm_calls > 0
        assert {body["model"] for body in bodies} == {"fake"}
        assert {body["max_tokens"] for body in bodies} == {99}
        assert replay(folder.path).differences == []

    def test_what_the_models_of_simba_and_gepa_see(self, tmp_path):
        _, steps, bodies = go(tmp_path / "simba", "SIMBA", writer(), oracle_calls=30)
        shown = bodies[0]["messages"][-1]["content"]
        assert Words.objective in shown
        assert "prompt_first" in shown
        # rewards are fractions of the best score
        assert set(re.findall(r"\"reward\": ([\d.]+)", shown)) <= {str(s.score / 10) for s in steps}
        _, _, bodies = go(tmp_path / "gepa", "GEPA", writer(), oracle_calls=30)
        shown = bodies[0]["messages"][-1]["content"]
        assert "join0 = join(first=first, second=second, times=times)" in shown
        assert "Missing: " in shown

    @pytest.mark.parametrize("name", AGENTS)
    def test_no_call_of_the_model_beyond_the_budget(self, tmp_path, name):
        animals = iter(ANIMALS * 9)
        folder, _, bodies = go(tmp_path, name, lambda body: writer(f"Of a {next(animals)}.")(body), llm_calls=2)
        summary = folder.summary()
        assert (summary.ended, summary.summary.spent.llm_calls) == ("budget: llm_calls", 2)
        assert len(bodies) <= 2  # one with n > 1 is one

    @pytest.mark.parametrize("name", AGENTS)
    def test_one_case(self, tmp_path, name):
        folder, steps, _ = go(tmp_path, name, writer(), f"{HERE}:OneCase", oracle_calls=25)
        best = max(s.score for s in steps)
        assert folder.trial().summary.recommended_score == best

    @pytest.mark.parametrize("name", AGENTS)
    def test_malformed_answers_end_no_trial_as_failed(self, tmp_path, name):
        answers = cycle([None, "I can't.", "", '{"proposed_instruction": 3}', "[[ ## new_instruction ## ]]\n{}"])
        folder, steps, bodies = go(tmp_path, name, lambda body: next(answers), oracle_calls=26)
        start = Words().problem.start
        assert bodies
        assert folder.trial().summary.recommended == start
        assert folder.trial().summary.invalid_answers > 0  # of those that DSPy reads: one without content it does not
        assert name == "COPRO" or len(steps) > 4

    @pytest.mark.parametrize("name", ["MIPROv2", "SIMBA"])  # which take any exception for an example's failure
    def test_an_oracle_that_fails_ends_the_trial_as_failed(self, tmp_path, name):
        with OpenAIServer(writer(), ["ok", *[401] * 99]) as server:
            keywords = {"model": "fake", "base_url": server.url, "oracle_calls": 99, "progress": False}
            agent, env = (f"external/dspy-{name}", {"train_size": 4}), ("GSM8K-v1", {"data": "sample"})
            (outcome,) = run([env], [agent], out=tmp_path, seeds=1, test_scores="never", **keywords).trials
        assert outcome.status == "failed"
        assert "401" in outcome.error


@pytest.mark.parametrize("name", AGENTS)
def test_a_problem_without_a_prompt_is_refused(name):
    cls = agent_class(f"external/dspy-{name}")
    assert cls.unsupported_reason(Words().problem) is None
    assert cls.unsupported_reason(Adder().problem) == f"{name} changes prompts, and there is none"


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("COPRO", {"breadth": 1}),
        ("COPRO", {"init_temperature": -1}),
        ("COPRO", {"train_size": 0}),
        ("MIPROv2", {"auto": "huge"}),
        ("MIPROv2", {"minibatch_size": 0}),
        ("SIMBA", {"temperature_for_sampling": 0}),
        ("GEPA", {"component_selector": "none"}),
        ("GEPA", {"max_tokens": 0}),
    ],
)
def test_settings_are_checked_at_once(name, settings):
    with pytest.raises(ValueError, match=f"expected {next(iter(settings))} to be "):
        agent_class(f"external/dspy-{name}")(**settings)


@pytest.mark.parametrize("settings", [{"num_trials": 3}, {"auto": None}, {"auto": None, "num_candidates": 3}])
def test_mipro_is_told_how_much_in_one_way(settings):
    with pytest.raises(ValueError, match="expected auto or both num_candidates and num_trials"):
        agent_class("external/dspy-MIPROv2")(**settings)
