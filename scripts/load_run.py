"""Runs many trials under accidents, and compares their results with those of an undisturbed run.

python -m scripts.load_run FOLDER [--trials 1000] [--jobs 4] [--seed 0]

Accidents: the worker, processes of the sandbox and zygotes are killed at random, the disk fills, and it is read-only
when the worker starts. FOLDER should not be there yet; it is mounted as a small file system of its own, which needs
root. It needs Linux and the extra `external`.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil

from opto_gym.errors import OptoGymError
from opto_gym.leaderboard import run
from opto_gym.leaderboard.records import TrialFolder, read_trial

DISK = "512M"
TASKS = [
    ("Battleship-v0", "RandomSearch", "never"),  # proposed code in the sandbox; 200 boards a scoring would take hours
    ("StrangeSortList-v0", "RandomSearch", "end"),
    ("NumericalOptimization-v0", "NelderMead", "end"),
    ("NumericalOptimization-v0", "OptoPrime", "end"),
]
"""(environment, agent, when to score) of the trials, with as many seeds each."""


def answer(messages: Any, seed: int | None = None) -> str:
    """A model whose proposals depend on its prompt alone."""
    size = sum(len(message["content"]) for message in messages)
    return json.dumps({"suggestion": {"x": size % 100 - 50}})


# ------------------------------------------------------------------------------------------------ the worker


class Memory(threading.Thread):
    """Notes the worker's resident memory and its number of trials that have begun, four times a second."""

    def __init__(self, out: Path) -> None:
        super().__init__(daemon=True)
        self.out, self.samples = out, list[tuple[int, float]]()

    def run(self) -> None:
        """Takes samples until the process ends."""
        process = psutil.Process()
        while True:
            begun = sum(1 for _ in self.out.glob("*/trials/*"))
            self.samples.append((begun, process.memory_info().rss / 2**20))
            time.sleep(0.25)


def work(out: Path, seeds: int, jobs: int) -> int:
    """Runs or resumes the trials, and prints what they left behind as JSON."""
    before = _open_files()
    memory = Memory(out)
    memory.start()
    try:
        for k, (env, agent, scored) in enumerate(TASKS):
            model = f"{__spec__.name if __spec__ else __name__}:answer" if agent == "OptoPrime" else None
            settings = {"oracle_calls": 3, "jobs": jobs, "test_scores": scored, "model": model}
            run([env], [agent], out=out / str(k), seeds=seeds, progress=False, **settings)
    except OptoGymError as e:
        print(e, file=sys.stderr)
        return 1
    left = {"files": _open_files() - before, "memory": memory.samples}
    print(json.dumps(left))
    return 0


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


# ------------------------------------------------------------------------------------------------ the accidents


