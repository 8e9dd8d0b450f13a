"""Where and how the models of a trial are asked: one endpoint, or one for each role."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import OptoGymError, SettingsError
from ..llm import Client, Price, price_of
from ..llm.prices import given_price, unknown_price
from ..llm.settings import from_environment, has_secrets, public_address, read_model
from ..utils.checks import at_least, number_in
from ..utils.redaction import has_secret

TRIAL_ROLES = ("optimizer", "task")
"""The roles whose models are named: the agent's, and that inside the environment, which scoring on test asks too."""

_NOT_EXTRA = ("model", "messages", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens")
_KEY_NAMES = re.compile(
    r"(?:^|[_-])(?:api[_-]?key|secret|password|passwd|authorization|(?:auth|access|bearer)_?token)$", re.I
)
_NO_KEY = "none"  # what is sent where the variable of a role's key is not set: never the key of another endpoint


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How the model of a role is asked, where it differs from that of the other role.

    Attributes:
        base_url: The address, without credentials; None is that of the trial.
        api_key_env: The environment variable that holds the key; None is ``OPENAI_API_KEY``.
        extra_body: Fields that are added to every request, such as ``{"reasoning_effort": "low"}``.
        label: A name that tells the endpoint from others whose models have equal names but other weights.
    """

    base_url: str | None = None
    api_key_env: str | None = None
    extra_body: dict[str, Any] | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        for name in self.extra_body or {}:
            if name in _NOT_EXTRA:
                raise ValueError(f"expected fields of extra_body that opto_gym does not set itself, got {name!r}")

    @property
    def identity(self) -> dict[str, Any] | None:
        """The part on which results depend; None if there is none."""
        return {k: v for k, v in (("extra_body", self.extra_body), ("label", self.label)) if v} or None


class CallSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the calls of a run are made and what they cost. No result depends on it.

    Attributes:
        timeout: Seconds that an attempt may take; None is the client's default.
        attempts: How often a call is tried; None is the client's default.
        concurrency: The number of requests to an endpoint at a time; None adapts it, see `opto_gym.llm.limiter`.
        prices: USD per million tokens (in, out) or (in, out, read from the cache), by the model's name.
    """

    timeout: float | None = None
    attempts: int | None = None
    concurrency: int | None = None
    prices: dict[str, tuple[float, ...]] = {}

    def __post_init__(self) -> None:
        if self.timeout is not None:
            number_in("(0, inf)", timeout=self.timeout)
        if self.attempts is not None:
            at_least(1, attempts=self.attempts)
        if self.concurrency is not None:
            at_least(1, concurrency=self.concurrency)
        for price in self.prices.values():
            given_price(price)

    def of_client(self, model: str | None) -> dict[str, Any]:
        """The arguments of a `Client` for a model."""
        return {"timeout": self.timeout, "attempts": self.attempts, "price": self.prices.get(model or "")}

    def price(self, model: str) -> Price | None:
        """The price of a model: the given one, else the price list's, else None."""
        return given_price(self.prices[model]) if model in self.prices else price_of(model)

    def with_changes(self, new: CallSettings) -> CallSettings:
        """A copy with what is given in `new`; prices are added to these."""
        return CallSettings(
            timeout=self.timeout if new.timeout is None else new.timeout,
            attempts=self.attempts if new.attempts is None else new.attempts,
            concurrency=self.concurrency if new.concurrency is None else new.concurrency,
            prices={**self.prices, **new.prices},
        )

    def check_prices(self, *models: str | None) -> None:
        """Checks that money can be limited.

        Args:
            models: The names of a trial's models; None where there is none.

        Raises:
            OptoGymError: If the price of one is unknown.
        """
        for model in models:
            if model is not None and self.price(model) is None:
                raise OptoGymError(unknown_price(model))


def client_of_role(model: str | None, base_url: str | None, settings: EndpointSettings, **more: Any) -> Client:
    """A client for the model of a role.

    If ``OPENAI_BASE_URL`` is the same address, it is used, since it may hold a user name, a password or a token.

    Args:
        model: The name of the model.
        base_url: The recorded address, or None.
        settings: Those of the role.
        more: Further arguments of `opto_gym.llm.Client`.
    """
    configured = from_environment("OPENAI_BASE_URL")
    if configured is not None and base_url is not None and public_address(configured) == base_url:
        base_url = configured
    key = None
    if settings.api_key_env:
        key = from_environment(settings.api_key_env) or _NO_KEY
    return Client(model, base_url=base_url, api_key=key, extra_body=settings.extra_body, label=settings.label, **more)


def check_address(base_url: str | None) -> None:
    """Checks that an address may be recorded.

    Raises:
        ValueError: If it holds a user name, a password, or a query that may be secret.
    """
    if base_url and has_secrets(base_url):
        raise ValueError(
            "expected a base_url without user name and password, and without a query that may be secret, since it is "
            "recorded; got one with them: set the environment variable OPENAI_BASE_URL to this URL, and leave base_url "
            "out"
        )


def check_recorded(whose: str, settings: Any, name: str = "") -> None:
    """Checks that settings may be recorded: those of an agent, an environment or a wrapper, or fields of requests.

    Args:
        whose: Whose they are, for the error.
        settings: Plain data.
        name: The setting's name, where the data is the value of one.

    Raises:
        ValueError: If one is a key or a URL with a login or a key; the message has its name and not its value.
    """
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            check_recorded(whose, value, str(key))
    elif isinstance(settings, list | tuple):
        for value in settings:
            check_recorded(whose, value, name)
    elif isinstance(settings, str) and settings:
        is_key = _KEY_NAMES.search(name) is not None or has_secret(settings)
        if is_key or (name.endswith("base_url") and has_secrets(settings)):
            raise ValueError(
                f"expected settings without keys and passwords, since they are recorded; {name!r} of {whose} has one: "
                "set OPENAI_BASE_URL or OPENAI_API_KEY, or the variable that --api-key-env names, and leave it out"
            )


def check_key(settings: EndpointSettings) -> None:
    """Checks that the key of a role is there.

    Raises:
        SettingsError: If its variable is not set.
    """
    if settings.api_key_env and from_environment(settings.api_key_env) is None:
        raise SettingsError(
            f"the environment variable {settings.api_key_env}, which --api-key-env names, is not set: set it to the key"
        )


def named_models(asked: Mapping[str, str], given: Mapping[str, str | None], has_endpoint: bool) -> dict[str, str]:
    """The name of the model of each role that asks one.

    Without any name, the model of all roles is ``OPTO_GYM_MODEL``, else the embedded one. Where only some are named, or
    an endpoint, the rest is a mistake and not the embedded model.

    Args:
        asked: Who asks a model, by role.
        given: The names that are given, by role.
        has_endpoint: Whether an endpoint is configured.

    Raises:
        OptoGymError: If a name is missing; the message says for which role, and why.
    """
    names = {role: read_model(given.get(role), f"--{role}-model") for role in asked}
    default = read_model(from_environment("OPTO_GYM_MODEL"), "OPTO_GYM_MODEL")
    if default is None and not (has_endpoint or any(read_model(name, "--model") for name in given.values())):
        default = "local"
    found = {role: name or default for role, name in names.items()}
    for role, name in found.items():
        if name is None:
            others = [f"the {other}'s model is {given[other]!r}" for other in given if given[other]]
            instead = " and ".join(others) or "an endpoint is configured, but no model"
            raise OptoGymError(
                f"{asked[role]}, and no model is named for this role ({role}); {instead}. Name one by --{role}-model, "
                "or one for all roles by --model or OPTO_GYM_MODEL; 'local' is the embedded one"
            )
    return {role: name for role, name in found.items() if name is not None}
