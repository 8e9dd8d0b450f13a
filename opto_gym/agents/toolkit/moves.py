"""Random moves for each kind of space: sampling a value, and mutating one."""

from __future__ import annotations

import ast
import math
import re
from typing import Any

import numpy as np

from ...spaces import Choice, Code, Number, Permutation, Prompt, ValueSpace


def sample(space: ValueSpace, value: Any, rng: np.random.Generator, u: float | None = None) -> Any:
    """A value from the whole space. Texts and code, whose spaces can't be sampled, are mutated instead.

    A number from a range of more than 200 is drawn by order of magnitude, away from zero, or from the bound that is
    nearest to zero.

    Args:
        space: The space.
        value: The current value, which a text is made from.
        rng: The generator of what is drawn.
        u: The place of a number or a choice in its space, in [0, 1); drawn if None.
    """
    u = float(rng.random()) if u is None else u
    if isinstance(space, Number):
        width = space.high - space.low
        if width > 200:  # or unbounded
            zero = min(max(0.0, space.low), space.high)
            side, share = math.copysign(1.0, u - 0.5), abs(2 * u - 1)
            if zero in (space.low, space.high):
                side, share = (1.0 if zero == space.low else -1.0), u
            size = 10 ** (share * (1 + (math.log10(width) if math.isfinite(width) else 2)) - 1)
            return _clip(zero + side * size, space)
        return _clip(space.low + u * width, space)
    if isinstance(space, Choice):
        return space.options[int(u * len(space.options))]
    if isinstance(space, Permutation):
        return [int(k) for k in rng.permutation(space.size)]
    return mutate(space, value, rng)


def mutate(space: ValueSpace, value: Any, rng: np.random.Generator) -> Any:
    """A value that differs a little from the current one.

    Args:
        space: The space.
        value: The current value.
        rng: The generator of what is drawn.
    """
    if isinstance(space, Number):
        if not isinstance(value, int | float) or not math.isfinite(value):
            return sample(space, value, rng)
        width = space.high - space.low
        size = min(width / 4 if math.isfinite(width) else math.inf, max(1.0, abs(value)))
        x = _clip(value + rng.normal() * size * 10 ** rng.uniform(-2, 0), space)
        return x if x != value or not space.integer else _clip(value + int(rng.choice((-1, 1))), space)
    if isinstance(space, Choice):
        return sample(space, value, rng)
    if isinstance(space, Permutation):
        i, j = sorted(int(k) for k in rng.choice(space.size + 1, 2, replace=False))
        return [*value[:i], *reversed(value[i:j]), *value[j:]]
    if isinstance(space, Code):
        return _mutate_code(str(value), rng)
    if isinstance(space, Prompt):
        return _mutate_text(str(value), rng)[: space.max_length]
    return value


def _clip(x: float, space: Number) -> int | float:
    x = min(max(x, space.low), space.high)
    if not space.integer:
        return float(x)
    whole = round(x)
    return whole + (whole < space.low) - (whole > space.high)


ADDITIONS = ("Think step by step.", "Be brief.", "Answer with one word or number.", "Check your answer.")


def _mutate_text(text: str, rng: np.random.Generator) -> str:
    sentences = re.findall(r"[^.!?\n]+[.!?\n]*", text) or [text]
    k = int(rng.integers(len(sentences)))
    move = int(rng.integers(4))
    if move == 0 and len(sentences) > 1:
        del sentences[k]
    elif move == 1 and len(sentences) > 1:
        j = int(rng.integers(len(sentences)))
        sentences[j], sentences[k] = sentences[k], sentences[j]
    else:
        sentences.insert(k + move % 2, f" {ADDITIONS[int(rng.integers(len(ADDITIONS)))]}")
    return "".join(sentences).strip()


class _Mutation(ast.NodeTransformer):
    """Changes one of the nodes of a syntax tree that can be changed.

    Args:
        target: The index of the node among those that can be changed; -1 changes none, and `count` says how many are.
        rng: The generator of what is drawn.
        arguments: The names of the function's arguments.
    """

    def __init__(self, target: int, rng: np.random.Generator, arguments: list[str]) -> None:
        self.target, self.rng, self.arguments, self.count = target, rng, arguments, 0

    def is_target(self) -> bool:
        self.count += 1
        return self.count - 1 == self.target

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, int | float) and not isinstance(node.value, bool) and self.is_target():
            step = int(self.rng.choice((-2, -1, 1, 2, 3, 5)))
            return ast.copy_location(ast.Constant(node.value + step), node)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if self.is_target():
            node.op = (ast.Add, ast.Sub, ast.Mult)[int(self.rng.integers(3))]()
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if self.is_target():
            node.ops[0] = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)[int(self.rng.integers(6))]()
        return node

    def visit_Pass(self, node: ast.Pass) -> ast.AST:
        return ast.copy_location(ast.Return(self.expression()), node) if self.is_target() else node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        self.generic_visit(node)
        if self.is_target():
            node.value = self.expression()
        return node

    def expression(self) -> ast.expr:
        """An argument, a small number, or a pair of small numbers."""
        kind = int(self.rng.integers(3))
        if kind == 0 and self.arguments:
            return ast.Name(self.arguments[int(self.rng.integers(len(self.arguments)))], ast.Load())
        numbers: list[ast.expr] = [ast.Constant(int(self.rng.integers(10))) for _ in range(2)]
        return numbers[0] if kind == 1 else ast.List(numbers, ast.Load())


def _mutate_code(source: str, rng: np.random.Generator) -> str:
    """The source with one node of its syntax tree changed; the source itself if it does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    arguments = [a.arg for a in functions[-1].args.args] if functions else []
    counter = _Mutation(-1, rng, arguments)
    counter.visit(tree)
    if not counter.count:
        return source
    changed = _Mutation(int(rng.integers(counter.count)), rng, arguments).visit(ast.parse(source))
    return ast.unparse(ast.fix_missing_locations(changed)) + "\n"