@dataclasses.dataclass
class Disturber:
    """Starts workers until all trials are done, and lets accidents happen meanwhile.

    Attributes:
        command: The worker's command line.
        out: The folder of the run, on a disk of its own.
        rng: Chooses the accidents.
        counts: The number of accidents of each kind.
        faults: What should not have happened.
    """

    command: list[str]
    out: Path
    rng: random.Random
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    faults: list[str] = dataclasses.field(default_factory=list)

    def go(self, env: dict[str, str]) -> None:
        """Runs the trials to their end."""
        while True:
            read_only = self.counts["workers"] % 5 == 4
            self.counts["workers"] += 1
            with self._read_only() if read_only else contextlib.nullcontext():
                worker = subprocess.Popen(
                    self.command, env=env, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE
                )
                if not read_only:
                    self._disturb(worker)
                _, error = worker.communicate()
            if "Traceback" in error:
                self.faults.append(error[-2000:])
            if worker.returncode == 0:
                return
            print(f"worker {self.counts['workers']} ended with {worker.returncode}: {error.strip()[-150:]}", flush=True)

    def _disturb(self, worker: subprocess.Popen[str]) -> None:
        """Lets accidents happen until the worker has ended."""
        until = time.monotonic() + self.rng.uniform(5, 40)
        while worker.poll() is None:
            time.sleep(self.rng.uniform(0.2, 3.0))
            descendants = _descendants(worker.pid)
            if time.monotonic() > until:
                self.counts["kills of workers"] += 1
                worker.kill()
                worker.wait()
                self._await_end(descendants)
            elif self.rng.random() < 0.05:
                self._fill()
            elif descendants:
                victim = self.rng.choice(descendants)
                with contextlib.suppress(psutil.Error):
                    kind = "zygotes" if victim.ppid() == worker.pid else "processes of the sandbox"
                    victim.kill()
                    self.counts[f"kills of {kind}"] += 1

    def _await_end(self, processes: list[psutil.Process]) -> None:
        """Checks that a worker's descendants end with it."""
        _, alive = psutil.wait_procs(processes, timeout=10)
        self.faults += [f"{p} is still there after its worker was killed" for p in alive]

    def _fill(self) -> None:
        """Fills the disk for half a second."""
        self.counts["full disks"] += 1
        filler = self.out.parent / "filler"
        try:
            with filler.open("wb") as f:
                while True:
                    f.write(bytes(2**20))
        except OSError:
            time.sleep(0.5)
        finally:
            filler.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _read_only(self) -> Iterator[None]:
        """Makes the disk read-only; the worker that starts meanwhile has to end by itself."""
        self.counts["read-only disks"] += 1
        subprocess.run(["mount", "-o", "remount,ro", str(self.out.parent)], check=True)
        try:
            yield
        finally:
            subprocess.run(["mount", "-o", "remount,rw", str(self.out.parent)], check=True)


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[None]:
    """A small file system at a folder."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


# ------------------------------------------------------------------------------------------------ the comparison


def results(out: Path) -> dict[str, Any]:
    """What may not depend on accidents, by trial: status, scores, and parameters and rewards of its calls."""
    found: dict[str, Any] = {}
    for path in sorted(out.glob("*/trials/*")):
        record = read_trial(path)
        if record is None or record.summary is None:
            found[path.name] = None
            continue
        s, folder = record.summary, TrialFolder(path)
        steps = [(x.call, msgspec.json.encode(x.parameters), x.reward, x.score, x.error) for x in folder.steps()]
        tests = sorted((x.parameters_hash, x.score) for x in folder.tests())
        scores = (s.start_score, s.current_score, s.recommended_score)
        found[path.name] = (record.status, record.ended, scores, sorted(steps), tests)
    return found


def growth(samples: list[list[float]]) -> float:
    """MB by which memory grew between the first fifth of the trials and the end."""
    most = max(n for n, _ in samples)
    return max(mb for n, mb in samples if n > 0.8 * most) - max(mb for n, mb in samples if n <= 0.2 * most)


def main() -> int:
    """Runs both runs and prints the comparison; returns 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    seeds = max(1, options.trials // len(TASKS))
    if options.worker:
        return work(options.folder, seeds, options.jobs)
    command = [sys.executable, "-m", "scripts.load_run", "--worker", "--trials", str(options.trials)]
    command += ["--jobs", str(options.jobs)]
    with tempfile.TemporaryDirectory() as temporary, disk(options.folder):
        env = {**os.environ, "TMPDIR": temporary}
        undisturbed = options.folder / "undisturbed"
        begin = time.monotonic()
        said = subprocess.run(
            [*command, str(undisturbed)], env=env, check=True, stdout=subprocess.PIPE, encoding="utf-8"
        )
        left = json.loads(said.stdout.splitlines()[-1])
        print(f"undisturbed: {time.monotonic() - begin:.0f} s, memory +{growth(left['memory']):.1f} MB, "
              f"{left['files']:+} open files, {len(os.listdir(temporary))} files left", flush=True)  # fmt: skip
        disturber = Disturber([*command, str(options.folder / "r")], options.folder / "r", random.Random(options.seed))
        begin = time.monotonic()
        disturber.go(env)
        expected, found = results(undisturbed), results(options.folder / "r")
        different = [name for name in expected if expected[name] != found.get(name)]
        print(f"disturbed: {time.monotonic() - begin:.0f} s; {dict(disturber.counts)}")
        print(f"{len(expected)} trials, {len(different)} with other results; {len(disturber.faults)} faults; "
              f"{len(os.listdir(temporary))} files left in the temporary folder")  # fmt: skip
        for name in different[:5]:
            print(f"{name}\n  expected {expected[name]}\n  actual   {found.get(name)}"[:2000])
        print("\n".join(disturber.faults[:5]))
    return int(bool(different or disturber.faults))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
