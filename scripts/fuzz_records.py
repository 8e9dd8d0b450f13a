"""Damages run folders in seeded ways, and gives them to all commands that read records.

``python -m scripts.fuzz_records [--number 5000] [--seed 0] [--only N] [--patience 10]`` prints the faults: tracebacks,
more than 10 s, more than 300 MB, anything written outside of the run's folder, control characters in the output, and
exit statuses that are not documented. ``--only`` repeats one mutation. On a machine that others keep busy,
``--patience`` allows for more wall time; the limit of processor time stays.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import resource
import select
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from tests.support.damaged_records import damage
from tests.support.openai_server import OpenAIServer

ROOT = Path(__file__).resolve().parent.parent
ENV, AGENTS = "NumericalOptimization-v0", ("RandomSearch", "NelderMead")
SECONDS, MEGABYTES = 10.0, 300.0
"""The most processor time and memory that a command may take."""
STATUSES = (0, 1, 2)
CONTROL = {chr(c) for c in (*range(32), *range(127, 160))} - set("\n\t")


def make_runs(folder: Path, url: str) -> list[Path]:
    """Makes the undamaged runs: one of this code, and packed ones of older releases."""
    from opto_gym.leaderboard import run

    common: dict[str, Any] = {"oracle_calls": 2, "progress": False, "out": folder / "new"}
    run([ENV], list(AGENTS), seeds=2, **common)
    run([ENV], ["OptoPrime"], seeds=1, model="fake", base_url=url, **common)
    for name, kept in (("lost", 2), ("own", 2)):
        with tarfile.open(ROOT / "tests" / "records" / f"{name}.tar.xz") as tar:
            tar.extractall(folder / name, filter="data")
        for trial in sorted((folder / name / "trials").iterdir())[kept:]:
            shutil.rmtree(trial)
    return [folder / "new", folder / "new", folder / "lost", folder / "own"]


def answer(body: dict[str, Any]) -> str:
    """The model of the runs: always the same proposal."""
    return json.dumps({"reasoning": "", "answer": "", "suggestion": {"x": 0.5, "x0": 0.5}})


def commands(run: Path, url: str, rng: random.Random) -> list[list[str]]:
    """Two of the commands that read records, each with arguments for this run."""
    trials = sorted(map(str, (run / "trials").iterdir())) if (run / "trials").is_dir() else []
    trial = rng.choice(trials or [str(run / "trials" / "x")])
    resume = ["run", "--resume", str(run), "--quiet", "--base-url", url, "--attempts", "1", "--timeout", "2"]
    agents = ["--agent", AGENTS[0], "--against", AGENTS[1], "--env", ENV]
    possible = [
        ["report", str(run)],
        ["replay", "--trust", *trials],  # else runs of modules of their own are refused at once
        [*resume, "--trust", "--oracle-calls", rng.choice(("2", "3", "9"))],
        [*resume, *rng.choice(([], ["--trust"])), "--again"],
        ["compare", *agents, "--out", str(run), "--seeds", "2", "--oracle-calls", "2", "--quiet"],
        ["prompt", ENV, "OptoPrime", "--after", f"{trial}:{rng.randrange(3)}"],
    ]
    return rng.sample(possible, 2, counts=[4, 4, 3, 2, 2, 1])


def one(number: int, seed: int, runs: list[Path], work: Path, url: str) -> tuple[str, list[list[str]]]:
    """Makes the damaged folder of a mutation; returns what was done, and the commands to run."""
    rng = random.Random(f"{seed} {number}")
    shutil.rmtree(work, ignore_errors=True)
    for name in ("outside/folder", "tmp", "home", "cwd"):
        (work / name).mkdir(parents=True)
    (work / "outside" / "canary").write_text("{}\n", encoding="utf-8")
    shutil.copytree(rng.choice(runs), work / "run")
    done = damage(work / "run", work / "outside", rng)
    return done, commands(work / "run", url, rng)


def listing(work: Path) -> dict[str, tuple[int, int]]:
    """(size, time of change) of all that is not in the run's folder."""
    found = {}
    for path in work.rglob("*"):
        if work / "run" not in path.parents and path not in (work / "run", work):
            status = path.lstat()
            found[str(path.relative_to(work))] = status.st_size, 0 if path.is_dir() else status.st_mtime_ns
    return found


