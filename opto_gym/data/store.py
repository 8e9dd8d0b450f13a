"""Reads data sets from their folder."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path

from ..errors import DataNotFound
from ..utils.cache import cache_folder
from .catalogue import SETS
from .readers import Example, read_examples

SAMPLE = Path(__file__).with_name("sample")
"""The folder with a few examples of each file, which is part of the package, for tests and first steps."""


def root() -> Path:
    """The folder of the data sets: ``OPTO_GYM_DATA``, else in the user's cache folder."""
    given = os.environ.get("OPTO_GYM_DATA")
    return Path(given) if given else cache_folder() / "data"


def load(path: str, data: str | None = None) -> tuple[list[Example], str]:
    """Reads a file of a data set.

    Args:
        path: Its path in the data folder, such as ``"bbh/navigate.json"``.
        data: None for the data folder, ``"sample"`` for the sample in the package.

    Returns:
        The examples, and the file's SHA-256.

    Raises:
        DataNotFound: If the file does not exist, is damaged, or has another form than the published one.
        ValueError: If `data` is something else.
    """
    if data not in (None, "sample"):
        raise ValueError(f'expected data of None (the data folder) or "sample", got {data!r}')
    folder = SAMPLE if data == "sample" else root()
    name = path.split("/")[0]
    if not (folder / path).is_file():
        raise DataNotFound(
            f"{path} is not in {folder}: run `opto-gym data fetch {name}`, or put it there from {SETS[name].source}; "
            'a few examples come with the package: data="sample"'
        )
    content = (folder / path).read_bytes()
    try:
        examples = [dict(e) for e in _read(path, content, folder.resolve() != SAMPLE)]
    except ValueError as e:
        raise DataNotFound(
            f"{e}. Delete {folder / path} and run `opto-gym data fetch {name}`, or put the published file there, "
            f"from {SETS[name].source}"
        ) from e
    return examples, hashlib.sha256(content).hexdigest()


@functools.lru_cache(maxsize=4)
def _read(path: str, content: bytes, counted: bool) -> list[Example]:
    """`read_examples`; the last few files are parsed once, since each environment of a task loads the same ones."""
    return read_examples(path, content, counted)


def state(name: str) -> str:
    """The state of a data set.

    Returns:
        ``"published"``, ``"own files"`` or ``"missing"``; or a text that begins with ``"incomplete: "`` or
        ``"damaged: "``.
    """
    files = SETS[name].files
    present = [path for path in files if (root() / path).is_file()]
    if not present:
        return "missing"
    if len(present) < len(files):
        return f"incomplete: {len(present)} of {len(files)} files"
    try:
        hashes = {path: load(path)[1] for path in files}
    except DataNotFound as e:
        return f"damaged: {e}"
    return "published" if all(hashes[path] == file.sha256 for path, file in files.items()) else "own files"


def listing() -> list[str]:
    """A line for each data set, with its state, description, licence and source."""
    return [f"{n:6} {state(n):10} {s.about}; {s.licence} licence; {s.source}" for n, s in SETS.items()]
