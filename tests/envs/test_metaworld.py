from __future__ import annotations

import json
import math
import os
import pickle
import re
import subprocess
import sys
import threading

import gymnasium as gym
import numpy as np
import pytest

import opto_gym
from opto_gym.envs.metaworld.environment import TASKS, MetaWorld
from opto_gym.envs.metaworld.first_version import JOBS, FirstMetaWorld
from opto_gym.envs.metaworld.simulation import ARRIVED, SIMULATOR_STEPS, Simulation, expert_source, simulator

env = MetaWorld(task="reach-v3")
best = env.reference_solution()
start = env.problem.start


def controller(answer):
    return {"controller": f"def controller(obs):\n    return {answer}\n"}


def steps_of(evaluation):
    """The values of `step` in the graph, in order."""
    graph = evaluation.graph
    return [n.value for k, n in enumerate(graph.nodes) if graph.names[k].startswith("step")]


# ------------------------------------------------------------------ tasks
def test_each_registered_name_is_a_task_with_a_job():
    names = {n: opto_gym.spec(n).kwargs["task"] for n in opto_gym.registered_envs() if n.startswith("MetaWorld-")}
    assert set(names.values()) == set(TASKS) == set(JOBS)
    assert names["MetaWorld-PickPlace-v1"] == names["MetaWorld-PickPlace-v0"] == "pick-place-v3"
    assert all(job in MetaWorld(task=task).objective for task, job in TASKS.items())


@pytest.mark.parametrize("task", TASKS)
def test_a_job_names_what_the_controller_sees(task):
    """Without building the simulator: by the parts that the expert reads."""
    source = expert_source(task)
    assert all(f"'{name}'" in source for name in re.findall(r"\b\w+_(?:pos|xy|x)\b", TASKS[task]))


@pytest.mark.parametrize("task", ["reach-v3", "assembly-v3", "button-press-v3", "plate-slide-v3"])
def test_every_task_has_the_same_keys_and_tells_their_units(task):
    env = MetaWorld(task=task)
    views = env.evaluate(start, examples=[3]).metrics["views"]
    for view in views:
        assert list(view) == ["hand_pos", "gripper_opening", "object_pos", "goal_pos"]
        assert 0 <= view.pop("gripper_opening") <= 1
        assert all(len(place) == 3 for place in view.values())
    told = ("hand_pos", "object_pos", "goal_pos", "in metres", "gripper_opening", "from 0 to 1", "from -1 to 1")
    assert all(text in env.objective for text in told)


def test_the_gripper_is_closed_at_about_three_tenths_and_needs_the_time_that_is_told():
    def openings(answers):
        source = f"answers = {answers}\n\ndef controller(obs):\n    return answers.pop(0)\n"
        e = MetaWorld(task="reach-v3", horizon=len(answers)).evaluate({"controller": source}, examples=[3])
        return [view["gripper_opening"] for view in e.metrics["views"]]

    moving = openings([[0.1, 0.1, 0, 1], [-0.1, 0, 0, -1]])
    assert moving[0] == 1
    assert moving[1] == pytest.approx(0.3, abs=0.02)
    assert moving[2] > 0.95
    assert openings([[0, 0, 0, 0]] * 4 + [[0, 0, 0, 1]])[5] > 0.95  # a step that is over at once


@pytest.mark.slow
@pytest.mark.parametrize("task", [task for task in TASKS if "reach" not in task])
def test_the_goal_is_about_where_the_object_gets(task):
    env = MetaWorld(task=task)
    for condition in range(3):
        views = env.evaluate(env.reference_solution(), split="test", examples=[condition]).metrics["views"]
        assert np.linalg.norm(np.subtract(views[-1]["goal_pos"], views[-1]["object_pos"])) < 0.14


def test_the_first_version_keeps_the_names_of_the_expert():
    first = opto_gym.make("MetaWorld-PickPlace-v0").unwrapped
    assert "gripper_distance_apart" in first.evaluate(first.problem.start, examples=[3]).metrics["views"][0]
    assert first.evaluate(first.reference_solution(), examples=[3]).score == 1.0
    assert "Grasp the puck at puck_pos" in first.objective
    assert all(job in FirstMetaWorld(task=task).objective for task, job in JOBS.items())


