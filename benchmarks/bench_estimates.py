"""Compares what runs are estimated to spend with what they spend: calls, tokens and money, by role.

Usage::

    python benchmarks/bench_estimates.py [--local] [--seeds 5] [--only 0]

An amount is shown as its estimate (its range) / what the run took = estimate / run, with "OUTSIDE" where the run is
outside of the range.

Runs on a scripted endpoint, whose prompts are counted with cl100k_base, and with ``--local`` on the embedded model. It
needs the extra `dev`, and for the embedded model ``opto-gym models pull``.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from opto_gym import make
from opto_gym.leaderboard import plan, run
from opto_gym.leaderboard.spending import added, summed
from opto_gym.utils.tokenizer import count_exactly
from opto_gym.wrappers.observations import unwrapped
from tests.support.openai_server import OpenAIServer

HOSTED: list[tuple[Any, Any, dict[str, Any]]] = [
    (("GSM8K-v1", {"batch": 4}), ("OPRO", {"n": 4}), {"oracle_calls": 8}),
    (("BBH-object_counting-v1", {"batch": 4}), "OptoPrime", {"oracle_calls": 4}),
    (("BBH-object_counting-v1", {"batch": 2}), ("TextGrad", {"validate": False}), {"oracle_calls": 3}),
    ("NumericalOptimization-v0", "OptoPrime", {"oracle_calls": 20}),
    ("Battleship-v0", "OptoPrime-CoT", {"oracle_calls": 8}),
    ("StrangeSortList-v0", "OPRO-Trace", {"oracle_calls": 10}),
]
"""(environment, agent, budget) of the runs on the scripted endpoint; the first three have a model inside the task."""

LOCAL: list[tuple[Any, Any, dict[str, Any]]] = [
    (("GSM8K-v1", {"data": "sample", "max_tokens": 128}), "OptoPrime", {"oracle_calls": 3}),
    ("NumericalOptimization-v0", "OptoPrime", {"oracle_calls": 6}),
]
"""The same for the embedded model."""


class Server(OpenAIServer):
    """A scripted endpoint that gives several different answers where several are asked for."""

    def completion(self, body: dict[str, Any], number: int) -> dict[str, Any]:
        parts = [super(Server, self).completion({**body, "n": 1}, number) for _ in range(body.get("n", 1))]
        choices = [{**part["choices"][0], "index": k} for k, part in enumerate(parts)]
        tokens = sum(part["usage"]["completion_tokens"] for part in parts)
        return {**parts[0], "choices": choices, "usage": {**parts[0]["usage"], "completion_tokens": tokens}}


def answers(env: Any) -> Any:
    """A reply that stands for a model's: proposals for all parameters; answers to questions, half of them right.

    Args:
        env: The environment.
    """
    name, arguments = env if isinstance(env, tuple) else (env, {})
    made = unwrapped(make(name, **arguments))
    problem, rng = made.problem, random.Random(0)
    targets = {}
    if made.uses_model:
        targets = {example["input"]: example["target"] for split in made.splits.values() for example in split}

    def words(n: int) -> str:
        return " ".join(rng.choice(("so", "there", "are", "then", "each", "of", "them")) for _ in range(n))

    def reply(body: dict[str, Any]) -> str:
        question = body["messages"][-1]["content"]
        is_task = made.uses_model and not any(p.name in question or "criti" in question for p in problem.parameters)
        if is_task:
            target = next((t for q, t in targets.items() if q in question), "7")
            return f"{words(80)}. The answer is {target if rng.random() < 0.5 else 'unknown'}."
        values: dict[str, Any] = {}
        for p in problem.parameters:
            kind, text = type(p.space).__name__, str(p.start)
            if kind == "Number":
                values[p.name] = rng.uniform(-2, 2)
            else:
                values[p.name] = f"{text}\n    # try {rng.random()}\n" if kind == "Code" else f"{text} {words(40)}"
        return json.dumps({"reasoning": words(80), "answer": "", "suggestion": values})

    return reply


def number(amount: float) -> str:
    """An amount as text: whole, or with two digits where it is less than 1."""
    return f"{amount:,.0f}" if amount >= 1 or not amount else f"{amount:.2g}"


def cell(estimated: float, between: Sequence[float], real: float) -> str:
    """An amount of the table.

    Args:
        estimated: The estimate.
        between: Its lowest and highest value.
        real: What the run took.
    """
    low, high = between
    texts = "{} ({} to {}) / {}".format(*map(number, (estimated, low, high, real)))
    return f"{texts} = {estimated / real if real else 1:.2f}{'' if low <= real <= high else ' OUTSIDE'}"


def compare(env: Any, agent: Any, limits: dict[str, Any], model: str, url: str | None, seeds: int) -> None:
    """Prints a line for each role that makes calls, and for all together."""
    keywords = {"seeds": seeds, "model": model, "base_url": url}
    expected = plan([env], [agent], limits=limits, **keywords).estimate()
    with tempfile.TemporaryDirectory() as out:
        trials = run([env], [agent], out=out, progress=False, **limits, **keywords).trials
    assert all(trial.status == "done" for trial in trials), [trial.error for trial in trials]
    spent = summed([trial.ledger for trial in trials if trial.ledger is not None])
    for role, real in spent.items():
        found = expected["roles"][role]
        if real.calls or found["calls"]:
            calls = cell(found["calls"], found["calls_range"], real.calls)
            tokens_in = cell(found["tokens_in"], found["tokens_in_range"], real.tokens_in)
            print(f"| {env} | {agent} | {seeds} | {role} | {calls} | {tokens_in} | | |", flush=True)
    real = added(*spent.values())
    low, high = (sum(expected["roles"][role]["tokens_in_range"][k] for role in spent) for k in (0, 1))
    cells = [
        cell(expected["llm_calls"], expected["llm_calls_range"], real.calls),
        cell(sum(expected["roles"][role]["tokens_in"] for role in spent), (low, high), real.tokens_in),
        cell(expected["tokens"], expected["tokens_range"], real.tokens),
        cell(expected["usd"], expected["usd_range"], real.usd or 0.0),
    ]
    print(f"| {env} | {agent} | {seeds} | total | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--local", action="store_true", help="with the embedded model")
    parser.add_argument("--only", type=int, help="this run of the list alone")
    parser.add_argument("--seeds", type=int, default=1, help="trials of each run")
    options = parser.parse_args()
    print("| environment | agent | seeds | role | calls | tokens in | tokens in and out | USD |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for k, (env, agent, limits) in enumerate(LOCAL if options.local else HOSTED):
        if options.only not in (None, k):
            continue
        if options.local:
            compare(env, agent, limits, "local", None, options.seeds)
            continue
        with Server(answers(env)) as server:
            server.count = lambda text: count_exactly(text) + 8
            compare(env, agent, limits, "gpt-4o-mini", server.url, options.seeds)


if __name__ == "__main__":
    main()
