from __future__ import annotations

import threading

import pytest
from gymnasium.utils.env_checker import check_env

import opto_gym
from opto_gym import Feedback, Number, Part, from_function
from opto_gym.trace import node, operator
from tests.support import programs

GOOD = {
    "choose": "def choose(self, name):\n    return 'Hi '\n",
    "join": "def join(self, word, name):\n    return word + name\n",
    "mark": "!",
}


def greet(output, name):
    wanted = f"Hi {name}!"
    return float(output == wanted), "Right." if output == wanted else f"Expected {wanted!r}, got {output!r}."


def greeter(**keywords):
    return from_function(programs.Greeter(), greet, examples=["Ann", "Bo"], test=["Zoë"], batch=2, **keywords)


def minimum(**keywords):
    return from_function(
        programs.parabola, lambda y, _: y, parameters=[programs.x], scores=(1e6, 0.0), oracle_calls=5, **keywords
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make", [greeter, minimum])
def test_check_env_is_silent(make):
    env = make()
    check_env(env, skip_render_check=True)  # which wants a spec, and there are no pictures
    assert env.evaluate(env.problem.start, seed=1) == env.evaluate(env.problem.start, seed=1)


def test_a_model_in_the_sandbox():
    env = greeter(objective="Greet politely.", name="Greeting", oracle_calls=4)
    problem = env.problem
    assert (problem.id, problem.objective) == ("Greeting", "Greet politely.")
    assert [p.name for p in problem.parameters] == ["choose", "join", "mark"]
    assert problem.parameters[0].space.signature == "choose(self, name)"
    assert problem.parameters[2].description == "what ends the greeting one character"
    (graph, feedback), _ = env.reset(seed=0)
    assert "[example 1] Expected 'Hi Bo!', got 'HelloBo?'." in str(feedback)
    assert {"choose", "join", "mark"} == {graph.names[k] for k in graph.parameters}
    assert env.step(GOOD)[1] == 1.0
    assert env.evaluate(GOOD, split="test").score == 1.0
    assert env.unwrapped is env


def test_bad_proposals_are_feedback_and_leave_the_program_as_it_was():
    program = programs.Greeter()
    env = from_function(program, greet, examples=["Ann"])
    before = str(program("Ann").data)
    for bad in ({"mark": 3}, {"choose": "def choose(self, name):\n    return 1 / 0\n"}, {"join": "def join("}):
        e = env.evaluate({**env.problem.start, **bad})
        assert e.error, bad
        assert e.score == 0.0
    sabotage = "import os\n\ndef choose(self, name):\n    os._exit(1)\n"
    assert "ProcessDied" in str(env.evaluate({**GOOD, "choose": sabotage}).error)
    assert program("Ann").data == before
    assert program.mark.data == "?"


def test_self_is_none_in_the_sandbox_and_the_object_without():
    code = {**GOOD, "choose": "def choose(self, name):\n    return 'Hi ' if self is None else 'own '\n"}
    program = programs.Greeter()
    assert from_function(program, greet, examples=["Ann"]).evaluate(code).score == 1.0
    inside = from_function(program, greet, examples=["Ann"], sandbox=False).evaluate(code)
    assert "'own Ann!'" in str(inside.feedback)


def test_globals_are_known_only_without_the_sandbox():
    def judge(output, _):
        return float(output == 4)

    def program():
        return programs.shifted(node(1, "one"))

    keywords = {"parameters": [programs.shifted], "oracle_calls": 2}
    assert from_function(program, judge, sandbox=False, **keywords).evaluate(_start(programs.shifted)).score == 1.0
    e = from_function(program, judge, **keywords).evaluate(_start(programs.shifted))
    assert "NameError" in str(e.error)


def _start(*parameters):
    return {p.name: p.data for p in parameters}


def test_a_trainable_function_is_a_program_by_itself():
    env = from_function(programs.shifted, lambda y, x: Feedback(0.5, (Part("reward", f"{y} of {x}"),)), examples=[5])
    e = env.evaluate({"shifted": "def shifted(x):\n    return x * 2\n"})
    assert (e.error, str(e.feedback)) == (None, "10 of 5")


def test_an_instance_is_solved_by_a_score_as_good_as_the_best():
    env = minimum()
    assert (env.instance, env.ends_when_solved, env.problem.id) == (True, True, "parabola")
    env.reset(seed=0)
    assert env.step({"x": 1.5})[1:3] == (-0.25, False)
    assert env.step({"x": 2.0})[1:3] == (0.0, True)
    assert programs.x.data == -1.0


def test_spaces_can_be_given():
    env = minimum(spaces={"x": Number(-1, 1)})
    assert "expected a number in [-1, 1]" in str(env.evaluate({"x": 7.0}).feedback)
    with pytest.raises(TypeError, match=r"\['y'\]"):
        minimum(spaces={"y": Number()})


def test_two_environments_share_one_program_between_threads():
    @operator
    def late(x):
        """Gives other threads a chance."""
        threading.Event().wait(0.001)
        return x

    def program():
        return late(programs.x) + late(programs.x)

    envs = [from_function(program, lambda y, _: y, parameters=[programs.x], scores=(-9.0, 9e9)) for _ in range(2)]
    wrong = []

    def work(env, k):
        wrong.extend(x for x in range(20) if env.evaluate({"x": float(k + x)}).score != 2.0 * (k + x))

    threads = [threading.Thread(target=work, args=(env, 100 * k)) for k, env in enumerate(envs)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert wrong == []


def test_a_bug_of_the_author_is_raised():
    env = from_function(lambda: undefined, greet, parameters=[programs.x])  # noqa: F821
    with pytest.raises(NameError):
        env.evaluate({"x": 1.0})
    lost = from_function(lambda: programs.x.data + 1, greet, parameters=[programs.x])
    with pytest.raises(opto_gym.errors.TraceError, match="expected to return a node"):
        lost.evaluate({"x": 1.0})


def test_no_parameters_is_said():
    with pytest.raises(TypeError, match="parameters="):
        from_function(lambda: node(1), greet)
