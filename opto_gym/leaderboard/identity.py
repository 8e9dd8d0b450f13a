"""What identifies a trial, and the hash of an agent's source: what decides its proposals and nothing else.

Starting from a class, the hash covers each function, class and constant of the project that its code names, and what
those name in turn: its base classes, the readers of a model's answers, the renderers of the trace. Each definition
counts by its syntax tree, without docstrings, comments, annotations of functions, and module names. So a definition
that moves to another module, or is worded otherwise in its comments, leaves the hash as it is.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import site
import sys
import sysconfig
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

RULES = 2
"""The version of the rules by which a trial is identified; records of version 1 hashed the text of modules."""

WITHOUT_EFFECT = (
    "opto_gym.errors",
    "opto_gym.leaderboard",
    "opto_gym.llm",
    "opto_gym.registration",
    "opto_gym.sandbox",
    "opto_gym.utils.cache",
    "opto_gym.utils.extras",
    "opto_gym.utils.journal",
)
"""Modules that an agent reaches but that decide no proposal: what a model answered, what code returned and what is
installed is in the record."""


class EnvIdentity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An environment: what decides its results.

    Attributes:
        id: Its id, with the version that changes whenever its results would.
        arguments: Its keyword arguments.
        wrappers: (class, arguments), the innermost first.
        problem: The hash of the problem.
        source: The hash of its source, where no version stands for it (``module:Class``).
        data: SHA-256 of the files that its examples come from.
    """

    id: str
    arguments: dict[str, Any]
    wrappers: list[tuple[str, dict[str, Any]]]
    problem: str
    source: str | None = None
    data: dict[str, str] | None = None


class AgentIdentity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agent: its name, settings, the hash of its source (`source_hash`), and (name, SHA-256) of its files."""

    name: str
    settings: dict[str, Any]
    source: str
    files: list[tuple[str, str]] | None = None


class ModelNames(msgspec.Struct, frozen=True, kw_only=True):
    """The models of the roles; None where there is none."""

    optimizer: str | None
    task: str | None


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial's id is the hash of. Addresses, budgets, the machine and names of modules are no part of it.

    Attributes:
        rules: The version of the rules by which sources are hashed.
        env: The environment.
        agent: The agent.
        models: The models.
        seed: The trial's.
    """

    rules: int
    env: EnvIdentity
    agent: AgentIdentity
    models: ModelNames
    seed: int


class Definition(NamedTuple):
    """Where a definition stands.

    Attributes:
        module: The module's name.
        name: The name in it; None for the module itself.
    """

    module: str
    name: str | None


def source_hash(of: Any, *, without: Collection[str] = ()) -> str:
    """A hash of the definitions that a class or function consists of.

    Args:
        of: A class or function at the top of a module.
        without: Packages or modules whose definitions don't count, beside `WITHOUT_EFFECT`.

    Returns:
        16 hexadecimal digits.
    """
    texts = "\n".join(sorted(text for found in definitions(of, without=without).values() for text in found))
    return hashlib.sha256(texts.encode()).hexdigest()[:16]


def definitions(of: Any, *, without: Collection[str] = ()) -> dict[Definition, tuple[str, ...]]:
    """The definitions that a class or function consists of: the text of each one's syntax tree.

    Args:
        of: As for `source_hash`.
        without: As for `source_hash`.
    """
    classes = [c for c in getattr(of, "__mro__", (of,)) if c.__module__ not in sys.stdlib_module_names]
    starts = [Definition(c.__module__, c.__qualname__.split(".")[0]) for c in classes]
    own = {place.module.split(".")[0] for place in starts}
    found: dict[Definition, tuple[str, ...]] = {}
    seen: set[Definition] = set()
    todo = list(starts)
    while todo:
        place = todo.pop()
        if place in seen or not _counts(place.module, own, (*WITHOUT_EFFECT, *without)):
            continue
        seen.add(place)
        module = _module(place.module)
        if module is None:
            if place in starts:
                found[place] = (f"unknown {place.name}",)
            continue
        if place.name is None:
            todo.extend(Definition(place.module, name) for name in module.definitions)
        elif place.name in module.definitions:
            found[place] = tuple(text for _, text in module.definitions[place.name])
            for tree, _ in module.definitions[place.name]:
                todo.extend(module.named_in(tree))
        else:
            todo.extend(module.resolve(place.name))
    return found


