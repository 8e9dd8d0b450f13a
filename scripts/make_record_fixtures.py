"""Makes the packed run folders of tests/records with the current code. Run it once for each released record format.

``python scripts/make_record_fixtures.py DIRECTORY [NAME ...]`` writes one ``NAME.tar.xz`` for each run. It needs the
embedded model (`opto-gym models pull`) and the authors' packages (`opto-gym external install`).
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "records")]
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "records")])

from opto_gym.leaderboard import plan, resume, run  # noqa: E402
from opto_gym.leaderboard.runner import execute  # noqa: E402
from opto_gym.leaderboard.suites import suite_plan  # noqa: E402
from opto_gym.registration import agent_class, make, registered_agents  # noqa: E402
from tests.support.openai_server import OpenAIServer  # noqa: E402

SAMPLE = {"data": "sample"}
TASKS = [
    ("NumericalOptimization-v0", {}),
    ("Battleship-v0", {}),
    ("LinearRegression-v0", {}),
    ("TSP-v0", {}),
    ("BinaryLock-v0", {}),
    ("BlameAssign-v0", {}),
    ("LongTrace-v0", {}),
    ("BBH-object_counting-v1", SAMPLE),
    ("BBH-word_sorting-v1", SAMPLE),
    ("StrangeSortList-v0", {}),
    ("MetaWorld-Reach-v0", {}),
    ("Traffic-v0", {}),
]
FIELDS = {
    "proposed_prefix_for_output_field": "Text:",
    "program_description": "It writes.",
    "module_description": "It writes.",
    "discussion": "Both could be better.",
}
SMALL = {
    "external/dspy-COPRO": {"breadth": 2, "depth": 2},
    "external/dspy-MIPROv2": {"auto": None, "num_candidates": 3, "num_trials": 4},
    "external/dspy-SIMBA": {"bsize": 3, "num_candidates": 2, "max_steps": 3},
    "external/dspy-GEPA": {},
}


def reply() -> Callable[[dict], str]:
    """Makes a scripted model, which answers in the requested form, with slightly different values at each call."""
    numbers = itertools.count(1)

    def answer(body: dict) -> str:
        k = next(numbers)
        prompt = "\n".join(str(m["content"]) for m in body["messages"])
        text = "A cat, a dog, a hen, an owl, a fox, a cow, a bee and an ant."
        if k % 7 == 0:
            return "I can't help with that."
        if "[[ ##" in prompt or "response_format" in body:
            values = {**FIELDS, "module_advice": {"prompt_second": text}}
            values |= dict.fromkeys(("proposed_instruction", "new_instruction"), text)
            if "response_format" in body:
                return json.dumps(values)
            filled = {name: v if isinstance(v, str) else json.dumps(v) for name, v in values.items()}
            return "\n\n".join(f"[[ ## {name} ## ]]\n{v}" for name, v in filled.items()) + "\n\n[[ ## completed ## ]]"
        if "<IMPROVED_VARIABLE>" in prompt:
            return f"Better: <IMPROVED_VARIABLE>{k}</IMPROVED_VARIABLE>"
        if '"suggestion"' in prompt or "suggestion" in prompt:
            names = re.findall(r"^\((?:int|float|code|str)\) (\w+)=", prompt, re.MULTILINE) or ["x", "x0"]
            code = "def add(a, b):\n    return a + b" if "add" in prompt else text
            suggestion = {n: round(0.5 * k, 2) if n.startswith("x") else code for n in names}
            return json.dumps({"reasoning": f"try {k}", "answer": "", "suggestion": suggestion})
        if "[" in prompt and "w, b" in prompt:
            return f"[{k + 3}, {2 * k}]"
        return f"Step {k}: the answer is {k}."

    return answer


def agents_on_tasks(names: list[str], settings: dict[str, dict], **keywords) -> list[tuple[tuple, tuple]]:
    """Pairs of (environment, agent), with the first environment of `TASKS` that each agent can run on."""
    pairs = []
    for name in names:
        for env, arguments in TASKS:
            if agent_class(name).unsupported_reason(make(env, **arguments).unwrapped.problem) is None:
                pairs.append(((env, arguments), (name, settings.get(name, {}))))
                break
        else:
            raise SystemExit(f"no task for {name}")
    return pairs


def local(out: Path) -> None:
    """Runs the agents that use a model, with the embedded model."""
    names = [n for n in registered_agents() if agent_class(n).uses_model and not n.startswith(("external/", "Program"))]
    for env, agent in agents_on_tasks(names, {n: {"max_tokens": 60} for n in names if n not in PROMPTING}):
        run([env], [agent], out=out, seeds=1, oracle_calls=2, model="local", progress=False, test_scores="end")


PROMPTING = ("ModelAlone", "ChainOfThought", "FewShot")


def scripted(out: Path) -> None:
    """Runs the same agents with a scripted endpoint that fails at times; also wrappers, masks and feedback kinds."""
    names = [n for n in registered_agents() if agent_class(n).uses_model and not n.startswith(("external/", "Program"))]
    with OpenAIServer(reply(), [429, "ok", "ok", 500, "torn", "ok", b"{}"]) as server:
        common = {"model": "fake", "base_url": server.url, "seeds": 1, "progress": False}
        for env, agent in agents_on_tasks(names, {}):
            run([env], [agent], out=out, oracle_calls=3, **common)
        adder, words, valley = (f"recorded_agents:{n}" for n in ("Adder", "Words", "Valley"))
        for agent in ("OptoPrime", "OPRO", "OPRO-Trace", "TextGrad", "OptoPrime-Candidates"):
            run([adder, words], [agent], out=out, oracle_calls=3, **common)
        run([valley], ["OptoPrime"], out=out, oracle_calls=3, mask=["inputs", "others"], feedback=["reward"], **common)
        noisy = [("NoisyFeedback", {"p": 0.5}), ("DelayedFeedback", {"k": 1})]
        run([adder], ["OptoPrime"], out=out, oracle_calls=3, wrappers=noisy, **common)
        run(["recorded_agents:Valley"], ["recorded_agents:Asking"], out=out, llm_calls=3, oracle_calls=9, **common)
        run([("BBH-navigate-v1", SAMPLE)], ["OptoPrime"], out=out, oracle_calls=2, **common)


def own(out: Path) -> None:
    """Runs agents of a plug-in author, one of each form, and one that fails."""
    valley, here = "recorded_agents:Valley", "recorded_agents:"
    common = {"seeds": 2, "oracle_calls": 6, "progress": False}
    run([valley], [here + n for n in ("Steps", "Populations", "Parallel", "Failing")], out=out, **common)
    run(["recorded_agents:Adder"], [here + "Choosing"], out=out, **common)


def suite(out: Path) -> None:
    """Runs the suite ``smoke`` with the embedded model."""
    execute(suite_plan("smoke", model="local"), out, jobs=2, progress=False)


def baselines(out: Path) -> None:
    """Runs all agents that use no model, each on one task."""
    names = [n for n in registered_agents() if not agent_class(n).uses_model and n not in ("Human", "Program")]
    for env, agent in agents_on_tasks([n for n in names if not n.startswith("external/")], {}):
        run([env], [agent], out=out, seeds=1, oracle_calls=4, progress=False, test_scores="end")


def external(out: Path) -> None:
    """Runs the authors' packages and a program, with a scripted endpoint."""
    with OpenAIServer(reply()) as server:
        common = {"model": "fake", "base_url": server.url, "seeds": 1, "progress": False, "test_scores": "end"}
        for name in [n for n in registered_agents() if n.startswith("external/")]:
            small = {**SMALL[name], "train_size": 4} if name in SMALL else {}
            calls = 40 if name in SMALL else 6
            # trace-opt orders several inputs differently in each process, so that only a task without inputs replays
            valley = "recorded_agents:Valley" if "trace-opt" in name else "recorded_agents:Adder"
            task = "recorded_agents:Words" if name in SMALL else valley
            run([task], [(name, small)], out=out, oracle_calls=calls, **common)
    os.chdir(ROOT / "tests" / "records")  # the record names the program without its folder
    program = ("Program", {"command": "python3 recorded_program.py"})
    run(["recorded_agents:Valley"], [program], out=out, oracle_calls=3, seeds=1, progress=False)