@pytest.mark.parametrize(("task", "relative"), [("push-v3", True), ("pick-place-v3", True), ("pick-place-v3", False)])
def test_the_expert_solves_the_papers_tasks_in_both_modes(task, relative):
    env = MetaWorld(task=task, relative=relative)
    e = env.evaluate(env.reference_solution(), split="test", examples=range(2))
    assert (e.score, e.success, e.error) == (1.0, True, None)
    assert env.evaluate(env.problem.start, split="test", examples=range(2)).score == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_condition_does_not_depend_on_what_was_before(task):
    def played(simulation):
        simulation.reset(7)
        seen = [simulation.observation.tobytes()]
        for _ in range(3):
            simulation.move(*simulation.advice(), False)
            seen.append(simulation.observation.tobytes())
        return seen

    used = Simulation(task)
    used.reset(1)
    used.move(used.hand + np.array([0.1, 0, -1]), 1, 25, False)
    assert played(used) == played(Simulation(task))


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_reset_is_meta_worlds_own(task):
    import metaworld

    simulation = Simulation(task)
    simulation.reset(3)
    kind = metaworld.ALL_V3_ENVIRONMENTS[task]
    given = {"env_cls": kind, "rand_vec": np.array(simulation.placed), "partially_observable": False}
    own = kind()
    own.set_task(metaworld.Task(task, pickle.dumps(given)))
    observed = own.reset()[0]
    assert observed.tolist() == simulation.observation.tolist()
    target, low = simulation.hand + np.array([0.05, -0.05, 0.01]), np.full(4, 0.3, np.float32)
    simulation.move(target, effort=0.3, gain=10.0, stop=False)
    for _ in range(SIMULATOR_STEPS):
        low[:3] = (10.0 * (target - observed[:3])).clip(-1.0, 1.0)
        observed = own.step(low)[0]
        if abs(target - observed[:3]).max() < ARRIVED:
            break
    assert observed.tolist() == simulation.observation.tolist()


# ------------------------------------------------------------------ conditions
def test_train_and_test_conditions_are_apart():
    simulation, seen = simulator("pick-place-v3"), set()
    conditions = [*env.splits["test"][:15], *env.splits["train"][:15]]
    for condition in conditions:
        simulation.reset(condition)
        seen.add(tuple(simulation.placed))
    assert len(seen) == len(conditions)


def test_an_episode_trains_on_one_condition_or_on_a_stream():
    assert env.draw(5, 0) == env.draw(5, 1) == env.draw(5, 9) != env.draw(6, 0)
    stream = MetaWorld(task="reach-v3", stream=True)
    assert len({*stream.draw(5, 0), *stream.draw(5, 1), *stream.draw(5, 2)}) == 3
    several = MetaWorld(task="reach-v3", batch=3)
    assert len(set(several.draw(5, 0))) == 3
    assert several.evaluate(best).score == 1.0


def test_threads_have_simulators_of_their_own():
    found = [simulator("reach-v3")]
    thread = threading.Thread(target=lambda: found.append(simulator("reach-v3")))
    thread.start()
    thread.join()
    assert found[0] is simulator("reach-v3")
    assert found[0] is not found[1]


def test_an_environment_is_cheap_until_it_is_used():
    program = "from opto_gym.envs.metaworld import MetaWorld; MetaWorld(); import sys; print('mujoco' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# ------------------------------------------------------------------ the episode
def test_success_at_any_step_or_at_the_last():
    """A hand that passes the goal on its way."""
    through = controller("[2 * (g - h) for g, h in zip(obs['goal_pos'], obs['hand_pos'])] + [0]")
    passing = MetaWorld(task="reach-v3", horizon=2)
    staying = MetaWorld(task="reach-v3", horizon=2, success="last")
    scores = [[e.evaluate(through, examples=[k]).score for k in range(8)] for e in (passing, staying)]
    assert all(any_step >= last for any_step, last in zip(*scores, strict=True))
    assert sum(scores[0]) > sum(scores[1])


