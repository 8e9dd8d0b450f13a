"""Rules of this suite itself: test modules import no test modules, and leave private members alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MODULES = {
    path.relative_to(TESTS).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(TESTS.rglob("*.py"))
    if not {"escapes", "children"} & set(path.parts)  # candidates' programs, and those of the authors' packages
}
ALLOWED_PRIVATE = {
    ("llm/conftest.py", "_FIRST_PAUSE"): "pauses between attempts are no setting, and a second each otherwise",
    ("llm/test_client.py", "_FIRST_PAUSE"): "the growth of those pauses is measured",
    ("security/test_endpoints.py", "_FIRST_PAUSE"): "the pauses, as for the tests of the client",
    ("security/test_keys.py", "_FIRST_PAUSE"): "the same",
    ("security/test_keys.py", "_environment"): "what a program gets is looked at without starting one",
    ("security/test_keys.py", "_main"): "what the command does before any work is looked at without the work",
    ("security/test_embedded_server.py", "_sha256"): "stands in for reading 100 MB of a model that is not there",
    ("security/test_model_packages.py", "_sha256"): "sees how much is unpacked before a file is refused",
    ("security/test_model_packages.py", "_download"): "sees what pip would be called with",
    ("leaderboard/test_run.py", "_FIRST_PAUSE"): "the same as in llm/conftest.py",
    ("support/sandbox.py", "_zygote"): "a sandbox's processes are nobody's business but these tests'",
    ("support/sandbox.py", "_pid"): "the same of a program's process",
    ("support/openai_server.py", "_answer"): "its own handler's",
    ("support/command_lines/behaving.py", "_request"): "the helper for programs has no public way to ask the model",
    ("trace/test_copying.py", "_dumps"): "pickle in Python, which the standard library documents by this name alone",
    ("trace/test_copying.py", "_loads"): "the same",
    ("trace/test_copying.py", "_stand_ins"): "what a copy leaves behind in the process can't be seen otherwise",
    ("trace/test_definition.py", "_inputs"): "the recursive definition of `backward` follows a node's inputs",
    ("trace/test_definition.py", "_op"): "the same for its operator",
    ("trace/test_nodes.py", "_private"): "nodes do not pass on private attributes of their values",
}
"""(module, member): why a test reaches for it."""
PUBLIC = {"_exit", "_replace", "_asdict", "_fields", "_make", "__main__"}
"""Documented members of the standard library that only look private."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


def imported(tree: ast.Module) -> Iterator[str]:
    """The full names of all that a module imports, in functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def private_members(tree: ast.Module) -> Iterator[str]:
    """The names of others' private members: attributes, imports, and names for ``setattr`` and its like."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield node.attr
        elif isinstance(node, ast.Call):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if function in ("setattr", "getattr", "delattr", "hasattr", "object"):
                texts = [a.value for a in node.args[:2] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                yield from (name for text in texts if is_private(name := text.rpartition(".")[2]))
    yield from (name for path in imported(tree) if is_private(name := path.rpartition(".")[2]))


@pytest.mark.parametrize("module", MODULES)
def test_no_module_imports_a_test_module(module):
    """What two of them need is in tests/support, and fixtures are in a conftest.py."""
    names = [part for path in imported(MODULES[module]) if path.startswith("tests.") for part in path.split(".")]
    assert [name for name in names if name.startswith("test_") or name == "conftest"] == []


def test_private_members_are_left_alone():
    found = {(module, name) for module, tree in MODULES.items() for name in private_members(tree)}
    assert found == set(ALLOWED_PRIVATE)


def test_the_shared_modules_are_listed():
    page = (TESTS / "support" / "__init__.py").read_text(encoding="utf-8")
    shared = {p.stem for p in (TESTS / "support").iterdir() if p.suffix == ".py" and p.stem != "__init__"}
    assert [name for name in sorted(shared) if f"\n{name} " not in page] == []
