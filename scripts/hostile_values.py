"""Traces, shows and evaluates values that nobody expects of proposed code, and prints what raised or was slow.

python -m scripts.hostile_values [number of values]

Each value is made in this process, shown in every form that a graph has, and put into the prompts of four agents. Then
each environment with a code parameter evaluates code that returns it, and its graph is shown.
"""

from __future__ import annotations

import functools
import json
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import opto_gym
from opto_gym import Code
from opto_gym.cli.prompt import first_request
from opto_gym.trace import TraceGraph
from opto_gym.trace.display import write
from tests.support.hostile_values import CodeEnv, HostileEnv, HostileValue, hostile_values
from tests.support.registered import ENVS

T = TypeVar("T")

AGENTS = ("OptoPrime", "OPRO", "OPRO-Trace", "TextGrad")
SETTINGS = {"model": "any", "base_url": "http://127.0.0.1:9/v1"}
SLOW = 1.0
"""Seconds of processor time of one thing, without that of the value's own code, from which on it is told."""


class Watch:
    """Runs parts of the work, and keeps what raised and what was slow.

    Attributes:
        faults: Descriptions of the exceptions.
        slow: (seconds, what, value) of the slow parts.
        done: The number of parts by name.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.slow: list[tuple[float, str, str]] = []
        self.done: Counter[str] = Counter()

    def run(self, what: str, value: HostileValue, part: Callable[[], T], own_seconds: float = 0.0) -> T | None:
        """The result of a part; None if it raised.

        Args:
            what: The part's name.
            value: What it works on.
            part: The part.
            own_seconds: Seconds that the value's own code takes of it.
        """
        begin = time.process_time()
        try:
            result = part()
        except BaseException:
            self.faults.append(f"{what}, {value.kind}, {value.statement[:200]}:\n{traceback.format_exc(limit=-3)}")
            return None
        finally:
            self.done[what] += 1
        seconds = time.process_time() - begin - own_seconds
        if seconds > SLOW:
            self.slow.append((seconds, what, f"{value.kind}: {value.statement[:100]}"))
        return result


def show(watch: Watch, value: HostileValue, graph: TraceGraph) -> None:
    """Shows a graph in every form that it has."""
    watch.run("pseudo-code", value, lambda: [graph.to_pseudocode(budget) for budget in (300, 8_000, 200_000)])
    watch.run("masked", value, lambda: graph.masked(["inputs", "code"]).to_pseudocode())
    watch.run("Mermaid", value, graph.to_mermaid)
    watch.run("Graphviz", value, graph.to_graphviz)
    watch.run("JSON", value, lambda: TraceGraph.from_json(graph.to_json()))
    watch.run("values", value, lambda: [write(n.value) for n in graph.nodes])


def own_seconds(value: HostileValue) -> float:
    """The processor time that the value's own code takes, in seconds."""
    space: dict[str, Any] = {}
    exec(value.function("make", "x"), space)
    begin = time.process_time()
    try:
        space["make"](1)
    except Exception:
        pass
    return time.process_time() - begin


def in_this_process(watch: Watch, value: HostileValue) -> None:
    """Traces a value without a sandbox, and writes prompts about it."""
    source, own = value.function("make", "x"), own_seconds(value)
    evaluated = watch.run("traced", value, lambda: HostileEnv(source=source).evaluate({"x": 2.0}), own)
    if evaluated is not None:
        show(watch, value, evaluated.graph)
    arguments = {"env_arguments": {"source": source}, "settings": SETTINGS}
    name = f"{HostileEnv.__module__}:HostileEnv"
    for agent in AGENTS:
        write = functools.partial(first_request, name, agent, **arguments)
        request = watch.run(f"prompt of {agent}", value, write, 2 * own)
        watch.run(f"request of {agent}", value, lambda request=request: json.dumps(request).encode())


def in_environments(watch: Watch, value: HostileValue, envs: dict[str, Any]) -> None:
    """Evaluates code that returns a value in place of each code parameter of each environment."""
    for name, env in envs.items():
        for p in env.parameters:
            if isinstance(p.space, Code):
                code = value.function(p.space.function, "*arguments")
                proposal = {**env.problem.start, **(env.reference_solution() or {}), p.name: code}
                evaluated = watch.run(name, value, lambda env=env, proposal=proposal: env.evaluate(proposal))
                if evaluated is not None:
                    show(watch, value, evaluated.graph)
                    watch.run("feedback", value, lambda e=evaluated: str(e.observation.feedback).encode("utf-8"))


def coding_environments() -> dict[str, Any]:
    """One environment of each family with a code parameter, as far as its packages and data are there."""
    envs: dict[str, Any] = {"CodeEnv": CodeEnv()}
    for name in ENVS:
        try:
            env = opto_gym.make(name).unwrapped
        except opto_gym.OptoGymError as e:
            print(f"left out: {name}: {e}")
            continue
        if env.runs_code:
            envs[name] = env
    return envs


def main() -> int:
    """Prints the faults and the slowest parts; returns 1 if there are faults."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 800
    watch, envs = Watch(), coding_environments()
    for number, value in enumerate(hostile_values(count), 1):
        in_this_process(watch, value)
        in_environments(watch, value, envs)
        if number % 20 == 0:
            print(f"{number} values, {len(watch.faults)} faults, {len(watch.slow)} slow", flush=True)
    print(f"{count} values: {dict(watch.done)}")
    for seconds, what, which in sorted(watch.slow, reverse=True)[:20]:
        print(f"{seconds:.2f} s of processor time: {what}, {which}")
    for fault in watch.faults[:20]:
        print(fault)
    return 1 if watch.faults else 0


if __name__ == "__main__":
    sys.exit(main())
