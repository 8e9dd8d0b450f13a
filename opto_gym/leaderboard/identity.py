"""The identity of a trial, and the hash of an agent's source that is part of it.

The hash covers the code that determines an agent's proposals, and no other code. It starts from the agent's class and
follows the names in its code to the functions, classes and constants that they refer to, and so on: base classes, the
code that reads a model's answers, the renderers of traces. It counts the syntax tree of each definition, without
docstrings, comments, function annotations and module names. Therefore the hash stays the same when a definition moves
to another module, or when only its comments change.
"""

from __future__ import annotations

import ast
import collections
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
"""The version of the rules that define an identity. Under version 1 the text of whole modules was hashed."""

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
"""Modules that an agent's code refers to, but that do not determine its proposals.

The answers of models, the results of sandboxed code and the installed packages are in the trial's record instead.
"""


class EnvIdentity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of an identity that determines the results of the environment.

    Attributes:
        id: The environment's id with its version, which changes whenever its results change.
        arguments: The environment's keyword arguments.
        wrappers: (class name, keyword arguments), the innermost first.
        problem: The hash of the problem.
        source: The hash of the source of an environment without a version (``module:Class``); else None.
        data: The SHA-256 of each file that the examples come from, by file name.
    """

    id: str
    arguments: dict[str, Any]
    wrappers: list[tuple[str, dict[str, Any]]]
    problem: str
    source: str | None = None
    data: dict[str, str] | None = None


class AgentIdentity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of an identity that determines the proposals of the agent.

    Attributes:
        name: The agent's name or ``module:Class``.
        settings: The agent's settings.
        source: The hash of the agent's source, see `source_hash`.
        files: (name, SHA-256) of each file that the agent uses, such as a program that it runs.
    """

    name: str
    settings: dict[str, Any]
    source: str
    files: list[tuple[str, str]] | None = None


