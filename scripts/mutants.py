"""Mutation testing: makes small random changes to modules, and checks that a unit test fails for each of them.

    python -m scripts.mutants --seed 0 --count 300 --minutes 60 opto_gym/core.py opto_gym/leaderboard/trial.py ...

A mutant is a module with one change: another operator, comparison or constant, a negated condition, a statement that is
left out, or a value that is not returned. First, all unit tests run once, to record which lines each of them executes
(`scripts.mutants_pytest`). Then each mutant is run against the tests that execute the changed line, the fastest first,
until one of them fails. If no test executes that line, as for a constant of the module, all tests that execute lines of
the module are used. A mutant is killed if a test fails, or if its tests take much longer than without the change. All
tests run in temporary copies of the working tree.

The script prints the surviving mutants as diffs, and the share of killed mutants with Wilson's 95 % interval. Equal
modules and seeds give equal mutants.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PLUGIN = "scripts.mutants_pytest"
STARTUP = 60.0
"""The seconds that pytest may need in addition to its tests; on a busy machine, imports alone take ten seconds."""
SLOWDOWN = 5.0
"""The factor by which tests may take longer with a mutant than without."""
STAMPS = itertools.count(1)
"""Numbers the changes of source files, so that each change gets its own modification time."""
MAX_TEST_SECONDS = 60.0
"""The total duration of the tests of a mutant; the slowest tests are left out."""

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
REMOVABLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Delete, ast.Break, ast.Continue)


class Mutant(NamedTuple):
    """A module with one change.

    Attributes:
        module: The path of the module, relative to the root of the repository.
        line: The line of the change, from 1.
        kind: The kind of the change, in a few words.
        start: The byte offset in the source at which the replaced text begins.
        end: The byte offset at which it ends.
        text: The new text.
    """

    module: str
    line: int
    kind: str
    start: int
    end: int
    text: str

    def apply(self, source: bytes) -> bytes:
        """Returns the changed source."""
        return source[: self.start] + self.text.encode() + source[self.end :]


class Outcome(NamedTuple):
    """The result of a mutant.

    Attributes:
        mutant: The mutant.
        status: ``killed``, ``survived``, ``untested`` or ``timed out``.
        tests: The number of tests that were chosen for it.
        diff: The change as a unified diff.
    """

    mutant: Mutant
    status: str
    tests: int
    diff: str


# ---- making mutants
def mutants(module: str, source: bytes) -> Iterator[Mutant]:
    """Yields all mutants of a module, in the order of its source."""
    offsets = [0]
    for line in source.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    tree = ast.parse(source)
    for node in candidates(tree):
        for kind, replaced, text in changes(node):
            start = offsets[replaced.lineno - 1] + replaced.col_offset
            end = offsets[(replaced.end_lineno or 0) - 1] + (replaced.end_col_offset or 0)
            mutant = Mutant(module, replaced.lineno, kind, start, end, text)
            try:
                changed = ast.parse(mutant.apply(source))
            except SyntaxError:
                continue
            if ast.dump(changed) != ast.dump(tree):
                yield mutant


def candidates(tree: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Yields the nodes to change: no annotations, docstrings, assertions, f-strings, imports or type-only code."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if not isinstance(node, ast.AST) or isinstance(
                node, ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom
            ):
                continue
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue
            if isinstance(node, ast.expr | ast.stmt):
                yield node
            yield from candidates(node)


def changes(node: ast.expr | ast.stmt) -> Iterator[tuple[str, ast.expr | ast.stmt, str]]:
    """Yields the changes of a node as (kind, the replaced node: itself or a part of it, new text)."""
    if isinstance(node, ast.stmt):
        yield from statement_changes(node)
    elif isinstance(node, ast.Constant):
        yield from ((kind, node, text) for kind, text in constant_changes(node.value))
    else:
        yield from ((kind, node, f"({ast.unparse(new)})") for kind, new in expression_changes(node))


def statement_changes(node: ast.stmt) -> Iterator[tuple[str, ast.expr | ast.stmt, str]]:
    """Yields changes of a statement: left out, no value returned, another operator, or a negated condition."""
    if isinstance(node, REMOVABLE):
        yield "statement left out", node, "pass"
    if isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
        yield "nothing returned", node, "return None"
    if isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
        yield "operator", node, ast.unparse(ast.AugAssign(node.target, OPERATORS[type(node.op)](), node.value))
    if isinstance(node, ast.If | ast.While) and not isinstance(node.test, ast.Constant):
        yield "branches swapped", node.test, f"not ({ast.unparse(node.test)})"


def constant_changes(value: object) -> Iterator[tuple[str, str]]:
    """Yields changes of a constant: the other boolean, or another number."""
    if isinstance(value, bool):
        yield "boolean", str(not value)
    elif isinstance(value, int):
        yield "constant", f"({value + 1})"
        yield "constant", f"({value - 1})"
    elif isinstance(value, float):
        yield "constant", f"({value * 2 + (value == 0)})"


def expression_changes(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Yields changes of an expression: other operators and comparisons, negated conditions, swapped branches."""
    if isinstance(node, ast.Compare):
        for k, op in enumerate(node.ops):
            for other in COMPARISONS[type(op)]:
                yield (
                    "comparison",
                    ast.Compare(node.left, [*node.ops[:k], other(), *node.ops[k + 1 :]], node.comparators),
                )
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield "operator", ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield "and/or", ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
        for k in range(len(node.values)):
            left = [*node.values[:k], *node.values[k + 1 :]]
            yield "condition left out", left[0] if len(left) == 1 else ast.BoolOp(node.op, left)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield "sign or negation", node.operand
    elif isinstance(node, ast.IfExp):
        yield "branches swapped", ast.IfExp(node.test, node.orelse, node.body)


