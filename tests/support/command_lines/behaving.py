"""Programs for the contract of external agents, by name: ``python behaving.py NAME [ARGUMENT]``, on the task Valley."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "opto_gym" / "agents" / "external" / "programs"))
import protocol

FOREVER = 1000


def climb(trial):
    """x = -9, -8, ... until the budget's end."""
    for x in range(-9, 3):
        trial.evaluate({"x": x})


def ends(trial):
    trial.evaluate({"x": 1})


def crash(trial):
    trial.evaluate({"x": 1})
    raise RuntimeError("no idea left")


def crash_over_budget(trial):
    """A package that takes the budget's end for an error."""
    while True:
        try:
            trial.evaluate({"x": 2})
        except protocol.Spent as e:
            raise RuntimeError("the server is broken") from e


def exits(trial):
    trial.evaluate({"x": 1})
    print("giving up")
    os._exit(3)


def killed(trial):
    trial.evaluate({"x": 1})
    print("what is this?")
    os.kill(os.getpid(), signal.SIGKILL)


def kills_its_group(trial):
    trial.evaluate({"x": 1})
    os.killpg(0, signal.SIGKILL)


def hang(trial):
    trial.evaluate({"x": 1})
    print("thinking")
    time.sleep(FOREVER)


def stop_dead(trial):
    """Hears no signal but one."""
    for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(n, signal.SIG_IGN)
    hang(trial)


def elsewhere(trial):
    """A grandchild without its parent, in a session of its own; its id goes into a file."""
    sleeper = f"import os, time; open({sys.argv[2]!r}, 'w').write(str(os.getpid())); time.sleep({FOREVER})"
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleeper!r}], start_new_session=True)"
    subprocess.run([sys.executable, "-c", parent], check=True, start_new_session=True)
    while not (Path(sys.argv[2]).exists() and Path(sys.argv[2]).read_text()):
        time.sleep(0.01)
    trial.evaluate({"x": 1})


def hang_elsewhere(trial):
    elsewhere(trial)
    time.sleep(FOREVER)


def memory(trial):
    """A grandchild's memory counts too."""
    trial.evaluate({"x": 1})
    subprocess.run([sys.executable, "-c", "import time; x = b'1' * 400_000_000; time.sleep(1000)"], check=True)


def endless(trial):
    """Says 100 MB, and what of it is on the disk."""
    trial.evaluate({"x": 1})
    for _ in range(1000):
        sys.stdout.write("x" * 100_000)
    files = [p for p in Path(os.environ["HOME"]).rglob("*") if p.is_file()]
    print(f"\n{sum(p.stat().st_size for p in files)} bytes on the disk")
    os._exit(1)


def persistent(trial):
    """Takes no for an answer, forever."""
    while True:
        try:
            trial.evaluate({"x": 2})
        except protocol.Spent:
            pass


def persistent_slowly(trial):
    persistent_once(trial)
    time.sleep(FOREVER)


def persistent_once(trial):
    """Is told of the end, and does its own work before its own."""
    try:
        climb(trial)
    except protocol.Spent:
        trial.recommend({"x": -4})


def recommends(trial):
    trial.recommend({"x": 1})
    trial.evaluate({"x": 2})
    trial.recommend({"x": -5})


def threads(trial):
    """16 at once."""

    def one(k):
        try:
            trial.evaluate({"x": k - 14})
        except protocol.Spent:
            pass

    workers = [threading.Thread(target=one, args=(k,)) for k in range(4, 17)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def environment(trial):
    Path(sys.argv[2]).write_text(json.dumps({**os.environ, "cwd": os.getcwd()}))


def hostile_values(trial):
    for x in ("\ud800", None, [[]], 10**400, {"a": 1}):
        trial.evaluate({"x": x})


def draws(trial):
    """No two runs are the same."""
    while True:
        trial.evaluate({"x": os.urandom(1)[0] % 12 - 10})
        time.sleep(0.02)


def ask(trial, text, **more):
    body = {"model": trial.model, "messages": [{"role": "user", "content": text}], "max_tokens": 5, **more}
    try:
        return trial._request("/chat/completions", body)["choices"][0]["message"]["content"]
    except RuntimeError as e:
        return str(e)


def asks(trial):
    """As the agent `Asking` of tests/leaderboard."""
    said = trial.start
    while not said["over"]:
        said = trial.evaluate({"x": int(ask(trial, f"after {said['score']}")) % 5 - 8})


def asks_and_draws(trial):
    """Asks a model, and does not listen."""
    for _ in range(100):
        ask(trial, f"draw {os.urandom(4).hex()}")
        trial.evaluate({"x": os.urandom(1)[0] % 12 - 10})
        time.sleep(0.02)


def mends_itself(trial):
    """Asks in a way that the endpoint finds wrong, and then otherwise."""
    refused = ask(trial, "first", response_format={"type": "json_object"})
    assert "endpoint_refused" in refused, refused
    trial.evaluate({"x": int(ask(trial, "second")) % 5})


def does_not_mend_itself(trial):
    ask(trial, "first", response_format={"type": "json_object"})
    os._exit(1)


def shrugs(trial):
    """Goes on whatever the endpoint says."""
    while True:
        ask(trial, "hello")
        trial.evaluate({"x": -1})


if __name__ == "__main__":
    protocol.run(globals()[sys.argv[1]])
