"""Python functions as language models: for a model behind another package, for tests, for baselines without a model."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import OptoGymError
from ..utils.loading import import_module, is_module, join_working_folder
from .endpoint import AttemptFailed, Endpoint

Function = Callable[..., Any]
"""``f(messages)`` that returns a text, several texts, or the body of a chat completion; see `PythonModel`."""

NAME = "python"
"""What stands for the address of a function."""

_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_TAGS = (
    "latest",
    "free",
    "instruct",
    "chat",
    "mini",
    "small",
    "medium",
    "large",
)  # what follows a colon in model names
_registered: dict[str, Function] = {}


def function_name(function: Function) -> str:
    """The name of a function as a model: ``module:function``, by which this process finds it again.

    A function inside another one, or without a name, gets the hash of its code in addition. Another process does not
    find it, so that its calls can be replayed there, but not continued.
    """
    named = function if hasattr(function, "__qualname__") else type(function)
    name = f"{named.__module__}:{named.__qualname__}"
    if not _REFERENCE.fullmatch(name) or named is not function:
        code = getattr(function, "__code__", None)
        text = repr((code.co_code, code.co_consts, code.co_names)) if code else repr(sorted(vars(function)))
        name += f"#{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    _registered[name] = function
    return name


def find_function(model: str) -> Function | None:
    """The function that a model's name refers to; None if the name is that of a model behind an endpoint.

    A name such as ``module:function`` is a reference where there is such a module; names such as ``mistral:latest`` are
    not, as long as no module is called so.

    Raises:
        OptoGymError: If there is the module, but not the function; or for a function that another process had.
    """
    if model in _registered:
        return _registered[model]
    if "#" in model and ":" in model:
        raise OptoGymError(
            f"the model {model!r} is a Python function that this process does not have: pass it again, or give it a "
            "name at the top level of a module"
        )
    if not names_function(model):
        return None
    module, _, name = model.partition(":")
    join_working_folder()
    try:
        if module not in sys.modules and importlib.util.find_spec(module) is None:
            return None
    except (ImportError, ValueError):
        return None
    function = getattr(import_module(model, module), name, None)
    if not callable(function) or inspect.isclass(function):
        raise OptoGymError(f"the model {model!r} can't be used: the module {module} has no function {name}")
    found: Function = function
    return found


def names_function(model: str) -> bool:
    """Whether a model's name refers to a function of a module that this machine has. Nothing is imported."""
    module, _, name = model.partition(":")
    top = module.partition(".")[0]
    return (
        _REFERENCE.fullmatch(model) is not None
        and name not in _TAGS
        and top not in sys.stdlib_module_names
        and is_module(top)
    )


class PythonModel(Endpoint):
    """A function in place of an endpoint.

    It is called with the messages, and by name with those fields of the request that it has parameters for, such as
    ``max_tokens``, ``temperature``, ``seed`` or ``response_format``; with ``**keywords`` it gets them all. It returns
    the answer's text, a list of texts where ``n`` are asked for, or the whole body of a chat completion as a
    dictionary. For ``n`` texts it is called n times if it returns one at a time. Without ``usage`` in the body, tokens
    are estimated.

    An OSError, such as a ConnectionError or TimeoutError, is a failed attempt and tried again. Any other exception ends
    the call.

    Args:
        function: The function.
        timeout: Seconds that a call may take.
    """

    def __init__(self, function: Function, timeout: float) -> None:
        super().__init__("local", None, None, timeout)
        self.name, self._function = NAME, function
        try:
            parameters = list(inspect.signature(function).parameters.values())[1:]
        except (TypeError, ValueError):  # some functions in C have none
            parameters = []
        self._takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self._takes = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}

    def prepare(self) -> None:
        """Does nothing: the function is there."""

    def post(self, request: dict[str, Any], seconds: float | None = None) -> bytes:
        """Calls the function and returns the body of a chat completion.

        Args:
            request: The body of the request.
            seconds: Without effect: a function can't be ended. It is not waited for any longer, see `CallMonitor`.

        Raises:
            AttemptFailed: If it raises, or returns something else.
        """
        fields = {k: v for k, v in request.items() if k not in ("model", "messages")}
        arguments = {k: v for k, v in fields.items() if self._takes_all or k in self._takes}
        texts: list[Any] = []
        while len(texts) < max(1, request.get("n", 1)):
            try:
                answer = self._function([dict(message) for message in request["messages"]], **arguments)
            except OSError as e:
                raise AttemptFailed(self.scrub(f"{type(e).__name__}: {e}"), None) from e
            except Exception as e:
                raise AttemptFailed(self.scrub(f"{type(e).__name__}: {e}"), None, final=True) from e
            if isinstance(answer, Mapping):
                return json.dumps(answer).encode()
            several = isinstance(answer, Sequence) and not isinstance(answer, str)
            texts += answer if several and answer else [answer]
        if not all(text is None or isinstance(text, str) for text in texts):
            kinds = ", ".join(sorted({type(text).__name__ for text in texts}))
            raise AttemptFailed(f"expected the function to return a text, got {kinds}", None, final=True)
        choices = [
            {"index": k, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            for k, text in enumerate(texts)
        ]
        return json.dumps({"choices": choices}).encode()