class _Module:
    """The source of a module: its definitions by name, and what its imports bind.

    Args:
        name: Its name.
        source: Its text.
        is_package: Whether it is a package's ``__init__``.
    """

    def __init__(self, name: str, source: str, is_package: bool) -> None:
        self.package = name if is_package else name.rpartition(".")[0]
        self.name, tree = name, ast.parse(source)
        self.imports: dict[str, Definition] = {}
        self.stars: list[str] = []
        for node in ast.walk(tree):
            self._bind(node)
        self._named: dict[ast.AST, tuple[Definition | str, ...]] = {}
        # the text of a docstring decides something where a program reads it
        keep = "__doc__" in source or "getdoc" in source
        self.definitions: dict[str, list[tuple[ast.stmt, str]]] = {}
        for statement in _statements(tree.body):
            for bound in _bound_by(statement):
                entry = statement, self._canonical(statement, keep)
                self.definitions.setdefault(bound, []).append(entry)

    def _bind(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.split(".")[0]
                self.imports[alias.asname or name] = Definition(name, None)
        elif isinstance(node, ast.ImportFrom):
            parts = self.package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            source = ".".join(filter(None, (base, node.module)))
            for alias in node.names:
                if alias.name == "*":
                    self.stars.append(source)
                    continue
                inner = f"{source}.{alias.name}"
                is_module = _file(inner) is not None
                self.imports[alias.asname or alias.name] = Definition(
                    *((inner, None) if is_module else (source, alias.name))
                )

    def resolve(self, name: str) -> Iterator[Definition]:
        """Where a name of this module comes from."""
        if name in self.definitions:
            yield Definition(self.name, name)
        elif name in self.imports:
            yield self.imports[name]
        else:
            yield from (Definition(source, name) for source in self.stars)
            value = vars(sys.modules[self.name]).get(name) if self.name in sys.modules else None
            home, qualified = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
            if isinstance(home, str) and home != self.name and isinstance(qualified, str):
                yield Definition(home, qualified.split(".")[0])

    def named_in(self, tree: ast.AST) -> Iterator[Definition]:
        """What a definition names at the top of modules."""
        if tree not in self._named:  # every trial of a plan asks for the same ones
            self._named[tree] = tuple(dict.fromkeys(self._names(tree)))
        for named in self._named[tree]:
            if isinstance(named, str):
                yield from self.resolve(named)  # anew: modules that are imported later change what it finds
            else:
                yield named

    def _names(self, tree: ast.AST) -> Iterator[Definition | str]:
        """The attributes of modules in a syntax tree, and the other names."""
        inside: set[int] = set()
        for node in ast.walk(tree):  # an attribute comes before what it is an attribute of
            if isinstance(node, ast.Attribute):
                chain = self._of_module(node)
                if chain is not None:
                    inside.add(id(_root(node)))
                    yield chain
            elif isinstance(node, ast.Name) and id(node) not in inside:
                yield node.id

    def _of_module(self, node: ast.Attribute) -> Definition | None:
        """What ``module.name`` or ``package.module.name`` names, or None if it is no attribute of a module."""
        root = _root(node)
        if root is None or (start := self.imports.get(root.id)) is None or start.name is not None:
            return None
        path, attributes = start.module, _attributes(node)
        for k, attribute in enumerate(attributes):
            if _file(f"{path}.{attribute}") is None:
                return Definition(path, attribute) if k < len(attributes) else None
            path = f"{path}.{attribute}"
        return Definition(path, None)

    def _canonical(self, node: Any, keep_docstrings: bool) -> str:
        """A syntax tree as text, the same in each version of Python."""

        def write(x: Any) -> str:
            if isinstance(x, list):
                return "[" + ",".join(write(e) for e in x if not isinstance(e, ast.Import | ast.ImportFrom)) + "]"
            if not isinstance(x, ast.AST):
                return repr(x)
            if isinstance(x, ast.Attribute) and isinstance(x.value, ast.Name):
                start = self.imports.get(x.value.id)
                if start is not None and start.name is None:
                    return f"Attribute(module,{x.attr!r})"
            fields = dict(ast.iter_fields(x))
            if isinstance(x, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not keep_docstrings:
                fields["body"] = _without_docstring(x.body)
            for name in _NO_BEHAVIOUR.get(type(x), ()):
                fields.pop(name, None)
            filled = [f"{k}={write(v)}" for k, v in fields.items() if v is not None and v != []]
            return f"{type(x).__name__}({','.join(filled)})"

        return write(node)


_CONTEXT = ("ctx",)
_NO_BEHAVIOUR: dict[type[ast.AST], tuple[str, ...]] = {
    **dict.fromkeys((ast.Name, ast.Attribute, ast.Subscript, ast.Starred, ast.List, ast.Tuple), _CONTEXT),
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef), ("returns", "type_comment", "type_params")),
    ast.ClassDef: ("type_params",),
    ast.arg: ("annotation", "type_comment"),
    ast.Constant: ("kind",),
}


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """A module's statements, those inside ``if``, ``try`` and ``with`` at its top included one by one."""
    for statement in body:
        if isinstance(statement, ast.If | ast.Try | ast.With):
            blocks = [getattr(statement, field, []) for field in ("body", "orelse", "finalbody")]
            blocks += [handler.body for handler in getattr(statement, "handlers", [])]
            for block in blocks:
                yield from _statements(block)
        elif not isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement


