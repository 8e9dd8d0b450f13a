"""``opto-gym envs --gallery``: a page with a card for each family of environments, filled by running one of each."""

from __future__ import annotations

import dataclasses
import inspect
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import registration
from ..agents.toolkit.moves import mutate
from ..core import OptoEnv
from ..errors import OptoGymError
from ..leaderboard.reporting.page import number
from ..problems import Anchors
from ..spaces import Number
from ..utils.text import write_text
from ..wrappers.observations import unwrapped
from .arguments import UsageError

EXAMPLES, MODEL_EXAMPLES = 20, 5
"""The number of test examples on which floor and reference are scored; the second where a language model answers."""

MAX_PART_CHARACTERS = 400
"""The number of characters of a feedback part that a card shows."""


@dataclasses.dataclass(frozen=True, slots=True)
class Scores:
    """Scores on test examples.

    Attributes:
        floor: The score of the start values.
        reference: The score of the best known parameters; None if none are known.
        examples: The number of examples that were scored.
        of: The number of examples in the test split.
    """

    floor: float
    reference: float | None
    examples: int
    of: int


@dataclasses.dataclass(frozen=True, slots=True)
class Card:
    """The gallery's entry for a family of environments.

    Attributes:
        name: The environment that represents the family.
        others: The family's other environments.
        about: What the task is, in a sentence.
        facts: Kind, parameters and range of scores, by label.
        scores: The measured scores; None if the environment could not be run.
        anchors: The environment's declared anchors.
        feedback: The feedback for the start values: (kind, text).
        seconds: The median time of an oracle call, in seconds.
        picture: The rendering after a call with the reference solution, or with the start values where there is none;
            shape (height, width, 3).
        pictured: Which of the two the picture shows.
        failed: The reason why the environment could not be run, or None.
    """

    name: str
    others: tuple[str, ...]
    about: str = ""
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    scores: Scores | None = None
    anchors: Anchors | None = None
    feedback: tuple[tuple[str, str], ...] = ()
    seconds: float | None = None
    picture: np.ndarray[Any, Any] | None = None
    pictured: str = ""
    failed: str | None = None

    @property
    def file(self) -> str:
        """The name of the picture's file."""
        return f"{''.join(c if c.isalnum() or c in '-_' else '_' for c in self.name)}.png"

    @property
    def time(self) -> str:
        """The time of an oracle call with its unit."""
        s = self.seconds or 0.0
        for factor, unit in ((1, "s"), (1e3, "ms")):
            if s * factor >= 1:
                return f"{s * factor:.3g} {unit}"
        return f"{s * 1e6:.0f} µs"


def families() -> dict[str, list[str]]:
    """Groups the environments by their class, in the order of registration: first of the family -> the others.

    Older versions of an environment are among the others of the newest one's family.
    """
    registration.load_plugins()
    found: dict[Any, list[str]] = {}
    newest: dict[str, Any] = {}
    for full, spec in registration.registry.items():
        if full.startswith(f"{registration.NAMESPACE}/"):
            name = full.rpartition("-v")[0]
            if name not in newest or spec.version > newest[name].version:
                newest[name] = spec
    for full in registration.registry:
        if full.startswith(f"{registration.NAMESPACE}/"):
            family = newest[full.rpartition("-v")[0]].entry_point
            found.setdefault(family, []).append(full.removeprefix(f"{registration.NAMESPACE}/"))
    return {names[0]: names[1:] for names in found.values()}


def cards(*, progress: bool = True) -> Iterator[Card]:
    """Runs an environment of each family. If that fails, its card has the reason."""
    from rich.console import Console
    from rich.progress import track

    everyone = families()
    quiet = not progress or not sys.stderr.isatty()
    for name in track(everyone, "gallery", console=Console(stderr=True), disable=quiet):
        card = Card(name, tuple(everyone[name]))
        try:
            yield _run(card)
        except Exception as e:  # a missing extra, missing data or a broken plug-in must not hide the others
            reason = str(e) if isinstance(e, OptoGymError) else f"{type(e).__name__}: {e}"
            yield dataclasses.replace(card, failed=reason)


