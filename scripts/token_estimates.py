"""Prints the table of docs/agents.md on how far the calibrated estimate of a prompt's tokens is off.

python scripts/token_estimates.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from opto_gym.agents.optoprime import OptoPrime
from opto_gym.agents.random_search import sample
from opto_gym.agents.toolkit.prompt_budget import FRAME, count_tokens
from opto_gym.llm import Client
from opto_gym.llm.answer import Answer
from opto_gym.registration import make
from opto_gym.utils.tokenizer import count_exactly
from opto_gym.wrappers.observations import unwrapped

from .token_margins import ENVS, embedded

STEPS = 6
"""The steps of each trial; the first two are what the factor is learnt from."""


class Random(Client):
    """A client whose model proposes random values, and whose endpoint counts tokens by one tokenizer."""

    def __init__(self, model: str, count: Callable[[str], int], problem: Any) -> None:
        super().__init__(model, base_url=None if model == "local" else "http://localhost")
        self.count, self.problem, self.rng = count, problem, np.random.default_rng(0)
        self.prompts: list[tuple[str, int]] = []

    def _call(self, request: dict[str, Any], *, record_body: bool, fewest_tokens: int | None = None) -> Answer:
        text = "\n\n".join(message["content"] for message in request["messages"])
        self.prompts.append((text, self.count(text)))
        said = json.dumps({"suggestion": {p.name: sample(p.space, p.start, self.rng) for p in self.problem.parameters}})
        return Answer(said, (said,), "stop", self.prompts[-1][1], 1, 0.0, 0.0, "usage")


def errors(env: str, model: str, count: Callable[[str], int]) -> list[float]:
    """The relative errors of the estimates of the later steps, with the factor that the steps before each gave."""
    task = make(env, disable_env_checker=True)
    problem = unwrapped(task).problem
    agent = OptoPrime(model=model)
    agent.llm = client = Random(model, count, problem)
    agent.reset(problem, seed=0)
    observation, _ = task.reset(seed=0)
    factors = []
    for _ in range(STEPS):
        proposed = agent.propose(observation)
        factors.append(agent.calibration.factor)
        observation = task.step(proposed)[0]
    estimated = [
        factor * (count_tokens(text) + FRAME) for factor, (text, _) in zip(factors, client.prompts, strict=True)
    ]
    return [estimate / real - 1 for estimate, (_, real) in zip(estimated, client.prompts, strict=True)][2:]


def main() -> None:
    """Prints the table."""
    print("| environment | cl100k_base (GPT-4) | the embedded model |\n| --- | --- | --- |")
    for env in ENVS:
        cells = []
        for model, count in (("unknown", count_exactly), ("local", embedded)):
            found = errors(env, model, count)
            cells.append(f"{min(found):+.0%} to {max(found):+.0%}")
        print(f"| {env} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