def _bound_by(statement: ast.stmt) -> set[str]:
    """The names that a statement at the top of a module binds, or changes the value of."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
    stored = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):  # TABLE["key"] = value changes TABLE
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return stored | {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    return names  # TABLE.update(...), a loop that fills it


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """A body without its docstring, and without the texts that describe attributes."""
    return [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]


def _root(node: ast.Attribute) -> ast.Name | None:
    """The name that a chain of attributes starts from."""
    value: ast.expr = node
    while isinstance(value, ast.Attribute):
        value = value.value
    return value if isinstance(value, ast.Name) else None


def _attributes(node: ast.Attribute) -> list[str]:
    """The attributes of a chain, the first one first."""
    names: list[str] = []
    value: ast.expr = node
    while isinstance(value, ast.Attribute):
        names.insert(0, value.attr)
        value = value.value
    return names


def _counts(module: str, own: Collection[str], without: Collection[str]) -> bool:
    """Whether a module's definitions count: those of the project, and those of the author beside installed packages."""
    if any(module == name or module.startswith(name + ".") for name in without):
        return False
    if module.split(".")[0] in {*own, "opto_gym"}:
        return True
    return _beside_installed(module)


@functools.cache
def _beside_installed(module: str) -> bool:
    """Whether a module has a source file, and outside of Python's own library and the installed packages."""
    path = _file(module)
    return path is not None and not any(path.is_relative_to(folder) for folder in _installed())


@functools.cache
def _installed() -> tuple[Path, ...]:
    """The folders of Python's own library and of installed packages."""
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple(Path(p).resolve() for p in {*paths, *site.getsitepackages(), site.getusersitepackages()})


@functools.cache
def _file(module: str) -> Path | None:
    """The file of a module's source, or None if there is none. Nothing is imported to find it."""
    package, _, name = module.rpartition(".")
    origin = getattr(sys.modules.get(module), "__file__", None)
    if origin is None and not package:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            spec = None
        origin = spec.origin if spec else None
    if origin is not None:
        return Path(origin).resolve() if origin.endswith(".py") else None
    init = _file(package) if package else None
    if init is None or init.name != "__init__.py":
        return None
    found = (init.with_name(f"{name}.py"), init.parent / name / "__init__.py")
    return next((path for path in found if path.is_file()), None)


@functools.cache
def _module(name: str) -> _Module | None:
    """A module's source, or None if there is none to read."""
    path = _file(name)
    if path is None:
        return None
    try:
        return _Module(name, path.read_text(encoding="utf-8"), path.name == "__init__.py")
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None
