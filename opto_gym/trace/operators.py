"""Traced functions: `operator` (alias `bundle`), and `model` for classes that hold parameters."""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
from collections.abc import Callable
from typing import Any, overload

from ..errors import TraceError
from .expressions import OF_PYTHON
from .nodes import Node, Operator, apply, check_unchanged, fail, holds_node, lift, make, untraced, with_keywords
from .parameters import CodeParameter, Parameter, code_of


@overload
def operator(fn: Callable[..., Any], /) -> Callable[..., Any]: ...
@overload
def operator(
    fn: None = None, /, *, name: str | None = None, description: str | None = None, trainable: bool = False
) -> Callable[[Callable[..., Any]], Any]: ...
def operator(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    trainable: bool = False,
) -> Any:
    """A traced function: called with a node it gives a node; called without any it is a plain function.

    It may be ``async def``, a method (``self`` is not part of the trace), and give several values (a tuple, which
    unpacks into nodes). It must not change its arguments in place.

    Args:
        fn: The function; its docstring is what an optimizer reads.
        name: What pseudo-code calls it; the function's name by default.
        description: Replaces the docstring.
        trainable: Make the function's source a parameter, which optimizers change.
    """
    if fn is None:
        return functools.partial(_decorate, name=name, description=description, trainable=trainable)
    return _decorate(fn, name, description, trainable)


bundle = operator


def _decorate(fn: Callable[..., Any], name: str | None, description: str | None, trainable: bool) -> Any:
    if isinstance(fn, staticmethod | classmethod):
        raise TraceError(f"write @operator below @{type(fn).__name__}, next to the function")
    if not callable(fn):
        raise TraceError(f"operator() decorates a function, got {type(fn).__name__}")
    signature = _signature(fn)
    method = next(iter(signature.parameters), "") in ("self", "cls")
    label = name or fn.__name__
    text = description if description is not None else inspect.getdoc(fn) or ""
    if trainable:
        if inspect.iscoroutinefunction(fn):
            raise TraceError(f"{label} is async; a trainable function must be a plain one")
        return _TrainableMethod(fn, label, text) if method else code_of(fn, label, text)
    if method:
        signature = signature.replace(parameters=list(signature.parameters.values())[1:])
    arguments = _arguments(signature)
    if label in OF_PYTHON and not arguments:
        label += "_"  # else its calls would be written as Python's own
    op = Operator(label, "operator", text, arguments)
    return functools.wraps(fn)((_method if method else _function)(op, fn, signature))


def _signature(fn: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(fn)
    except ValueError:  # some built-ins have none
        return inspect.Signature([inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)])


def _arguments(signature: inspect.Signature) -> tuple[str, ...]:
    """The names of the arguments, as far as they stand in fixed places."""
    stars = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return tuple(p.name for p in itertools.takewhile(lambda p: p.kind not in stars, signature.parameters.values()))


def _function(op: Operator, fn: Callable[..., Any], signature: inspect.Signature) -> Callable[..., Any]:
    run, places = _runner(fn), _places(signature)

    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            return run(op, *_positional(places, fn, args, kwargs))
        return run(op, fn, args)

    return call


def _method(op: Operator, fn: Callable[..., Any], signature: inspect.Signature) -> Callable[..., Any]:
    """As `_function`, for a method: a plain function, which Python binds to its object. ``self`` is not traced."""
    run, places = _runner(fn), _places(signature)

    def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        bound = functools.partial(fn, self)
        if kwargs:
            return run(op, *_positional(places, bound, args, kwargs))
        return run(op, bound, args)

    return call


class _Given(str):
    """A placeholder for an argument that a call gives by name; its text is the name."""

    __slots__ = ()


Places = Callable[[int, tuple[str, ...]], tuple[tuple[Any, ...], tuple[str, ...]]]


def _places(signature: inspect.Signature) -> Places:
    @functools.lru_cache(64)
    def places(count: int, names: tuple[str, ...]) -> tuple[tuple[Any, ...], tuple[str, ...]]:
        """The arguments after the first `count`, where `names` are given by name.

        Returns:
            Placeholders and defaults in the order of the signature; and the names of those that are keyword-only.
        """
        bound = signature.bind(*[None] * count, **{n: _Given(n) for n in names})
        bound.apply_defaults()
        return (*bound.args[count:], *bound.kwargs.values()), tuple(bound.kwargs)

    return places


