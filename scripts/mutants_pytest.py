"""The pytest plug-in of `scripts.mutants`: notes the lines that each test executes, or runs only the tests it is given.

Set by environment variables: with ``MUTANTS_LINES``, a folder, the modules of ``MUTANTS_MODULES`` (JSON, paths below
the working folder) are compiled with a note before each statement, and each process writes its tests' lines there;
sources stay as they are. With ``MUTANTS_TESTS``, a JSON file of test ids, the others are deselected, and the order is
the file's.
"""

from __future__ import annotations

import ast
import builtins
import json
import os
import time
from collections.abc import Generator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

import pytest

MODULES = {str(Path(name).resolve()): name for name in json.loads(os.environ.get("MUTANTS_MODULES", "[]"))}
LINES = os.environ.get("MUTANTS_LINES")
EXECUTED: set[str] = set()
ROWS: dict[str, tuple[float, list[str]]] = {}
FAILED: set[str] = set()
NOTE = "__note_executed_line__"


class Noting(ast.NodeTransformer):
    """Puts a note before each statement of each function."""

    def __init__(self, module: str) -> None:
        self.module, self.depth = module, 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function: statements below it are noted."""
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """The same for coroutines."""
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        self.depth += 1
        node.body = self._noted(node.body)
        self.depth -= 1
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Goes down, and notes the statements of a block within a function."""
        for name, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                setattr(node, name, self._noted(value) if self.depth else [self.visit(child) for child in value])
            elif isinstance(value, list):
                for child in value:
                    if isinstance(child, ast.AST):
                        self.visit(child)
            elif isinstance(value, ast.AST):
                self.visit(value)
        return node

    def _noted(self, body: list[ast.stmt]) -> list[ast.stmt]:
        noted: list[ast.stmt] = []
        for k, statement in enumerate(body):
            is_docstring = k == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if not is_docstring:
                last = getattr(statement, "body", None)
                end = last[0].lineno - 1 if last else statement.end_lineno or statement.lineno
                places = [f"{self.module}:{line}" for line in range(statement.lineno, max(end, statement.lineno) + 1)]
                call = ast.parse(f"{NOTE}({places!r})").body[0]
                noted.append(ast.fix_missing_locations(ast.copy_location(call, statement)))
            noted.append(self.visit(statement))
        return noted


def compiled(loader: SourceFileLoader, name: str) -> CodeType | None:
    """What an import gets: of the chosen modules the code with notes, of others their own."""
    module = MODULES.get(str(Path(loader.path).resolve()))
    if module is None:
        return own_code(loader, name)
    tree = Noting(module).visit(ast.parse(Path(loader.path).read_bytes()))
    return compile(tree, loader.path, "exec", dont_inherit=True)


own_code = SourceFileLoader.get_code
if LINES:
    setattr(builtins, NOTE, EXECUTED.update)
    SourceFileLoader.get_code = compiled  # type: ignore[method-assign,assignment]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None]:
    """Notes what a test executes, fixtures included, and how long it takes."""
    EXECUTED.clear()
    begin = time.perf_counter()
    yield
    ROWS[item.nodeid] = time.perf_counter() - begin, sorted(EXECUTED)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A test that fails without any change says nothing of one."""
    if report.failed:
        FAILED.add(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes the lines of this process's tests."""
    if LINES and ROWS:
        rows = [(name, *row) for name, row in ROWS.items() if row[1] and name not in FAILED]
        Path(LINES, f"{os.getpid()}.json").write_text(json.dumps(rows), encoding="utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps the tests that were asked for, in their order."""
    asked = os.environ.get("MUTANTS_TESTS")
    if asked:
        order = {name: k for k, name in enumerate(json.loads(Path(asked).read_text(encoding="utf-8")))}
        items[:] = sorted((item for item in items if item.nodeid in order), key=lambda item: order[item.nodeid])
