from __future__ import annotations

import copy
import json
import math
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import opto_gym
from opto_gym import Feedback, Number, OptoEnv, Parameter, Part, Problem, TraceFeedback, normalized
from opto_gym.errors import ProposalError, TraceError
from opto_gym.problems import Evaluation
from opto_gym.sandbox import Limits, Sandbox
from tests.support.tasks import Adder, Buggy, Careless, Mixed, Valley

TASKS = ["Valley", "Adder", "Mixed", "Walk", "Careless"]


def make(name: str, **keywords):
    return opto_gym.make(f"tests.support.tasks:{name}", **keywords)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.filterwarnings("error")
def test_check_env_is_silent(name):
    check_env(make(name, oracle_calls=5).unwrapped)


@pytest.mark.parametrize("name", TASKS)
def test_equal_arguments_give_equal_answers_after_pickling_too(name):
    env = make(name).unwrapped
    first = env.evaluate(env.problem.start, seed=3)
    again = pickle.loads(pickle.dumps(env)).evaluate(env.problem.start, seed=3)
    assert first == again
    assert first.graph.content_hash == again.graph.content_hash


@pytest.mark.parametrize("name", TASKS)
def test_problem_is_plain_data(name):
    problem = make(name, oracle_calls=7).unwrapped.problem
    assert Problem.from_json(problem.to_json()) == problem
    assert Problem.from_json(problem.to_json()).content_hash == problem.content_hash
    assert problem.oracle_calls == 7
    assert "test" not in problem.examples


def test_reset_and_step_are_defined_on_evaluate():
    env = make("Adder", oracle_calls=3)
    observation, info = env.reset(seed=5)
    inner = env.unwrapped
    assert isinstance(observation, TraceFeedback)
    assert info["call"] == 0
    reference = inner.reference_solution()
    after, reward, terminated, truncated, info = env.step(reference)
    assert (reward, terminated, truncated, info["call"]) == (1.0, False, False, 1)
    drawn = [result.example for result in inner.last.per_example]
    assert after == inner.evaluate(reference, examples=drawn).observation
    again = make("Adder", oracle_calls=3).unwrapped
    again.reset(seed=5)
    again.step(again.problem.start)
    assert [result.example for result in again.last.per_example] == drawn  # by the episode and the call's number alone


def test_calls_draw_other_examples_and_episodes_too():
    env = Adder()
    draws = {tuple(env.draw(seed, call)) for seed in range(3) for call in range(4)}
    assert len(draws) == 12
    assert all(len(set(d)) == 3 and all(0 <= i < 50 for i in d) for d in draws)


def test_the_budget_truncates_and_then_refuses():
    env = make("Adder", oracle_calls=2)
    env.reset(seed=0)
    start = env.unwrapped.problem.start
    assert env.step(start)[3] is False
    assert env.step(start)[3] is True
    with pytest.raises(gym.error.ResetNeeded, match="2 oracle calls are spent"):
        env.step(start)
    env.reset()
    env.step(start)


def test_an_instance_ends_when_solved():
    env = make("Valley", oracle_calls=9)
    env.reset(seed=0)
    assert env.step({"x": 2})[2] is False
    _, reward, terminated, truncated, info = env.step({"x": 3})
    assert (reward, terminated, truncated, info["success"]) == (0.0, True, False, True)
    assert math.copysign(1, reward) == 1  # no -0.0


def test_step_before_reset_is_refused():
    with pytest.raises(gym.error.ResetNeeded):
        Valley().step({"x": 0})


@pytest.mark.parametrize("bad", [{}, {"x": 1, "y": 2}, {"X": 1}, None, [1]])
def test_bad_calls_raise_and_lose_nothing(bad):
    env = make("Valley", oracle_calls=3).unwrapped
    env.reset(seed=0)
    with pytest.raises(ProposalError, match="x"):
        env.step(bad)
    env.step({"x": 1})
    env.step({"x": 1})
    assert env.step({"x": 1})[3] is True  # the refused call cost nothing


@pytest.mark.parametrize(
    "bad", [11, 2.5, math.nan, math.inf, -math.inf, None, "3", True, [1], {"a": 1}, 10**400, object()]
)
def test_bad_values_are_feedback(bad):
    env = Valley()
    e = env.evaluate({"x": bad})
    assert (e.score, e.reward, e.success) == (1e4, -1e4, False)
    assert e.error is not None
    assert "x: expected" in str(e.feedback)
    assert e.graph.error is not None
    assert " at 0x" not in e.graph.to_json()  # never an address
    assert env.evaluate({"x": 3}).success


def test_numpy_scalars_are_numbers():
    assert Valley().evaluate({"x": np.int64(3)}).success


def test_an_author_s_bug_leaves_evaluate():
    with pytest.raises(NameError):
        Buggy().evaluate({"x": 1})


