"""The main job, small: real optimizers on the embedded model, to a table and a report. A fixed number of steps."""

from __future__ import annotations

import sys
from pathlib import Path

from opto_gym.leaderboard import report, run

OUT = Path("runs/demo")
ENVS = ["Battleship-v0", "NumericalOptimization-v0"]
SMALL = {"max_tokens": 300, "prompt_budget": 1500}  # the embedded model reads about 300 tokens a second, writes 60
AGENTS = [("OptoPrime", SMALL), ("OPRO-Trace", SMALL), "RandomSearch", "Enumeration", "HuntTarget", "Adam"]


def main() -> int:
    """Runs what is not yet in `OUT`: a second call shows the finished run."""
    result = run(ENVS, AGENTS, seeds=2, oracle_calls=4, model="local", jobs=2, out=OUT)
    page = report(result.path)
    print(f"\nThe report: {page}")
    return 1 if any(t.status == "failed" for t in result.trials) else 0


if __name__ == "__main__":
    sys.exit(main())
