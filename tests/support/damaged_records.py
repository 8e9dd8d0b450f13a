"""Damage to the folder of a run: what an accident or an attacker may do to each kind of file. Seeded, so repeatable."""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import os
import random
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

ESCAPE = "\x1b[2J\x1b]0;owned\x07"
"""What clears a terminal and sets its title."""


class Raw(str):
    """A JSON text that `json` would not write."""


VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e308, 5e-324, 2**31, 2**63, 2**64, -(10**30), 10**400, 10**9),
    *(float("nan"), float("inf"), float("-inf"), Raw("1e999"), Raw("1" * 5000)),
    *("", "x", "0", "nan", ESCAPE, "$a{b$", "${x}$", r"\frac{", "../../outside/canary", "/etc/passwd", "a" * 100_000),
    *("[red]x[/blue]", "[/]", "<script>alert(1)</script>", "\ud800", "\x00", "\u202eabc", "os:system", "line\nline"),
    *("subprocess:Popen", "a:b", "%s%n", "{x.__class__}", "done", "failed", "running", "solved", "budget: tokens"),
    *([], {}, [[]], [None], [0, 0], ["x"] * 3, {"x": 1}, {"": {}}, [[0, "x"]], [{"x": []}], list(range(5000))),
    *(Raw("[" * 150 + "]" * 150), Raw("[" * 5000 + "]" * 5000), Raw('{"a":' * 3000 + "1" + "}" * 3000)),
    *(Raw("[" + "[]," * 300_000 + "[]]"), {str(k): k for k in range(2000)}),
]


def damage(run: Path, outside: Path, rng: random.Random) -> str:
    """Damages one file of a run's folder.

    Args:
        run: The folder.
        outside: A folder beside it, to which links may lead; it holds the file ``canary``.
        rng: Decides about everything.

    Returns:
        What was done.
    """
    kind = rng.choices((in_json, in_lines, in_bytes, in_blob, other_kind, other_folder), (45, 10, 20, 5, 14, 6))[0]
    return f"{kind.__name__}: {kind(run, outside, rng)}"


def files(run: Path, *endings: str) -> list[Path]:
    """The files of a run whose names end so, sorted."""
    return sorted(p for p in run.rglob("*") if p.is_file() and p.name.endswith(endings))


def in_json(run: Path, outside: Path, rng: random.Random) -> str:
    """Changes values of a file, which stays JSON as far as the new values are."""
    path = _weighted(files(run, ".json", ".jsonl"), rng)
    lines = path.read_bytes().split(b"\n") if path.suffix == ".jsonl" else [path.read_bytes()]
    number = rng.choice([n for n, line in enumerate(lines) if line.strip()] or [0])
    try:
        data = json.loads(lines[number])
    except ValueError:
        return f"{path.name} was damaged already"
    done = [_change(data, rng) for _ in range(rng.choice((1, 1, 1, 2, 5)))]
    lines[number] = _dump(data)
    path.write_bytes(b"\n".join(lines))
    return f"{path.relative_to(run)}, line {number + 1}: {'; '.join(done)}"


def in_lines(run: Path, outside: Path, rng: random.Random) -> str:
    """Drops, repeats, swaps, cuts or adds lines."""
    path = rng.choice(files(run, ".jsonl"))
    lines = path.read_bytes().splitlines(keepends=True)
    at = rng.randrange(max(1, len(lines)))
    how = rng.choice(("drop", "repeat", "swap", "cut", "empty", "other", "blank", "join", "drop all after"))
    if how == "drop":
        del lines[at : at + 1]
    elif how == "repeat":
        lines[at:at] = lines[at : at + 1] * rng.choice((1, 2, 500))
    elif how == "swap":
        rng.shuffle(lines)
    elif how == "cut":
        lines[at : at + 1] = [line[: rng.randrange(len(line) + 1)] for line in lines[at : at + 1]]
    elif how == "empty":
        lines = []
    elif how == "other":
        lines.insert(at, rng.choice((b"{}\n", b"[1]\n", b"null\n", b"1\n", b'"x"\n', b"\xff\n", b'{"call":1}\n')))
    elif how == "blank":
        lines.insert(at, b"\n")
    elif how == "join":
        lines = [line.rstrip(b"\n") for line in lines]
    else:
        del lines[at:]
    path.write_bytes(b"".join(lines))
    return f"{path.relative_to(run)}: {how} at line {at + 1}"


