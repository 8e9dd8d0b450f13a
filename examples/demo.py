"""A small run: several optimizers on two environments with the embedded model, shown as a table and a report page."""

from __future__ import annotations

import sys
from pathlib import Path

from opto_gym.leaderboard import report, run

OUT = Path("runs/demo")
ENVS = ["Battleship-v0", "NumericalOptimization-v0"]
SMALL = {"max_tokens": 300, "prompt_budget": 1500}  # the embedded model reads about 300 tokens per second and writes 60
AGENTS = [("OptoPrime", SMALL), ("OPRO-Trace", SMALL), "RandomSearch", "Enumeration", "HuntTarget", "Adam"]


def main() -> int:
    """Runs the trials that `OUT` does not hold yet, and prints the report; returns 1 if a trial failed, else 0."""
    result = run(ENVS, AGENTS, seeds=2, oracle_calls=4, model="local", jobs=2, out=OUT)
    page = report(result.path)
    print(f"\nThe report: {page}")
    return 1 if any(t.status == "failed" for t in result.trials) else 0


if __name__ == "__main__":
    sys.exit(main())