def test_relative_and_absolute_targets():
    to_goal = "obs['goal_pos'] + [0]"
    absolute = MetaWorld(task="reach-v3", relative=False)
    assert absolute.evaluate(controller(to_goal)).score == 1.0
    assert env.evaluate(controller(to_goal)).score == 0.0
    assert "relative" not in absolute.objective
    assert "the position that the hand shall go to" in absolute.objective


def test_an_episode_ends_on_success_or_at_the_horizon():
    solved = env.evaluate(best)
    assert len(steps_of(solved)) == len(solved.metrics["actions"]) < 10
    assert len(steps_of(env.evaluate(start))) == 10
    assert len(steps_of(MetaWorld(task="reach-v3", horizon=4).evaluate(start))) == 4
    assert re.fullmatch(r"The job is done after \d steps; the rewards' sum is \d+\.\d\d\.", str(solved.feedback))


def test_the_graph_joins_the_controller_to_the_last_state():
    e = env.evaluate(best)
    graph = e.graph
    assert graph.names[graph.output] == f"step{len(steps_of(e)) - 1}"
    assert [graph.names[k] for k in graph.parameters] == ["controller"]
    assert "along each axis" in next(o.description for o in graph.operators if o.name == "step")
    first = e.metrics["views"][0]
    assert {"hand_pos", "goal_pos"} < set(first)
    assert [s["observation"] for s in steps_of(e)] == e.metrics["views"][1:]
    assert json.loads(json.dumps(dict(e.metrics))) == e.metrics


def test_the_controller_sees_no_feedback():
    e = env.evaluate(controller("[0, 0, 0, len(obs)]"))
    views = e.metrics["views"]
    assert e.metrics["actions"][0][3] == len(views[0])
    assert "feedback" not in views[0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("None", "expected [x, y, z, gripper], four finite numbers, got None"),
        ("[0, 0, 0]", "got [0, 0, 0]"),
        ("[0, 0, 0, True]", "four finite numbers"),
        ("[0, 0, 0, '1']", "four finite numbers"),
        ("[0, 0, 0, float('nan')]", "nan"),
        ("[0, 0, 0, 10**400]", "four finite numbers"),
        ("obs['puck']", "(KeyError) 'puck' [line 2: return obs['puck']]"),
    ],
)
def test_answers_that_are_none_are_feedback(answer, said):
    e = env.evaluate(controller(answer))
    assert e.score == 0.0
    assert "Step 1 raised" in str(e.feedback)
    assert said in str(e.feedback)


def test_far_targets_are_clipped():
    e = env.evaluate(controller("[1e308, -1e308, 1e308, -1e308]"))
    assert e.error is None
    assert all(math.isfinite(x) for view in e.metrics["views"] for x in view["hand_pos"])


def test_an_error_in_a_later_step_keeps_what_was_before():
    e = env.evaluate(
        {"controller": "n = []\n\ndef controller(obs):\n    n.append(1)\n    return [0, 0, 0, 1 / (3 - len(n))]\n"}
    )
    assert "Step 3 raised (ZeroDivisionError)" in str(e.feedback)
    assert len(e.metrics["actions"]) == 2
    assert len(steps_of(e)) == 2


