"""The trace oracle as the harness serves it, given examples that a split does not have."""

from __future__ import annotations

import numpy as np
import pytest

from opto_gym.agents import Agent
from opto_gym.leaderboard import run


class AsksBeyond(Agent):
    """Asks for an example by an index that its setting gives."""

    def __init__(self, *, split: str, index: int, numpy: bool = False, **settings):
        super().__init__(**settings)
        self.split, self.index, self.numpy = split, index, numpy

    def optimize(self, problem, oracle):
        index = np.int64(self.index) if self.numpy else self.index
        oracle(problem.start, examples=[0, index], split=self.split)


@pytest.mark.parametrize("numpy", [False, True])
@pytest.mark.parametrize(("split", "size", "index"), [("train", 50, 50), ("train", 50, -51), ("val", 2, 2)])
def test_an_agent_that_asks_for_an_example_beyond_a_split_learns_which(tmp_path, split, size, index, numpy):
    agent = (f"{__name__}:AsksBeyond", {"split": split, "index": index, "numpy": numpy})
    result = run(["tests.support.tasks:Adder"], [agent], out=tmp_path, seeds=1, oracle_calls=2, progress=False)
    (outcome,) = result.trials
    assert outcome.status == "failed"
    assert f"IndexError: Adder: the split '{split}' has {size} examples" in outcome.error
    assert outcome.error.endswith(f"got {index}")
