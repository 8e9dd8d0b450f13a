"""Python functions in place of endpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opto_gym.errors import EndpointError, OptoGymError
from opto_gym.llm import Budget, CallRecord, Client
from opto_gym.llm.callables import find_function

ASK = [{"role": "user", "content": "Name a colour."}]


def blue(messages: list[dict[str, str]], temperature: float | None = None) -> str:
    return f"blue {messages[-1]['content']} {temperature}"


class Sampler:
    """A model that is an object, and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, messages: Any, **fields: Any) -> str:
        self.calls += 1
        return f"{self.calls} {sorted(fields)}"


def test_a_function_and_its_name():
    for model in (blue, f"{__name__}:blue"):
        llm = Client(model, base_url="http://127.0.0.1:9/v1")
        answer = llm.chat(ASK, temperature=0.5)
        assert (answer.text, answer.counted) == ("blue Name a colour. 0.5", "estimate")
        assert (llm.model, llm.endpoint, llm.is_remote) == (f"{__name__}:blue", "python", False)


def test_what_a_function_gets():
    assert Client(Sampler()).chat(ASK, seed=3, max_tokens=7).text == "1 ['max_tokens', 'seed']"
    assert Client(lambda messages: messages[0]["role"]).chat(ASK, seed=3).text == "user"
    seen = []
    Client(lambda messages: seen.append(messages.clear()) or "x").chat(ASK)  # its own copy
    assert ASK == [{"role": "user", "content": "Name a colour."}]


@pytest.mark.parametrize(
    ("returned", "texts", "problem"),
    [
        ("x", ("x", "x"), None),
        (["a", "b"], ("a", "b"), None),
        ({"choices": [{"message": {"content": "whole"}}]}, ("whole", "whole"), None),
        (None, (), "no text"),
        ("", ("", ""), None),
    ],
)
def test_what_a_function_may_return(returned: Any, texts: tuple[str, ...], problem: str | None):
    answer = Client(lambda messages: returned).chat(ASK, n=2)
    assert answer.texts == texts
    assert (problem or "") in (answer.problem or "")


def test_usage_is_taken_from_a_body():
    body = {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 100, "completion_tokens": 10}}
    llm = Client(lambda messages: body, price=(1.0, 10.0), budget=Budget({"usd": 1.0}))
    assert llm.chat(ASK).usd == pytest.approx(2e-4)


def test_what_a_function_raises():
    tries = []

    def flaky(messages: Any) -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("gone")
        return "back"

    assert Client(flaky).chat(ASK).text == "back"
    with pytest.raises(EndpointError, match="ZeroDivisionError"):
        Client(lambda messages: str(1 / 0)).chat(ASK)
    with pytest.raises(EndpointError, match="expected the function to return a text, got int"):
        Client(lambda messages: 7).chat(ASK)


def test_calls_are_recorded(tmp_path: Path):
    model = Sampler()
    first = Client(model, record=CallRecord(tmp_path / "llm.jsonl", trial="t"))
    texts = [first.chat(ASK).text for _ in range(2)]
    second = Client(model, record=CallRecord(tmp_path / "llm.jsonl", trial="t", mode="replay"))
    assert [second.chat(ASK).text for _ in range(2)] == texts
    assert model.calls == 2


@pytest.mark.parametrize("name", ["llama3:8b", "mistral:latest", "json:latest", "ft:gpt-4o:me::x", "gpt-4o", "a.b:c"])
def test_names_of_models_that_only_look_like_functions(name: str):
    assert find_function(name) is None


@pytest.mark.parametrize(
    ("name", "said"), [(f"{__name__}:red", "has no function red"), ("m:f.<locals>.g#1234abcd", "again")]
)
def test_functions_that_are_not_there(name: str, said: str):
    with pytest.raises(OptoGymError, match=said):
        find_function(name)