def lost(out: Path) -> None:
    """Kills and resumes two trials: one of an agent that can be resumed from its record, one of an agent that can't."""
    slow = [("delay", 0.05)] * 6 + [("delay", 2.0)] * 3
    with OpenAIServer(reply(), slow) as server:
        agents = ["recorded_agents:Forgetful", "recorded_agents:Asking"]
        for agent in agents:
            arguments = {"model": "fake", "base_url": server.url, "seeds": 1, "limits": {"oracle_calls": 12}}
            code = (
                "from opto_gym.leaderboard import plan; from opto_gym.leaderboard.runner import execute\n"
                f"from pathlib import Path\nmade = plan(['recorded_agents:Valley'], [{agent!r}], **{arguments!r})\n"
                f"execute(made, Path({str(out)!r}), jobs=1, progress=False)"
            )
            child = subprocess.Popen([sys.executable, "-c", code])
            folder = out / "trials"
            while not any(len(p.read_bytes().splitlines()) > 3 for p in folder.glob(f"*{agent[16:]}*/steps.jsonl")):
                time.sleep(0.02)
            child.send_signal(signal.SIGKILL)
            child.wait()
            server.script = []
            execute(plan(["recorded_agents:Valley"], [agent], **arguments), out, jobs=1, progress=False)
            server.script = list(slow)
    assert any(out.glob("trials/*/lost/1/steps.jsonl")), "no attempt was lost"
    resume(out, progress=False)


def human(out: Path) -> None:
    """Runs a trial of the agent ``Human``, whose input is typed in a terminal."""
    from tests.support.terminal import Terminal

    t = Terminal(
        *("run", "--env", "recorded_agents:Valley", "--agent", "Human", "--oracle-calls", "3", "--seeds", "1"),
        *("--out", str(out)),
    )
    t.expect("> ")
    t.type("x = 1\nrun\n")
    t.expect("[1 of 3 calls] > ")
    t.type("x = 3\nrun\n")
    assert t.status() == 0, t.said


RUNS = {f.__name__: f for f in (local, scripted, own, suite, baselines, external, lost, human)}


def main(target: Path, names: list[str]) -> None:
    """Makes runs and packs them.

    Args:
        target: The folder of the packed files.
        names: The names of runs in `RUNS`; all if empty.
    """
    target.mkdir(parents=True, exist_ok=True)
    for name in names or RUNS:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / name
            begin = time.monotonic()
            RUNS[name](out)
            with tarfile.open(target / f"{name}.tar.xz", "w:xz", preset=9) as tar:
                for path in sorted(out.rglob("*")):
                    if path.is_file() and path.name not in (".lock", "lock.txt"):
                        tar.add(path, path.relative_to(out).as_posix(), filter=_without_owner)
            trials = len(list(out.glob("trials/*/trial.json")))
            size = (target / f"{name}.tar.xz").stat().st_size
            print(f"{name}: {trials} trials, {size / 1e3:.0f} kB, {time.monotonic() - begin:.0f} s", flush=True)


def _without_owner(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