@pytest.mark.parametrize(
    "body", ["return 7", "return [1, 2, 3]", "return [1]", "return None", "return [5, 6]", "return 'ab'", "return {}"]
)
def test_an_answer_that_breaks_plain_code_is_feedback(body):
    env = Careless()
    e = env.evaluate({"pair": f"def pair(x):\n    {body}\n"})
    assert e.score == 0.0
    assert e.error
    assert env.evaluate(env.problem.start).score == 0.5


def test_plain_code_that_breaks_on_the_start_values_is_the_author_s_bug():
    class Broken(Careless):
        def forward(self, p, example):
            return {}["missing"]

    env = Broken()
    with pytest.raises(KeyError):
        env.evaluate(env.problem.start)
    with pytest.raises(KeyError):
        env.evaluate({"pair": "def pair(x):\n    return 1\n"})


def test_forward_that_returns_no_node_is_the_author_s_bug():
    class Plain(Valley):
        def forward(self, p, example):
            return 5

    with pytest.raises(TraceError, match="a node"):
        Plain().evaluate({"x": 1})


def test_a_batch_joins_outputs_and_keeps_each_example_s_feedback():
    env = Adder()
    e = env.evaluate({"add": "def add(a, b):\n    return a + b if a < 25 else 1 / 0\n"}, examples=[0, 30, 2])
    assert e.score == pytest.approx(2 / 3)
    assert [r.feedback.score for r in e.per_example] == [1.0, 0.0, 1.0]
    assert [r.error is None for r in e.per_example] == [True, False, True]
    assert "ZeroDivisionError" in e.error
    assert {p.example for p in e.feedback.parts} == {0, 1, 2}
    assert len(e.graph.parameters) == 1
    assert str(e.feedback).count("[example ") == 3


def test_what_is_remembered_ends_with_the_example():
    source = "seen = []\ndef add(a, b):\n    seen.append(a)\n    return len(seen)\n"
    e = Adder().evaluate({"add": source}, examples=[0, 1, 2, 3])
    assert e.graph.nodes[e.graph.output].value == [1, 1, 1, 1]


def test_test_examples_are_in_nothing_that_an_agent_sees():
    env = make("Adder", oracle_calls=20)
    text = []
    (observation, info) = env.reset(seed=1)
    for _ in range(20):
        text += [observation.graph.to_json(), str(observation.feedback), json.dumps(info)]
        observation, _, _, _, info = env.step(env.unwrapped.reference_solution())
    assert "1000" not in " ".join(text)


def test_a_task_that_lives_on_passes_its_state_by_the_metrics():
    env = make("Walk", oracle_calls=5)
    env.reset(seed=0)
    scores = [env.step({"step": 2})[4]["score"] for _ in range(3)]
    assert scores == [3.0, 5.0, 7.0]
    assert env.unwrapped.evaluate({"step": 2}).score == 2.0  # the oracle itself is stateless


def test_unknown_splits_and_examples_raise():
    env = Valley()
    with pytest.raises(KeyError, match="train"):
        env.evaluate({"x": 1}, split="dev")
    with pytest.raises(IndexError):
        env.evaluate({"x": 1}, examples=[5])
    for none in ([], [True], [0, False]):
        with pytest.raises(ValueError, match="at least one example"):
            env.evaluate({"x": 1}, examples=none)


def test_indices_may_be_numpy_s():
    env = opto_gym.make("Battleship-v0").unwrapped
    few = env.evaluate(env.problem.start, split="test", examples=np.arange(2))
    assert [type(r.example) for r in few.per_example] == [int, int]
    assert few.score == env.evaluate(env.problem.start, split="test", examples=[0, 1]).score


def test_a_score_that_is_no_number_is_the_worst():
    class Nan(Valley):
        def judge(self, output, example):
            return Feedback(math.nan, success=True)

    e = Nan().evaluate({"x": 1})
    assert (e.score, e.success) == (1e4, False)
    assert "nan" in str(e.feedback)


def test_feedback_of_an_unknown_kind_is_the_author_s_bug():
    class Odd(Valley):
        def judge(self, output, example):
            return Feedback(1.0, (Part("praise", "good"),))

    with pytest.raises(TraceError, match="praise"):
        Odd().evaluate({"x": 1})


class Shown(Valley):
    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 1}

    def render_text(self):
        return f"score {self.last.score:g}\n"

    def render_image(self):
        return np.zeros((2, 3, 3), np.uint8)


def test_render_dispatches_on_the_render_mode():
    text, picture, none = (Shown(render_mode=mode) for mode in ("ansi", "rgb_array", None))
    for env in (text, picture):
        with pytest.raises(gym.error.ResetNeeded, match=r"Shown\.reset"):
            env.render()
    for env in (text, picture, none):
        env.reset(seed=0)
    assert text.render() == f"score {text.last.score:g}\n"
    assert picture.render().shape == (2, 3, 3)
    with pytest.warns(UserWarning, match="without a render_mode"):
        assert none.render() is None


