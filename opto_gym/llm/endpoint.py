"""The transport: one HTTP request to an OpenAI-compatible endpoint. What it returns or raises holds no keys."""

from __future__ import annotations

import email.utils
import importlib
import json
import re
import ssl
import time
import weakref
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from ..errors import EndpointError
from ..utils.redaction import keep_secret, redact, redact_body
from ..utils.text import visible
from . import local
from .calls import FailedAttempt
from .error_body import ErrorBody, read_error_body
from .proxies import certificates, proxy_for
from .refusals import ErrorIn200, refused_prompt
from .settings import OPENAI_URL, Address, from_environment, read_address, read_key
from .transport import ResponseRefused, Transport, allowed

_NEVER_SENT = (  # connection errors before a request is sent
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
)
_SECRETS = re.compile(r"\bsk-[\w*-]{6,}|(?<=Bearer )[^\s'\"]+|(?<=://)[^/@\s]+(?=@)|(?<=key=)[^&\s'\"]+")
_CONNECT_TIMEOUT = 30.0  # seconds; nothing is computed yet, so a longer wait gains nothing
REFUSALS = (400, 404, 413, 422)
"""HTTP statuses by which an endpoint refuses a request for what it holds; another request may be accepted."""


class AttemptFailed(Exception):
    """A request that got no answer.

    Attributes:
        error: The status and the server's message, or the kind of connection error. Without keys.
        status: The HTTP status; None where no response arrived.
        final: Whether another attempt would fail too.
        may_be_billed: Whether the request was sent, so that an answer that did not arrive may be billed.
        retry_after: Seconds to wait before the next attempt, if the endpoint says so; or None.
        said: What the endpoint said; None where no response arrived.
        usage: The tokens (in, out) that the endpoint reported; None if it did not.
        prompt_refused: How the problem begins where the prompt was refused, see `refusals.refused_prompt`; else None.
        timed_out: Whether the time for the attempt was over.
    """

    def __init__(
        self,
        error: str,
        status: int | None,
        *,
        final: bool = False,
        may_be_billed: bool = False,
        retry_after: float | None = None,
        said: ErrorBody | None = None,
        usage: tuple[int, int] | None = None,
        timed_out: bool = False,
    ) -> None:
        super().__init__(error)
        self.error, self.status, self.final, self.timed_out = error, status, final, timed_out
        self.may_be_billed, self.retry_after = may_be_billed or usage is not None, retry_after
        self.said, self.usage = said, usage
        self.prompt_refused = refused_prompt(said, status) if said else None

    def as_record(self, seconds: float) -> FailedAttempt:
        """The attempt as it is recorded.

        Args:
            seconds: How long it took.
        """
        return FailedAttempt(self.status, self.error, seconds, self.may_be_billed, self.usage)


class _HTTP(NamedTuple):
    """What sends the requests.

    Attributes:
        http: The HTTP library's client.
        url: Where chats are completed.
        too_late: The library's error for a time that is over.
    """

    http: Any
    url: Any
    too_late: type[Exception]


