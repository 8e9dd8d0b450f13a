"""Model calls: what a call costs the client, examples side by side, and many trials at a time.

The endpoint is a process of its own on this machine, which answers after a second, or at once. The peers are the
`openai` package's own method for chats, and the same work done one call after the other.

Limits on two quiet cores:

- the client's own processor time of a call: 2 ms;
- an oracle call of 8 examples with answers of 1 s: 1.2 s; 200 scored questions at 20 requests at a time: 11 s;
- 64 trials of 20 calls of 1 s at 64 jobs: 22 s and 300 MB.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import openai
import pytest

import opto_gym
from opto_gym.leaderboard import run
from opto_gym.llm import Client
from opto_gym.llm.limiter import set_concurrency

SERVER = """
import sys, time
from tests.support.openai_server import OpenAIServer

def reply(body):
    time.sleep(float(sys.argv[1]))
    return '{"suggestion": {"x0": 1}}'

with OpenAIServer(reply) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def endpoint(request):
    """The URL of an endpoint that answers after `request.param` seconds."""
    command = [sys.executable, "-c", SERVER, str(request.param)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as server:
        yield server.stdout.readline().strip()
        server.stdin.close()


@pytest.fixture(autouse=True)
def adaptive():
    yield
    set_concurrency()


def processor_time_of(call, n=200):
    call()
    begin = time.process_time()
    for _ in range(n):
        call()
    return (time.process_time() - begin) / n


@pytest.mark.parametrize("endpoint", [0.0], indirect=True)
def test_a_call(benchmark, endpoint):
    llm = Client("fake", base_url=endpoint, api_key="none")
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "word " * 2_000}]
    package = openai.OpenAI(base_url=endpoint, api_key="none", http_client=openai.DefaultHttpxClient(trust_env=False))
    theirs = processor_time_of(lambda: package.chat.completions.create(model="fake", messages=messages, max_tokens=100))
    ours = processor_time_of(lambda: llm.chat(messages, max_tokens=100))
    benchmark.extra_info |= {"processor ms": 1000 * ours, "of openai's method": 1000 * theirs, "ratio": ours / theirs}
    print(f"\na call: {1000 * ours:.2f} ms of processor time; openai's own method {1000 * theirs:.2f} ms")
    benchmark.pedantic(lambda: llm.chat(messages, max_tokens=100), rounds=50)
    package.close()


@pytest.mark.parametrize("endpoint", [1.0], indirect=True)
@pytest.mark.parametrize(("examples", "concurrency"), [(8, None), (8, 1), (200, 20)])
def test_examples_side_by_side(benchmark, endpoint, examples, concurrency):
    set_concurrency(concurrency)
    env = opto_gym.make("BBH-word_sorting-v1", disable_env_checker=True).unwrapped
    env.llm = Client("fake", base_url=endpoint, api_key="none", role="task")
    split = "test" if examples > 8 else "train"
    chosen = [k % len(env.splits[split]) for k in range(examples)]
    env.evaluate(env.problem.start, examples=chosen[:1])  # the sandbox starts
    benchmark.pedantic(lambda: env.evaluate(env.problem.start, split=split, examples=chosen), rounds=1)


@pytest.mark.parametrize("endpoint", [1.0], indirect=True)
def test_64_trials(benchmark, endpoint, tmp_path):
    def work():
        return run(
            ["NumericalOptimization-v0"], [("OptoPrime", {"memory_size": 0})], out=tmp_path / "r", seeds=64, jobs=64,
            oracle_calls=20, progress=False, test_scores="never", base_url=endpoint, model="fake",
        )  # fmt: skip

    result = benchmark.pedantic(work, rounds=1)
    assert [trial.status for trial in result.trials] == ["done"] * 64
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    benchmark.extra_info["MB"] = memory
    print(f"\n64 trials: {memory:.0f} MB at most")
