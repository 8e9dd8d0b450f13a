"""Every attempt in escapes/ is stopped where its file says so, by root's sandbox and by an ordinary user's."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.sandbox import escape_runner
from tests.sandbox.escape_runner import ATTEMPTS, Range, Verdict, claims

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="the attempts use x86-64 Linux's numbers"
)


@pytest.fixture(scope="module")
def place():
    place = Range()
    yield place
    place.close()


def wrong(name, level, verdict, as_user):
    """What contradicts an attempt's file, or ""."""
    _, stopped_at, through_at = claims(name)
    if verdict.through and stopped_at is not None and level >= stopped_at:
        return f"{name} got through at {level}: {verdict.why}"
    in_time = not verdict.why.startswith("TimeLimit")  # a busy machine stops real attempts, too
    if as_user and in_time and not verdict.through and through_at is not None and level <= through_at:
        return f"{name} is no real attempt: stopped at {level} already: {verdict.why}"
    return ""


@pytest.mark.parametrize("name", ATTEMPTS)
def test_stopped_at_the_level_in_use(place, name):
    level = place.levels[-1]
    assert not wrong(name, level, place.attempt(name, level), False)


@pytest.mark.slow
def test_every_level(place):
    verdicts = {name: {level: place.attempt(name, level) for level in place.levels} for name in ATTEMPTS}
    print("\n" + escape_runner.table(verdicts, place.levels))
    assert not [
        w for name, v in verdicts.items() for level in v if (w := wrong(name, level, v[level], os.geteuid() != 0))
    ]


@pytest.mark.slow
def test_every_level_as_an_ordinary_user():
    if os.geteuid() != 0:
        pytest.skip("the test above ran as one")
    try:
        done = escape_runner.as_user("--json")
    except PermissionError as e:
        pytest.skip(str(e))
    assert done.returncode == 0, done.stderr
    found = {n: {level: Verdict(*v) for level, v in f.items()} for n, f in json.loads(done.stdout).items()}
    print("\n" + escape_runner.table(found, list(next(iter(found.values())))))
    assert found.keys() == ATTEMPTS.keys()
    assert not [w for name, f in found.items() for level in f if (w := wrong(name, level, f[level], True))]


def test_each_says_what_it_tries():
    assert len(ATTEMPTS) >= 90
    texts = [claims(name)[0] for name in ATTEMPTS]
    assert all(text.endswith(".") for text in texts)
    assert len(set(texts)) == len(texts)


def test_what_no_level_stops_is_in_the_docs():
    docs = (Path(__file__).parents[2] / "docs/sandbox.md").read_text()
    never = [name for name in ATTEMPTS if claims(name)[1] is None]
    assert never == ["native_code"]
    assert "native code inside the walls" in docs
    only_l3 = [name for name in ATTEMPTS if claims(name)[1] == "L3"]
    assert only_l3 == ["file_access", "file_readlink", "file_stat"]
    assert "whether a path exists" in docs
