"""Tries: to get keys, logins and passwords into records, reports, messages, children and core dumps (canaries)."""

from __future__ import annotations

import base64
import gzip
import html
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from opto_gym.agents.external.base import External
from opto_gym.cli import main
from opto_gym.errors import EndpointError
from opto_gym.leaderboard import replay, report, resume, run
from opto_gym.leaderboard.endpoints import check_recorded
from opto_gym.llm import CallMonitor, Client, attempts
from opto_gym.llm.probe import PROBE_TEXT
from opto_gym.utils import redaction
from opto_gym.utils.journal import Journal
from tests.support.hostile_server import GOOD, HostileServer, response

KEY = "sk-canary-key-7Q4xW9"
PASSWORD = "canary-pass/w+rd-93?"
QUERY = "canary-query-5512-z"
SECRETS = (KEY, PASSWORD, QUERY)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(attempts, "_FIRST_PAUSE", 0.005)


def forms(secret: str) -> set[str]:
    """What to search for: the secret in clear, in Base64 at each place, percent-encoded, in hexadecimal, escaped."""
    data = secret.encode()
    found = {secret, quote(secret, safe=""), data.hex(), data.hex().upper(), html.escape(secret)}
    found |= {"".join(f"%{byte:02x}" for byte in data), "".join(f"\\u{byte:04x}" for byte in data)}
    for before in range(3):
        text = base64.b64encode(b"x" * before + data).decode()
        found |= {text[4:-4], text[4:-4].translate(str.maketrans("+/", "-_"))}
    return found


def leaks(*texts: str) -> list[str]:
    return [form for secret in SECRETS for form in forms(secret) for text in texts if form.lower() in text.lower()]