def draw(modules: list[str], seed: int, count: int) -> list[Mutant]:
    """Draws mutants of the modules at random, with equal probabilities and without repetition."""
    every = [mutant for module in modules for mutant in mutants(module, (ROOT / module).read_bytes())]
    print(f"{len(every)} possible mutants in {len(modules)} modules", flush=True)
    return random.Random(seed).sample(every, min(count, len(every)))


# ---- running tests
def copy_tree(target: Path) -> Path:
    """Copies the working tree, with its uncommitted changes but without files that git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, copy = ROOT / name, target / name
        if source.is_file() and not source.is_symlink():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
    return target


def pytest(tree: Path, arguments: list[str], seconds: float, **variables: str) -> int | None:
    """Runs pytest in a copy; returns its exit status, or None if it was stopped after so many seconds."""
    environment = {**os.environ, "PYTHONPATH": str(tree), **variables}
    command = [sys.executable, "-m", "pytest", "-q", "-p", PLUGIN, "-p", "no:cacheprovider", "-m", "not slow"]
    child = subprocess.Popen(
        [*command, *arguments], cwd=tree, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


class Test(NamedTuple):
    """A unit test: its id, its duration in seconds, and the executed lines of the modules, as ``path:line``."""

    id: str
    seconds: float
    lines: frozenset[str]

    @property
    def file(self) -> str:
        """The path of the test module."""
        return self.id.split("::")[0]


def executed_lines(tree: Path, modules: list[str], tests: list[str], jobs: int, file: Path) -> list[Test]:
    """Runs all tests once and records the lines that each executes in `file`; reads `file` instead if it exists."""
    if not file.exists():
        with tempfile.TemporaryDirectory() as parts:
            variables = {"MUTANTS_MODULES": json.dumps(modules), "MUTANTS_LINES": parts}
            pytest(tree, ["-n", str(jobs), *tests], 3600.0, **variables)
            rows = [
                row for part in sorted(Path(parts).iterdir()) for row in json.loads(part.read_text(encoding="utf-8"))
            ]
        if not rows:
            raise SystemExit(f"no test of {tests} passes and executes one of {modules}: run pytest by hand to see why")
        file.write_text(json.dumps(rows), encoding="utf-8")
    return [
        Test(name, seconds, frozenset(lines)) for name, seconds, lines in json.loads(file.read_text(encoding="utf-8"))
    ]


def chosen_tests(mutant: Mutant, tests: list[Test]) -> list[Test]:
    """The fastest tests that execute a mutant's line, or else its module, up to `MAX_TEST_SECONDS` in total."""
    place = f"{mutant.module}:{mutant.line}"
    found = [t for t in tests if place in t.lines]
    found = found or [t for t in tests if any(line.startswith(f"{mutant.module}:") for line in t.lines)]
    chosen: list[Test] = []
    for test in sorted(found, key=lambda t: (t.seconds, t.id)):
        if chosen and sum(t.seconds for t in chosen) + test.seconds > MAX_TEST_SECONDS:
            break
        chosen.append(test)
    fastest: dict[str, float] = {}
    for test in chosen:
        fastest.setdefault(test.file, test.seconds)
    return sorted(
        chosen, key=lambda t: (fastest[t.file], t.file, t.seconds)
    )  # by file, so that the tests of a file share their fixtures


