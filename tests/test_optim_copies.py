"""Optimizers copy and pickle in the middle of their work, with their agents and memories, and go on as they would."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle

import pytest

import opto_gym
from opto_gym import Feedback, Part, optim, trace
from opto_gym.errors import OptoGymError
from opto_gym.registration import agent_class, registered_agents
from tests.support.openai_server import OpenAIServer
from tests.support.savable import Program

SETTINGS = {
    "RandomSearch": {},
    "TraceDescent": {},
    "Adam": {},
    "OptoPrime": {"memory_size": 3},
    "OptoPrime-NoMem": {},
    "OptoPrime-Masked": {},
    "OptoPrime-Scalar": {},
    "OptoPrime-CoT": {},
    "OptoPrime-FewShot": {},
    "OptoPrime-Candidates": {},
    "OPRO": {"n": 2, "starts": 3},
    "OPRO-Trace": {},
    "TextGrad": {},
}
DEEP = {
    "deepcopy": copy.deepcopy,
    **{f"pickle {p}": lambda x, p=p: pickle.loads(pickle.dumps(x, p)) for p in range(2, 6)},
}
each_deep_way = pytest.mark.parametrize(
    "how",
    [
        pytest.param(how, marks=() if name in ("deepcopy", "pickle 5") else pytest.mark.slow)
        for name, how in DEEP.items()
    ],
    ids=DEEP,
)


def reply(body):
    """A number that follows from the prompt, in every form that an agent reads."""
    number = int(hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest(), 16) % 1000 / 100
    return f"<x>{number}</x>\n{json.dumps({'suggestion': {'x': number}})}"


@pytest.fixture(scope="module")
def server():
    with OpenAIServer(reply) as server:
        yield server


def begin(name, server, steps=4):
    """A parameter and its optimizer after some steps, with feedback that no step has used."""
    settings = dict(SETTINGS[name])
    if agent_class(name).uses_model:
        settings |= {"model": "fake", "base_url": server.url}
    x = trace.parameter(-1.0, "x")
    optimizer = optim.Optimizer([x], name, seed=5, objective="Make the output small.", **settings)
    proceed(x, optimizer, steps)
    give(x, optimizer)
    return x, optimizer


def give(x, optimizer):
    y = (x - 3) ** 2
    optimizer.zero_feedback()
    parts = (
        Part("hindsight_negative", f"The output is {y.data}."),
        Part("future_positive", "x should be larger" if x.data < 3 else "x should be smaller"),
    )
    optimizer.backward(y, Feedback(-y.data, parts, reward=-y.data))


def proceed(x, optimizer, steps):
    values = []
    for _ in range(steps):
        give(x, optimizer)
        optimizer.step()
        values.append(x.data)
    return values


def finish(x, optimizer):
    optimizer.step()
    return [x.data, *proceed(x, optimizer, 4)]


@each_deep_way
@pytest.mark.parametrize("name", SETTINGS)
def test_a_copy_goes_on_as_the_original_and_on_its_own(name, how, server):
    pair = begin(name, server)
    copied, last = how(pair), how(pair)
    values = finish(*pair)
    assert finish(*copied) == finish(*last) == values
    assert len(set(values)) > 1


@pytest.mark.parametrize("name", SETTINGS)
def test_a_shallow_copy_optimizes_the_same_parameters_with_an_agent_of_its_own(name, server):
    x, optimizer = begin(name, server)
    other = copy.copy(optimizer)
    optimizer.step()
    value = x.data
    other.step()
    assert x.data == value
    assert other.agent is not optimizer.agent
    assert other.parameters[0] is x


def test_the_client_is_shared_by_copies_and_made_again_from_a_pickle(server):
    _, optimizer = begin("OptoPrime", server)
    assert copy.deepcopy(optimizer).agent.llm is optimizer.agent.llm
    again = pickle.loads(pickle.dumps(optimizer)).agent.llm
    assert (again.model, again.endpoint) == (optimizer.agent.llm.model, optimizer.agent.llm.endpoint)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize(("name", "form"), [("PSO", "run"), ("TPE", "run"), ("NelderMead", "optimize")])
def test_an_agent_in_the_middle_of_running_code_is_refused_by_name(name, form, how):
    env = opto_gym.make("NumericalOptimization-v0")
    observation, _ = env.reset(seed=0)
    agent = opto_gym.make_agent(name)
    how(agent)
    agent.reset(env.unwrapped.problem)
    how(agent)
    agent.propose(observation)
    with pytest.raises(OptoGymError, match=rf"{type(agent).__name__} can't be copied .* running {form}\(\).* reset"):
        how(agent)
    agent.reset(env.unwrapped.problem)
    how(agent)


@pytest.mark.parametrize("name", [n for n in registered_agents() if "/" not in n])
def test_every_agent_is_copied_and_pickled_before_it_begins(name):
    settings = {"command": "true"} if name.startswith("Program") else {}
    agent = agent_class(name)(**settings)
    for made in (copy.copy(agent), copy.deepcopy(agent), pickle.loads(pickle.dumps(agent))):
        assert type(made) is type(agent)
        assert vars(made).keys() == vars(agent).keys()


@each_deep_way
def test_a_program_is_saved_with_its_optimizer(how, server):
    program = Program()
    optimizer = optim.RandomSearch(program.parameters(), seed=3)

    def proceed(program, optimizer):
        seen = []
        for k in range(4):
            program.seen = None
            try:
                output = program(k)
            except trace.ExecutionError as e:
                output = e.exception_node
            optimizer.zero_feedback()
            optimizer.backward(output, str(output.data), score=float(k))
            optimizer.step()
            seen.append({p.name: p.data for p in program.parameters()})
        return seen

    proceed(program, optimizer)
    copied = how((program, optimizer))
    assert all(a is b for a, b in zip(copied[0].parameters(), copied[1].parameters, strict=True))
    assert proceed(*copied) == proceed(program, optimizer)
