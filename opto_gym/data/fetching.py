"""Downloads published data sets into the data folder."""

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
    """Downloads the files of a data set that are missing in the data folder, and checks their SHA-256.

    Args:
        name: A name in `SETS`.
        progress: Whether to show a progress bar, if the standard error is a terminal.

    Returns:
        The folder of the data set.

    Raises:
        DataNotFound: If the name is unknown, a file that exists is damaged, or the download fails; the message says
            which files to put where.
    """
    if name not in SETS:
        raise DataNotFound(f"expected a data set of {sorted(SETS)}, got {name!r}{did_you_mean(name, SETS)}")
    folder, dataset = root(), SETS[name]
    missing = [path for path in dataset.files if not (folder / path).is_file()]
    for path in dataset.files:
        if path not in missing:
            load(path)  # raises if the file is damaged
    hub = dataset.origin.startswith("hub:")
    download = _from_hub(dataset.origin) if hub else _from_github(dataset.origin)
    bar = progress and sys.stderr.isatty() and not hub  # the hub's client has a bar of its own
    try:
        for path in _with_bar(missing, name) if bar else missing:
            content = download(Path(path).name)
            if hashlib.sha256(content).hexdigest() != dataset.files[path].sha256:
                raise OSError(f"{path} came with another SHA-256 than the published {dataset.files[path].sha256}")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            part = (folder / path).with_suffix(".part")
            part.write_bytes(content)
            part.replace(folder / path)
    except (OSError, KeyError, MissingExtra, tarfile.TarError, urllib.error.URLError) as e:
        raise DataNotFound(
            f"{name} could not be fetched ({e}). Put these files into {folder}, from {dataset.source}: "
            f"{', '.join(missing)}"
        ) from e
    return folder / name


def _with_bar(files: list[str], name: str) -> Iterable[str]:
    from rich.console import Console
    from rich.progress import track

    return track(files, name, console=Console(stderr=True))


def _from_github(origin: str) -> Callable[[str], bytes]:
    def content(file: str) -> bytes:
        with urllib.request.urlopen(f"{GITHUB}/{origin}/{file}", timeout=60) as answer:
            return bytes(answer.read())

    return content


def _from_hub(origin: str) -> Callable[[str], bytes]:
    owner, name, archive, folder = origin.removeprefix("hub:").split("/", 3)

    def content(file: str) -> bytes:
        hub = need("huggingface_hub")
        where = {"repo_id": f"{owner}/{name}", "filename": archive, "repo_type": "dataset"}
        try:
            path = hub.hf_hub_download(**where, local_files_only=True)
        except OSError:  # it is not in the hub's own cache
            _check_reachable(hub, hub.hf_hub_url(**where))
            path = hub.hf_hub_download(**where)
        with tarfile.open(path) as tar:
            member = tar.extractfile(f"{folder}/{file}")
            if member is None:
                raise OSError(f"{archive} holds no file {file}")
            return member.read()

    return content


def _check_reachable(hub: Any, url: str) -> None:
    """Asks the hub for a file once, since a download would retry for half a minute and print a message each time.

    Raises:
        OSError: If the hub can't be reached.
    """
    try:
        hub.get_hf_file_metadata(url, timeout=10)
    except Exception as e:  # which exceptions come depends on the client's HTTP library, which has changed
        raise OSError(f"{url}: {e}") from e
