"""Agents for the tests of trials: deterministic, threaded, failing, with a model."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from opto_gym.agents.base import Agent


class Steps(Agent):
    """x = 1, 2, 3, ..., or random code."""

    def __init__(self, *, pause: float = 0.0, **settings):
        super().__init__(**settings)
        self.pause = pause

    def run(self):
        yield
        k = 0
        while True:
            time.sleep(self.pause)
            k += 1
            yield {"x": int(self.rng.integers(-10, 3))}


class Listening(Agent):
    """Goes by every word it hears, and solves nothing."""

    def propose(self, observation):
        heard = str(observation.feedback) + str(len(observation.graph))
        return {"x": int(sum(map(ord, heard)) * self.rng.integers(1, 9)) % 12 - 10}


class Parallel(Agent):
    """Four calls at a time."""

    def optimize(self, problem, oracle):
        with ThreadPoolExecutor(4) as pool:
            for k in range(100):
                list(pool.map(oracle, [{"x": (4 * k + i) % 7 - 9} for i in range(4)]))


class Failing(Agent):
    def run(self):
        yield
        yield {"x": 1}
        raise RuntimeError("out of ideas")


class Asking(Agent):
    """Asks a model for each step."""

    uses_model = True

    def propose(self, observation):
        text = self.llm.chat([{"role": "user", "content": f"after {observation.feedback.score}"}], max_tokens=5).text
        try:
            return {"x": int(text) % 5 - 8}
        except ValueError:
            self.invalid("no number")
            return {"x": -9}


class Choosing(Agent):
    """Chooses its examples, and recommends other parameters than the best."""

    def optimize(self, problem, oracle):
        for body in ("return 1", "return a", "return a + b"):
            values = {"add": f"def add(a, b):\n    {body}\n"}
            oracle(values, examples=[0, 1], split="train")
            oracle(values, split="val")
        self.own = values

    def recommend(self):
        return getattr(self, "own", None)


class Swallowing(Agent):
    """A third party's loop that swallows every exception."""

    def optimize(self, problem, oracle):
        while True:
            try:
                oracle({"x": -1})
            except Exception:
                pass


class Peeking(Agent):
    """Asks for the test split."""

    def optimize(self, problem, oracle):
        oracle({"x": 1}, split="test")


class Waiting(Agent):
    """Calls until it is interrupted."""

    def optimize(self, problem, oracle):
        while True:
            oracle({"x": -1})
            time.sleep(0.01)


class Exiting(Agent):
    def propose(self, observation):
        raise SystemExit(3)


class AskingFirst(Asking):
    """Asks before the first call, which a budget may not hold."""

    def reset(self, problem, *, seed=0):
        super().reset(problem, seed=seed)
        self.llm.chat([{"role": "user", "content": "ready?"}], max_tokens=5)


class Strange(Agent):
    """Proposes what no record can hold as it is."""

    def run(self):
        yield
        for value in ({1, 2}, float("nan"), b"\xff", "\udc80", object):
            yield {"x": value}


class Uneven(Agent):
    """Four threads of unequal speed, on drawn examples."""

    def optimize(self, problem, oracle):
        def work(k):
            for i in range(6):
                time.sleep(0.001 * (k + i) % 0.004)
                oracle({"add": f"def add(a, b):\n    return a + b - {k} + {i}\n"})

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))


class Listed(Agent):
    """Proposes what it is given, one after the other, and ends.

    Args:
        xs: The values of x.
    """

    def __init__(self, *, xs=(), **settings):
        super().__init__(**settings)
        self.xs = xs

    def run(self):
        yield
        for x in self.xs:
            yield {"x": x}


class Overtaking(Agent):
    """Submits x = 2 and then, while that is evaluated, x = 4."""

    def optimize(self, problem, oracle):
        with ThreadPoolExecutor(2) as pool:
            calls = []
            for x in (2, 4):
                calls.append(pool.submit(oracle, {"x": x}))
                time.sleep(0.1)
            for call in calls:
                call.result()


class Inconstant(Agent):
    """Proposes other values after `offset` has changed: what it did before, it does not do again."""

    offset = 0

    def run(self):
        yield
        for x in range(100):
            yield {"x": (x + self.offset) % 13 - 10}


class Interrupted(Steps):
    """An agent that can't be resumed, and that is interrupted in its third call until `calm` is set."""

    calm = False

    @classmethod
    def resumable(cls, **settings):
        return False

    def run(self):
        yield
        for x in (-5, -4, -3, -2, -1, 0):
            if x == -3 and not Interrupted.calm:
                raise KeyboardInterrupt
            yield {"x": x}
