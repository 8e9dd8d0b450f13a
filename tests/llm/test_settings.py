"""What a user gives to reach a model: keys, addresses, names and proxies, as they are copied from files and pages."""

from __future__ import annotations

import pytest

from opto_gym.errors import EndpointError, SettingsError
from opto_gym.llm import Client
from opto_gym.llm.proxies import proxy_for
from opto_gym.llm.settings import public_address, read_address, read_key, read_model
from tests.support.openai_server import OpenAIServer

ASK = [{"role": "user", "content": "Name a colour."}]
KEY = "sk-proj-abcdef1234567890"


@pytest.mark.parametrize("given", [KEY, f"{KEY}\n", f"  {KEY}\r\n", f"\ufeff{KEY}", f"{KEY}\u200b", f"\u00a0{KEY}\t"])
def test_white_space_around_a_key_is_removed(given: str):
    assert read_key(given, "OPENAI_API_KEY") == KEY


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (f"\u201c{KEY}\u201d", "left-double-quotation-mark"),
        (f'"{KEY}"', "quotation-mark"),
        (f"'{KEY}'", "apostrophe"),
        (f"{KEY[:9]}\n{KEY[9:]}", "a line end as character 10 of 25"),
        (f"{KEY[:9]}\u2026", "horizontal-ellipsis"),
        (f"{KEY[:9]}\u2013{KEY[9:]}", "en-dash"),
        (f"{KEY[:9]} {KEY[9:]}", "space"),
        (f"{KEY[:9]}\x00", "an-invisible-character"),
        (f"Bearer {KEY}", "Bearer"),
    ],
)
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(given: str, said: str):
    with pytest.raises(SettingsError, match=said) as error:
        read_key(given, "OPENAI_API_KEY")
    assert "OPENAI_API_KEY" in str(error.value)
    assert "abcdef" not in str(error.value)


def test_names_of_models():
    assert read_model(" gpt-4o-mini\n", "--model") == "gpt-4o-mini"
    assert read_model("Qwen 2.5 千问:latest", "--model") == "Qwen 2.5 千问:latest"
    assert read_model(" \n", "--model") is None
    for wrong in ('"gpt-4o"', "\u201cgpt-4o\u201d", "gpt\n4o", "gpt\u200b4o", "gpt-4o\u2019"):
        with pytest.raises(SettingsError, match="model's name"):
            read_model(wrong, "--model")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://h/v1", "http://h/v1"),
        (" HTTPS://Example.com:8080/v1/ \n", "https://example.com:8080/v1"),
        ("http://[::1]:1234/v1", "http://[::1]:1234/v1"),
        ("http://h/v1/chat/completions", "http://h/v1"),
        ("http://h/v1/chat/completions/", "http://h/v1"),
        ("http://user:p%40ss@h/v1", "http://h/v1"),
        ("https://h/openai/v1?api-version=preview", "https://h/openai/v1?api-version=preview"),
        ("https://h/d/gpt/chat/completions?api-version=2024-10-21", "https://h/d/gpt?api-version=2024-10-21"),
        ("https://h/v1?token=abc123", "https://h/v1"),
    ],
)
def test_addresses(given: str, url: str):
    assert public_address(given) == url


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("localhost:1234/v1", "such as http://localhost:1234/v1"),
        ("192.168.0.7:8000/v1", "such as http://192.168.0.7:8000/v1"),
        ("api.example.com/v1", "such as https://api.example.com/v1"),
        ("https//api.example.com/v1", "such as https://api.example.com/v1"),
        ("https:/api.example.com/v1", "such as https://api.example.com/v1"),
        ("ftp://h/v1", "such as https://h/v1"),
        ("http:///v1", "no host"),
        ("http://https://h/v1", "two schemes"),
        ("http://h:80a/v1", "could not be cast|[Pp]ort"),
        ("http://h:99999/v1", "[Pp]ort"),
        ("http://[::1/v1", "IPv6"),
        ("http://h/v1#frag", "after #"),
        ("\u201chttp://h/v1\u201d", "quotation"),
        ("http://h/v 1", "space"),
        ("user:secret@h/v1?key=abcdef", "does not begin"),
    ],
)
def test_an_address_that_is_none_is_refused_at_once(given: str, said: str):
    with pytest.raises(SettingsError, match=said) as error:
        Client("m", base_url=given)
    assert "base URL" in str(error.value)
    assert "secret" not in str(error.value)
    assert "abcdef" not in str(error.value)


