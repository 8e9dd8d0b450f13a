"""Who may name code. What this user did not make runs only what is registered.

A record, a suite or a configuration names an environment, an agent and models. A registered name is harmless: the
installed packages decide what it runs. Other names make the reader's machine run what the writer chose:
``module:Name``, the command of an agent that starts a program, and addresses and variables that get a key sent to
somebody.

`run` and `compare` take such names from their caller, and mark them for the folder that they record in
(`utils.state`). Where names are read from a file, each one must be marked for the place of this file, or be trusted
explicitly, which marks it. A mark holds for one name with its arguments at one place. So it holds neither for another
name that is written into the file later, nor for a copy of the file elsewhere. Nothing is imported to find this out.
"""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from ..errors import SettingsError, TrustError
from ..llm.callables import names_function
from ..llm.settings import OPENAI_URL, from_environment, public_address, trimmed
from ..registration import NAMESPACE
from ..utils import state
from ..utils.text import one_line
from .endpoints import TRIAL_ROLES

if TYPE_CHECKING:
    from .config import Named, RunConfig
    from .spec import TrialSpec

_MOST_SHOWN, _LONGEST_SHOWN = 5, 120


class NamedCode(NamedTuple):
    """Something that a file names, and that is not registered.

    Attributes:
        kind: ``environment``, ``agent``, ``model``, ``address``, or ``key``, the variable that holds one.
        name: Its name.
        arguments: Its arguments as JSON text; empty where it has none.
    """

    kind: str
    name: str
    arguments: str = ""

    def __str__(self) -> str:
        return one_line(f"{self.kind} {self.name} {self.arguments}", _LONGEST_SHOWN)


Found = tuple[NamedCode, ...]
"""What files name, in order and without repetitions."""


def of_spec(spec: TrialSpec) -> Found:
    """What a trial names that is not registered."""
    return of_specs([spec])


def of_specs(specs: Iterable[TrialSpec]) -> Found:
    """What trials name that is not registered."""
    return tuple(dict.fromkeys(code for spec in specs for code in _of_spec(spec)))


def of_tasks(tasks: Iterable[Named], agents: Iterable[Named]) -> Found:
    """What environments and agents name that is not registered."""
    of_envs = (code for task in tasks for code in _of_env(*_with_arguments(task)))
    of_agents = (code for agent in agents for code in _of_agent(*_with_arguments(agent)))
    return tuple(dict.fromkeys((*of_envs, *of_agents)))


def of_config(config: RunConfig) -> Found:
    """What a configuration names that is not registered. Its suite is a file of its own."""
    prefixes = ("", *(f"{role}_" for role in TRIAL_ROLES))
    models, addresses, keys = (
        [getattr(config, f"{prefix}{name}") for prefix in prefixes] for name in ("model", "base_url", "api_key_env")
    )
    endpoints = *_of_models(models), *_of_addresses(addresses), *_of_keys(keys)
    return (*of_tasks(config.envs, config.agents), *endpoints)


def without_endpoints(found: Found) -> Found:
    """What is named beside addresses and keys, for a replay, which sends nothing."""
    return tuple(code for code in found if code.kind not in ("address", "key"))


def check(found: Found, place: str | Path, *, trust: bool) -> None:
    """Checks that all names are this user's own, or trusted at this place.

    Args:
        found: The names.
        place: The file, or the folder of the run, that holds them.
        trust: Whether the user trusts them now. That is remembered.

    Raises:
        TrustError: If the user has neither made nor trusted one; the message has them all.
    """
    if trust:
        mark(found, place)
        return
    strange = [code for code in found if not state.is_marked(_text(code, place))]
    if strange:
        shown = "; ".join(map(str, strange[:_MOST_SHOWN]))
        more = f"; and {len(strange) - _MOST_SHOWN} more" if len(strange) > _MOST_SHOWN else ""
        raise TrustError(
            f"{one_line(str(place))} names what is not registered, and is not known to be made by you: {shown}{more}. "
            "Nothing was run. It may come from somebody else, from an older release or another place, or be edited. If "
            "you trust it, pass --trust (trust=True in Python), which is remembered for exactly this"
        )


def mark(found: Found, place: str | Path) -> str | None:
    """Remembers that names are the user's own, or trusted, at a place.

    Returns:
        Why this can't be remembered, as a line for the user; None if it can.
    """
    try:
        if found:
            state.mark(_text(code, place) for code in found)
    except OSError as e:
        reason = f"{state.state_folder()} can't be written ({e.strerror or e})"
        return f"{place} can't be marked as yours, since {reason}: to resume or replay it, pass --trust"
    return None


def place_of_trial(path: str | Path) -> Path:
    """The folder of the run that a trial's folder is part of."""
    return Path(os.path.abspath(path)).parent.parent


def _text(code: NamedCode, place: str | Path) -> str:
    return json.dumps([str(Path(place).resolve()), *code])


def _of_spec(spec: TrialSpec) -> Iterator[NamedCode]:
    yield from _of_env(spec.env, spec.env_arguments)
    yield from _of_agent(spec.agent, spec.settings)
    yield from _of_models((spec.optimizer_model, spec.task_model))
    yield from _of_addresses(spec.address(role) for role in TRIAL_ROLES)
    yield from _of_keys(spec.endpoint(role).api_key_env for role in TRIAL_ROLES)


def _with_arguments(named: Named) -> tuple[str, Mapping[str, Any]]:
    return (named, {}) if isinstance(named, str) else named


def _of_env(name: str, arguments: Mapping[str, Any]) -> Iterator[NamedCode]:
    if ":" in name or "/" in name.removeprefix(f"{NAMESPACE}/"):  # a module's, or of another package's namespace
        yield NamedCode("environment", name, _as_text(arguments))


def _of_agent(name: str, settings: Mapping[str, Any]) -> Iterator[NamedCode]:
    if ":" in name or "command" in settings:  # a command line, such as that of `Program`
        yield NamedCode("agent", name, _as_text(settings))
    model, address = settings.get("model"), settings.get("base_url")
    yield from _of_models([model] if isinstance(model, str) else [])
    yield from _of_addresses([address] if isinstance(address, str) else [])


def _of_models(names: Sequence[str | None]) -> Iterator[NamedCode]:
    found = (trimmed(name) for name in names)  # as a client reads them
    yield from (NamedCode("model", name) for name in found if name is not None and names_function(name))


def _of_addresses(urls: Iterable[str | None]) -> Iterator[NamedCode]:
    """Addresses other than the user's own and OpenAI's, and this machine's if there is no key: they would get it."""
    for url in urls:
        if url and not _is_harmless(url):
            yield NamedCode("address", url)


def _is_harmless(url: str) -> bool:
    own = from_environment("OPENAI_BASE_URL")
    try:
        if public_address(url) in (OPENAI_URL, own and public_address(own)):
            return True
        host = urlsplit(url).hostname or ""
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
        return is_loopback and from_environment("OPENAI_API_KEY") is None  # any program may listen there
    except (SettingsError, ValueError):
        return False


def _of_keys(variables: Iterable[str | None]) -> Iterator[NamedCode]:
    yield from (NamedCode("key", name) for name in variables if name and name != "OPENAI_API_KEY")


def _as_text(arguments: Mapping[str, Any]) -> str:
    return json.dumps(msgspec.to_builtins(arguments, enc_hook=str), sort_keys=True) if arguments else ""
