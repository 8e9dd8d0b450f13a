from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import opto_gym
from opto_gym import Feedback, Part, TraceFeedback, trace
from opto_gym.agents.toolkit import gradients
from opto_gym.agents.toolkit.gradients import direction
from opto_gym.baselines.adam import Adam
from opto_gym.errors import OptoGymError
from opto_gym.wrappers import FeedbackKinds, MaskGraph
from tests.support.rollouts import drive


# ------------------------------------------------------------------ Battleship
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("Enumeration", 0.35, 0.7), ("Parity", 0.65, 0.9), ("HuntTarget", 0.75, 1.0), ("Density", 0.85, 1.0)],
)
@pytest.mark.parametrize("env", ["Battleship-v0", "BattleshipOnline-v0"])
def test_policies_play_both_battleships(name, low, high, env):
    agent, env = opto_gym.make_agent(name), opto_gym.make(env)
    drive(agent, env, 2)
    proposal = agent.propose(env.unwrapped.last.observation)
    assert env.unwrapped.problem.invalid_reasons(proposal) == {}
    full = env.unwrapped.evaluate(proposal, split="test", examples=range(12))
    assert full.error is None
    assert low < full.score < high


def test_enumeration_scans_the_rows():
    agent, env = opto_gym.make_agent("Enumeration"), opto_gym.make("Battleship-v0", width=4, height=3, fleet=[1])
    drive(agent, env, 1)
    shots = env.unwrapped.last.metrics["shots"]
    assert shots == [[r, c] for r in range(3) for c in range(4)][: len(shots)]


def test_the_published_enumeration_leaves_the_board_in_each_column():
    agent = opto_gym.make_agent("EnumerationPublished")
    env = opto_gym.make("Battleship-v0", width=4, height=3, fleet=[2, 2, 2], turns=9)
    drive(agent, env, 1)
    shots = env.unwrapped.last.metrics["shots"]
    assert shots == [[r, c] for c in range(4) for r in (1, 2)][: len(shots)]
    assert "[3, 0] (outside the map" in str(env.unwrapped.last.feedback)


def test_density_plays_with_the_fleet_at_hand():
    agent, env = opto_gym.make_agent("Density"), opto_gym.make("Battleship-v0", fleet=[3, 3])
    drive(agent, env, 1)
    assert agent.propose(env.unwrapped.last.observation) == env.unwrapped.reference_solution()


@pytest.mark.parametrize("name", ["Enumeration", "EnumerationPublished", "Parity", "HuntTarget", "Density", "Adam"])
def test_a_specialist_refuses_other_problems(name):
    other = "Battleship-v0" if name == "Adam" else "NumericalOptimization-v0"
    problem = opto_gym.make(other).unwrapped.problem
    agent = opto_gym.make_agent(name)
    assert type(agent).unsupported_reason(problem)
    with pytest.raises(OptoGymError, match=other):
        agent.reset(problem)


# ------------------------------------------------------------------ the gradient
def gradient(graph):
    return gradients.gradient(graph, "Adam")


def expression(x, y, shape):
    """A tree of the operators that Adam knows, over x, y and constants."""
    if isinstance(shape, float):
        return shape
    if isinstance(shape, str):
        return {"x": x, "y": y}[shape]
    name, *parts = shape
    a, *more = (expression(x, y, p) for p in parts)
    if name == "neg":
        return -a
    if name == "abs":
        return abs(a)
    if name == "pow":
        return a ** more[0]
    return {"add": a + more[0], "sub": a - more[0], "mul": a * more[0]}[name] if name != "truediv" else a / more[0]