def run_mutant(mutant: Mutant, tree: Path, tests: list[Test]) -> Outcome:
    """Runs a mutant against its tests in a copy of the tree, and restores the copy."""
    path = tree / mutant.module
    source = path.read_bytes()
    changed = mutant.apply(source)
    old, new = (text.decode().splitlines(keepends=True) for text in (source, changed))
    diff = "".join(difflib.unified_diff(old, new, mutant.module, f"{mutant.module} ({mutant.kind})", n=1))
    chosen = chosen_tests(mutant, tests)
    if not chosen:
        return Outcome(mutant, "untested", 0, diff)
    files = sorted({test.file for test in chosen})
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as names:
        json.dump([test.id for test in chosen], names)
        names.flush()
        before = path.stat().st_mtime_ns
        path.write_bytes(changed)
        newer = (
            before + next(STAMPS) * 10**9
        )  # Python compares cached bytecode with the source by whole seconds and size
        os.utime(path, ns=(newer, newer))
        try:
            seconds = STARTUP + SLOWDOWN * sum(test.seconds for test in chosen)
            exit_status = pytest(tree, ["-n", "0", "-x", *files], seconds, MUTANTS_TESTS=names.name)
        finally:
            path.write_bytes(source)
            os.utime(path, ns=(before, before))
    no_tests_collected = 5
    named = {None: "timed out", 0: "survived", no_tests_collected: "untested"}
    return Outcome(mutant, named.get(exit_status, "killed"), len(chosen), diff)


def judge_all(drawn: list[Mutant], trees: list[Path], tests: list[Test], end: float) -> list[Outcome]:
    """Runs mutants until `end` on the monotonic clock, one at a time in each copy, and returns their outcomes."""
    free: SimpleQueue[Path] = SimpleQueue()
    for tree in trees:
        free.put(tree)

    def one(mutant: Mutant) -> Outcome | None:
        if time.monotonic() > end:
            return None
        tree = free.get()
        try:
            outcome = run_mutant(mutant, tree, tests)
        finally:
            free.put(tree)
        print(f"{outcome.status:9} {mutant.module}:{mutant.line} {mutant.kind} ({outcome.tests} tests)", flush=True)
        return outcome

    with ThreadPoolExecutor(len(trees)) as pool:
        return [outcome for outcome in pool.map(one, drawn) if outcome is not None]


# ---- report
def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval for a proportion, with coverage 95 % by default."""
    if not n:
        return 0.0, 1.0
    share, scale = hits / n, 1 + z * z / n
    center, half = share + z * z / (2 * n), z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return (center - half) / scale, (center + half) / scale


def report(outcomes: list[Outcome], drawn: int) -> None:
    """Prints the surviving mutants with their diffs, and the share of killed ones."""
    alive = [o for o in outcomes if o.status in ("survived", "untested")]
    for outcome in sorted(alive, key=lambda o: (o.mutant.module, o.mutant.line)):
        print(f"\n{outcome.status} ({outcome.tests} tests): {outcome.mutant.module}:{outcome.mutant.line}")
        print(outcome.diff)
    killed = len(outcomes) - len(alive)
    low, high = wilson(killed, len(outcomes))
    print(f"{killed} of {len(outcomes)} mutants killed: {killed / max(1, len(outcomes)):.1%} [{low:.1%}, {high:.1%}]")
    if len(outcomes) < drawn:
        print(f"{drawn - len(outcomes)} were not run, since the time was over")


def main() -> int:
    """Runs the command line; returns 1 if a mutant survives, else 0."""
    parser = argparse.ArgumentParser(prog="python -m scripts.mutants", description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="+", help="modules to change, such as opto_gym/core.py")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random draw (default 0)")
    parser.add_argument("--count", type=int, default=300, help="number of mutants to draw (default 300)")
    parser.add_argument("--minutes", type=float, default=60.0, help="minutes for all mutants together (default 60)")
    parser.add_argument("--jobs", type=int, default=2, help="number of mutants that run at a time (default 2)")
    parser.add_argument(
        "--tests", nargs="+", default=["tests"], help="files or folders with the tests to use (default: tests)"
    )
    parser.add_argument(
        "--lines", type=Path, help="file in which the lines executed by each test are stored; it is read if it exists"
    )
    options = parser.parse_args()
    modules = [str(Path(module).resolve().relative_to(ROOT)) for module in options.modules]
    drawn = draw(modules, options.seed, options.count)
    with tempfile.TemporaryDirectory() as folder:
        trees = [copy_tree(Path(folder) / str(k)) for k in range(options.jobs)]
        lines = options.lines or Path(folder) / "lines.json"
        begin = time.monotonic()
        tests = executed_lines(trees[0], modules, options.tests, options.jobs, lines)
        print(f"{len(tests)} tests, {time.monotonic() - begin:.0f} s", flush=True)
        outcomes = judge_all(drawn, trees, tests, time.monotonic() + 60 * options.minutes)
    report(outcomes, len(drawn))
    return int(any(o.status in ("survived", "untested") for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())
