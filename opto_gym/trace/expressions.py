"""Writes an operation of a graph as Python would."""

from __future__ import annotations

_SYMBOLS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "matmul": "@",
    "lshift": "<<",
    "rshift": ">>",
    "and": "&",
    "or": "|",
    "xor": "^",
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
}
_PREFIXES = {"neg": "-", "pos": "+", "invert": "~"}

OF_PYTHON = frozenset((*_SYMBOLS, *_PREFIXES, "getitem", "item", "getattr", "list", "tuple", "dict"))
"""The names of operations that are written as Python's own where their arguments have no names."""


def expression(name: str, kind: str, arguments: tuple[str, ...], args: list[str]) -> str:
    """A call as Python would write it."""
    if kind == "error":
        return f"error after ({', '.join(args)})"
    if kind == "call":
        return f"{name}({', '.join(args[1:])})"
    if name.startswith(".") and args:
        k = len(args) - len(arguments)  # the last ones were given by name
        given = [*args[1:k], *(f"{a}={v}" for a, v in zip(arguments, args[k:], strict=True))]
        return f"{args[0]}{name}({', '.join(given)})"
    if kind == "operator" and not arguments:
        if name in _SYMBOLS and len(args) == 2:
            if name == "pow" and args[0].startswith("-"):  # -2 ** n is -(2 ** n)
                args = [f"({args[0]})", args[1]]
            return f"{args[0]} {_SYMBOLS[name]} {args[1]}"
        if name in _PREFIXES and len(args) == 1:
            return f"{_PREFIXES[name]}{args[0]}"
        if name in ("getitem", "item") and len(args) == 2:
            return f"{args[0]}[{args[1]}]"
        if name == "getattr" and len(args) == 2:
            return f"{args[0]}.{args[1].strip(chr(39))}"
        if name == "list":
            return f"[{', '.join(args)}]"
        if name == "tuple":
            return f"({', '.join(args)}{',' if len(args) == 1 else ''})"
        if name == "dict":
            return "{" + ", ".join(f"{k}: {v}" for k, v in zip(args[::2], args[1::2], strict=True)) + "}"
    if len(arguments) >= len(args):  # less where defaults were used
        args = [f"{a}={v}" for a, v in zip(arguments, args, strict=False)]
    return f"{name}({', '.join(args)})"
