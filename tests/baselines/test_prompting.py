from __future__ import annotations

import pytest

import opto_gym
from opto_gym import Feedback, Part, TraceFeedback, trace
from opto_gym.baselines.prompting import STEP_BY_STEP, examples_in
from opto_gym.errors import OptoGymError
from opto_gym.wrappers import MaskGraph
from tests.support.openai_server import OpenAIServer

NAMES = ["BBH-date_understanding-v0", "GSM8K-v0", "MMLU-college_physics-v0"]


@pytest.fixture(autouse=True)
def server(monkeypatch):
    """Answers "(B)" or 3: sometimes right."""
    with OpenAIServer("Answer: (B)") as s:
        monkeypatch.setenv("OPENAI_BASE_URL", s.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPTO_GYM_MODEL", "scripted")
        yield s


def proposals(agent, env, calls):
    agent.reset(env.unwrapped.problem, seed=0)
    observation, _ = env.reset(seed=0)
    made = []
    for _ in range(calls):
        made.append(agent.propose(observation))
        assert env.unwrapped.problem.invalid_reasons(made[-1]) == {}
        observation, *_ = env.step(made[-1])
        assert env.unwrapped.last.error is None
    return made


def prompt_of(values):
    return values.get("system_prompt") or values["prompt_template"]


@pytest.mark.parametrize("name", NAMES)
def test_the_model_alone_and_a_chain_of_thought(name):
    env = opto_gym.make(name, data="sample")
    start = env.unwrapped.problem.start
    assert proposals(opto_gym.make_agent("ModelAlone"), env, 2) == [start, start]
    (thinking,) = proposals(opto_gym.make_agent("ChainOfThought"), env, 1)
    assert STEP_BY_STEP in prompt_of(thinking)
    assert {k for k in start if thinking[k] != start[k]} == {
        k for k in start if "prompt_t" in k or k == "system_prompt"
    }


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_few_shot_learns_right_answers_from_train_alone(name, batch):
    env = opto_gym.make(name, data="sample", batch=batch)
    splits = env.unwrapped.splits
    last = prompt_of(proposals(opto_gym.make_agent("FewShot"), env, 6)[-1])
    shown = [f"Question: {e['input']}\nAnswer: {e['target']}" for e in splits["train"]]
    assert sum(s in last for s in shown) == last.count("\nAnswer: ") >= 2
    assert not any(e["input"] in last for e in splits["test"])
    few = prompt_of(proposals(opto_gym.make_agent("FewShot", shots=1), env, 6)[-1])
    assert few.count("\nAnswer: ") == 1


def test_few_shot_needs_the_questions():
    env = MaskGraph(opto_gym.make(NAMES[0], data="sample"), ["inputs"])
    with pytest.raises(OptoGymError, match="masked: unmask inputs"):
        proposals(opto_gym.make_agent("FewShot"), env, 1)


def test_few_shot_needs_the_feedback_that_tells_answers():
    env = opto_gym.make(NAMES[0], data="sample", feedback=["hindsight_negative"])
    assert proposals(opto_gym.make_agent("FewShot"), env, 2) == [env.unwrapped.problem.start] * 2
    assert examples_in(env.unwrapped.last.observation) == {}


def test_few_shot_takes_no_question_for_another_s():
    prompt = trace.parameter("Answer.", "system_prompt")
    asked = [prompt + trace.node(text, "question") for text in ("One?", "Two?")]
    said = tuple(Part("hindsight_negative", f"The right answer is {k + 1}", example=k) for k in range(2))

    def examples(*outputs):
        return examples_in(TraceFeedback(trace.backward(trace.batch(outputs), [prompt]), Feedback(0.0, said)))

    assert examples(*asked) == {"One?": "1", "Two?": "2"}
    assert examples(prompt + "unasked", asked[1]) == {}  # the one question is the second example's


def test_few_shot_stops_where_the_prompt_is_full():
    env = opto_gym.make(NAMES[1], data="sample")
    agent = opto_gym.make_agent("FewShot")
    agent.reset(env.unwrapped.problem)
    values = agent.with_examples({f"{k} " + "x" * 9000: "1" for k in range(4)})
    assert env.unwrapped.problem.invalid_reasons(values) == {}
    assert values["system_prompt"].count("Question:") == 2


@pytest.mark.parametrize("name", ["ModelAlone", "ChainOfThought", "FewShot"])
def test_they_refuse_other_problems(name):
    problem = opto_gym.make("Battleship-v0").unwrapped.problem
    with pytest.raises(OptoGymError, match="Battleship-v0"):
        opto_gym.make_agent(name).reset(problem)
