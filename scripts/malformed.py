"""100,000 malformed answers through every reader of answers: what became of them, as tables for docs/agents.md.

python -m scripts.malformed [how many]
"""

from __future__ import annotations

import re
import sys
import traceback
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from tests.support.answer_readers import judged, readers
from tests.support.malformed_answers import Everything, malformed

PART, JUDGED = 1000, 6  # answers a task of the pool; distinct proposals of it that the environment really evaluates
REASONS = {
    "no value in it": "no value for|no <variable> block|trace-opt finds no suggestion",
    "a value of another type": r"expected (a number|text|a list of whole numbers), got|expected one of \[|too deep",
    "a value outside its space, where the agent refuses that": ": expected ",
    "a solution that was there before": "a solution that was there before",
    "trace-opt would raise": "trace-opt raises",
    "trace-opt would drop its values": "trace-opt drops",
    "it is blank": "is blank|is empty",
    "a task's answer that is none": "no (choice|yes|true|valid|integer|words|brackets)",
}


def part(number: int) -> tuple[Counter[tuple[str, str]], Counter[str], dict[str, tuple[float, str, int]], list[str]]:
    """(what became of the answers by reader, reasons, slowest answer by reader, faults) of one part."""
    warnings.simplefilter("ignore")  # of Python's parser, about an answer's escapes
    env, answers = Everything(), list(malformed(PART, seed=number))
    became, reasons, faults = Counter[tuple[str, str]](), Counter[str](), list[str]()
    slowest: dict[str, tuple[float, str, int]] = {}
    proposals: dict[str, dict[str, Any]] = {}
    for name, read in readers():
        slowest[name] = (0.0, "", 0)
        for kind, text in answers:
            try:
                outcome = read(text)
            except BaseException:
                became[name, "exceptions"] += 1
                faults.append(f"{name}, {kind}, {text[:200]!r}:\n{traceback.format_exc(limit=-3)}")
                continue
            slowest[name] = max(slowest[name], (outcome.seconds, kind, len(text)))
            became[name, "unusable" if outcome.reasons else "used"] += 1
            reasons.update(map(reason, outcome.reasons))
            if outcome.broken:
                became[name, "broken"] += 1
                faults.append(f"{name}, {kind}, {text[:200]!r}: {outcome.broken}")
            if outcome.values is not None:
                why = [p.space.invalid_reason(outcome.values[p.name]) for p in env.problem.parameters]
                became[name, "judged"] += any(why)
                proposals[repr(outcome.values)] = outcome.values
    chosen = list(proposals.values())[:: max(1, len(proposals) // JUDGED)]
    for values in chosen:
        fault = judged(env, values)
        became["", "evaluated"] += 1
        if fault:
            faults.append(f"the environment, {values!r:.300}: {fault}")
    return became, reasons, slowest, faults


def reason(said: str) -> str:
    """The kind of a reason."""
    return next((kind for kind, pattern in REASONS.items() if re.search(pattern, said)), f"other: {said[:100]}")


def main(count: int) -> int:
    """Prints the tables; 1 if a promise was broken."""
    became, reasons, faults = Counter[tuple[str, str]](), Counter[str](), list[str]()
    slowest: dict[str, tuple[float, str, int]] = {}
    with ProcessPoolExecutor() as pool:
        for done, (b, r, s, f) in enumerate(pool.map(part, range(count // PART)), 1):
            became, reasons, faults = became + b, reasons + r, faults + f
            slowest = {name: max(slowest.get(name, x), x) for name, x in s.items()}
            print(f"{done * PART:,} answers, {len(faults)} faults", file=sys.stderr, flush=True)
    print("| read by | used | unusable | exceptions | of another kind | left to the environment | slowest |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, (seconds, kind, size) in slowest.items():
        cells = [f"{became[name, key]:,}" for key in ("used", "unusable", "exceptions", "broken", "judged")]
        print(f"| {' | '.join([name, *cells])} | {1000 * seconds:,.0f} ms ({kind}, {size:,} characters) |")
    print("\n| reason | times |\n| --- | --- |")
    for kind, times in reasons.most_common():
        print(f"| {kind} | {times:,} |")
    print(f"\n{became['', 'evaluated']:,} different proposals of these were evaluated; {len(faults)} faults.")
    print("\n".join(faults[:5]))
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
