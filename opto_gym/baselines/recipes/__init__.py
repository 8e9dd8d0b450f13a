"""Published figures as recipes: plain data that `opto_gym.leaderboard.reproduction` runs. Each figure is a TOML file.

The file has the figure's `title`, `source` and axes, says what its published values were read from and how the
reproduction is known to differ, and lists its `curves`. The keys of a ``[common]`` table apply to all curves. A curve's
``smoke`` table has the values that replace others in a small run, which only tries the machinery.
"""

from __future__ import annotations

import itertools
from importlib import resources
from typing import Any

import msgspec

from ...utils.checks import one_of
from ...utils.suggestions import did_you_mean
from ...utils.tables import as_struct, parse_toml

SIZES = ("smoke", "paper")
SCORES = ("seen", "test")
ALSO = ("median", "best so far")


class Curve(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a figure: an agent on an environment, over several trials.

    Attributes:
        name: The figure's name for it.
        agent: The agent's name.
        env: The environment's id.
        oracle_calls: The budget of a trial. A curve of one call is a level, drawn across the figure.
        seconds: Time of an oracle call on one core, scoring included but without a language model's time, in seconds.
        settings: The agent's settings.
        arguments: The environment's arguments.
        over: Arguments that vary from trial to trial: name -> [first, one after the last].
        seeds: Trials for each of these.
        mask: Parts of the graph that are hidden.
        score: The score of each call's parameters: ``seen`` on the call's own examples, or on ``test``.
        factor: Factor from the environment's score to the figure's unit.
        drop_errors: Whether calls that ended in an error are left out of the mean.
        records: The folder of its trials, where two curves show the same ones; by default its own.
        published: (call, value, standard error or None), in the figure's unit.
        smoke: The values that differ in the size ``smoke``.
    """

    name: str
    agent: str
    env: str
    oracle_calls: int
    seconds: float
    settings: dict[str, Any] = {}
    arguments: dict[str, Any] = {}
    over: dict[str, tuple[int, int]] = {}
    seeds: int = 1
    mask: tuple[str, ...] = ()
    score: str = "seen"
    factor: float = 1.0
    drop_errors: bool = False
    records: str | None = None
    published: tuple[tuple[int, float, float | None], ...] = ()
    smoke: dict[str, Any] = {}

    def __post_init__(self) -> None:
        one_of(SCORES, score=self.score)

    @property
    def level(self) -> bool:
        """Whether the curve is a level, drawn across the figure."""
        return self.oracle_calls == 1

    def sized(self, size: str) -> Curve:
        """The curve in the size ``"smoke"`` or ``"paper"``.

        Raises:
            ValueError: For another size.
        """
        one_of(SIZES, size=size)
        return as_struct({**msgspec.to_builtins(self), **self.smoke}, Curve) if size == "smoke" else self

    def trials(self) -> list[tuple[dict[str, Any], list[int]]]:
        """The trials: (the environment's arguments, the seeds) for each value of `over`.

        All seeds differ, so that an agent makes other random choices in each trial.
        """
        ranges = [range(first, end) for first, end in self.over.values()]
        varied = (dict(zip(self.over, values, strict=True)) for values in itertools.product(*ranges))
        return [
            ({**self.arguments, **more}, list(range(k * self.seeds, (k + 1) * self.seeds)))
            for k, more in enumerate(varied)
        ]


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published figure.

    Attributes:
        name: Its name on the command line.
        title: What it shows.
        source: The paper, its version, and the figure in it.
        reading: Where the published values come from, and how exactly they can be read.
        accuracy: The largest error of reading a value, in the figure's unit.
        x: The horizontal axis.
        y: The vertical axis.
        differences: Known differences from the paper, and explanations of the verdicts.
        curves: The lines of the figure.
        log: Whether the vertical axis is logarithmic.
        also: A second statistic that is shown beside the mean: ``median`` or ``best so far``.
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
        if self.also is not None:
            one_of(ALSO, also=self.also)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The file of a recipe. A curve's table is complete only together with `common`."""

    title: str
    source: str
    reading: str
    accuracy: float
    x: str
    y: str
    differences: tuple[str, ...]
    curves: list[dict[str, Any]]
    log: bool = False
    also: str | None = None
    common: dict[str, Any] = {}


def names() -> list[str]:
    """The names of the recipes that exist."""
    files = (f.name for f in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def load(name: str) -> Recipe:
    """Reads a recipe.

    Raises:
        ValueError: For an unknown name; the message has all names and the most similar one.
    """
    if name not in names():
        hint = did_you_mean(name, names()) or "."
        raise ValueError(f"no reproduction is called {name!r}{hint} There are: {', '.join(names())}")
    return parse(name, (resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Recipe:
    """A recipe from its TOML.

    Raises:
        ValueError: If the text is no recipe; the message has the place in it and what was expected there.
    """
    try:
        file = as_struct(parse_toml(text), _File)
        fields = msgspec.structs.asdict(file)
        common = fields.pop("common")
        curves = tuple(_curve(number, {**common, **table}) for number, table in enumerate(fields.pop("curves"), 1))
        return Recipe(name=name, curves=curves, **fields)
    except ValueError as e:
        raise ValueError(f"the recipe {name} can't be read: {e}") from e


def _curve(number: int, table: dict[str, Any]) -> Curve:
    """A curve, checked in both sizes. A published point may leave out its standard error."""
    points = table.get("published", [])
    if isinstance(points, list):
        points = [[*point, None] if isinstance(point, list) and len(point) == 2 else point for point in points]
    try:
        curve = as_struct({**table, "published": points}, Curve)
    except ValueError as e:
        raise ValueError(f"curve {number}: {e}") from e
    try:
        curve.sized("smoke")
    except ValueError as e:
        raise ValueError(f"curve {number}: smoke: {e}") from e
    return curve
