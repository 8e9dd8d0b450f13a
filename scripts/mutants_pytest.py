"""The pytest plug-in of `scripts.mutants`: records the lines that each test executes, or runs only given tests.

Environment variables select what it does:

- ``MUTANTS_LINES`` is a folder. Modules are compiled with a call before each statement that records its lines, and
  each process writes the executed lines of its tests into the folder. The modules are those of ``MUTANTS_MODULES``, a
  JSON list of paths relative to the working folder. Source files do not change.
- ``MUTANTS_TESTS`` is a JSON file with the ids of tests. Only these tests run, in the order of the file.
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
RECORD_CALL = "__record_executed_lines__"


class LineRecorder(ast.NodeTransformer):
    """Inserts a call before each statement of each function that records the statement's lines as executed."""

    def __init__(self, module: str) -> None:
        self.module, self.depth = module, 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Transforms a function, whose statements are recorded."""
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """Transforms a coroutine function in the same way."""
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        self.depth += 1
        node.body = self._with_records(node.body)
        self.depth -= 1
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Transforms the children of a node; a block of statements gets recording calls if it is within a function."""
        for name, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                setattr(node, name, self._with_records(value) if self.depth else [self.visit(child) for child in value])
            elif isinstance(value, list):
                for child in value:
                    if isinstance(child, ast.AST):
                        self.visit(child)
            elif isinstance(value, ast.AST):
                self.visit(value)
        return node

    def _with_records(self, body: list[ast.stmt]) -> list[ast.stmt]:
        statements: list[ast.stmt] = []
        for k, statement in enumerate(body):
            is_docstring = k == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if not is_docstring:
                last = getattr(statement, "body", None)
                end = last[0].lineno - 1 if last else statement.end_lineno or statement.lineno
                places = [f"{self.module}:{line}" for line in range(statement.lineno, max(end, statement.lineno) + 1)]
                call = ast.parse(f"{RECORD_CALL}({places!r})").body[0]
                statements.append(ast.fix_missing_locations(ast.copy_location(call, statement)))
            statements.append(self.visit(statement))
        return statements


def code_of(loader: SourceFileLoader, name: str) -> CodeType | None:
    """The code of a module for an import: with recording calls for the chosen modules, unchanged for the others."""
    module = MODULES.get(str(Path(loader.path).resolve()))
    if module is None:
        return unchanged_code(loader, name)
    tree = LineRecorder(module).visit(ast.parse(Path(loader.path).read_bytes()))
    return compile(tree, loader.path, "exec", dont_inherit=True)


unchanged_code = SourceFileLoader.get_code
if LINES:
    setattr(builtins, RECORD_CALL, EXECUTED.update)
    SourceFileLoader.get_code = code_of  # type: ignore[method-assign,assignment]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None]:
    """Records the lines that a test and its fixtures execute, and its duration."""
    EXECUTED.clear()
    begin = time.perf_counter()
    yield
    ROWS[item.nodeid] = time.perf_counter() - begin, sorted(EXECUTED)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remembers the tests that fail without a mutant, since their failure would not show that they notice one."""
    if report.failed:
        FAILED.add(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes the executed lines of the tests that passed in this process."""
    if LINES and ROWS:
        rows = [(name, *row) for name, row in ROWS.items() if row[1] and name not in FAILED]
        Path(LINES, f"{os.getpid()}.json").write_text(json.dumps(rows), encoding="utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps only the tests of ``MUTANTS_TESTS``, in the order of that file."""
    tests_file = os.environ.get("MUTANTS_TESTS")
    if tests_file:
        order = {name: k for k, name in enumerate(json.loads(Path(tests_file).read_text(encoding="utf-8")))}
        items[:] = sorted((item for item in items if item.nodeid in order), key=lambda item: order[item.nodeid])