def in_bytes(run: Path, outside: Path, rng: random.Random) -> str:
    """Changes bytes anywhere, as a bad disk or a power cut does."""
    path = _weighted(files(run, ".json", ".jsonl", ".gz"), rng)
    data = bytearray(path.read_bytes())
    at, size = rng.randrange(len(data) + 1), rng.choice((1, 8, 512))
    how = rng.choice(("flip", "cut", "zeros", "random", "insert", "delete", "utf-16", "bom", "append", "crlf", "fill"))
    if how == "flip" and data:
        data[at % len(data)] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del data[at:]
    elif how == "zeros":
        data[at : at + size] = bytes(len(data[at : at + size]))
    elif how == "random":
        data[at : at + size] = rng.randbytes(len(data[at : at + size]))
    elif how == "insert":
        data[at:at] = rng.choice((b"\x00", b"\x1b[31m", b'"', b"[" * 3000, b"{", b"\xed\xa0\x80", b"\n", b"9" * 400))
    elif how == "delete":
        del data[at : at + size]
    elif how == "utf-16":
        data = bytearray(data.decode("utf-8", "replace").encode("utf-16"))
    elif how == "bom":
        data[:0] = b"\xef\xbb\xbf"
    elif how == "append":
        data += rng.choice((b"x", b"\x00" * 4096, b"[" * 2_000_000, bytes(data)))
    elif how == "crlf":
        data = bytearray(data.replace(b"\n", b"\r\n"))
    else:
        data = bytearray(rng.choice((b"", b"\n", b"null", b"[]", b"{}", b"0", b"\x1f\x8b", b"[" * 1_000_000)))
    path.write_bytes(data)
    return f"{path.relative_to(run)}: {how} at {at}"


def in_blob(run: Path, outside: Path, rng: random.Random) -> str:
    """Packs something else into a blob; some under its right hash, with the steps that name it."""
    path = rng.choice(files(run, ".gz"))
    how = rng.choice(("bomb", "two members", "other graph", "changed graph", "not utf-8", "deep"))
    text = gzip.decompress(path.read_bytes())
    if how == "bomb":
        path.write_bytes(gzip.compress(bytes(200 * 2**20), 1))
    elif how == "two members":
        path.write_bytes(path.read_bytes() * 2)
    else:
        content = {"not utf-8": b"\xff\xfe", "deep": b"[" * 5000 + b"]" * 5000, "other graph": b"{}"}.get(how)
        if content is None:
            data = json.loads(text)
            _change(data, rng)
            content = _dump(data)
        name = hashlib.sha256(content).hexdigest()
        path.with_name(f"{name}.json.gz").write_bytes(gzip.compress(content))
        for steps in path.parent.parent.rglob("steps.jsonl"):
            steps.write_bytes(steps.read_bytes().replace(path.name.split(".")[0].encode(), name.encode()))
    return f"{path.name[:12]}: {how}"


def other_kind(run: Path, outside: Path, rng: random.Random) -> str:
    """Puts something else in place of a file, among those that are written too."""
    trial = rng.choice(sorted((run / "trials").iterdir()))
    written = [
        run / n for n in ("report.html", "lock.txt", ".lock", "run.json.part", "report.html.part", "looks.jsonl")
    ]
    written += [trial / n for n in ("trial.json.part", "llm.jsonl", "steps.jsonl", "tests.jsonl", "lost")]
    path = rng.choice([*files(run, ".json", ".jsonl", ".gz"), *written, *written])
    how = rng.choice(sorted(KINDS))
    if path.is_dir():
        shutil.rmtree(path)
    content = path.read_bytes() if path.is_file() else b"{}\n"
    path.unlink(missing_ok=True)
    KINDS[how](path, outside, content)
    return f"{path.relative_to(run)}: {how}"


