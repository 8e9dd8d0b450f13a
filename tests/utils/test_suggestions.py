from __future__ import annotations

import re

import pytest

import opto_gym
from opto_gym import data
from opto_gym.baselines import recipes
from opto_gym.cli import main
from opto_gym.leaderboard import suites
from opto_gym.llm import local
from opto_gym.utils.suggestions import closest, did_you_mean
from opto_gym.wrappers import FeedbackKinds, MaskGraph

NAMES = ["OptoPrime", "OptoPrime-CoT", "OPRO", "OPRO-Trace", "TextGrad", "Adam"]


def test_names_that_are_spelt_alike():
    assert closest("optoprime", NAMES) == ["OptoPrime"]
    assert closest("OptoPrim", NAMES)[0] == "OptoPrime"
    assert closest("TextGard", NAMES) == ["TextGrad"]
    assert closest("opro", NAMES) == ["OPRO"]
    assert closest(" adam ", NAMES) == ["Adam"]
    assert closest("Gibberish", NAMES) == closest("", NAMES) == []
    assert len(closest("OptoPrime-", [f"OptoPrime-{k}" for k in range(9)])) == 3


def test_the_words():
    assert did_you_mean("adan", ["Adam"]) == "; did you mean 'Adam'?"
    assert did_you_mean("ab", ["abc", "abd"]) == "; did you mean 'abc' or 'abd'?"
    assert did_you_mean("ab", ["abc", "abd", "abe"]) == "; did you mean 'abc', 'abd' or 'abe'?"
    assert did_you_mean("x", ["abc"]) == did_you_mean(3, ["abc"]) == ""


def suggested(message):
    """The names that a message suggests."""
    found = re.search(r"did you mean ((?:'[^']+'(?:, | or )?)+)\?", message)
    return re.findall(r"'([^']+)'", found[1]) if found else []


def misspelt(name):
    """A name in other case, cut, with two letters changed places, and with a letter doubled."""
    yield from {name.swapcase(), name[:-1], name[1] + name[0] + name[2:], name[0] + name}


AGENTS, ENVS = opto_gym.registered_agents(), opto_gym.registered_envs()


@pytest.mark.parametrize("name", AGENTS)
def test_of_agents_only_existing_ones_are_suggested(name):
    for wrong in misspelt(name):
        if wrong not in AGENTS:
            with pytest.raises(KeyError) as e:
                opto_gym.make_agent(wrong)
            assert set(suggested(str(e.value))) <= set(AGENTS)
            assert len(str(e.value)) < 250  # 55 names are no help
            assert "`opto-gym agents` lists" in str(e.value)
    with pytest.raises(KeyError) as e:
        opto_gym.make_agent(name.swapcase() if name.swapcase() != name else name.lower())
    assert suggested(str(e.value)) == [name]


@pytest.mark.parametrize("name", ENVS)
def test_of_environments_only_existing_ids_are_suggested(name):
    bare = re.sub(r"-v\d+$", "", name)
    for wrong in [*misspelt(name), bare, f"{bare}-v7", f"opto_gym/{bare}-v7", bare.lower()]:
        if wrong not in ENVS:
            with pytest.raises(Exception, match=r"-v\d|`opto-gym envs` lists") as e:
                opto_gym.make(wrong)
            names = suggested(str(e.value)) or re.findall(r"such as '([^']+)'|`opto-gym envs (\S+)`", str(e.value))
            names = [n for found in names for n in ([found] if isinstance(found, str) else found) if n]
            assert set(names) <= set(ENVS), str(e.value)
    for wrong in (name.upper(), bare.lower()):
        with pytest.raises(Exception, match="did you mean") as e:
            opto_gym.make(wrong)
        assert re.sub(r"-v\d+$", "", suggested(str(e.value))[0]) == bare


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["run", "--suite", "smok", "--out", "x"], "smoke"),
        (["run", "--suite", "Peers", "--out", "x"], "peers"),
        (["reproduce", "figure1"], "figure-1"),
        (["data", "fetch", "gsm9k"], "gsm8k"),
        (["models", "pull", "smollm"], "smollm2"),
        (["rnu"], "run"),
        (["Report"], "report"),
        (["data", "fetsh"], "fetch"),
        (["run", "--sedes", "3"], "--seeds"),
        (["run", "--oracel-calls=3"], "--oracle-calls"),
        (["reproduce", "--size", "papr"], "paper"),
        (["compare", "--agent", "Adam", "--against", "adma", "--env", "Battleship-v0"], "Adam"),
        (["run", "--env", "battleship-v0", "--agent", "Adam"], "Battleship-v0"),
        (["run", "--env", "Battleship-v0", "--agent", "Adam", "--mask", "coed"], "code"),
        (["run", "--env", "Battleship-v0", "--agent", "Adam", "--feedback", "hindsight_negativ"], "hindsight_negative"),
        (["run", "--env", "Battleship-v0", "--agent", "Adam", "--wrapper", "noisyfeedback:p=1"], "NoisyFeedback"),
        (["run", "--env", "Battleship-v0", "--agent", "Adam", "--cap", "token=5"], "tokens"),
        (["run", "--env", "Battleship-v0", "--agent", "Adam", "--test-scores", "ech"], "each"),
    ],
)
def test_wherever_a_name_is_chosen_from_a_list(capsys, tmp_path, monkeypatch, arguments, wanted):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert suggested(line)[0] == wanted
    assert not list(tmp_path.iterdir())


def test_in_python_too():
    env = opto_gym.make("NumericalOptimization-v0")
    with pytest.raises(ValueError, match="did you mean 'code'"):
        MaskGraph(env, ["coed"])
    with pytest.raises(ValueError, match="did you mean 'reward'"):
        FeedbackKinds(env, ["rewad"])
    with pytest.raises(ValueError, match="did you mean 'smoke'"):
        suites.load("smok")
    with pytest.raises(ValueError, match="did you mean 'figure-5a'"):
        recipes.load("figure-5A")
    with pytest.raises(opto_gym.errors.DataNotFound, match="did you mean 'bbh'"):
        data.fetch("BBH")
    with pytest.raises(opto_gym.errors.ModelNotFound, match="did you mean 'smollm2'"):
        local.pull("smollm3")