def _positional(
    places: Places, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A call with its keyword arguments in their places, so that equal calls look equal in a trace."""
    rest, by_name = places(len(args), tuple(kwargs))
    return with_keywords(fn, by_name), (*args, *[kwargs[r] if type(r) is _Given else r for r in rest])


def _runner(fn: Callable[..., Any]) -> Callable[..., Any]:
    return _apply_async if inspect.iscoroutinefunction(fn) else apply


async def _apply_async(op: Operator, fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """As `nodes.apply`, for a coroutine function."""
    if not any(map(holds_node, args)):
        return await fn(*args)
    inputs = tuple(map(lift, args))
    depends = any(issubclass(type(i), Node) and i._depends for i in inputs)
    try:
        value = await fn(*map(untraced, inputs))
    except Exception as e:
        fail(e, op, inputs, depends)
    check_unchanged(op, inputs)
    return make(op, inputs, value, depends)


class _TrainableMethod:
    """A method whose source is a parameter: a descriptor that makes one `CodeParameter` for each object."""

    def __init__(self, fn: Callable[..., Any], name: str, description: str) -> None:
        functools.update_wrapper(self, fn)  # type: ignore[arg-type]
        self._fn, self._name, self._description = fn, name, description

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = name

    def __get__(self, obj: Any, owner: type | None = None) -> Any:
        if obj is None:
            return self
        attributes = vars(obj)
        if self._attribute not in attributes:
            made = code_of(self._fn, self._name, self._description, self_argument=obj)
        else:
            made = attributes[self._attribute]
            if not isinstance(made, CodeParameter) or made.belongs_to(obj):
                return made
            made = made.bound_to(obj)  # the object is a shallow copy, whose attributes are the original's
        attributes[self._attribute] = made
        return made

    def __set__(self, obj: Any, value: Any) -> None:  # where it is defined, Python asks __get__ before the attributes
        vars(obj)[self._attribute] = value

    def __delete__(self, obj: Any) -> None:
        del vars(obj)[self._attribute]


def model(cls: type) -> type:
    """Decorates a class whose trainable methods and `Parameter` attributes are parameters: it gains ``.parameters()``.

    A ``copy.copy`` of an object has parameters of its own and shares its other attributes.

    Raises:
        TraceError: If the class has a ``parameters`` of its own.
    """
    if "parameters" in vars(cls):
        raise TraceError(f"{cls.__name__} defines `parameters` itself, which @model would replace: rename it")
    setattr(cls, "parameters", parameters_of)  # noqa: B010
    if not hasattr(cls, "__copy__"):
        setattr(cls, "__copy__", _copy_of_model)  # noqa: B010
    return cls


def _copy_of_model(self: Any) -> Any:
    """What ``copy.copy`` gives of a model: an object with parameters of its own, which shares everything else."""
    memo = {}
    for attribute in vars(self).values():
        found: dict[int, Parameter] = {}
        _collect(attribute, found)
        if not found:
            memo[id(attribute)] = attribute
    return copy.deepcopy(self, memo)


def parameters_of(self: Any) -> list[Parameter]:
    """The parameters of this object and of the models in its attributes, in order of definition."""
    found: dict[int, Parameter] = {}
    for owner in reversed(type(self).__mro__):
        for name, attribute in vars(owner).items():
            if isinstance(attribute, _TrainableMethod):
                parameter = getattr(self, name)
                found[id(parameter)] = parameter
            elif isinstance(attribute, Parameter):
                found[id(attribute)] = attribute
    for attribute in vars(self).values():
        _collect(attribute, found)
    return list(found.values())


def _collect(x: Any, found: dict[int, Parameter]) -> None:
    if isinstance(x, Parameter | CodeParameter):
        found[id(x)] = x
    elif isinstance(x, list | tuple):
        for item in x:
            _collect(item, found)
    elif isinstance(x, dict):
        for item in x.values():
            _collect(item, found)
    elif getattr(type(x), "parameters", None) is parameters_of:
        for item in parameters_of(x):
            found[id(item)] = item