def other_folder(run: Path, outside: Path, rng: random.Random) -> str:
    """Puts something else in place of a folder."""
    trial = rng.choice(sorted((run / "trials").iterdir()))
    path = rng.choice([run / "trials", trial, trial / "blobs", trial / "lost", trial / "lost" / "1"])
    how = rng.choice(("link", "link inside", "file", "pipe", "gone", "moved", "odd names"))
    if how == "odd names":
        for name in ("x", "-1", "²", "00", "9" * 30, f"{ESCAPE}", "1"):
            (path / name).mkdir(parents=True, exist_ok=True)
        return f"{path.relative_to(run)}: {how}"
    target = outside / "folder"
    if path.is_dir():
        shutil.rmtree(target)
        shutil.move(path, target)
    path.parent.mkdir(exist_ok=True)
    if how == "link":
        path.symlink_to(target)
    elif how == "link inside":
        path.symlink_to("..")
    elif how == "file":
        path.write_bytes(b"x")
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "moved":
        shutil.copytree(target, path.with_name(f"{ESCAPE}{path.name}"))
    return f"{path.relative_to(run)}: {how}"


def _sparse(path: Path, outside: Path, content: bytes) -> None:
    path.write_bytes(content)
    os.truncate(path, 3 * 2**30)


def _socket(path: Path, outside: Path, content: bytes) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the path of a socket may have 107 characters
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _second_name(path: Path, outside: Path, content: bytes) -> None:
    (outside / "same").write_bytes(content)
    os.link(outside / "same", path)


def _link_to_copy(path: Path, outside: Path, content: bytes) -> None:
    (outside / "copy").write_bytes(content)
    path.symlink_to(outside / "copy")


KINDS: dict[str, Callable[[Path, Path, bytes], None]] = {
    "folder": lambda path, outside, content: path.mkdir(),
    "full folder": lambda path, outside, content: (path / "x" / "y").mkdir(parents=True),
    "pipe": lambda path, outside, content: os.mkfifo(path),
    "socket": _socket,
    "link to a file outside": lambda path, outside, content: path.symlink_to(outside / "canary"),
    "link to its content outside": _link_to_copy,
    "link to a new file outside": lambda path, outside, content: path.symlink_to(outside / "made"),
    "link to a folder": lambda path, outside, content: path.symlink_to(outside),
    "link to an endless device": lambda path, outside, content: path.symlink_to("/dev/zero"),
    "link to itself": lambda path, outside, content: path.symlink_to(path.name),
    "second name": _second_name,
    "3 GiB": _sparse,
    "gone": lambda path, outside, content: None,
}


def _weighted(paths: list[Path], rng: random.Random) -> Path:
    """A file; each kind of file is as likely as the others."""
    kinds = sorted({path.suffix if path.suffix == ".gz" else path.name for path in paths})
    kind = rng.choice(kinds)
    return rng.choice([path for path in paths if path.name.endswith(kind)])


def _change(data: Any, rng: random.Random) -> str:
    """Changes something at a random place of JSON data; says what."""
    place, name = data, "$"
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return f"{name} is empty"
        key = rng.choice(keys)
        inner = place[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.75:
            place, name = inner, f"{name}.{key}"
            continue
        break
    how = rng.random()
    if how < 0.75:
        place[key] = copy.deepcopy(rng.choice(VALUES))  # a later damage may be inside of it
        return f"{name}.{key} = {place[key]!r:.60}"
    if how < 0.85:
        del place[key]
        return f"{name}.{key} is gone"
    if isinstance(place, dict):
        place[rng.choice((f"{key}x", ESCAPE, "", "version"))] = inner
        return f"{name}.{key} has a second name"
    place.insert(0, inner)
    return f"{name}.{key} is there twice"


def _dump(data: Any) -> bytes:
    """JSON text with the texts of `Raw` as they are."""
    raw: list[str] = []

    def marked(x: Any) -> Any:
        if isinstance(x, Raw):
            raw.append(str(x))
            return f"@raw{len(raw) - 1}@"
        if isinstance(x, dict):
            return {k: marked(v) for k, v in x.items()}
        return [marked(v) for v in x] if isinstance(x, list) else x

    text = json.dumps(marked(data))
    for number, replacement in enumerate(raw):
        text = text.replace(f'"@raw{number}@"', replacement)
    return text.encode()
