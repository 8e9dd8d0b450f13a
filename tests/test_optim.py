from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import opto_gym
from opto_gym import optim, trace
from opto_gym.agents.external import install
from opto_gym.errors import TraceError
from tests.support.author_packages import needs_packages
from tests.support.openai_server import OpenAIServer

ROOT = Path(__file__).parent.parent
LISTING = ROOT / "examples" / "paper_listing.py"
GOOD = json.dumps(
    {
        "suggestion": {
            "reason": "def reason(self, map):\n    n = range(5)\n"
            "    return [[r, c] for r in n for c in n if map[r][c] == '.']",
            "act": "def act(self, map, plan):\n    return plan[0]",
        }
    }
)


def test_every_agent_is_an_optimizer_by_name():
    x = trace.parameter(1.0, "x")
    for name in opto_gym.registered_agents():
        if name.isidentifier():
            assert name in dir(optim)
    assert optim.RandomSearch([x]).agent.problem.parameters[0].name == "x"
    with pytest.raises(AttributeError, match="no agent is called"):
        optim.NoSuchOptimizer


def test_numbers_get_better():
    x = trace.parameter(-1.0, "x")
    optimizer, errors = optim.RandomSearch([x], seed=1), []
    for _ in range(60):
        y = (x + 3) * 2
        errors.append(abs(y.data - 10))
        optimizer.zero_feedback()
        optimizer.backward(y, f"{y.data}", score=-errors[-1])
        optimizer.step()
    assert min(errors) < errors[0] / 5


def test_several_backwards_are_a_batch():
    seen = []

    class Look(opto_gym.agents.base.Agent):
        def propose(self, observation):
            seen.append(observation)
            return self.problem.start

    x = trace.parameter(2, "x")
    optimizer = optim.Optimizer([x], Look())
    optimizer.backward(x + 1, 1.0)
    optimizer.backward(x * 5, 3.0)
    optimizer.step()
    assert seen[0].graph.nodes[seen[0].graph.output].value == [3, 10]
    assert seen[0].feedback.score == 2.0
    assert {p.example for p in seen[0].feedback.parts} == {0, 1}


def test_misuse_says_what_to_do():
    x = trace.parameter(2, "x")
    optimizer = optim.RandomSearch([x])
    with pytest.raises(TraceError, match="call backward"):
        optimizer.step()
    with pytest.raises(TraceError, match="expected a node"):
        optimizer.backward(5, "f")
    with pytest.raises(TraceError, match="at least one"):
        optim.RandomSearch([])
    with pytest.raises(TraceError, match="names of their own"):
        optim.RandomSearch([x, trace.parameter(3, "x")])
    with pytest.raises(TraceError, match="split it"):
        optim.RandomSearch([trace.parameter([1, 2], "l")])


def test_older_traces_keep_their_values_after_a_step():
    x = trace.parameter(2, "x")
    y = x + 1
    x.data = 10
    assert trace.backward(y).nodes[0].value == 2
    assert (x + 1).data == 11


def listing():
    spec = importlib.util.spec_from_file_location("paper_listing", LISTING)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_paper_s_listing(capsys):
    with OpenAIServer(GOOD) as server:
        rewards = listing().main(steps=4, model="fake", base_url=server.url)
        prompts = [r["body"]["messages"][1]["content"] for r in server.requests]
    said = capsys.readouterr().out
    assert len(rewards) == 4
    assert "act returned None" in said  # the start values
    assert said.count("Got ") == 3  # what was learned shoots a new square each time
    assert "(code) act:" in prompts[0]
    assert "#Feedback\nact returned None, expected [row, column]." in prompts[0]


def test_the_listing_feeds_errors_back(capsys):
    bad = json.dumps({"suggestion": {"act": "def act(self, map, plan):\n    return plan[9]"}})
    with OpenAIServer(bad) as server:
        listing().main(steps=3, model="fake", base_url=server.url)
        last = server.requests[-1]["body"]["messages"][1]["content"]
    assert "(IndexError) list index out of range [line 2: return plan[9]]" in last


@pytest.mark.slow
def test_the_listing_on_the_embedded_model():
    assert len(listing().main(steps=1, model="local", max_tokens=150, prompt_budget=1000)) == 1


@pytest.mark.slow
@needs_packages
def test_the_listing_runs_on_trace_opt_with_other_imports(tmp_path):
    text = LISTING.read_text()
    imports = re.search(r"from opto import trace\n.*?OptoPrime\n", text, re.DOTALL).group()
    body = text[text.index("SIZE, SHIPS") :]
    path = tmp_path / "listing.py"
    path.write_text("import random\n" + imports.replace("    ", "") + body)
    good = json.loads(GOOD)["suggestion"]

    def reply(body):  # its names for code are __code and a number
        prompt = body["messages"][1]["content"]
        names = {name: re.search(rf"(__code\d+):def {name}", prompt).group(1) for name in good}
        return json.dumps({"suggestion": {names[name]: source for name, source in good.items()}})

    with OpenAIServer(reply) as server:
        env = {
            **os.environ,
            "TRACE_DEFAULT_LLM_BACKEND": "CustomLLM",
            "TRACE_CUSTOMLLM_URL": server.url,
            "TRACE_CUSTOMLLM_MODEL": "fake",
            "TRACE_CUSTOMLLM_API_KEY": "none",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        done = subprocess.run([install.python(), path], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert "Got " in done.stdout