leaves = st.sampled_from(["x", "y"]) | st.sampled_from([-2.0, 0.5, 3.0])
shapes = st.recursive(
    leaves,
    lambda s: st.one_of(
        st.tuples(st.sampled_from(["add", "sub", "mul", "truediv"]), s, s),
        st.tuples(st.sampled_from(["neg", "abs"]), s),
        st.tuples(st.just("pow"), s, st.sampled_from([2.0, 3.0])),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(shapes, *[st.integers(-300, 300).map(lambda i: i / 100)] * 2)  # differences of 1e-5 mean nothing at 1e-260
def test_the_gradient_is_the_finite_difference(shape, a, b):
    def value(x, y):
        return expression(x, y, shape)

    h = 1e-5
    try:
        points = [value(a + i * h, b + j * h) for i, j in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (2, 0), (0, 2))]
    except ArithmeticError:
        assume(False)
    assume(all(isinstance(p, float) and abs(p) < 1e4 for p in points))
    x, y = trace.parameter(a, "x"), trace.parameter(b, "y")
    output = value(x, y)
    assume(isinstance(output, trace.Node))
    found = gradient(trace.backward(output, [x, y]))
    center, right, left, up, down, right2, up2 = points
    for name, plus, minus, twice in (("x", right, left, right2), ("y", up, down, up2)):
        slope, coarse = (plus - minus) / (2 * h), (twice - center) / (2 * h)
        assume(abs(slope - coarse) < 1e-2 * (1 + abs(slope)))  # smooth here: no kink, no pole nearby
        assert found[name] == pytest.approx(slope, rel=2e-2, abs=2e-2)


def test_the_gradient_sums_over_paths_and_is_zero_where_nothing_leads():
    x, y = trace.parameter(2.0, "x"), trace.parameter(5.0, "y")
    z = x * x
    assert gradient(trace.backward(z * z + x, [x, y])) == {"x": 33.0, "y": 0.0}
    assert gradient(trace.backward(x, [x])) == {"x": 1.0}


def test_the_gradient_at_poles_and_errors_is_zero_and_always_finite():
    x = trace.parameter(0.0, "x")
    with pytest.raises(trace.ExecutionError) as e:
        1.0 / x
    assert gradient(trace.backward(e.value.exception_node, [x])) == {"x": 0.0}
    steep = trace.parameter(1e-200, "x")
    assert math.isfinite(gradient(trace.backward(1.0 / steep, [steep]))["x"])


def test_what_can_not_be_differentiated_is_said():
    x = trace.parameter(2.0, "x")

    @trace.operator
    def mystery(x):
        return x

    with pytest.raises(OptoGymError, match="'mystery'"):
        gradient(trace.backward(mystery(x), [x]))
    graph = trace.backward(x * 3 + 1, [x])
    with pytest.raises(OptoGymError, match="masked"):
        gradient(graph.masked(["code"]))
    with pytest.raises(OptoGymError, match="expected numbers"):
        gradient(graph.masked(["others"]))
    assert gradient(graph.masked(["documentation", "constraints"])) == {"x": 3.0}


# ------------------------------------------------------------------ Adam
def test_direction_reads_the_feedback():
    def said(text):
        return direction(Feedback(0.0, (Part("future_positive", text),)))

    assert (said("needs to be larger"), said("needs to be smaller"), said("is wrong")) == (1, -1, 0)


@pytest.mark.parametrize("n", [1, 5])
def test_adam_comes_down(n):
    """On most of 20 problems the error after 60 calls is under a half of the start's."""
    better = 0
    for k in range(20):
        env = opto_gym.make("NumericalOptimization-v0", problem=k, n_parameters=n)
        env.reset(seed=0)
        start = env.unwrapped.last.score
        better += drive(Adam(), env, 60)[-1] < start / 2
    assert better >= 14


def test_adam_takes_first_steps_of_the_learning_rate():
    env = opto_gym.make("NumericalOptimization-v0", n_parameters=3)
    agent = Adam(learning_rate=0.25)
    agent.reset(env.unwrapped.problem)
    observation, _ = env.reset(seed=0)
    slopes = gradient(observation.graph)
    first = agent.propose(observation)
    for name, x in first.items():
        assert abs(x + 1.0) == pytest.approx(0.25 if slopes[name] else 0.0, abs=1e-5)


def test_adam_goes_past_a_pole_and_stays_within_the_bounds():
    env = opto_gym.make("NumericalOptimization-v0", problem=3)
    agent = Adam(learning_rate=1e6)
    assert all(math.isfinite(s) for s in drive(agent, env, 20))
    assert -1000 <= agent.values["x0"] <= 1000


def test_adam_rests_when_solved():
    env = opto_gym.make("NumericalOptimization-v0").unwrapped
    agent = Adam()
    agent.reset(env.problem)
    agent.values = env.reference_solution()
    solved = env.evaluate(agent.values).observation
    assert agent.propose(solved) == env.reference_solution()


def test_adam_says_what_it_misses():
    env = opto_gym.make("NumericalOptimization-v0")
    with pytest.raises(OptoGymError, match="masked"):
        drive(Adam(), MaskGraph(env, ["code", "documentation", "inputs", "others"]), 1)
    with pytest.raises(OptoGymError, match="future_positive"):
        drive(Adam(), FeedbackKinds(env, ["reward"]), 1)


def test_adam_survives_an_error():
    env = opto_gym.make("NumericalOptimization-v0").unwrapped
    agent = Adam()
    agent.reset(env.problem)
    x = trace.parameter(0.0, "x0")
    with pytest.raises(trace.ExecutionError) as e:
        1.0 / x
    failed = TraceFeedback(trace.backward(e.value.exception_node, [x]), Feedback(1e5, reward=-1e5))
    assert env.problem.invalid_reasons(agent.propose(failed)) == {}
