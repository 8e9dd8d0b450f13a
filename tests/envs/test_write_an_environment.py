from __future__ import annotations

import re
import textwrap
from pathlib import Path

import gymnasium as gym
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "write-an-environment.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)


@pytest.mark.filterwarnings("error")
def test_the_page_s_environment_runs(capsys):
    space = {"__name__": "a_page_of_the_docs"}
    try:
        for block in BLOCKS:
            exec(compile(textwrap.dedent(block), str(PAGE), "exec"), space)
        env = space["env"].unwrapped
        assert env.evaluate(env.problem.start, split="test").score == pytest.approx(env.anchors.start, abs=0.006)
        assert space["test"].score == pytest.approx(env.anchors.best, abs=0.006)
        assert space["reward"] > 0.75
        shown = capsys.readouterr().out
        assert "[put] Puts the item" in shown
        assert "0.87 on 50 test deliveries" in shown
    finally:
        gym.registry.pop("opto_gym/BinPacking-v0", None)


def test_forty_lines_make_one():
    body = BLOCKS[0][BLOCKS[0].index("class ") :]
    assert len(body.strip().splitlines()) <= 40
