from __future__ import annotations

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

import opto_gym
from opto_gym.leaderboard import TrialFolder, plan, replay, resume, run
from opto_gym.leaderboard.results import load
from opto_gym.trace import TraceGraph
from opto_gym.wrappers import DelayedFeedback, FeedbackKinds, MaskGraph, NoisyFeedback, ScalarOnly

NAME = "NumericalOptimization-v0"
MAKES = {
    "mask": lambda env: MaskGraph(env, ["code", "others"]),
    "kinds": lambda env: FeedbackKinds(env, ["reward"]),
    "scalar": ScalarOnly,
    "noisy": lambda env: NoisyFeedback(env, 0.5, seed=3),
    "delayed": lambda env: DelayedFeedback(env, 2),
}


def said(wrap, calls, seed=0):
    """The words heard after each call, from the start values' on; x0 is the call's number."""
    env = wrap(opto_gym.make(NAME))
    observations = [env.reset(seed=seed)[0]]
    for call in range(1, calls):
        observation, reward, *_, info = env.step({"x0": float(call)})
        assert reward == observation.feedback.reward
        assert info["score"] == observation.feedback.score
        observations.append(observation)
    return observations


def words(observations):
    return [str(o.feedback) for o in observations]


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped")
@pytest.mark.parametrize("kind", MAKES)
def test_gymnasium_accepts_it(kind):
    env = MAKES[kind](opto_gym.make(NAME, disable_env_checker=True))
    check_env(env, skip_render_check=True)


@pytest.mark.parametrize("kind", MAKES)
def test_a_spec_brings_it_back(kind):
    env = MAKES[kind](opto_gym.make(NAME))
    again = opto_gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.spec == env.spec
    first = env.reset(seed=1), [env.step({"x0": float(x)}) for x in range(4)]
    assert (again.reset(seed=1), [again.step({"x0": float(x)}) for x in range(4)]) == first


@pytest.mark.parametrize("kind", MAKES)
def test_the_score_stays(kind):
    plain, wrapped = said(lambda env: env, 6), said(MAKES[kind], 6)
    for key in ("score", "reward", "success"):
        assert [getattr(o.feedback, key) for o in plain] == [getattr(o.feedback, key) for o in wrapped]


def test_only_the_score():
    env = ScalarOnly(opto_gym.make("Battleship-v0"))
    graph, feedback = env.reset(seed=0)[0]
    assert feedback.parts == ()
    assert env.unwrapped.problem.feedback_kinds == ()
    assert [graph.names[k] for k in graph.parameters] == ["reason", "act"]
    assert len(graph) == 3
    assert graph.nodes[graph.output].value == feedback.score
    assert graph.nodes[0].value == env.unwrapped.problem.start["reason"]
    assert TraceGraph.from_json(graph.to_json()) == graph
    assert "score0 = score(reason, act)" in graph.to_pseudocode()
    graph, feedback = env.step({"reason": "def reason(map):\n    raise KeyError('inside')\n", "act": ""})[0]
    assert graph.error is None
    assert "inside" not in graph.to_pseudocode().replace("raise KeyError('inside')", "")
    assert str(feedback) == ""


@pytest.mark.parametrize("order", [(MAKES["mask"], ScalarOnly), (ScalarOnly, MAKES["mask"])])
def test_wrappers_on_top_of_each_other(order):
    env = opto_gym.make(NAME)
    for wrap in (*order, MAKES["noisy"], MAKES["delayed"]):
        env = wrap(env)
    for observation in (env.reset(seed=0)[0], env.step({"x0": 2.0})[0]):
        assert "score0=" in observation.graph.to_pseudocode()
        assert "mul0" not in observation.graph.to_pseudocode()


def test_noise_is_what_was_said_before():
    plain = words(said(lambda env: env, 30))
    noisy = words(said(MAKES["noisy"], 30))
    assert noisy[0] == plain[0]
    wrong = [n for n in range(30) if noisy[n] != plain[n]]
    assert 8 <= len(wrong) <= 22
    assert all(noisy[n] in plain[:n] for n in wrong)
    assert words(said(MAKES["noisy"], 30)) == noisy
    assert words(said(MAKES["noisy"], 30, seed=1)) != noisy  # another episode has other noise
    assert words(said(lambda env: NoisyFeedback(env, 0.5, seed=4), 30)) != noisy
    assert words(said(lambda env: NoisyFeedback(env, 0.0), 30)) == plain
    all_wrong = words(said(lambda env: NoisyFeedback(env, 1.0), 30))
    assert all(all_wrong[n] in plain[:n] for n in range(1, 30))