def _run(card: Card) -> Card:
    """Fills in a card by running its environment."""
    inner = unwrapped(registration.make(card.name, disable_env_checker=True))
    card = dataclasses.replace(
        card,
        about=(inspect.getdoc(type(inner)) or "").split("\n")[0],
        facts=_facts(inner),
        anchors=inner.anchors,
    )
    start, reference = inner.problem.start, inner.reference_solution()
    best = start if reference is None else reference
    first = inner.evaluate(start)
    texts = {p.kind: p.content for p in reversed(first.feedback.parts) if p.media.startswith("text/")}
    times: list[float] = []
    rng = np.random.default_rng(0)
    while len(times) < 5 and sum(times) < 3:
        # numbers differ from call to call, since an environment may cache a simulation
        values = {p.name: mutate(p.space, best[p.name], rng) if isinstance(p.space, Number) else best[p.name]
                  for p in inner.parameters}  # fmt: skip
        begin = time.perf_counter()
        inner.evaluate(values, seed=len(times))
        times.append(time.perf_counter() - begin)
    total = len(inner.splits["test"])
    some = range(min(MODEL_EXAMPLES if inner.uses_model else EXAMPLES, total))
    floor = inner.evaluate(start, split="test", examples=some).score
    scored = None if reference is None else inner.evaluate(reference, split="test", examples=some).score
    picture = None
    if "rgb_array" in inner.metadata["render_modes"]:
        shown = registration.make(card.name, disable_env_checker=True, render_mode="rgb_array")
        shown.reset(seed=0)
        shown.step(best)
        picture = np.asarray(shown.render())
    return dataclasses.replace(
        card,
        scores=Scores(floor, scored, len(some), total),
        feedback=tuple((kind, _cut(texts[kind])) for kind in inner.feedback_kinds if texts.get(kind)),
        seconds=statistics.median(times),
        picture=picture,
        pictured="start values" if reference is None else "reference solution",
    )


def _facts(inner: OptoEnv) -> dict[str, str]:
    parameters = [f"{p.name} ({type(p.space).__name__.lower()})" for p in inner.parameters]
    more = f", and {len(parameters) - 6} more" if len(parameters) > 6 else ""
    facts = {
        "Kind": "one instance" if inner.instance else "a distribution",
        "Parameters": ", ".join(parameters[:6]) + more,
        "Score": f"from {inner.scores[0]:g} (worst) to {inner.scores[1]:g} (best)",
    }
    if inner.uses_model:
        model = inner.llm.describe()
        facts["Model inside"] = model["file"]["name"] if "file" in model else model["model"]
    return facts


def _cut(text: str) -> str:
    left_out = len(text) - MAX_PART_CHARACTERS
    return text if left_out <= 0 else f"{text[:MAX_PART_CHARACTERS]} ... ({left_out} characters more)"


def write_gallery(folder: str) -> int:
    """Runs ``opto-gym envs --gallery FOLDER``.

    Raises:
        UsageError: If the path is that of a file.
        OptoGymError: If the folder can't be made or written. This is found before the environments run.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except FileExistsError as e:
        raise UsageError(f"--gallery: expected a folder, got the file {folder}") from e
    except OSError as e:
        raise OptoGymError(f"--gallery: the folder {folder} can't be written: {e.strerror}") from e
    print(write(path, list(cards())))
    return 0


def write(folder: Path, filled: list[Card]) -> Path:
    """Writes ``index.html`` and the pictures into a folder; returns the path of the page."""
    pictures(folder, filled)
    page = folder / "index.html"
    write_text(page, render("gallery.html.j2", filled, pictures=""))
    return page


def pictures(folder: Path, filled: list[Card]) -> None:
    """Writes the cards' pictures into a folder, which is created if it is missing."""
    from matplotlib.image import imsave

    folder.mkdir(parents=True, exist_ok=True)
    for card in filled:
        if card.picture is not None:
            imsave(folder / card.file, card.picture, pil_kwargs={"optimize": True})


def render(template: str, filled: list[Card], *, pictures: str) -> str:
    """Renders the cards by one of the templates.

    Args:
        template: ``gallery.html.j2`` or ``gallery.md.j2``.
        filled: The cards.
        pictures: The folder of the pictures relative to the page, ``""`` or with a slash at its end.
    """
    import jinja2

    loader = jinja2.PackageLoader("opto_gym.leaderboard")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(cards=filled, number=number, pictures=pictures)
