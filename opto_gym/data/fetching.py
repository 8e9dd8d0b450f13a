"""Fetches published data sets into the data folder."""

from __future__ import annotations

import hashlib
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..errors import DataNotFound, MissingExtra
from ..utils.extras import need
from ..utils.suggestions import did_you_mean
from .catalogue import GITHUB, SETS
from .store import load, root


def fetch(name: str, *, progress: bool = False) -> Path:
    """Brings what is missing of a data set into the data folder; its files as published, by SHA-256.

    Args:
        name: Of `SETS`.
        progress: Show a bar, in a terminal.

    Raises:
        DataNotFound: If it can't be had; the message says which files to put where.
    """
    if name not in SETS:
        raise DataNotFound(f"expected a data set of {sorted(SETS)}, got {name!r}{did_you_mean(name, SETS)}")
    folder, wanted = root(), SETS[name]
    missing = [path for path in wanted.files if not (folder / path).is_file()]
    for path in wanted.files:
        if path not in missing:
            load(path)  # says so if what is there is damaged
    hub = wanted.origin.startswith("hub:")
    source = _hub(wanted.origin) if hub else _github(wanted.origin)
    bar = progress and sys.stderr.isatty() and not hub  # the hub's client has a bar of its own
    try:
        for path in _counted(missing, name) if bar else missing:
            content = source(Path(path).name)
            if hashlib.sha256(content).hexdigest() != wanted.files[path].sha256:
                raise OSError(f"{path} came with another SHA-256 than the published {wanted.files[path].sha256}")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            part = (folder / path).with_suffix(".part")
            part.write_bytes(content)
            part.replace(folder / path)
    except (OSError, KeyError, MissingExtra, tarfile.TarError, urllib.error.URLError) as e:
        raise DataNotFound(
            f"{name} could not be fetched ({e}). Put these files into {folder}, from {wanted.source}: "
            f"{', '.join(missing)}"
        ) from e
    return folder / name


def _counted(files: list[str], name: str) -> Iterable[str]:
    from rich.console import Console
    from rich.progress import track

    return track(files, name, console=Console(stderr=True))


def _github(origin: str) -> Callable[[str], bytes]:
    def content(file: str) -> bytes:
        with urllib.request.urlopen(f"{GITHUB}/{origin}/{file}", timeout=60) as answer:
            return bytes(answer.read())

    return content


def _hub(origin: str) -> Callable[[str], bytes]:
    owner, name, archive, folder = origin.removeprefix("hub:").split("/", 3)

    def content(file: str) -> bytes:
        hub = need("huggingface_hub")
        where = {"repo_id": f"{owner}/{name}", "filename": archive, "repo_type": "dataset"}
        try:
            path = hub.hf_hub_download(**where, local_files_only=True)
        except OSError:  # it is not in the hub's own cache
            _reach(hub, hub.hf_hub_url(**where))
            path = hub.hf_hub_download(**where)
        with tarfile.open(path) as tar:
            member = tar.extractfile(f"{folder}/{file}")
            if member is None:
                raise OSError(f"{archive} holds no file {file}")
            return member.read()

    return content


def _reach(hub: Any, url: str) -> None:
    """Asks the hub for a file once; its client's download would go on asking for half a minute, and say so each time.

    Raises:
        OSError: If it can't be reached.
    """
    try:
        hub.get_hf_file_metadata(url, timeout=10)
    except Exception as e:  # its client's HTTP library has changed, and with it the exceptions
        raise OSError(f"{url}: {e}") from e