def test_delay():
    plain = words(said(lambda env: env, 6))
    assert words(said(MAKES["delayed"], 6)) == [
        "", "", *(" ".join(f"[of call {n}] {p.content}" for p in o.feedback.parts)
                  for n, o in enumerate(said(lambda env: env, 4)))
    ]  # fmt: skip
    assert words(said(lambda env: DelayedFeedback(env, 0), 6)) == plain
    env = MAKES["delayed"](opto_gym.make(NAME))
    for _ in range(2):  # an episode hears nothing of the one before
        assert str(env.reset(seed=0)[0].feedback) == ""
        assert str(env.step({"x0": 1.0})[0].feedback) == ""


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda env: NoisyFeedback(env, 1.5), "expected p from 0 to 1, got 1.5"),
        (lambda env: NoisyFeedback(env, "half"), "got 'half'"),
        (lambda env: NoisyFeedback(env, 0.5, seed=-1), "expected a seed of 0 or more, got -1"),
        (lambda env: DelayedFeedback(env, -1), "expected k to be a whole number of 0 or more, got -1"),
        (lambda env: DelayedFeedback(env, 1.0), "got 1.0"),
        (lambda env: MaskGraph(env, None), r"expected parts of the graph of \['code'.*, got None"),
        (lambda env: MaskGraph(env, ["coed"]), r"got \['coed'\]"),
        (lambda env: FeedbackKinds(env, 5), r"expected kinds of feedback of \['reward'.*, got 5"),
    ],
)
def test_wrong_arguments(wrap, message):
    with pytest.raises(ValueError, match=message):
        wrap(opto_gym.make(NAME))


@pytest.mark.parametrize("kind", MAKES)
def test_other_environments_are_refused_at_once(kind):
    with pytest.raises(TypeError, match="expected an OptoEnv, got CartPoleEnv"):
        MAKES[kind](gym.make("CartPole-v1"))
    with pytest.raises(TypeError, match="expected an OptoEnv, got str"):
        MAKES[kind](NAME)


# ------------------------------------------------------------------ in the leaderboard
def go(out, **keywords):
    settings = {"seeds": 1, "oracle_calls": 8, "progress": False, **keywords}
    return run(["tests.support.tasks:Valley"], ["tests.support.agents:Listening"], out=out, **settings).trials[0]


NOISY = ("NoisyFeedback", {"p": 1.0, "seed": 5})


def test_trials_with_a_wrapper_are_other_trials(tmp_path):
    names = {
        go(tmp_path, wrappers=wrappers).trial
        for wrappers in ([], [NOISY], [("NoisyFeedback", {"p": 0.5})], ["ScalarOnly"], [NOISY, "ScalarOnly"])
    }
    assert len(names) == 5
    assert {t.env for t in load(tmp_path)} >= {"tests.support.tasks:Valley", "tests.support.tasks:Valley(ScalarOnly())"}


def test_no_wrapper_leaves_the_trials_id(tmp_path):
    settings = {"seeds": 1, "limits": {"oracle_calls": 1}}
    (spec,) = plan(["tests.support.tasks:Valley"], ["RandomSearch"], **settings).specs.values()
    assert spec.identity().env.wrappers == []
    old = {k: v for k, v in spec.to_dict().items() if k != "wrappers"}
    assert type(spec).from_dict(old) == spec


@pytest.mark.parametrize("wrapper", [NOISY, ("DelayedFeedback", {"k": 2})])
def test_what_the_agent_hears_is_replayed_and_resumed(tmp_path, wrapper):
    first = go(tmp_path, oracle_calls=4, wrappers=[wrapper])
    assert replay(first.path).differences == []
    again = resume(tmp_path, limits={"oracle_calls": 8}, progress=False).trials[0]
    whole = go(tmp_path / "whole", wrappers=[wrapper])
    steps = [[s.parameters for s in TrialFolder(t.path).steps()] for t in (again, whole)]
    assert steps[0] == steps[1]
    assert steps[0] != [s.parameters for s in TrialFolder(go(tmp_path / "plain").path).steps()]


def test_an_unknown_wrapper(tmp_path):
    with pytest.raises(ValueError, match=r"expected wrapper to be one of 'DelayedFeedback', .*got 'Blindfold'"):
        go(tmp_path, wrappers=["Blindfold"])