def written(folder: Path) -> list[str]:
    """The content of all files in a folder, and their names."""
    texts = []
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            texts += [str(path), (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")]
    return texts


TOLD = " ".join(
    [
        *SECRETS,
        f"Authorization: Bearer {KEY}",
        "Basic " + base64.b64encode(f"user:{PASSWORD}".encode()).decode(),
        *(base64.b64encode(s.encode()).decode() for s in SECRETS),
        *(base64.urlsafe_b64encode(b"ab" + s.encode() + b"c").decode() for s in SECRETS),
        *(quote(s, safe="") for s in SECRETS),
        *(s.encode().hex() for s in SECRETS),
        *(html.escape(s) for s in SECRETS),
    ]
)
ESCAPED = "".join(f"\\u{ord(c):04x}" for c in " ".join(SECRETS))


def completion(text: str, **more: Any) -> dict[str, Any]:
    return {**GOOD, "choices": [{"finish_reason": "stop", "message": {"content": text, **more}}]}


ANSWERS: dict[str, tuple[Any, int]] = {
    "a 200": (completion(f"-7 {TOLD}"), 200),
    "the reasoning of a 200": (completion("-7", reasoning_content=TOLD), 200),
    "a field of a 200": ({**completion("-7"), TOLD: [{"x": TOLD}]}, 200),
    "escapes in a 200": (json.dumps(completion("-7 @")).replace("@", ESCAPED).encode(), 200),
    "no JSON": (TOLD.encode(), 200),
    "an error in a 200": ({"error": {"message": TOLD, "code": 500}}, 200),
    "at once: a 401": ({"error": {"message": TOLD, "type": TOLD}}, 401),
    "a 401": ({"error": {"message": TOLD, "type": TOLD}}, 401),
    "a 400 as a page": (f"<html><title>{TOLD}</title>{html.escape(TOLD)}".encode(), 400),
    "a 500 as text": (TOLD.encode(), 500),
    "a 302": (b"", 302),
    "a refused prompt": ({"error": {"message": f"content_filter: flagged {TOLD}", "code": "content_filter"}}, 400),
    "a 429": ({"error": {"message": TOLD}}, 429),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_an_endpoint_tells_back(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any):
    body, status = ANSWERS[kind]
    headers = (
        {"Location": f"http://user:{quote(PASSWORD, safe='')}@evil.example/{KEY}?q={QUERY}"} if status == 302 else {}
    )

    def answer(c: socket.socket, request: bytes) -> None:
        passes = PROBE_TEXT.encode() in request and not kind.startswith("at once")
        c.sendall(response() if passes else response(body, status, headers))

    with HostileServer(answer) as endpoint:
        address = endpoint.url.replace("://", f"://user:{quote(PASSWORD, safe='')}@") + f"?code={QUERY}"
        monkeypatch.setenv("OPENAI_BASE_URL", address)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        out = tmp_path / "run"
        arguments = {"model": "m", "seeds": 1, "oracle_calls": 2, "attempts": 2, "out": out, "progress": True}
        try:
            result = run(["tests.support.tasks:Valley"], ["tests.support.agents:Asking"], **arguments)
        except EndpointError as e:  # said before the run, by the probe
            print(e, "".join(traceback.format_exception(e)))
        else:
            resume(out, limits={"oracle_calls": 3})
            report(out)
            for trial in result.trials:
                if trial.status == "done":
                    replayed = replay(trial.path)
                    print(replayed)
                    assert not replayed.differences
        assert main(["report", str(out)]) in (0, 1)
        main(["doctor"])
    said = capfd.readouterr()
    assert any(QUERY.encode() in request for request in endpoint.requests)  # it is sent, as is the login
    assert not leaks(said.out, said.err, *written(tmp_path))


@pytest.mark.parametrize(
    "setting",
    [
        {"base_url": f"http://h/v1?api-key={QUERY}"},
        {"base_url": f"http://user:{quote(PASSWORD, safe='')}@h/v1"},
        {"base_url": f"https://{KEY}@h/v1"},
        {"optimizer_base_url": f"http://h/v1?code={QUERY}"},
        {"api_key": KEY},
        {"extra": {"headers": {"Authorization": f"Bearer {KEY}"}}},
        {"list": [{"password": PASSWORD}]},
        {"proxy": f"socks5://user:{quote(PASSWORD, safe='')}@h"},
        {"text": f"see https://h/?access_token={QUERY}"},
        {"X-API-Key": KEY},
        {"note": f"the key is {KEY}"},
    ],
    ids=str,
)
def test_settings_that_would_be_recorded(setting: dict[str, Any]):
    redaction.keep_secret(KEY)
    with pytest.raises(ValueError, match="expected settings without keys and passwords") as e:
        check_recorded("the agent", setting)
    assert not leaks(str(e.value))


@pytest.mark.parametrize(
    "setting",
    [
        {"base_url": "http://h/v1?api-version=2024"},
        {"api_key_env": "MY_KEY"},
        {"max_tokens": 5, "key": "c"},
        {"secret": ""},
    ],
    ids=str,
)
def test_settings_that_hold_no_secret(setting: dict[str, Any]):
    check_recorded("the agent", setting)


@pytest.mark.parametrize("option", ["agent", "env", "extra body"])
def test_the_command_line_refuses_them_without_showing_them(option: str, tmp_path: Path, capfd: Any):
    words = {
        "agent": ["--env", "BinaryLock-v0", "--agent", f"OptoPrime:base_url='http://h/v1?api-key={QUERY}'"],
        "env": ["--env", f"Greeting-v0:base_url='http://u:{quote(PASSWORD, safe='')}@h/v1'", "--agent", "RandomSearch"],
        "extra body": ["--env", "BinaryLock-v0", "--agent", "OptoPrime", "--extra-body", json.dumps({"api_key": KEY})],
    }[option]
    assert main(["run", *words, "--model", "m", "--out", str(tmp_path / "r"), "--yes"]) == 2
    said = capfd.readouterr()
    assert not leaks(said.out, said.err, *written(tmp_path))


def test_an_error_of_the_users_own_code(capfd: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """An exception that tells the key, as one of another package may."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    (tmp_path / "telling.py").write_text(
        "import os\nraise RuntimeError('no: ' + os.environ['OPENAI_API_KEY'] + '\\x1b[2J')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["run", "--env", "telling:X", "--agent", "RandomSearch", "--out", str(tmp_path / "r")]) == 2
    said = capfd.readouterr()
    assert "RuntimeError" in said.err
    assert "\x1b" not in said.err
    assert not leaks(said.out, said.err)


def test_a_crash_of_the_program_shows_no_key(tmp_path: Path):
    program = (
        "import os, sys, threading\nfrom opto_gym.cli import entry\n"
        "def fail(*_): raise AssertionError('told ' + os.environ['OPENAI_API_KEY'])\n"
        "def crash(options):\n"
        " thread = threading.Thread(target=fail)\n thread.start()\n thread.join()\n fail()\n"
        "entry.run_command = crash\nsys.argv = ['opto-gym', 'envs']\nsys.exit(entry.main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "OPENAI_API_KEY": KEY}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.count("AssertionError: told ***") == 2
    assert not leaks(done.stdout, done.stderr)


def test_no_key_in_a_log_of_the_http_library(monkeypatch: pytest.MonkeyPatch, caplog: Any):
    """With logging switched on, the library logs each URL."""
    caplog.set_level("DEBUG")
    with HostileServer(lambda c, _: c.sendall(response())) as endpoint:
        address = endpoint.url.replace("://", f"://user:{quote(PASSWORD, safe='')}@") + f"?code={QUERY}"
        Client("m", base_url=address, api_key=KEY).chat([{"role": "user", "content": "x"}])
        assert QUERY.encode() in endpoint.requests[0]
    assert caplog.text
    assert not leaks(caplog.text)


def test_an_announced_pause_shows_no_key():
    said: list[str] = []
    with HostileServer(lambda c, _: c.sendall(response({"error": TOLD}, 429, {"Retry-After": "5"}))) as endpoint:
        llm = Client(
            "m", base_url=f"{endpoint.url}?code={QUERY}", api_key=KEY, attempts=2, monitor=CallMonitor(said.append)
        )
        with pytest.raises(EndpointError) as e:
            llm.chat([{"role": "user", "content": "x"}])
    assert said
    assert not leaks(*said, str(e.value))


def test_what_is_recorded_from_elsewhere(tmp_path: Path):
    """The last resort: whatever a record's line holds, of an agent or an environment that knows the key."""
    redaction.keep_secret(*SECRETS)
    journal = Journal(tmp_path / "steps.jsonl")
    line = {"a": TOLD, TOLD: [TOLD, {"n": 1}], "b": f'"{PASSWORD}"\\n'}
    journal.append(line)
    journal.close()
    assert not leaks(*written(tmp_path))
    assert json.loads((tmp_path / "steps.jsonl").read_text())["b"] == '"***"\\n'


@pytest.mark.parametrize("text", ["none", "null", "ollama", "EMPTY", "lm-studio", "key", "", "abc", "not-needed"])
def test_a_placeholder_is_no_secret(text: str):
    redaction.keep_secret(text)
    for data in (f"the answer is {text}", {"counted": text}):
        assert redaction.redact_data(data) == data
    assert redaction.redact(f"the answer is {text}") == f"the answer is {text}"


def test_short_secrets_leave_only_messages():
    redaction.keep_secret("blue")
    assert redaction.redact("bad key: blue") == "bad key: ***"
    assert redaction.redact_body(b'{"text": "blue"}') == b'{"text": "blue"}'


@pytest.mark.parametrize("levels", [150, 5_000])
def test_a_body_of_many_levels_is_redacted(levels: int):
    redaction.keep_secret(KEY)
    body = b"[" * levels + f'"{KEY} \\u00e9"'.encode() + b"]" * levels
    assert KEY.encode() not in redaction.redact_body(body)


# ---- children


class Showing(External):
    """A program that shows what it was given."""

    kinds = {"Number": "native"}

    def __init__(self, command: list[str]) -> None:
        super().__init__()
        self._command = command

    def command(self) -> list[str]:
        return self._command


def test_an_external_program_gets_a_token_and_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from types import SimpleNamespace

    for name in ("OPENAI_API_KEY", "OTHER_API_KEY", "HF_TOKEN", "MY_PASSWORD"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://u:{quote(PASSWORD, safe='')}@h/v1?code={QUERY}")
    session: Any = SimpleNamespace(base_url="http://127.0.0.1:1/v1", token="the-token")
    given = Showing([])._environment(session, str(tmp_path))
    assert not leaks(str(given))
    assert given["OPENAI_API_KEY"] == "the-token"


def test_a_candidates_process_gets_no_key(monkeypatch: pytest.MonkeyPatch):
    from opto_gym.sandbox import zygote

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert not leaks(str(zygote.ENVIRONMENT))
    assert not {"OPENAI_API_KEY", "OPENAI_BASE_URL"} & {*zygote.ENVIRONMENT, *zygote.LOADER}


PROTECTED = """
import ctypes, os, sys
from opto_gym.utils.memory import protect_memory
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as after a login: changing the user has set it to 0
protect_memory()
print("ready", flush=True)
sys.stdin.readline()
os.abort()
"""
READING = """
import os, sys
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
for name in ("environ", "mem", "fd/0"):
    try:
        open(f"/proc/{sys.argv[1]}/{name}", "rb").read(1)
        print("read")
    except OSError:
        print("refused")
"""


@pytest.fixture
def protected(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds a key, as an ordinary user, which could write a core dump here."""
    tmp_path.chmod(0o777)

    def allow() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)

    with subprocess.Popen(
        [sys.executable, "-c", PROTECTED],
        env={**os.environ, "OPENAI_API_KEY": KEY, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        preexec_fn=allow,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_program_of_the_same_user_reads_the_key(protected: subprocess.Popen[bytes]):
    reading = [sys.executable, "-c", READING, str(protected.pid)]
    done = subprocess.run(reading, capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.split() == ["refused"] * 3
    protected.communicate(b"\n")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_core_dump(protected: subprocess.Popen[bytes], tmp_path: Path):
    limits = Path(f"/proc/{protected.pid}/limits").read_text()
    protected.communicate(b"\n")
    assert protected.returncode == -signal.SIGABRT
    assert next(line for line in limits.splitlines() if line.startswith("Max core")).split()[4] == "0"
    assert [path.name for path in tmp_path.iterdir()] == []


def test_the_program_protects_itself(monkeypatch: pytest.MonkeyPatch):
    called: list[bool] = []
    from opto_gym.cli import entry

    monkeypatch.setattr(entry, "protect_memory", lambda: called.append(True))
    monkeypatch.setattr(entry, "_main", lambda arguments: 0)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr("threading.excepthook", lambda crash: None)
    each: Callable[[Any], int] = entry.main
    each(["envs"])
    assert called == []  # a function call changes nothing in its process
    each(None)
    assert called == [True]
