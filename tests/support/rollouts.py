"""Short loops that drive an agent on an environment, and an oracle with a number of calls."""

from __future__ import annotations

import json

from opto_gym.errors import BudgetSpent
from opto_gym.llm import Budget


class Oracle:
    """An oracle for tests: so many calls."""

    def __init__(self, env, calls):
        self.env, self.left, self.seen, self.budget, self.recorded = env, calls, [], Budget(), ()
        self.start = env.evaluate(env.problem.start, seed=0).observation

    @property
    def over(self):
        return self.left == 0

    def __call__(self, parameters, examples=None, split="train"):
        if not self.left:
            raise BudgetSpent("oracle_calls")
        self.left -= 1
        self.seen.append(json.loads(json.dumps(parameters)))
        return self.env.evaluate(parameters, seed=len(self.seen)).observation

    def many(self, proposals):
        return [self(p) for p in proposals]


def rollout(agent, env, steps, seed=0, change=lambda o: o):
    agent.reset(env.problem, seed=seed)
    observation, values = env.evaluate(env.problem.start, seed=0).observation, []
    for k in range(steps):
        values.append(json.loads(json.dumps(agent.propose(change(observation)))))
        observation = env.evaluate(values[-1], seed=k + 1).observation
    return values


def drive(agent, env, calls, seed=0):
    agent.reset(env.unwrapped.problem, seed=seed)
    observation, _ = env.reset(seed=seed)
    scores = []
    for _ in range(calls):
        observation, *_ = env.step(agent.propose(observation))
        scores.append(env.unwrapped.last.score)
    return scores