class Worker:
    """A child process that runs commands one after the other."""

    def __init__(self, work: Path) -> None:
        env = {
            **os.environ,
            "TMPDIR": f"{work}/tmp",
            "HOME": f"{work}/home",
            "PYTHONPATH": f"{ROOT}:{ROOT}/tests/records",
        }
        env |= {"OPENAI_API_KEY": "none", "COLUMNS": "200", "OPENBLAS_NUM_THREADS": "1"}
        env["OPTO_GYM_STATE"] = str(work.parent / "state")  # where the marks of trust are kept
        env["MPLCONFIGDIR"] = str(work.parent / "matplotlib")  # its list of fonts is made once
        command = [sys.executable, "-m", "scripts.fuzz_records", "--worker"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, cwd=ROOT
        )
        self.ask([], 600.0)  # it has imported everything

    def ask(self, arguments: list[str], patience: float) -> dict[str, Any] | None:
        """Runs a command; None if it takes longer than `patience` seconds or the process dies."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(arguments).encode() + b"\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], patience)[0]:
            return None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def end(self) -> None:
        """Kills the process."""
        self.process.kill()
        self.process.wait()


def work_off() -> None:
    """The loop of a worker: a command a line, a result a line."""
    from opto_gym.cli.entry import main
    from opto_gym.leaderboard import report  # noqa: F401

    results, devnull = os.fdopen(os.dup(1), "w", encoding="utf-8"), os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    for line in sys.stdin:
        arguments = json.loads(line)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak of memory begins again
        out, status, begin = io.StringIO(), 0, resource.getrusage(resource.RUSAGE_SELF).ru_utime
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                status = main(arguments) if arguments else 0
            except SystemExit as e:
                status = e.code if isinstance(e.code, int) else 99
            except BaseException:
                traceback.print_exc()
                status = 99
        peak = next(
            x for x in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if x.startswith("VmHWM")
        )
        seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - begin
        result = {"status": status, "output": out.getvalue(), "seconds": seconds, "mb": int(peak.split()[1]) / 1024}
        results.write(json.dumps(result) + "\n")
        results.flush()


def faults(result: dict[str, Any] | None, patience: float) -> list[str]:
    """What is wrong with the result of a command."""
    if result is None:
        return [f"it took over {patience:g} s, or the process died"]
    output, found = result["output"], []
    if "Traceback (most recent call last)" in output:
        found.append(f"traceback: {output[output.index('Traceback') :][-900:]}")
    if result["status"] not in STATUSES:
        found.append(f"exit status {result['status']}")
    if result["status"] and not output.strip():
        found.append(f"exit status {result['status']} without a word")
    if CONTROL & set(output):
        found.append(f"control characters: {sorted(CONTROL & set(output))}")
    if result["seconds"] > SECONDS:
        found.append(f"{result['seconds']:.1f} s of processor time")
    if result["mb"] > MEGABYTES:
        found.append(f"{result['mb']:.0f} MB")
    return found


def main(number: int, seed: int, *, only: int | None = None, patience: float = SECONDS, say: bool = True) -> list[str]:
    """Runs the mutations; returns a text for each fault."""
    found: list[str] = []
    slowest, largest, begin, statuses = 0.0, 0.0, time.monotonic(), dict.fromkeys(STATUSES, 0)
    with OpenAIServer(answer) as server, tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        runs, work, worker = make_runs(Path(folder), server.url), Path(folder) / "work", None
        for n in range(number) if only is None else [only]:
            done, asked = one(n, seed, runs, work, server.url)
            for arguments in asked:
                before = listing(work)
                worker = worker or Worker(work)
                result = worker.ask(arguments, patience)
                wrong = faults(result, patience)
                after = listing(work)
                changed = sorted(p for p in {*before, *after} if before.get(p) != after.get(p))
                wrong += [f"written outside: {changed}"] if changed else []
                if result is not None:
                    slowest, largest = max(slowest, result["seconds"]), max(largest, result["mb"])
                    statuses[result["status"]] = statuses.get(result["status"], 0) + 1
                if only is not None:
                    print(done, arguments, result and result["output"], sep="\n")
                if wrong:
                    worker.end()
                    worker = None
                    shown = " ".join(a.replace(folder, "") for a in arguments)
                    found.append(f"mutation {n}: {done}\n  opto-gym {shown:.200}\n  " + "\n  ".join(wrong))
                    print(found[-1], flush=True)
            if say and (n % 10 == 9):
                seconds = time.monotonic() - begin
                print(
                    f"{n + 1}/{number} mutations, {len(found)} faults, {seconds:.0f} s; slowest {slowest:.1f} s, "
                    f"largest {largest:.0f} MB, exit statuses {statuses}",
                    flush=True,
                )
        if worker is not None:
            worker.end()
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--patience", type=float, default=SECONDS)
    parser.add_argument("--worker", action="store_true")
    options = parser.parse_args()
    if options.worker:
        work_off()
    else:
        sys.exit(1 if main(options.number, options.seed, only=options.only, patience=options.patience) else 0)
