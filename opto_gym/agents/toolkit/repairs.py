"""A small grammar of repairs: Python functions that differ from a given one by one likely mistake."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from typing import Any

COMPARISONS: tuple[tuple[type[ast.cmpop], ...], ...] = (
    (ast.Lt, ast.LtE, ast.Gt, ast.GtE),
    (ast.Eq, ast.NotEq),
    (ast.In, ast.NotIn),
    (ast.Is, ast.IsNot),
)
OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.Div, ast.FloorDiv),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Mult, ast.Mod, ast.Div),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
}
OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any"}

Edit = tuple[int, ast.AST, dict[str, Any]]
"""A repair: its rank (0 is the likeliest), a node of the syntax tree, and the new values of the node's fields."""


def repairs(source: str, line: int | None = None) -> list[str]:
    """All sources that differ from this one by one repair, the likeliest first; none if it does not parse.

    The repairs: a missing return; another comparison; a number off by one, two or three; an index or a bound of `range`
    off by one; another operator, `and` for `or` and `min` for `max` included; swapped operands; a sign; a name that is
    not defined.

    Args:
        source: The Python source of a function.
        line: The line on which it failed, counted from 1: repairs that are closer to it come first.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    edits = list(_edits(tree))
    edits.sort(key=lambda edit: (0 if line is None else abs(getattr(edit[1], "lineno", line) - line), edit[0]))
    found = []
    for _, n, fields in edits:
        before = {name: getattr(n, name) for name in fields}
        vars(n).update(fields)
        found.append(ast.unparse(ast.fix_missing_locations(tree)) + "\n")
        vars(n).update(before)
    return [text for text in dict.fromkeys(found) if text != ast.unparse(tree) + "\n"]


def _edits(tree: ast.Module) -> Iterator[Edit]:
    names = _defined_names(tree)
    for n in ast.walk(tree):
        match n:
            case ast.FunctionDef(body=[*before, last]):
                yield from ((0, n, {"body": [*before, *end]}) for end in _with_return(last))
            case ast.Compare(ops=[op, *others]):
                group = next((g for g in COMPARISONS if type(op) in g), ())
                yield from ((1, n, {"ops": [other(), *others]}) for other in group if not isinstance(op, other))
            case ast.Constant(value=bool(value)):
                yield 2, n, {"value": not value}
            case ast.Constant(value=int(value) | float(value)):
                yield from ((1 + abs(step), n, {"value": value + step}) for step in (-1, 1, -2, 2, -3, 3))
                yield 5, n, {"value": -value}
            case ast.Name(id=name, ctx=ast.Load()) if name in OPPOSITES:
                yield 4, n, {"id": OPPOSITES[name]}
            case ast.Name(id=name, ctx=ast.Load()) if name not in names:
                yield from ((0, n, {"id": other}) for other in sorted(names - set(dir(builtins))))
            case ast.BinOp(left=left, op=op, right=right):
                yield from ((3, n, {"op": other()}) for other in OPERATORS.get(type(op), ()))
                if isinstance(op, ast.Sub | ast.Div | ast.FloorDiv | ast.Mod | ast.Pow):
                    yield 5, n, {"left": right, "right": left}
            case ast.BoolOp(op=op):
                yield 3, n, {"op": ast.And() if isinstance(op, ast.Or) else ast.Or()}
            case ast.Subscript(slice=ast.Name() as place):
                yield from ((2, n, {"slice": moved}) for moved in _off_by_one(place))
            case ast.Call(func=ast.Name(id="range"), args=[*arguments]):
                for k, bound in enumerate(arguments):
                    if not isinstance(bound, ast.Constant):
                        for moved in _off_by_one(bound):
                            yield 2, n, {"args": [*arguments[:k], moved, *arguments[k + 1 :]]}


def _with_return(last: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Replacements of a function's last statement with which the function returns what it computed."""
    match last:
        case ast.Expr(value=ast.Constant(value=str())):  # a docstring
            return
        case ast.Expr(value=value):
            yield [ast.Return(value)]
        case ast.Assign(targets=[ast.Name(id=name), *_]) | ast.AugAssign(target=ast.Name(id=name)):
            yield [last, ast.Return(ast.Name(name, ast.Load()))]
        case ast.For() | ast.While() | ast.If():
            assigned = [n.id for n in ast.walk(last) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
            called_on = [  # as out in out.append(x)
                n.func.value.id
                for n in ast.walk(last)
                if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and isinstance(n.func.value, ast.Name)
            ]
            for name in dict.fromkeys((*reversed(called_on), *reversed(assigned))):
                yield [last, ast.Return(ast.Name(name, ast.Load()))]


def _off_by_one(place: ast.expr) -> Iterator[ast.expr]:
    yield ast.BinOp(place, ast.Sub(), ast.Constant(1))
    yield ast.BinOp(place, ast.Add(), ast.Constant(1))


def _defined_names(tree: ast.Module) -> set[str]:
    """All names that are defined anywhere in the source, and Python's built-in names."""
    names = set(dir(builtins))
    for n in ast.walk(tree):
        match n:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                names.add(name)
            case ast.alias(name=name, asname=asname):
                names.add(asname or name.split(".")[0])
    return names