class ModelNames(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The names of the optimizer's model and the task's model; None where no model is used.

    Attributes:
        optimizer: The agent's model.
        task: The model inside the environment.
        optimizer_settings: The fields that are added to the requests of the agent's model (``extra_body``), and the
            ``label`` of its endpoint; None without them.
        task_settings: The same of the model inside the environment.
    """

    optimizer: str | None
    task: str | None
    optimizer_settings: dict[str, Any] | None = None
    task_settings: dict[str, Any] | None = None


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the results of a trial depend on. The hash of it is part of the trial's id.

    Addresses of endpoints, budgets, the machine and module names are not part of the identity.

    Attributes:
        rules: The version of the rules, see `RULES`.
        env: The environment.
        agent: The agent.
        models: The models.
        seed: The seed of the trial.
    """

    rules: int
    env: EnvIdentity
    agent: AgentIdentity
    models: ModelNames
    seed: int


class Definition(NamedTuple):
    """The place of a definition.

    Attributes:
        module: The full name of the module.
        name: The name that the definition has in the module; None stands for the whole module.
    """

    module: str
    name: str | None


def source_hash(of: Any, *, without: Collection[str] = ()) -> str:
    """Computes a hash of a class or function, with all definitions of the project that it uses.

    Args:
        of: A class or function that is defined at the top level of a module.
        without: Packages or modules to leave out, in addition to `WITHOUT_EFFECT`.

    Returns:
        16 hexadecimal digits.
    """
    return _source_hash(of, tuple(without), frozenset(sys.modules))


@functools.lru_cache(maxsize=64)
def _source_hash(of: Any, without: tuple[str, ...], imported: frozenset[str]) -> str:
    """See `source_hash`. Every trial of a plan asks for the same; `imported` are the modules that names lead to."""
    texts = "\n".join(sorted(text for found in definitions(of, without=without).values() for text in found))
    return hashlib.sha256(texts.encode()).hexdigest()[:16]


def definitions(of: Any, *, without: Collection[str] = ()) -> dict[Definition, tuple[str, ...]]:
    """Finds the definition of a class or function, and all definitions of the project that it uses.

    Args:
        of: As for `source_hash`.
        without: As for `source_hash`.

    Returns:
        The syntax trees of each definition, as text. A name that several statements define or change has several.
    """
    classes = [c for c in getattr(of, "__mro__", (of,)) if c.__module__ not in sys.stdlib_module_names]
    starts = [Definition(c.__module__, c.__qualname__.split(".")[0]) for c in classes]
    own_packages = {place.module.split(".")[0] for place in starts}
    found: dict[Definition, tuple[str, ...]] = {}
    seen: set[Definition] = set()
    to_visit = list(starts)
    while to_visit:
        place = to_visit.pop()
        if place in seen or not _is_counted(place.module, own_packages, (*WITHOUT_EFFECT, *without)):
            continue
        seen.add(place)
        module = _parsed_module(place.module)
        if module is None:
            if place in starts:
                found[place] = (f"unknown {place.name}",)
            continue
        if place.name is None:
            to_visit.extend(Definition(place.module, name) for name in module.definitions)
        elif place.name in module.definitions:
            found[place] = tuple(module.text_of(tree) for tree in module.definitions[place.name])
            for tree in module.definitions[place.name]:
                to_visit.extend(module.named_in(tree))
        else:
            to_visit.extend(module.resolve(place.name))
    return found


class _ParsedModule:
    """The source of a module, parsed: its definitions by name, and the targets of its imports.

    Args:
        name: The full name of the module.
        source: The source code.
        is_package: Whether the module is the ``__init__`` of a package.
    """

    def __init__(self, name: str, source: str, is_package: bool) -> None:
        self.package = name if is_package else name.rpartition(".")[0]
        self.name, tree = name, ast.parse(source)
        self.imports: dict[str, Definition] = {}
        self.star_imports: list[str] = []
        for node in _all_statements(tree):
            self._add_imports(node)
        self._named: dict[ast.AST, tuple[Definition | str, ...]] = {}
        self._texts: dict[ast.AST, str] = {}
        # a docstring counts where the module reads docstrings at run time
        self._keep_docstrings = "__doc__" in source or "getdoc" in source
        self.definitions: dict[str, list[ast.stmt]] = {}
        for statement in _module_statements(tree.body):
            for name_changed in _names_changed_by(statement):
                self.definitions.setdefault(name_changed, []).append(statement)

    def _add_imports(self, node: ast.AST) -> None:
        """Adds the names that an import statement defines; other nodes define none."""
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
                    self.star_imports.append(source)
                    continue
                inner = f"{source}.{alias.name}"
                is_module = _source_file(inner) is not None
                self.imports[alias.asname or alias.name] = Definition(
                    *((inner, None) if is_module else (source, alias.name))
                )

    def resolve(self, name: str) -> Iterator[Definition]:
        """Yields the places that a name of this module may come from."""
        if name in self.definitions:
            yield Definition(self.name, name)
        elif name in self.imports:
            yield self.imports[name]
        else:
            yield from (Definition(source, name) for source in self.star_imports)
            value = vars(sys.modules[self.name]).get(name) if self.name in sys.modules else None
            home, qualified = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
            if isinstance(home, str) and home != self.name and isinstance(qualified, str):
                yield Definition(home, qualified.split(".")[0])

    def named_in(self, tree: ast.AST) -> Iterator[Definition]:
        """Yields the module-level definitions that a syntax tree refers to."""
        if tree not in self._named:  # every trial of a plan asks for the same ones
            self._named[tree] = tuple(dict.fromkeys(self._names(tree)))
        for named in self._named[tree]:
            if isinstance(named, str):
                yield from self.resolve(named)  # each time: modules that are imported later change what it finds
            else:
                yield named

    def _names(self, tree: ast.AST) -> Iterator[Definition | str]:
        """Yields the attributes of modules in a syntax tree, and the other names."""
        handled: set[int] = set()
        for node in ast.walk(tree):  # visits ``a.b`` before the ``a`` in it
            if isinstance(node, ast.Attribute):
                place = self._module_attribute(node)
                if place is not None:
                    handled.add(id(_root(node)))
                    yield place
            elif isinstance(node, ast.Name) and id(node) not in handled:
                yield node.id

    def _module_attribute(self, node: ast.Attribute) -> Definition | None:
        """The definition that ``module.name`` or ``package.module.name`` refers to; None for any other attribute."""
        root = _root(node)
        if root is None or (start := self.imports.get(root.id)) is None or start.name is not None:
            return None
        path, attributes = start.module, _attribute_names(node)
        for k, attribute in enumerate(attributes):
            if _source_file(f"{path}.{attribute}") is None:
                return Definition(path, attribute) if k < len(attributes) else None
            path = f"{path}.{attribute}"
        return Definition(path, None)

    def text_of(self, tree: ast.AST) -> str:
        """A syntax tree as text, the same in every version of Python, without what does not change the code."""
        if tree not in self._texts:  # several agents use the same definitions
            self._texts[tree] = self._text(tree)
        return self._texts[tree]

    def _text(self, x: Any) -> str:
        if isinstance(x, list):
            return "[" + ",".join(self._text(e) for e in x if not isinstance(e, ast.Import | ast.ImportFrom)) + "]"
        if not isinstance(x, ast.AST):
            return repr(x)
        if isinstance(x, ast.Attribute) and isinstance(x.value, ast.Name):
            start = self.imports.get(x.value.id)
            if start is not None and start.name is None:
                return f"Attribute(module,{x.attr!r})"
        fields = dict(ast.iter_fields(x))
        if isinstance(x, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not self._keep_docstrings:
            fields["body"] = _without_docstrings(x.body)
        for name in _IGNORED_FIELDS.get(type(x), ()):
            fields.pop(name, None)
        filled = [f"{k}={self._text(v)}" for k, v in fields.items() if v is not None and v != []]
        return f"{type(x).__name__}({','.join(filled)})"


_CONTEXT = ("ctx",)  # whether a name is read or assigned, which follows from where it stands
_IGNORED_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {
    **dict.fromkeys((ast.Name, ast.Attribute, ast.Subscript, ast.Starred, ast.List, ast.Tuple), _CONTEXT),
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef), ("returns", "type_comment", "type_params")),
    ast.ClassDef: ("type_params",),
    ast.arg: ("annotation", "type_comment"),
    ast.Constant: ("kind",),
}
"""The fields of each kind of node that do not change what the code does."""


