"""Parameters: named values that an optimizer changes.

A `Parameter` is not a node itself. It has a *current* node, which setting its value replaces, so that a trace made
before the change still shows the old value.
"""

from __future__ import annotations

import ast
import copy
import functools
import importlib
import inspect
import pickle
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import TraceError
from .nodes import BINARY, ONE_WAY, UNARY, Node, Operator, apply, as_node, make
from .values import DEPTH

Executor = Callable[..., Any]
"""Runs a code parameter's source: ``executor(source, args) -> value``; raises what the source raises."""


class Parameter:
    """A trainable value. It takes part in expressions as a node does.

    Attributes:
        name: Unique among the parameters of a program.
        data: The value; setting it makes a new node, older traces keep theirs.
        description: What it is, for the optimizer.
        constraint: What its values must satisfy, in words.
    """

    __slots__ = ("_current", "_op")

    def __init__(self, value: Any, name: str, description: str = "", constraint: str = "", kind: str = "parameter"):
        if not isinstance(name, str) or not name.isidentifier():
            raise TraceError(f"a parameter's name must be an identifier such as 'x0', got {name!r}")
        self._op = Operator(name, kind, description, (), constraint)
        self._current = make(self._op, (), _plain_value(value), True)

    @property
    def name(self) -> str:
        """The name that the trace and the optimizer use."""
        return self._op.name

    @property
    def description(self) -> str:
        """What it is, in words."""
        return self._op.description

    @property
    def constraint(self) -> str:
        """What its values must satisfy, in words."""
        return self._op.constraint

    @property
    def data(self) -> Any:
        """The current value."""
        return self._current.data

    @data.setter
    def data(self, value: Any) -> None:
        self._current = make(self._op, (), _plain_value(value), True)

    @property
    def node(self) -> Node:
        """The node of the current value."""
        return self._current

    def __trace_node__(self) -> Node:
        return self._current

    def __repr__(self) -> str:
        return repr(self._current)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"parameters have no attribute {name!r}")
        return getattr(self._current, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        """A parameter that shares the operator: nodes are not copied, and an optimizer's copy finds it in its nodes."""
        made = memo[id(self)] = copy.copy(self)
        value = copy.deepcopy(self.data, memo)
        if value is not self.data:
            made._current = make(self._op, (), value, True)
        return made


def _plain_value(value: Any) -> Any:
    return value.data if issubclass(type(value), Node | Parameter) else value


def _delegate(name: str) -> Callable[..., Any]:
    method = getattr(Node, name)
    return lambda self, *args: method(self._current, *args)


def _delegate_binary(name: str) -> Callable[..., Any]:
    method = getattr(Node, name)
    return lambda self, other: method(self._current, other)


_OTHERS = ("hash", "bool", "len", "contains", "iter", "index", "int", "float", "complex", "format", "round")
for _name in (*BINARY, *(f"r{n}" for n in BINARY), *ONE_WAY):
    setattr(Parameter, f"__{_name}__", _delegate_binary(f"__{_name}__"))
for _name in (*UNARY, *_OTHERS, "setitem", "delitem"):
    setattr(Parameter, f"__{_name}__", _delegate(f"__{_name}__"))
setattr(Parameter, "__array_ufunc__", None)  # noqa: B010


class CodeParameter(Parameter):
    """A parameter whose value is the source of a function, and which is called like that function.

    Args:
        source: Python source that defines a function called `name`.
        name: The function's name.
        executor: Runs ``executor(source, args)``; see `InProcess` for one's own program, the sandbox for others.
    """

    __slots__ = ("__dict__", "_call_op", "_executor")

    def __init__(self, source: str, name: str, executor: Executor, description: str = "", constraint: str = ""):
        super().__init__(source, name, description, constraint, kind="code")
        self._executor = executor
        self._call_op = Operator(name, "call")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function; the result is a node."""
        if kwargs:
            raise TraceError(f"call the code parameter {self.name!r} with positional arguments only")
        return apply(self._call_op, self._run, (self._current, *args))

    def _run(self, source: str, *args: Any) -> Any:
        return self._executor(source, args)

    def __deepcopy__(self, memo: dict[int, Any]) -> CodeParameter:
        made: Any = super().__deepcopy__(memo)
        made._executor = copy.deepcopy(self._executor, memo)  # which may hold the object that a method belongs to
        return made  # type: ignore[no-any-return]

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        """The function as it was written, of which `inspect.signature` reads the arguments."""
        if not isinstance(self._executor, InProcess):
            raise AttributeError("a code parameter that runs elsewhere has no function in this process")
        return self._executor.function

    def belongs_to(self, obj: Any) -> bool:
        """Whether the function is called as a method of this very object, or as no method of a known object."""
        return getattr(self._executor, "self_argument", obj) is obj

    def bound_to(self, obj: Any) -> CodeParameter:
        """A copy that is called as a method of another object, of the same class."""
        made = copy.copy(self)
        made._executor = copy.copy(self._executor)
        made._executor.self_argument = obj  # type: ignore[attr-defined]
        return made


def parameter(value: Any, name: str, *, description: str = "", constraint: str = "") -> Parameter:
    """A trainable value.

    Args:
        value: The start value.
        name: An identifier, unique among the program's parameters.
        description: What it is, for the optimizer.
        constraint: What its values must satisfy, in words.
    """
    return Parameter(value, name, description, constraint)


def node(
    value: Any,
    name: str | None = None,
    *,
    trainable: bool = False,
    description: str | None = None,
    constraint: str | None = None,
) -> Any:
    """A value that enters the trace: fixed, or a `parameter` where `trainable`.

    Args:
        value: Any Python value; a node is given back as it is.
        name: What pseudo-code calls it.
        trainable: Make it a parameter.
        description: For a parameter: what it is.
        constraint: For a parameter: what its values must satisfy, in words.
    """
    if trainable:
        return parameter(value, name or "parameter", description=description or "", constraint=constraint or "")
    return as_node(value, name)


def code_of(fn: Callable[..., Any], name: str, description: str, self_argument: Any = None) -> CodeParameter:
    """A function of one's own program as a code parameter that runs in this process."""
    source, first_line = source_of(fn)
    executor = InProcess(fn, source, first_line, self_argument)
    head = source[source.index("def ") : source.index("\n") if "\n" in source else None].rstrip(": ")
    made = CodeParameter(source, name, executor, description, f"The code must define: {head}")
    for attribute in functools.WRAPPER_ASSIGNMENTS:
        if hasattr(fn, attribute):
            setattr(made, attribute, getattr(fn, attribute))
    return made


def source_of(fn: Callable[..., Any]) -> tuple[str, int]:
    """A function's source without its decorators, from the first column, and the line in its file where that starts.

    Raises:
        TraceError: If Python does not know the source (typed at a prompt, or made by exec).
    """
    try:
        text = textwrap.dedent(inspect.getsource(fn))
    except (OSError, TypeError) as e:
        raise TraceError(f"the source of {fn!r} is not known, so it can't be trained: define it in a file") from e
    above = ast.parse(text).body[0].lineno - 1  # the decorators
    return "\n".join(text.splitlines()[above:]).rstrip() + "\n", fn.__code__.co_firstlineno + above


class InProcess:
    """Runs a code parameter's source in this very process, as one's own program. No limits are in force.

    The proposal sees the globals of the function's module and may import and define helpers on its own top level. It
    gets copies of containers, as in a sandbox, so that it may change them.
    """

    def __init__(self, fn: Callable[..., Any], source: str, first_line: int, self_argument: Any = None) -> None:
        self.self_argument = self_argument
        self._begin(fn, source, first_line)

    def _begin(self, fn: Callable[..., Any], source: str, first_line: int) -> None:
        self.function, self.name, self.globals = fn, fn.__name__, fn.__globals__
        self._written = (fn.__code__, first_line)
        self._compiled: tuple[str, Any] = (source, fn)

    def __copy__(self) -> InProcess:
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> InProcess:
        made = memo[id(self)] = copy.copy(self)
        made.self_argument = copy.deepcopy(self.self_argument, memo)
        return made

    def __getstate__(self) -> dict[str, Any]:
        """The function by its name, as pickle keeps functions; what its parameter makes of it is in the parameter."""
        module, name = self.function.__module__, self.function.__qualname__
        try:
            found = _found(module, name)
        except (ImportError, AttributeError):
            found = None
        if found is not self.function:
            raise pickle.PicklingError(
                f"the trainable function {name!r} can't be pickled, since it is not found as {module}.{name}: define "
                "it at the top of a module, or in a class there"
            )
        return {"function": (module, name), "self_argument": self.self_argument}

    def __setstate__(self, state: dict[str, Any]) -> None:
        fn = _found(*state["function"])
        self.self_argument = state["self_argument"]
        self._begin(fn, *source_of(fn))

    def __call__(self, source: str, args: tuple[Any, ...]) -> Any:
        """The value of the function that `source` defines, on `args`."""
        try:
            compiled, fn = self._compiled  # read once: other threads may run other sources
            if compiled != source:
                space = dict(self.globals)
                exec(compile(source, f"<{self.name}>", "exec"), space)
                fn = space.get(self.name)
                if not callable(fn) or fn is self.globals.get(self.name):
                    raise NameError(f"the code defines no function {self.name!r}")
                self._compiled = (source, fn)
            copies: dict[int, Any] = {}
            own = [_copied(a, copies) for a in args]
            return fn(*own) if self.self_argument is None else fn(self.self_argument, *own)
        except Exception as e:
            self._mark(e, source)
            raise

    def _mark(self, e: Exception, source: str) -> None:
        """Notes on the exception which line of the source raised it."""
        written, first_line = self._written
        line = e.lineno if isinstance(e, SyntaxError) else None
        step = e.__traceback__
        while step is not None:
            if step.tb_frame.f_code.co_filename == f"<{self.name}>":
                line = step.tb_lineno
            elif step.tb_frame.f_code is written:  # the function as first written: count from its def
                line = step.tb_lineno - first_line + 1
            step = step.tb_next
        lines = source.splitlines()
        if line is not None and 1 <= line <= len(lines):
            vars(e).update(candidate_line=line, candidate_text=lines[line - 1].strip())


def _found(module: str, name: str) -> Any:
    """The function as it was written that stands under a name in a module."""
    found: Any = importlib.import_module(module)
    for attribute in name.split("."):
        found = getattr(found, attribute)
    return getattr(found, "__wrapped__", found)  # of a code parameter or a trainable method


def _copied(x: Any, copies: dict[int, Any], depth: int = 0) -> Any:
    """A copy of Python's own containers and of arrays; other objects as they are.

    Args:
        x: The value.
        copies: The copies so far, by the id of what was copied: one container may stand at many places in a value.
        depth: The depth at which the value is nested; deeper ones than `DEPTH` are not copied.
    """
    t = type(x)
    if depth > DEPTH or id(x) in copies:
        return copies.get(id(x), x)
    made: Any = x
    if t is list:
        made = copies[id(x)] = []
        made.extend([_copied(i, copies, depth + 1) for i in x])
    elif t is tuple:
        made = copies[id(x)] = tuple([_copied(i, copies, depth + 1) for i in x])
    elif t is dict:
        made = copies[id(x)] = {}
        made.update((k, _copied(v, copies, depth + 1)) for k, v in x.items())
    elif t is set or t is bytearray or t is np.ndarray:
        made = copies[id(x)] = x.copy()
    return made
