"""Gives 100,000 malformed answers to every reader of answers, and prints tables of the outcomes for docs/agents.md.

python -m scripts.malformed [number of answers]
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

PART, EVALUATED = 1000, 6  # the answers of one task of the pool; the proposals among them that are evaluated
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
    """Reads one part of the answers with every reader.

    Args:
        number: The number of the part, which seeds its answers.

    Returns:
        (number of answers by reader and outcome, number of answers by reason for refusal, the slowest answer of each
        reader as (seconds, kind, characters), descriptions of faults).
    """
    warnings.simplefilter("ignore")  # Python's parser warns of invalid escapes in answers
    env, answers = Everything(), list(malformed(PART, seed=number))
    outcomes, reasons, faults = Counter[tuple[str, str]](), Counter[str](), list[str]()
    slowest: dict[str, tuple[float, str, int]] = {}
    proposals: dict[str, dict[str, Any]] = {}
    for name, read in readers():
        slowest[name] = (0.0, "", 0)
        for kind, text in answers:
            try:
                outcome = read(text)
            except BaseException:
                outcomes[name, "exceptions"] += 1
                faults.append(f"{name}, {kind}, {text[:200]!r}:\n{traceback.format_exc(limit=-3)}")
                continue
            slowest[name] = max(slowest[name], (outcome.seconds, kind, len(text)))
            outcomes[name, "unusable" if outcome.reasons else "used"] += 1
            reasons.update(map(reason, outcome.reasons))
            if outcome.broken:
                outcomes[name, "broken"] += 1
                faults.append(f"{name}, {kind}, {text[:200]!r}: {outcome.broken}")
            if outcome.values is not None:
                why = [p.space.invalid_reason(outcome.values[p.name]) for p in env.problem.parameters]
                outcomes[name, "judged"] += any(why)
                proposals[repr(outcome.values)] = outcome.values
    chosen = list(proposals.values())[:: max(1, len(proposals) // EVALUATED)]
    for values in chosen:
        fault = judged(env, values)
        outcomes["", "evaluated"] += 1
        if fault:
            faults.append(f"the environment, {values!r:.300}: {fault}")
    return outcomes, reasons, slowest, faults


def reason(message: str) -> str:
    """The kind of reason in `REASONS` that a message belongs to."""
    return next((kind for kind, pattern in REASONS.items() if re.search(pattern, message)), f"other: {message[:100]}")


def main(count: int) -> int:
    """Prints the tables for `count` answers; returns 1 if a reader has a fault, else 0."""
    outcomes, reasons, faults = Counter[tuple[str, str]](), Counter[str](), list[str]()
    slowest: dict[str, tuple[float, str, int]] = {}
    with ProcessPoolExecutor() as pool:
        for done, (b, r, s, f) in enumerate(pool.map(part, range(count // PART)), 1):
            outcomes, reasons, faults = outcomes + b, reasons + r, faults + f
            slowest = {name: max(slowest.get(name, x), x) for name, x in s.items()}
            print(f"{done * PART:,} answers, {len(faults)} faults", file=sys.stderr, flush=True)
    print("| read by | used | unusable | exceptions | of another kind | left to the environment | slowest |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, (seconds, kind, size) in slowest.items():
        cells = [f"{outcomes[name, key]:,}" for key in ("used", "unusable", "exceptions", "broken", "judged")]
        print(f"| {' | '.join([name, *cells])} | {1000 * seconds:,.0f} ms ({kind}, {size:,} characters) |")
    print("\n| reason | times |\n| --- | --- |")
    for kind, times in reasons.most_common():
        print(f"| {kind} | {times:,} |")
    print(f"\n{outcomes['', 'evaluated']:,} different proposals of these were evaluated; {len(faults)} faults.")
    print("\n".join(faults[:5]))
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