def _all_statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yields the statements of a tree, those nearest to its root first, as `ast.walk` does; expressions hold none."""
    waiting = collections.deque([tree])
    while waiting:
        node = waiting.popleft()
        yield node
        for field in ("body", "handlers", "orelse", "finalbody", "cases"):
            inner = getattr(node, field, None)
            if isinstance(inner, list):
                waiting.extend(inner)


def _module_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yields the statements of a module without its imports; blocks of ``if``, ``try`` and ``with`` are unfolded."""
    for statement in body:
        if isinstance(statement, ast.If | ast.Try | ast.With):
            blocks = [getattr(statement, field, []) for field in ("body", "orelse", "finalbody")]
            blocks += [handler.body for handler in getattr(statement, "handlers", [])]
            for block in blocks:
                yield from _module_statements(block)
        elif not isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement


def _names_changed_by(statement: ast.stmt) -> set[str]:
    """The names that a module-level statement defines, or whose values it changes."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    named = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
    stored = {node.id for node in named if isinstance(node.ctx, ast.Store)}
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):  # TABLE["key"] = value changes TABLE
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return stored | {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    return {node.id for node in named}  # TABLE.update(...), or a loop that fills a table


def _without_docstrings(body: list[ast.stmt]) -> list[ast.stmt]:
    """A body without its docstring and the docstrings of attributes."""
    return [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]


def _root(node: ast.Attribute) -> ast.Name | None:
    """The ``name`` of a chain ``name.first.second``; None if the chain starts from another expression."""
    value: ast.expr = node
    while isinstance(value, ast.Attribute):
        value = value.value
    return value if isinstance(value, ast.Name) else None


def _attribute_names(node: ast.Attribute) -> list[str]:
    """The attribute names of a chain ``name.first.second``, in this order."""
    names: list[str] = []
    value: ast.expr = node
    while isinstance(value, ast.Attribute):
        names.insert(0, value.attr)
        value = value.value
    return names


def _is_counted(module: str, own_packages: Collection[str], without: Collection[str]) -> bool:
    """Whether the definitions of a module count in a hash.

    Those of opto_gym and of the project `own_packages` do, and those of other modules that are not installed packages.
    """
    if any(module == name or module.startswith(name + ".") for name in without):
        return False
    if module.split(".")[0] in {*own_packages, "opto_gym"}:
        return True
    return _is_outside_installed(module)


@functools.cache
def _is_outside_installed(module: str) -> bool:
    """Whether a module has a source file outside of Python's own library and the installed packages."""
    path = _source_file(module)
    return path is not None and not any(path.is_relative_to(folder) for folder in _installed_folders())


@functools.cache
def _installed_folders() -> tuple[Path, ...]:
    """The folders of the standard library and of installed packages."""
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple(Path(p).resolve() for p in {*paths, *site.getsitepackages(), site.getusersitepackages()})


@functools.cache
def _source_file(module: str) -> Path | None:
    """The path of a module's source file, or None if there is none. The module is not imported."""
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
    init = _source_file(package) if package else None
    if init is None or init.name != "__init__.py":
        return None
    found = (init.with_name(f"{name}.py"), init.parent / name / "__init__.py")
    return next((path for path in found if path.is_file()), None)


@functools.cache
def _parsed_module(name: str) -> _ParsedModule | None:
    """The parsed source of a module; None if there is no source file, or if it can't be read or parsed."""
    path = _source_file(name)
    if path is None:
        return None
    try:
        return _ParsedModule(name, path.read_text(encoding="utf-8"), path.name == "__init__.py")
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None