def test_an_environment_that_defines_nothing_to_render_says_so():
    class Unfinished(Valley):
        metadata = Shown.metadata

    for mode, method in (("ansi", "render_text"), ("rgb_array", "render_image")):
        env = Unfinished(render_mode=mode)
        env.reset(seed=0)
        with pytest.raises(NotImplementedError, match=method):
            env.render()


def test_an_environment_may_override_render_itself():
    class Own(Valley):
        metadata = {"render_modes": ["ansi"], "render_fps": 1}

        def render(self):
            return "own"

    assert Own(render_mode="ansi").render() == "own"


def test_render_mode_and_oracle_calls_are_checked():
    with pytest.raises(ValueError, match="render_mode"):
        Valley(render_mode="smoke_signals")
    with pytest.raises(ValueError, match="oracle_calls"):
        Valley(oracle_calls=0)


def test_spaces_are_copied_per_environment():
    one, two = Valley(), Valley()
    one.action_space.seed(0)
    assert one.parameters[0].space is not two.parameters[0].space
    assert one.action_space == two.action_space


def test_feedback_goes_to_plain_data_and_back():
    f = Feedback(0.5, (Part("reward", "x"), Part("hindsight_negative", "y", example=2)), True, 0.5)
    assert Feedback.from_dict(json.loads(json.dumps(f.to_dict()))) == f
    assert f.only(["reward"]).parts == f.parts[:1]
    assert copy.deepcopy(f) == f


def test_mixed_parameters_share_one_graph():
    env = Mixed()
    e = env.evaluate({"times": 2, "mark": "?", "text": "ab", "change": "def change(text):\n    return text + 'z'\n"})
    assert e.score == 6.0
    assert len(e.graph.parameters) == 4
    wrong = env.evaluate({"times": 9, "mark": "%", "text": 5, "change": ""})
    assert all(f"{name}: expected" in wrong.error for name in ("times", "mark", "text", "change"))


def test_code_errors_name_the_line_of_the_source():
    e = Adder().evaluate({"add": "def add(a, b):\n    c = a\n    return c + missing\n"}, examples=[0])
    assert "NameError" in e.error
    assert "line 3: return c + missing" in e.error


@pytest.mark.parametrize(
    ("score", "floor", "best", "scale", "expected"),
    [(5, 10, 0, "linear", 0.5), (10, 10, 0, "linear", 0), (0, 10, 0, "linear", 1), (20, 10, 0, "linear", -1),
     (0, 99, 0, "log", 1), (9, 99, 0, "log", 0.5), (99, 99, 0, "log", 0), (1, 1, 1, "linear", 1)],
)  # fmt: skip
def test_normalized(score, floor, best, scale, expected):
    assert normalized(score, floor, best, scale) == pytest.approx(expected)


def test_subclasses_are_environments():
    assert issubclass(Valley, OptoEnv)
    assert isinstance(Valley().evaluate({"x": 1}), Evaluation)


class WithoutParameters(OptoEnv):
    """An environment whose author forgot the parameters."""

    objective, scores, splits, instance = "Any.", (0.0, 1.0), {"train": [0], "test": [0]}, True


class WithoutInit(WithoutParameters):
    """The same, where ``OptoEnv.__init__`` isn't called either."""

    def __init__(self):
        pass


class InAProperty(WithoutParameters):
    """Parameters may be a property that is ready only after ``__init__`` of the subclass began."""

    @property
    def parameters(self):
        return (Parameter("x", Number(0, 1), self.start),)

    @parameters.setter
    def parameters(self, values):
        pass

    def __init__(self):
        self.start = 0.5
        super().__init__()


@pytest.mark.parametrize("made", [WithoutParameters, lambda: WithoutInit().reset(), lambda: WithoutInit().problem])
def test_an_environment_without_parameters_says_how_to_define_them(made):
    expected = r"expected a sequence of opto_gym.Parameter .* `parameters`, got none. Define it in the class, for exam"
    with pytest.raises(TypeError, match=rf"^Without\w+: {expected}"):
        made()


def test_parameters_may_be_a_property():
    assert InAProperty().problem.start == {"x": 0.5}


def test_an_endless_loop_costs_its_time_limit_three_times_in_a_row_and_not_once_an_example(monkeypatch):
    entered = []

    class Counted(Adder):
        def forward(self, p, example):
            entered.append(example[0])
            return super().forward(p, example)

    source = "def add(a, b):\n    while a != 2:\n        pass\n    return a + b\n"
    with Sandbox(Limits(seconds=0.2)) as box:
        monkeypatch.setattr("opto_gym.sandbox.candidate.shared", lambda: box)
        result = Counted().evaluate({"add": source}, examples=range(9))
    assert entered == [0, 1, 2, 3, 4, 5]  # two that are stopped, one that ends, three that are stopped
    assert [r.example for r in result.per_example] == list(range(9))
    assert [r.feedback.score for r in result.per_example] == [0, 0, 1, *[0] * 6]
    assert str(result.feedback).count("(TimeLimit)") == 8  # the rest counts as stopped too
