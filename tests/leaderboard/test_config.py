"""A run's configuration: from Python, the command line and TOML, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto_gym import KINDS
from opto_gym.cli import main
from opto_gym.cli.arguments import run_config
from opto_gym.cli.parser import make_parser
from opto_gym.leaderboard import RunConfig, plan, run
from opto_gym.leaderboard.config import stored
from opto_gym.llm import LIMITS
from opto_gym.trace import PARTS

VALLEY = "tests.support.tasks:Valley"
WORDS = st.text("abcXYZ_", min_size=1, max_size=6)
PLAIN = st.one_of(st.integers(-99, 99), st.booleans(), st.floats(-9, 9).map(lambda x: round(x, 3)), WORDS)
ARGUMENTS = st.dictionaries(WORDS, PLAIN, min_size=1, max_size=2)


def many(*names):
    """Tuples of these names, some with arguments."""
    name = st.sampled_from(names)
    return st.lists(st.one_of(name, st.tuples(name, ARGUMENTS)), max_size=3).map(tuple)


AMOUNTS = st.dictionaries(st.sampled_from(LIMITS), st.integers(1, 10**6).map(float), max_size=3)
CONFIGS = st.builds(
    RunConfig,
    envs=many(VALLEY, "Battleship-v0", "TSP-v0"),
    agents=many("RandomSearch", "OptoPrime", "tests.support.agents:Steps"),
    wrappers=many("NoisyFeedback", "ScalarOnly"),
    seeds=st.one_of(st.none(), st.integers(1, 99), st.lists(st.integers(0, 99), min_size=1, unique=True).map(tuple)),
    budget=AMOUNTS,
    cap=AMOUNTS,
    model=st.none() | WORDS,
    task_model=st.none() | WORDS,
    base_url=st.none() | st.just("http://127.0.0.1:80/v1"),
    mask=st.lists(st.sampled_from(PARTS), max_size=2).map(tuple),
    feedback=st.none() | st.lists(st.sampled_from(KINDS), min_size=1, max_size=2).map(tuple),
    test_scores=st.sampled_from([None, "each", "end", "never"]),
    jobs=st.integers(1, 9),
    out=st.none() | WORDS,
)


@given(CONFIGS)
def test_toml_and_back(config):
    assert RunConfig.from_toml(config.to_toml()) == config


@given(CONFIGS)
def test_the_command_line_and_back(config):
    options = make_parser().parse_args(["run", *config.to_arguments()])
    assert run_config(options) == config


def test_python_s_values():
    config = RunConfig.of(
        [VALLEY, ("Battleship-v0", {})],
        [("RandomSearch", {"explore": 0.5})],
        seeds=range(3),
        limits={"oracle_calls": 5, "usd": None},
    )
    assert config.envs == (VALLEY, "Battleship-v0")
    assert config.agents == (("RandomSearch", {"explore": 0.5}),)
    assert config.seeds == (0, 1, 2)
    assert config.budget == {"oracle_calls": 5}
    assert stored(("Name", {"a": 1})) == ("Name", {"a": 1})


def test_a_file_is_run_from_the_command_line_with_options_in_its_place(tmp_path, capsys):
    file = tmp_path / "run.toml"
    lines = [f'envs = ["{VALLEY}"]', 'agents = [["RandomSearch", { explore = 0.9 }]]', "seeds = 2"]
    file.write_text("\n".join([*lines, "budget = { oracle_calls = 3 }"]))
    out = tmp_path / "r"
    assert main(["run", "--config", str(file), "--seeds", "1", "--out", str(out), "--quiet", "--trust"]) == 0
    assert len(list(out.glob("trials/*"))) == 1
    capsys.readouterr()
    assert main(["run", "--config", str(file), "--llm-calls", "7", "--print-config"]) == 0
    printed = RunConfig.from_toml(capsys.readouterr().out)
    assert printed.budget == {"oracle_calls": 3, "llm_calls": 7}
    assert printed.seeds == 2


def test_a_configuration_is_run_from_python(tmp_path):
    config = RunConfig(envs=(VALLEY,), agents=("RandomSearch",), seeds=2, budget={"oracle_calls": 2}, out=str(tmp_path))
    assert len(run(config, progress=False).trials) == len(plan(config).trials) == 2
    with pytest.raises(TypeError, match="expected a RunConfig alone"):
        run(config, oracle_calls=3)


def test_a_suite_in_a_configuration():
    config = RunConfig(suite="smoke", agents=("RandomSearch",), seeds=1, budget={"oracle_calls": 1})
    made = plan(config)
    assert {spec.agent for spec in made.specs.values()} == {"RandomSearch"}
    assert {limits.oracle_calls for limits in made.limits.values()} == {1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("envs = 3", "Expected `array`, got `int` - at `\\$.envs`"),
        ("budgets = {}", "unknown field `budgets`"),
        ("seeds = 1\nseeds = 2", "Cannot overwrite a value"),
        ("jobs = 0", "expected at least 1 job, got 0"),
        ("seeds = [1, 1]", "expected seeds that differ, got 1 more than once"),
        ("seeds = []", "expected at least one seed, got an empty list"),
        ("seeds = [-1]", "seed"),
        ("budget = { oracle_calls = 0 }", "expected oracle_calls of at least 1, got 0"),
        ("budget = { apples = 1 }", "expected limits of .*got 'apples'"),
        ("cap = { usd = -1 }", "expected usd of at least 0, got -1"),
        ('test_scores = "sometimes"', "expected test_scores to be one of 'each', 'end', 'never', got 'sometimes'"),
        ('suite = "smoke"\nenvs = ["a"]', r"expected either environments or a suite, got both: \['a'\] and smoke"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message, capsys):
    with pytest.raises(ValueError, match=message):
        RunConfig.from_toml(text)
    file = tmp_path / "run.toml"
    file.write_text(text)
    assert main(["run", "--config", str(file)]) == 2
    assert str(file) in capsys.readouterr().err


def test_a_missing_file_is_named(capsys):
    assert main(["run", "--config", "nowhere.toml"]) == 2
    assert "nowhere.toml: No such file" in capsys.readouterr().err
