"""Generated pipelines with one fault each, for `blame.BlameAssign`: stages, faults, and inputs that show the fault."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

LOW, HIGH = 1, 20  # the range of number parameters
LENGTH = 12  # numbers per input
TRAIN, TEST = 3, 20  # inputs per split
FAULTS = ("missing return", "off by one", "swapped comparison", "wrong constant")


class NumberStage(NamedTuple):
    """An operation on a list with one number parameter.

    Attributes:
        rule: What the stage should do; ``{c}`` is the number.
        run: Performs the operation.
        numbers: The range from which the right number is drawn, both ends included.
    """

    rule: str
    run: Callable[[list[int], int], list[int]]
    numbers: tuple[int, int]


def _add(xs: list[int], n: int) -> list[int]:
    """Adds n to each number."""
    return [x + n for x in xs]


def _scale(xs: list[int], n: int) -> list[int]:
    """Multiplies each number by n."""
    return [x * n for x in xs]


def _remainder(xs: list[int], n: int) -> list[int]:
    """Replaces each number by its remainder after division by n."""
    return [x % n for x in xs]


def _rotate(xs: list[int], n: int) -> list[int]:
    """Moves the first n numbers to the end."""
    return xs[n:] + xs[:n]


def _limit(xs: list[int], n: int) -> list[int]:
    """Replaces numbers above n by n."""
    return [min(x, n) for x in xs]


NUMBER_STAGES = {
    "add": NumberStage("add {c} to each number", _add, (1, 9)),
    "scale": NumberStage("multiply each number by {c}", _scale, (2, 6)),
    "remainder": NumberStage("replace each number by its remainder after division by {c}", _remainder, (5, 19)),
    "rotate": NumberStage("move {c} of the numbers from the beginning to the end", _rotate, (1, 4)),
    "limit": NumberStage("replace numbers above {c} by {c}", _limit, (5, 19)),
}
# By what a code stage should do: the body of its function, and the range from which {c} is drawn
CODE_STAGES: dict[str, tuple[str, tuple[int, int]]] = {
    "replace each number by the sum of it and all numbers before it": (
        "total = 0\nout = []\nfor x in xs:\n    total = total + x\n    out.append(total)\nreturn out",
        (0, 0),
    ),
    "replace each number by the greatest up to it": (
        "out = []\nfor x in xs:\n    if not out or x > out[-1]:\n        out.append(x)\n"
        "    else:\n        out.append(out[-1])\nreturn out",
        (0, 0),
    ),
    "replace each number but the first by its difference from the one before it": (
        "out = xs[:1]\nfor i in range(1, len(xs)):\n    out.append(xs[i] - xs[i - 1])\nreturn out",
        (0, 0),
    ),
    "keep the numbers that are at least {c}": ("return [x for x in xs if x >= {c}]", (3, 9)),
    "replace numbers below {c} by 0": ("return [0 if x < {c} else x for x in xs]", (3, 9)),
    "keep one of each {c} numbers, beginning with the first": ("return xs[::{c}]", (2, 3)),
    "drop {c} of the numbers at the beginning": ("return xs[{c}:]", (1, 3)),
    "replace each number by how many of the numbers before it are smaller": (
        "return [sum(1 for y in xs[:i] if y < x) for i, x in enumerate(xs)]",
        (0, 0),
    ),
    "multiply each number by its place, counted from {c}": ("return [x * (i + {c}) for i, x in enumerate(xs)]", (1, 4)),
    "replace the list by the sums of each {c} neighbours": (
        "return [sum(xs[i:i + {c}]) for i in range(len(xs) - {c} + 1)]",
        (2, 4),
    ),
    "change the sign of every second number, beginning with the second": (
        "return [x if i % 2 == 0 else -x for i, x in enumerate(xs)]",
        (0, 0),
    ),
    "double each number that is greater than the one before it": (
        "return [x * 2 if i > 0 and x > xs[i - 1] else x for i, x in enumerate(xs)]",
        (0, 0),
    ),
    "add to each number the one that stands as far from the end": (
        "return [x + xs[len(xs) - 1 - i] for i, x in enumerate(xs)]",
        (0, 0),
    ),
}


class Stage(NamedTuple):
    """A stage without a fault.

    Attributes:
        name: The name of its parameter.
        rule: What it should do, as the continuation of "name should".
        value: The right source or the right number.
        operation: The key of a number stage in `NUMBER_STAGES`, "" for a code stage.
    """

    name: str
    rule: str
    value: Any
    operation: str = ""

    @property
    def is_code(self) -> bool:
        """Whether the parameter of the stage is code; else it is a number."""
        return not self.operation


class Pipeline(NamedTuple):
    """A pipeline with one broken stage.

    Attributes:
        stages: The stages, without the fault.
        broken: The name of the broken stage.
        fault: The kind of fault, of `FAULTS`.
        broken_value: The broken stage's source or number.
        train: Inputs for training; the fault changes the result of each.
        test: Held-out inputs, likewise.
    """

    stages: tuple[Stage, ...]
    broken: str
    fault: str
    broken_value: Any
    train: list[list[int]]
    test: list[list[int]]


# ------------------------------------------------------------------ faults
def _index_constants(tree: ast.AST) -> set[int]:
    """The ids of the constants that are indices or bounds: in brackets and in ``range()``."""
    found = set()
    for n in ast.walk(tree):
        inside: list[ast.AST] = []
        if isinstance(n, ast.Subscript):
            inside = [n.slice]
        elif isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "range":
            inside = list(n.args)
        found |= {id(c) for part in inside for c in ast.walk(part) if isinstance(c, ast.Constant)}
    return found


_COMPARISONS = ((ast.Lt, ast.LtE, ast.Gt, ast.GtE), (ast.Eq, ast.NotEq))


def _changes(tree: ast.AST) -> Iterator[tuple[str, ast.AST, str, Any]]:
    """All single changes of a syntax tree that are faults, as (kind, node, field, new value)."""
    indices = _index_constants(tree)
    for n in ast.walk(tree):
        if isinstance(n, ast.Constant) and type(n.value) is int:
            kind, steps = ("off by one", (-1, 1)) if id(n) in indices else ("wrong constant", (-1, 1, -2, 2, -3, 3))
            yield from ((kind, n, "value", n.value + step) for step in steps)
        elif isinstance(n, ast.Compare):
            group = next((g for g in _COMPARISONS if type(n.ops[0]) in g), ())
            yield from (("swapped comparison", n, "ops", [o()]) for o in group if not isinstance(n.ops[0], o))
        elif isinstance(n, ast.FunctionDef):
            last = n.body[-1]
            if isinstance(last, ast.Return) and last.value is not None:
                yield "missing return", n, "body", [*n.body[:-1], ast.Expr(last.value)]


def faults(source: str) -> list[tuple[str, str]]:
    """All sources that differ from this one by one fault, as (kind of `FAULTS`, source)."""
    tree = ast.parse(source)
    found = []
    for kind, n, field, value in list(_changes(tree)):
        before = getattr(n, field)
        setattr(n, field, value)
        found.append((kind, _unparse(tree)))
        setattr(n, field, before)
    return found


def possible_repairs(source: str) -> list[str]:
    """All possible repairs of a source with one fault: the sources that a fault may have changed to this one."""
    tree = ast.parse(source)
    function = tree.body[-1]
    if isinstance(function, ast.FunctionDef) and isinstance(function.body[-1], ast.Expr):
        function.body[-1] = ast.Return(function.body[-1].value)
        return [_unparse(tree)]
    return [changed for kind, changed in faults(source) if kind != "missing return"]


def _unparse(tree: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def number_faults(value: int) -> list[int]:
    """The wrong constants that may take the place of a right number."""
    return [value + step for step in (-1, 1, -2, 2, -3, 3) if LOW <= value + step <= HIGH]


# ------------------------------------------------------------------ pipelines
@functools.lru_cache(4096)
def _function(source: str) -> Callable[[list[int]], list[int]]:
    """The function of a source that this module made, right or broken; it never gets a proposal."""
    space: dict[str, Any] = {}
    exec(source, space)
    return next(f for name, f in space.items() if name.startswith("stage"))  # type: ignore[no-any-return]


def right_function(stage: Stage, value: Any = None) -> Callable[[list[int]], list[int]]:
    """A stage as a Python function.

    Args:
        stage: The stage.
        value: Another value of its parameter; None for the right one.
    """
    value = stage.value if value is None else value
    if stage.is_code:
        return _function(value)
    return lambda xs: NUMBER_STAGES[stage.operation].run(xs, value)


@functools.lru_cache(256)
def pipeline(problem: int, n: int) -> Pipeline:
    """The pipeline number `problem` of n stages, which is the same in every process."""
    rng = np.random.default_rng([20240622, problem, n])
    while True:
        stages = tuple(_stages(rng, n))
        broken = [
            (kind, k, value)
            for k, s in enumerate(stages)
            for kind, value in (
                faults(s.value) if s.is_code else [("wrong constant", v) for v in number_faults(s.value)]
            )
        ]
        kinds = [kind for kind in FAULTS if any(b[0] == kind for b in broken)]
        chosen = kinds[int(rng.integers(len(kinds)))]
        of_kind = [b for b in broken if b[0] == chosen]
        fault, k, value = of_kind[int(rng.integers(len(of_kind)))]
        inputs = _inputs(rng, stages, k, value)
        if len(inputs) == TRAIN + TEST:
            return Pipeline(stages, stages[k].name, fault, value, inputs[:TRAIN], inputs[TRAIN:])


def other_tests(made: Pipeline, seed: int) -> list[list[int]]:
    """Other held-out inputs of a pipeline, as many as there are; the fault changes the result of each.

    Args:
        made: The pipeline.
        seed: The same seed gives the same inputs.
    """
    k = [s.name for s in made.stages].index(made.broken)
    rng = np.random.default_rng([20261130, seed])
    known, found = [*made.train, *made.test], list[list[int]]()
    while len(found) < TEST:
        found += [xs for xs in _inputs(rng, made.stages, k, made.broken_value) if xs not in known and xs not in found]
    return found[:TEST]


def stage_name(k: int) -> str:
    """The name of stage k. It ends in a letter, since the names of values in a trace end in numbers."""
    return f"stage_{chr(ord('a') + k)}"


def _stages(rng: np.random.Generator, n: int) -> Iterator[Stage]:
    """Draws n stages, no two alike; the first and the last are code."""
    code = [list(CODE_STAGES.items())[int(i)] for i in rng.permutation(len(CODE_STAGES))]
    number = [list(NUMBER_STAGES.items())[int(i)] for i in rng.permutation(len(NUMBER_STAGES))]
    for k in range(n):
        name = stage_name(k)
        if number and 0 < k < n - 1 and rng.random() < 0.5:
            operation, (rule, _, numbers) = number.pop()
            c = int(rng.integers(numbers[0], numbers[1] + 1))
            yield Stage(name, rule.format(c=c), c, operation)
        else:
            rule, (body, constants) = code.pop()
            c = int(rng.integers(constants[0], constants[1] + 1))
            source = f"def {name}(xs):\n" + "".join(f"    {line}\n" for line in body.format(c=c).splitlines())
            yield Stage(name, rule.format(c=c), _unparse(ast.parse(source)))  # formatted as the broken sources are


def _inputs(rng: np.random.Generator, stages: tuple[Stage, ...], k: int, value: Any) -> list[list[int]]:
    """Inputs whose result the fault changes; fewer than needed where these are rare, none where the fault raises.

    Args:
        rng: Draws the inputs.
        stages: The stages, without the fault.
        k: The index of the broken stage.
        value: The broken stage's source or number.
    """
    found: list[list[int]] = []
    for _ in range(3 * (TRAIN + TEST)):
        xs = [int(x) for x in rng.integers(0, 21, size=LENGTH)]
        right = wrong = xs
        try:
            for i, stage in enumerate(stages):
                right = right_function(stage)(right)
                got = right_function(stage, value if i == k else None)(wrong)
                wrong = got if isinstance(got, list) else []
        except (IndexError, ValueError, ZeroDivisionError):
            return []
        if right and right != wrong and xs not in found:
            found.append(xs)
        if len(found) == TRAIN + TEST:
            break
    return found