def test_empty_is_unset(monkeypatch: pytest.MonkeyPatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPTO_GYM_MODEL", "OPENAI_ORG_ID"):
        monkeypatch.setenv(name, " \n")
    assert read_address("", "base_url") is None
    assert Client().model == "local"
    assert Client("m", base_url="", api_key="").endpoint == "https://api.openai.com/v1"
    with pytest.raises(EndpointError, match="OPENAI_API_KEY"):
        Client("m").chat(ASK)


def test_the_query_of_a_url_goes_with_every_request(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url + "?api-version=preview&token=abc123def456&empty=")
    llm = Client("m")
    server.script = [(401, {"message": "no abc123def456 here"})]
    with pytest.raises(EndpointError) as error:
        llm.chat(ASK)
    assert llm.chat(ASK).text == "ok"
    assert [r["path"] for r in server.requests] == [
        "/v1/chat/completions?api-version=preview&token=abc123def456&empty="
    ] * 2
    shown = f"{llm!r} {error.value} {llm.describe()}"
    assert "abc123def456" not in shown
    assert "api-version=preview" in shown


def test_an_empty_organization_is_not_sent(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj_1\n")
    Client("m", base_url=server.url).chat(ASK)
    headers = server.requests[0]["headers"]
    assert "openai-organization" not in headers
    assert headers["openai-project"] == "proj_1"


# ---- proxies

HOST = "https://api.example.com/v1"


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for kind in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{kind}_proxy", raising=False)
        monkeypatch.delenv(f"{kind.upper()}_PROXY", raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("given", "proxy"),
    [
        ("http://proxy:8080", "http://proxy:8080"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("proxy.corp", "http://proxy.corp"),
        ("http://me:p@ss:w/rd@proxy:1", "http://me:p%40ss%3Aw%2Frd@proxy:1"),
        ("http://me:p%40ss@proxy:1", "http://me:p%40ss@proxy:1"),
        ("http://[::1]:3128/", "http://[::1]:3128"),
        ("", None),
    ],
)
@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
def test_proxies_that_work(no_proxies: pytest.MonkeyPatch, given: str, proxy: str | None, variable: str):
    no_proxies.setenv(variable, given)
    assert proxy_for(HOST) == proxy
    assert (
        proxy_for("http://127.0.0.1:1/v1") is proxy_for("http://localhost/v1") is proxy_for("http://[::1]/v1") is None
    )
    no_proxies.setenv("NO_PROXY", "[::1],10.0.0.0/8,.example.com")
    assert proxy_for(HOST) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("socks5://127.0.0.1:1080", "pip install socksio"),
        ("socks5h://127.0.0.1:1080", "pip install socksio"),
        ("socks://127.0.0.1:1080", "socks5://"),
        ("socks4://127.0.0.1:1080", "socks5://"),
        ("ftp://127.0.0.1:1", "http://"),
        ("proxy.corp:port", "[Pp]ort"),
        ("http://", "a host"),
        ("http://me:hunter2@proxy:port", "[Pp]ort"),
    ],
)
def test_proxies_that_can_not_work_are_named_with_their_variable(no_proxies: pytest.MonkeyPatch, given: str, said: str):
    no_proxies.setenv("ALL_PROXY", given)
    no_proxies.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=said) as error:
        Client("m", base_url=HOST)
    assert "ALL_PROXY" in str(error.value)
    assert "NO_PROXY=api.example.com" in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_proxy_gets_the_requests(no_proxies: pytest.MonkeyPatch, server: OpenAIServer):
    no_proxies.setenv("HTTP_PROXY", server.url.replace("//", "//me:p@ss@").removesuffix("/v1"))
    assert Client("m", base_url="http://opto-gym.invalid/v1", attempts=1).chat(ASK).text == "ok"
    assert server.requests[0]["path"] == "http://opto-gym.invalid/v1/chat/completions"
    assert server.requests[0]["headers"]["proxy-authorization"] == "Basic bWU6cEBzcw=="


def test_certificates_of_the_user(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    with pytest.raises(SettingsError, match="SSL_CERT_FILE"):
        Client("m", base_url="https://127.0.0.1:9/v1", attempts=1).chat(ASK)
