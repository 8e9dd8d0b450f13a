"""Published figures as recipes: plain data that `opto_gym.leaderboard.reproduction` runs. One TOML file a figure.

A file holds the figure's `title`, `source` and `axes`, what its published values were read from, what is known to
differ, and its `curves`. A ``[common]`` table is what all curves share; a curve's ``[curves.smoke]`` table is what is
smaller when only the machinery is to be tried.
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

SIZES = ("smoke", "paper")
SCORES = ("seen", "test")
ALSO = ("median", "best so far")


@dataclasses.dataclass(frozen=True, slots=True)
class Curve:
    """One line of a figure: an agent on an environment, over several trials.

    Attributes:
        name: What the figure calls it.
        agent: The agent's name.
        env: The environment's id.
        oracle_calls: A trial's budget. A curve of one call is a level, drawn across the figure.
        seconds: What an oracle call takes, in seconds on one core, scoring included and a language model's time not.
        settings: The agent's settings.
        arguments: The environment's arguments.
        over: Arguments that vary from trial to trial: name -> [first, one after the last].
        seeds: Trials for each of these.
        mask: Parts of the graph that are hidden.
        score: Of each call's parameters: ``seen`` on the call's own examples, or on ``test``.
        factor: From the environment's score to the figure's unit.
        drop_errors: Whether calls that ended in an error are left out of the mean.
        records: The folder of its trials, where two curves show the same ones; by default its own.
        published: (call, value, standard error or None), in the figure's unit.
        smoke: What differs in the size ``smoke``.
    """

    name: str
    agent: str
    env: str
    oracle_calls: int
    seconds: float
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    over: Mapping[str, Sequence[int]] = dataclasses.field(default_factory=dict)
    seeds: int = 1
    mask: tuple[str, ...] = ()
    score: str = "seen"
    factor: float = 1.0
    drop_errors: bool = False
    records: str | None = None
    published: tuple[tuple[int, float, float | None], ...] = ()
    smoke: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise ValueError(f"{self.name}: expected a score of {SCORES}, got {self.score!r}")

    @property
    def level(self) -> bool:
        """Whether it is a level, drawn across the figure."""
        return self.oracle_calls == 1

    def sized(self, size: str) -> Curve:
        """The curve at ``smoke`` or ``paper`` size."""
        if size not in SIZES:
            raise ValueError(f"expected a size of {SIZES}, got {size!r}")
        return dataclasses.replace(self, **self.smoke) if size == "smoke" else self

    def trials(self) -> list[tuple[dict[str, Any], list[int]]]:
        """(the environment's arguments, the trials' seeds), one for each value of `over`.

        No two trials have the same seed: an agent's random choices must not be those of the trial before.
        """
        ranges = [range(first, end) for first, end in self.over.values()]
        varied = (dict(zip(self.over, values, strict=True)) for values in itertools.product(*ranges))
        return [
            ({**self.arguments, **more}, list(range(k * self.seeds, (k + 1) * self.seeds)))
            for k, more in enumerate(varied)
        ]


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """A published figure.

    Attributes:
        name: What the command line takes.
        title: What it shows.
        source: Paper, version, figure.
        reading: Where the published values come from, and how exactly they can be read.
        accuracy: The largest error of reading one, in the figure's unit.
        x: The horizontal axis.
        y: The vertical axis.
        log: Whether that is logarithmic.
        also: A second statistic that is shown beside the mean: ``median`` or ``best so far``.
        differences: What is known to differ from the paper, and what explains the verdicts.
        curves: Its lines.
    """

    name: str
    title: str
    source: str
    reading: str
    accuracy: float
    x: str
    y: str
    differences: tuple[str, ...]
    curves: tuple[Curve, ...]
    log: bool = False
    also: str | None = None

    def __post_init__(self) -> None:
        if self.also is not None and self.also not in ALSO:
            raise ValueError(f"{self.name}: expected also to be one of {ALSO}, got {self.also!r}")


def names() -> list[str]:
    """The recipes that there are."""
    files = (f.name for f in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def load(name: str) -> Recipe:
    """A recipe.

    Raises:
        ValueError: For an unknown name, with the nearest known one.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1, 0.4)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"no reproduction is called {name!r}{hint} There are: {', '.join(names())}")
    return parse(name, (resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Recipe:
    """A recipe from its TOML."""
    data = tomllib.loads(text)
    common = data.pop("common", {})
    curves = tuple(_curve({**common, **curve}) for curve in data.pop("curves"))
    return Recipe(name, curves=curves, differences=tuple(data.pop("differences")), **data)


def _curve(data: dict[str, Any]) -> Curve:
    points = tuple((x, value, se[0] if se else None) for x, value, *se in data.pop("published", ()))
    return Curve(mask=tuple(data.pop("mask", ())), published=points, **data)
