"""Which proxy the requests to an endpoint take, by the environment variables that tools agree on.

The variables are HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case. The HTTP library reads them too, but
one that it can't use ends there in an ImportError or ValueError without the variable's name.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import ssl
import urllib.request
from collections.abc import Callable
from urllib.parse import quote, unquote, urlsplit

from ..errors import SettingsError
from .settings import from_environment

_SCHEMES = ("http", "https", "socks5", "socks5h")


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine, to which requests never take a proxy."""
    return host in ("localhost", "::1") or (host or "").startswith("127.")


def proxy_for(url: str) -> str | None:
    """The proxy for an endpoint, as the HTTP library takes it; None if there is none.

    Args:
        url: The endpoint's URL.

    Raises:
        SettingsError: If a proxy is configured that can't be used; the message names the variable.
    """
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    kind = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(kind, "").strip()
    if not proxy or is_loopback(parts.hostname) or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return _checked(proxy, _variable(kind), str(parts.hostname))


def _checked(proxy: str, variable: str, host: str) -> str:
    """A proxy's URL with its scheme, and with a login that is quoted.

    Raises:
        SettingsError: If it can't be used.
    """
    scheme, separator, rest = proxy.rpartition("://")
    login, at, place = rest.rpartition("@")  # a password may hold what ends the login elsewhere in a URL
    parts = urlsplit(f"{scheme if separator else 'http'}://{place}")
    shown = f"{parts.scheme}://{parts.netloc}"
    otherwise = f"change {variable}, or set NO_PROXY={host} to reach the endpoint without a proxy"
    try:
        port = parts.port
    except ValueError as e:
        raise SettingsError(f"the proxy {shown} ({variable}) can't be used: {e}; {otherwise}") from None
    if parts.scheme not in _SCHEMES or not parts.hostname:
        expected = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        raise SettingsError(
            f"the proxy {shown} ({variable}) can't be used: expected a host after one of {expected}; {otherwise}"
        )
    if parts.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise SettingsError(
            f"the proxy {shown} ({variable}) needs a package for SOCKS: pip install socksio; or {otherwise}"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    user, colon, password = login.partition(":")
    quoted = f"{quote(unquote(user), safe='')}{colon}{quote(unquote(password), safe='')}{at}"
    return f"{parts.scheme}://{quoted}{host}{f':{port}' if port else ''}"


def _variable(kind: str) -> str:
    """The name of the variable that holds a proxy, as it is set."""
    names = (f"{kind}_proxy", f"{kind.upper()}_PROXY")
    return next((name for name in names if os.environ.get(name)), names[1])


def certificates(usual: Callable[..., ssl.SSLContext]) -> ssl.SSLContext:
    """The context for TLS, with the user's own certificates where there are any; all clients share it.

    Args:
        usual: The HTTP library's function that makes its own context.

    Raises:
        SettingsError: If SSL_CERT_FILE or SSL_CERT_DIR can't be read.
    """
    return _context(from_environment("SSL_CERT_FILE"), from_environment("SSL_CERT_DIR"), usual)


@functools.cache  # reading the certificates takes 50 ms, and a client is made for each trial
def _context(file: str | None, folder: str | None, usual: Callable[..., ssl.SSLContext]) -> ssl.SSLContext:
    if file is None and folder is None:
        return usual(trust_env=False)
    try:
        return ssl.create_default_context(cafile=file, capath=folder)
    except (OSError, ssl.SSLError) as e:
        raise SettingsError(
            f"the certificates in SSL_CERT_FILE={file}, SSL_CERT_DIR={folder} can't be read: {e}"
        ) from e