class Endpoint:
    """An OpenAI-compatible endpoint. The first `post` opens the connection, or starts the embedded model's server.

    Args:
        model: The model's name; ``"local"`` is the embedded model, whatever the URL.
        base_url: The URL; None is OpenAI's own.
        api_key: The key; None takes ``OPENAI_API_KEY``.
        timeout: Seconds that a request may take.

    Attributes:
        name: The URL without credentials, or ``"local"``.
    """

    def __init__(self, model: str, base_url: str | None, api_key: str | None, timeout: float) -> None:
        self._is_local, self._timeout = model == "local", timeout
        self._api_key: str | None = None
        self._address: Address | None = None
        self._proxy: str | None = None
        if not self._is_local:
            self._api_key = read_key(api_key, "api_key")
            if self._api_key is None:
                self._api_key = read_key(from_environment("OPENAI_API_KEY"), "OPENAI_API_KEY")
            given = read_address(base_url, "base_url")
            self._address = given or read_address(from_environment("OPENAI_BASE_URL"), "OPENAI_BASE_URL")
            self._proxy = proxy_for(self._address.url if self._address else OPENAI_URL)
        self._keep_secrets()
        self.name = "local" if self._is_local else self._address.public if self._address else OPENAI_URL
        self._http: _HTTP | None = None

    def prepare(self) -> None:
        """Loads what the first request needs, and connects to nothing.

        Raises:
            EndpointError: If there is no key where one is needed.
        """
        self._client()

    def _keep_secrets(self) -> None:
        """Registers what must be neither recorded nor shown."""
        keep_secret(self._api_key)
        if self._address is not None:
            keep_secret(*self._address.secrets)
        if self._proxy is not None:
            parts = urlsplit(self._proxy)
            login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
            keep_secret(unquote(parts.password or ""), *([login] if parts.password else []))

    def post(self, request: dict[str, Any], seconds: float | None = None) -> bytes:
        """Sends a request and returns the body of the response with status 200.

        Args:
            request: A body of OpenAI's chat completions, with ``model`` and ``messages``.
            seconds: The most that it may take as a whole, if that is less than the endpoint's time-out.

        Raises:
            AttemptFailed: If there is no such response.
            EndpointError: If there is no key where one is needed.
        """
        if self._is_local and request.get("n", 1) > 1:
            return self._one_by_one(request, seconds)
        client = self._client()  # the first time it takes a second, which is no delay of the endpoint
        content = json.dumps(request, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        try:
            with allowed(self._timeout if seconds is None else min(self._timeout, seconds)):
                response = client.http.post(client.url, content=content)
        except ResponseRefused as e:
            raise self._refused_response(e) from None
        except Exception as e:  # a proxy may end it by an error of any kind
            kind = type(e).__name__
            sent = kind not in _NEVER_SENT
            error = self.scrub(f"{kind}: {e}")[:500]
            late = sent and isinstance(e, client.too_late)
            raise AttemptFailed(error, None, may_be_billed=sent, timed_out=late) from None
        if response.is_success:
            return redact_body(response.content)
        raise self.failure(
            read_error_body(response.content), response.status_code, retry_after=_retry_after(response.headers)
        )

    def _one_by_one(self, request: dict[str, Any], seconds: float | None) -> bytes:
        """Several completions of the embedded model, by one request each; the prompt's tokens count once."""
        whole: dict[str, Any] = {}
        for i in range(request["n"]):
            one = {k: v for k, v in request.items() if k != "n"}
            if "seed" in one:
                one["seed"] += i  # equal seeds would give equal completions
            data = json.loads(self.post(one, seconds))
            if not whole:
                whole = data
            else:
                whole["choices"] += [{**choice, "index": i} for choice in data["choices"]]
                for field in ("completion_tokens", "total_tokens"):
                    whole["usage"][field] += data["usage"]["completion_tokens"]
        return json.dumps(whole).encode()

    def _refused_response(self, e: ResponseRefused) -> AttemptFailed:
        """The failure for a response that was not read to its end; one that redirects was not computed either."""
        billed = e.status is None
        error = self.scrub(str(e))
        return AttemptFailed(error, e.status, final=e.final, may_be_billed=billed, timed_out=e.timed_out)

    def failure(self, said: ErrorBody, status: int, **settings: Any) -> AttemptFailed:
        """The failure for an error that the endpoint tells.

        Args:
            said: What it says.
            status: The HTTP status, or the one that the error stands for.
            settings: Further arguments of `AttemptFailed`.
        """
        kind = f" ({said.kind[:60]})" if said.kind and said.kind != said.text else ""
        error = self.scrub(f"{status}: {said.shown(self.scrub)}{kind}")
        out_of_credit = status == 429 and "insufficient_quota" in said.codes
        final = (status < 500 and status not in (408, 409, 429)) or out_of_credit
        return AttemptFailed(error, status, final=final, said=said, **settings)

    def failure_in_200(self, error: ErrorIn200, usage: tuple[int, int] | None) -> AttemptFailed:
        """The failure for an error in a response with status 200.

        Args:
            error: The error.
            usage: The tokens (in, out) that the response reports.
        """
        return self.failure(error.said, error.status, may_be_billed=error.may_be_billed, usage=usage)

    def _client(self) -> _HTTP:
        if self._http is None:
            import openai

            server = local.server() if self._is_local else None
            address = Address(server.base_url, None, {}) if server else self._address
            key = server.api_key if server else self._api_key or ("none" if address else None)
            if key is None:
                raise EndpointError("no key for OpenAI's endpoint: set OPENAI_API_KEY, or name another by --base-url")
            address = address or Address(OPENAI_URL, None, {})
            library = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
            # The library reads no proxy from the environment: `proxy_for` has, and checked it. It gets a login apart,
            # since it would log one in the URL.
            where = {"uds": server.socket} if server and server.socket else {"proxy": self._proxy}
            encrypted = any((url or "").startswith("https") for url in (address.url, self._proxy))
            # reading the certificates takes 50 ms; without any, a connection by TLS would be refused
            tls = certificates(library.create_ssl_context) if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            transport: Any = Transport(library, address.query, verify=tls, **where)
            # The package's client for HTTP, without its methods for chats: those take twice the time of all the rest,
            # and our client makes the attempts, to book every one.
            http = openai.DefaultHttpxClient(
                trust_env=False,
                transport=transport,
                auth=address.login,
                headers=_headers(key),
                timeout=openai.Timeout(self._timeout, connect=min(self._timeout, _CONNECT_TIMEOUT)),
                max_redirects=3,
            )
            weakref.finalize(self, http.close)  # closes its sockets without a ResourceWarning
            url = library.URL(f"{address.url.rstrip('/')}/chat/completions")
            self._http = _HTTP(http, url, library.TimeoutException)
        return self._http

    def scrub(self, text: str) -> str:
        """A text without keys, and with control characters as escapes: what an endpoint says may be anything."""
        return _SECRETS.sub("***", redact(visible(text)))


def _headers(key: str) -> dict[str, str]:
    """The headers of a request; an empty variable of the environment counts as not set."""
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "User-Agent": "opto-gym",
    }
    for header, variable in (("OpenAI-Organization", "OPENAI_ORG_ID"), ("OpenAI-Project", "OPENAI_PROJECT_ID")):
        if value := read_key(from_environment(variable), variable):
            headers[header] = value
    return headers


def _retry_after(headers: Any) -> float | None:
    """The seconds of a Retry-After header, which holds seconds or a date (RFC 9110, section 10.2.3), or None.

    OpenAI's endpoint sends ``retry-after-ms`` too, in milliseconds. What can't be read, or is not a number, is None.
    """
    milliseconds, header = headers.get("retry-after-ms"), headers.get("retry-after") or ""
    try:
        seconds = float(milliseconds) / 1000 if milliseconds else float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, OverflowError, TypeError):  # the last are of dates and zones beyond the calendar
            return None
    return max(0.0, seconds) if seconds == seconds else None
