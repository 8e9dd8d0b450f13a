"""Loads what ``module:Name`` names, with errors that say which file was loaded and what is wrong with it."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import os
import site
import sys
import sysconfig
import traceback
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from ..errors import OptoGymError
from .extras import EXTRAS, missing_extra
from .suggestions import did_you_mean

_working_folder: list[str] = []  # "" where it is to join sys.path at the first name of the form ``module:Name``


def offer_working_folder() -> None:
    """Lets ``module:Name`` be found in the working folder, in which an installed script does not look for modules.

    The folder joins `sys.path` when the first such name is used, not before: a command without one never imports from
    the working folder, which may hold other people's files.
    """
    if "" not in sys.path and "" not in _working_folder:
        _working_folder.append("")


def join_working_folder() -> None:
    """Appends the working folder to `sys.path`, if `offer_working_folder` has offered it."""
    sys.path += _working_folder
    _working_folder.clear()


def is_module(name: str) -> bool:
    """Whether there is a module or package of this name at the top level. Nothing is imported."""
    try:
        return importlib.util.find_spec(name) is not None or PathFinder.find_spec(name, _working_folder) is not None
    except (ImportError, ValueError):  # one that is loaded, and has no spec
        return name in sys.modules


def split_path(path: str) -> tuple[str, str]:
    """The module's and the object's name in ``module:Name``.

    Raises:
        ValueError: If the text has another form.
    """
    module, _, name = path.partition(":")
    if module.endswith(".py") or "/" in module or os.sep in module:
        raise ValueError(f"expected the name of a module, such as '{Path(module).stem}:{name}', got a file in {path!r}")
    if not all(module.split(".")) or not name.isidentifier():
        raise ValueError(f"expected 'module:Class', got {path!r}")
    return module, name


def load_object(path: str) -> Any:
    """Imports a module and returns what it has by a name.

    Args:
        path: ``"module:Name"``.

    Raises:
        ValueError: If `path` has another form, there is no such module, or the module has no such name.
        MissingExtra: If the module needs a package of one of opto_gym's extras that is not installed.
        ImportError: If the module can't be imported for another reason: a syntax error, an exception, an exit.
    """
    module_name, name = split_path(path)
    module = import_module(path, module_name)
    if not hasattr(module, name):
        public = [other for other in vars(module) if not other.startswith("_")]
        raise ValueError(
            f"{path!r}: the module {module_name!r} ({_file(module)}) has no {name!r}{did_you_mean(name, public)}"
            f"{_shadowed(module_name)}"
        )
    return getattr(module, name)


def load_class(path: str, base: type, expected: str, *, allows: Callable[[Any], bool] = lambda found: False) -> Any:
    """Loads a class of a certain kind; the errors of `load_object` apply too.

    Args:
        path: ``"module:Class"``.
        base: The class that it must be derived from.
        expected: What to call that in an error, such as ``"a subclass of opto_gym.agents.Agent"``.
        allows: Whether something that is no class, such as a function that makes an instance, is accepted as well.

    Raises:
        TypeError: If it is something else.
    """
    found = load_object(path)
    if inspect.isclass(found) and issubclass(found, base):
        return found
    if not inspect.isclass(found) and allows(found):
        return found
    module_name, _ = split_path(path)
    file = _file(sys.modules[module_name])
    raise TypeError(f"{path!r} ({file}): expected {expected}, got {_description(found)}{_shadowed(module_name)}")


def import_module(path: str, module_name: str) -> Any:
    """Imports a module.

    Args:
        path: What to name in errors.
        module_name: The module.

    Raises:
        ValueError: If there is no such module.
        MissingExtra: As `load_object`.
        ImportError: As `load_object`.
    """
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as e:
        missing = e.name or ""
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise ValueError(
                f"{path!r}: there is no module {missing!r} in the working folder or among the installed packages"
                f"{_shadowed(module_name)}"
            ) from e
        if any(missing.split(".")[0] in modules for modules in EXTRAS.values()):
            detail = f", but {path!r} needs it ({_place_of(e, module_name)})"
            raise missing_extra(missing, detail) from e
        raise _import_error(path, module_name, e) from e
    except OptoGymError:  # it needs an extra, or data, and says so
        raise
    except (Exception, SystemExit) as e:  # a module that calls sys.exit() must not end the program
        raise _import_error(path, module_name, e) from e


def _description(found: Any) -> str:
    for is_kind, kind in ((inspect.isclass, "class"), (inspect.isroutine, "function"), (inspect.ismodule, "module")):
        if is_kind(found):
            return f"the {kind} {found.__name__}"
    return f"an object of type {type(found).__name__}"


def _import_error(path: str, module_name: str, e: BaseException) -> ImportError:
    """What to tell of an import that failed: the place in the author's code, and the exception in one line."""
    message = e.msg if isinstance(e, SyntaxError) else " ".join(str(e).split())
    where = _place_of(e, module_name)
    return ImportError(
        f"{path!r}: the module {module_name!r} can't be imported: {type(e).__name__}: {message} ({where})"
        f"{_shadowed(module_name)}"
    )


def _place_of(e: BaseException, module_name: str) -> str:
    """The file and line where an import failed: of the last call from code that is not an installed package's."""
    if isinstance(e, SyntaxError) and e.filename:
        return f"{e.filename}, line {e.lineno}"
    frames = [
        f for f in traceback.extract_tb(e.__traceback__) if not f.filename.startswith("<") and f.filename != __file__
    ]
    frames = [f for f in frames if f.filename != importlib.__file__]
    own = [f for f in frames if not _is_installed(Path(f.filename))] or frames
    if own:
        return f"{own[-1].filename}, line {own[-1].lineno}"
    try:
        spec = importlib.util.find_spec(module_name)
    except (ImportError, ValueError):
        spec = None
    return (spec and spec.origin) or "no file"


def _file(module: Any) -> str:
    return getattr(module, "__file__", None) or "no file"


def _shadowed(module_name: str) -> str:
    """Where a file in the working folder has the name of a module that Python found elsewhere: how to mend it."""
    top = module_name.partition(".")[0]
    loaded = sys.modules.get(top)
    here = Path.cwd()
    own = next((p for p in (here / f"{top}.py", here / top / "__init__.py") if p.is_file()), None)
    if own is None or loaded is None:
        return ""
    file = getattr(loaded, "__file__", None)
    if file is not None and Path(file).resolve() == own.resolve():
        return ""
    first = "Python's own module" if top in sys.stdlib_module_names else "another module"
    what = "file" if own.name != "__init__.py" else "folder"
    return (
        f". {own} was not loaded, because {first} {top!r} ({file or 'built in'}) comes first: give your {what} another "
        "name"
    )


def _is_installed(path: Path) -> bool:
    """Whether a file belongs to Python's own library or an installed package."""
    return any(path.is_relative_to(folder) for folder in _library_folders())


@functools.cache
def _library_folders() -> tuple[Path, ...]:
    paths = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    return tuple(map(Path, {*paths, *site.getsitepackages(), site.getusersitepackages()}))
