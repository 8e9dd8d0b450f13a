"""Random moves for each kind of space."""

from __future__ import annotations

import ast
import math
import re
from typing import Any

import numpy as np

from ...spaces import Choice, Code, Number, Permutation, Prompt, ValueSpace


def sample(space: ValueSpace, value: Any, rng: np.random.Generator, u: float | None = None) -> Any:
    """A value anywhere in the space.

    Args:
        space: The space.
        value: The value so far, which texts are made from.
        rng: For what is drawn.
        u: Where a number or choice is to lie, in [0, 1); drawn if None.
    """
    u = float(rng.random()) if u is None else u
    if isinstance(space, Number):
        width = space.high - space.low
        if width > 200:  # wide or unbounded: by order of magnitude, away from zero or the bound that is nearest to it
            zero = min(max(0.0, space.low), space.high)
            side, share = math.copysign(1.0, u - 0.5), abs(2 * u - 1)
            if zero in (space.low, space.high):
                side, share = (1.0 if zero == space.low else -1.0), u
            size = 10 ** (share * (1 + (math.log10(width) if math.isfinite(width) else 2)) - 1)
            return _fit(zero + side * size, space)
        return _fit(space.low + u * width, space)
    if isinstance(space, Choice):
        return space.options[int(u * len(space.options))]
    if isinstance(space, Permutation):
        return [int(k) for k in rng.permutation(space.size)]
    return mutate(space, value, rng)


def mutate(space: ValueSpace, value: Any, rng: np.random.Generator) -> Any:
    """A value that differs a little."""
    if isinstance(space, Number):
        if not isinstance(value, int | float) or not math.isfinite(value):
            return sample(space, value, rng)
        width = space.high - space.low
        size = min(width / 4 if math.isfinite(width) else math.inf, max(1.0, abs(value)))
        x = _fit(value + rng.normal() * size * 10 ** rng.uniform(-2, 0), space)
        return x if x != value or not space.integer else _fit(value + int(rng.choice((-1, 1))), space)
    if isinstance(space, Choice):
        return sample(space, value, rng)
    if isinstance(space, Permutation):
        i, j = sorted(int(k) for k in rng.choice(space.size + 1, 2, replace=False))
        return [*value[:i], *reversed(value[i:j]), *value[j:]]
    if isinstance(space, Code):
        return _changed_code(str(value), rng)
    if isinstance(space, Prompt):
        return _changed_text(str(value), rng)[: space.max_length]
    return value


def _fit(x: float, space: Number) -> int | float:
    x = min(max(x, space.low), space.high)
    if not space.integer:
        return float(x)
    whole = round(x)
    return whole + (whole < space.low) - (whole > space.high)


ADDITIONS = ("Think step by step.", "Be brief.", "Answer with one word or number.", "Check your answer.")


def _changed_text(text: str, rng: np.random.Generator) -> str:
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
    """Changes the syntax tree at one of its places that can be changed."""

    def __init__(self, at: int, rng: np.random.Generator, arguments: list[str]) -> None:
        self.at, self.rng, self.arguments, self.seen = at, rng, arguments, 0

    def here(self) -> bool:
        self.seen += 1
        return self.seen - 1 == self.at

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, int | float) and not isinstance(node.value, bool) and self.here():
            step = int(self.rng.choice((-2, -1, 1, 2, 3, 5)))
            return ast.copy_location(ast.Constant(node.value + step), node)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if self.here():
            node.op = (ast.Add, ast.Sub, ast.Mult)[int(self.rng.integers(3))]()
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if self.here():
            node.ops[0] = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)[int(self.rng.integers(6))]()
        return node

    def visit_Pass(self, node: ast.Pass) -> ast.AST:
        return ast.copy_location(ast.Return(self.expression()), node) if self.here() else node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        self.generic_visit(node)
        if self.here():
            node.value = self.expression()
        return node

    def expression(self) -> ast.expr:
        """An argument, a small number, or a pair of small numbers."""
        kind = int(self.rng.integers(3))
        if kind == 0 and self.arguments:
            return ast.Name(self.arguments[int(self.rng.integers(len(self.arguments)))], ast.Load())
        numbers: list[ast.expr] = [ast.Constant(int(self.rng.integers(10))) for _ in range(2)]
        return numbers[0] if kind == 1 else ast.List(numbers, ast.Load())


def _changed_code(source: str, rng: np.random.Generator) -> str:
    """The source with one place of its syntax tree changed; as it is if it does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    arguments = [a.arg for a in functions[-1].args.args] if functions else []
    count = _Mutation(-1, rng, arguments)
    count.visit(tree)
    if not count.seen:
        return source
    changed = _Mutation(int(rng.integers(count.seen)), rng, arguments).visit(ast.parse(source))
    return ast.unparse(ast.fix_missing_locations(changed)) + "\n"