# ------------------------------------------------------------------ feedback
def test_feedback_on_steps_is_in_the_graph():
    wrong = env.evaluate(controller("[h - g for g, h in zip(obs['goal_pos'], obs['hand_pos'])] + [1]"))
    said = steps_of(wrong)[0]["feedback"]
    assert re.match(r"The step's reward is \d\.\d\d \(0 to 10\)\. The hand went the wrong way, or not at all\.", said)
    assert "The gripper should have opened." in said
    goal = wrong.metrics["views"][0]["goal_pos"]
    place = json.loads(re.search(r"the hand should be at (\[.*\]), the gripper open", said).group(1))
    assert np.allclose(place, goal, atol=0.002)
    right = steps_of(env.evaluate(best))[0]["feedback"]
    assert "The hand went the right way." in right
    assert "gripper should" not in right


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("reward", "The step's reward"),
        ("hindsight_positive", "right way"),
        ("hindsight_negative", "wrong way"),
        ("future_positive", "Next the hand should"),
    ],
)
def test_a_kind_that_is_switched_off_is_not_in_the_graph_either(kind, says):
    both_ways = {
        "controller": "n = []\n\ndef controller(obs):\n    n.append(1)\n    return [0, 0.1 * (-1) ** len(n), 0, 0]\n"
    }
    for step_feedback in ("graph", "output"):
        everything = MetaWorld(task="reach-v3", horizon=2, step_feedback=step_feedback).evaluate(both_ways)
        others = [k for k in MetaWorld.feedback_kinds if k != kind]
        less = MetaWorld(task="reach-v3", horizon=2, feedback=others, step_feedback=step_feedback).evaluate(both_ways)
        assert says in everything.graph.to_json() + str(everything.feedback)
        assert says not in less.graph.to_json() + str(less.feedback)
    silent = MetaWorld(task="reach-v3", feedback=[]).evaluate(both_ways)
    assert "feedback" not in steps_of(silent)[0]
    assert silent.feedback.parts == ()


def test_feedback_on_steps_in_the_output():
    e = MetaWorld(task="reach-v3", step_feedback="output").evaluate(best)
    assert {p.kind for p in e.feedback.parts} == {"reward", "hindsight_positive", "future_positive"}
    assert "Step 1: The hand went the right way." in str(e.feedback)
    assert all("feedback" not in state for state in steps_of(e))


# ------------------------------------------------------------------ arguments and pictures
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"task": "reach"}, "expected a task of"),
        ({"success": "first"}, "'any' or 'last'"),
        ({"step_feedback": "none"}, "'graph' or 'output'"),
        ({"horizon": 0}, "horizon to be a whole number of 1 or more"),
        ({"batch": 0}, "batch to be a whole number of 1 or more"),
    ],
)
def test_bad_arguments_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        MetaWorld(**arguments)


def test_text_tells_the_episode():
    shown = MetaWorld(task="reach-v3", render_mode="ansi")
    with pytest.raises(gym.error.ResetNeeded, match="reset"):
        shown.render()
    shown.reset(seed=0)
    shown.step(best)
    lines = shown.render().splitlines()
    assert lines[0].startswith("start  {'hand_pos'")
    assert lines[-1] == f"reach-v3: done after {len(lines) - 2} steps"


def test_a_film_needs_an_episode_and_opengl(monkeypatch, tmp_path):
    shown = MetaWorld(task="reach-v3")
    with pytest.raises(RuntimeError, match="reset"):
        shown.save_gif(tmp_path / "film.gif")
    monkeypatch.setattr("opto_gym.envs.metaworld.pictures.gl_works", lambda: False)
    shown.reset(seed=0)
    with pytest.raises(RuntimeError, match="MUJOCO_GL=egl"):
        shown.save_gif(tmp_path / "film.gif")


FILM = """
import sys, numpy as np, opto_gym
from opto_gym.envs.metaworld.pictures import gl_works
env = opto_gym.make("MetaWorld-Reach-v1", render_mode="rgb_array").unwrapped
env.reset(seed=0)
if not gl_works():
    sys.exit(77)
env.step(env.reference_solution())
picture = env.render()
assert picture.shape == (480, 480, 3) and picture.std() > 20, picture.shape
env.save_gif(sys.argv[1])
"""


@pytest.mark.slow
def test_mujoco_draws_and_films_without_a_display(tmp_path):
    film = tmp_path / "film.gif"
    variables = {k: v for k, v in os.environ.items() if k != "DISPLAY"}
    for backend in ("egl", "osmesa"):
        run = [sys.executable, "-c", FILM, str(film)]
        done = subprocess.run(run, env={**variables, "MUJOCO_GL": backend}, capture_output=True, text=True)
        if done.returncode != 77:
            break
    else:
        pytest.skip("this machine has neither EGL nor OSMesa")
    assert done.returncode == 0, done.stderr
    import imageio.v3

    pictures = imageio.v3.imread(film)
    assert len(pictures) > 4
    assert pictures[0].shape == (480, 480, 3)
    assert (pictures[0] != pictures[-1]).any()
