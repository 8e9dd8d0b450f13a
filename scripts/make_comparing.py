"""Updates the figures of docs/comparing.md: simulated error rates, power and coverage of `opto-gym compare`.

python scripts/make_comparing.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from opto_gym.leaderboard.stats import (
    Pairs,
    holm,
    improvement_interval,
    look_level,
    more_seeds,
    sign_flip_test,
    typical_interval,
)

REPEATS = 1000
"""The number of simulated comparisons for each figure."""
Draw = Callable[[np.random.Generator, int], Pairs]
"""Draws scores of two optimizers, shape (n,) each, from a generator and n."""


def normal(difference: float) -> Draw:
    """Normal scores with standard deviation 1, whose means differ by `difference`."""
    return lambda rng, n: (difference + rng.normal(size=n), rng.normal(size=n))


EQUAL: dict[str, Draw] = {
    "normal": normal(0),
    "solved or not, half of the time": lambda rng, n: tuple(rng.integers(2, size=(2, n)).astype(float)),
    "skewed (exponential)": lambda rng, n: tuple(rng.exponential(size=(2, n))),
    "heavy tails (Student, 2 degrees)": lambda rng, n: tuple(rng.standard_t(2, size=(2, n))),
    "normal, spread 1 against 0.1": lambda rng, n: (rng.normal(size=n), 0.1 * rng.normal(size=n)),
    "exponential against its mean, a constant": lambda rng, n: (rng.exponential(size=n), np.ones(n)),
}
"""Optimizers with equal mean scores. Those of the last two cases are not exchangeable, which the test assumes."""


def verdicts(environments: list[Pairs], look: int = 1) -> tuple[list[int], int]:
    """The verdicts of `compare_scores`, without its intervals, which take time.

    Returns:
        (the verdict for each environment, the verdict over all): 1 is better, -1 worse, 0 cannot tell yet.
    """
    p = [sign_flip_test(x - y) for x, y in environments]
    levels = holm(p, look_level(look))
    each = [
        int(np.sign((x - y).mean())) * (q <= level) for (x, y), q, level in zip(environments, p, levels, strict=True)
    ]
    together = np.concatenate([x - y for x, y in environments])
    weights = np.concatenate([np.full(len(x), 1 / len(x)) for x, _ in environments])
    overall = int(np.sign(np.mean([(x - y).mean() for x, y in environments])))
    return each, overall * (sign_flip_test(together, weights) <= look_level(look))


def rates(draw: Draw, n: int, environments: int = 1, repeats: int = REPEATS, seed: int = 0) -> dict[str, float]:
    """The share of simulated comparisons with a verdict, by kind of verdict.

    ``any`` is a verdict on at least one environment; ``better`` and ``worse`` are means over the environments; the keys
    with ``overall`` are of the verdict over all environments.
    """
    rng = np.random.default_rng(seed)
    made = [verdicts([draw(rng, n) for _ in range(environments)]) for _ in range(repeats)]
    each, overall = np.array([m[0] for m in made]), np.array([m[1] for m in made])
    return {
        "any": float((each != 0).any(axis=1).mean()),
        "better": float((each > 0).mean()),
        "worse": float((each < 0).mean()),
        "overall": float((overall != 0).mean()),
        "overall better": float((overall > 0).mean()),
        "overall worse": float((overall < 0).mean()),
    }


def coverage(
    n: int, environments: int, difference: float, repeats: int = REPEATS, seed: int = 0
) -> tuple[float, float]:
    """The coverage of the two intervals of a comparison.

    Returns:
        (share of intervals of the difference that contain the true one, or nan if n is too small for an interval; share
        of intervals of the probability of improvement that contain the true one).
    """
    from scipy import stats

    rng, draw = np.random.default_rng(seed), normal(difference)
    chance, contained = stats.norm.cdf(difference / 2**0.5), []
    for _ in range(repeats):
        made = [draw(rng, n) for _ in range(environments)]
        weights = np.full(n * environments, 1 / n)
        interval = typical_interval(np.concatenate([x - y for x, y in made]), weights)
        low, high = improvement_interval(made)
        contained.append((interval and interval[0] <= difference <= interval[1], low <= chance <= high))
    inside = np.array(contained, dtype=float).mean(axis=0)
    return float(inside[0]), float(inside[1])


def advice(difference: float, n: int, repeats: int = REPEATS, seed: int = 0) -> dict[str, float]:
    """The share of comparisons with a verdict if `more_seeds` is followed once.

    Returns:
        ``at once``: the share with a verdict on n seeds; ``median``: the median number of further seeds that is advised
        to the others; ``then``: the share of these that have a verdict after the further seeds; ``in all``: the share
        with a verdict, at once or after the further seeds.
    """
    rng, draw = np.random.default_rng(seed), normal(difference)
    first, second, advised = 0, 0, []
    for _ in range(repeats):
        x, y = draw(rng, n)
        if verdicts([(x, y)])[1]:
            first += 1
            continue
        more = more_seeds([x - y], level=look_level(2))
        advised.append(np.inf if more is None else more)
        if more is not None:
            a, b = draw(rng, more)
            second += abs(verdicts([(np.concatenate([x, a]), np.concatenate([y, b]))], look=2)[1])
    return {
        "at once": first / repeats,
        "median": float(np.quantile(advised, 0.5, method="lower")),
        "then": float(second / max(1, sum(np.isfinite(advised)))),
        "in all": (first + second) / repeats,
    }


def table(head: list[Any], rows: Iterator[list[Any]]) -> str:
    """A table in Markdown; floats are shown as percentages, nan as ``none``."""
    lines = [head, ["---"] * len(head), *rows]
    cell = lambda c: ("none" if np.isnan(c) else f"{100 * c:.1f} %") if isinstance(c, float) else str(c)  # noqa: E731
    return "".join(f"| {' | '.join(map(cell, line))} |\n" for line in lines)


def figures() -> str:
    """All tables, with their headings."""
    sizes = (3, 6, 10, 20)
    wrong = table(
        ["scores, no difference of means", *(f"1 task, {n} seeds" for n in sizes), "any of 10 tasks, 10 seeds",
         "over all 10, 10 seeds"],
        ([name, *(rates(draw, n)["any"] for n in sizes), (ten := rates(draw, 10, 10, 300))["any"], ten["overall"]]
         for name, draw in EQUAL.items()),
    )  # fmt: skip
    right = table(
        ["true difference", *(f"1 task, {n} seeds" for n in sizes), *(f"over all 10, {n} seeds" for n in (2, 3, 6))],
        ([f"{d} of the spread", *(_both(rates(normal(d), n), "") for n in sizes),
          *(_both(rates(normal(d), n, 10, 300), "overall ") for n in (2, 3, 6))] for d in (0.25, 0.5, 1.0, 2.0)),
    )  # fmt: skip
    covered = table(
        ["seeds, tasks, true difference", "interval of the difference", "interval of the probability"],
        ([f"{n}, {k}, {d}", *coverage(n, k, d)]
         for n, k in ((3, 1), (6, 1), (10, 1), (20, 1), (3, 10)) for d in (0.0, 1.0)),
    )  # fmt: skip
    more = table(
        ["true difference, seeds", "verdict at once", "else asked for (median)", "then a verdict", "a verdict in all"],
        ([f"{d}, {n}", (a := advice(d, n))["at once"], f"{a['median']:g}", a["then"], a["in all"]]
         for d in (1.0, 0.5, 0.0) for n in (6, 10)),
    )  # fmt: skip
    return "\n".join(
        (
            f"### False verdicts\n\n{wrong}",
            f"### Right and wrong verdicts\n\n{right}",
            f"### Coverage of the 95 % intervals\n\n{covered}",
            f"### More seeds\n\n{more}",
        )
    )


def _both(found: dict[str, float], which: str) -> str:
    return f"{100 * found[which + 'better']:.1f} % / {100 * found[which + 'worse']:.1f} %"


def main() -> None:
    """Replaces the figures of the page."""
    page = Path(__file__).parent.parent / "docs" / "comparing.md"
    made = figures()
    head, mark, _ = page.read_text(encoding="utf-8").partition("<!-- figures: scripts/make_comparing.py -->\n")
    page.write_text(f"{head}{mark}\n{made}", encoding="utf-8")


if __name__ == "__main__":
    main()
