"""What an endpoint refuses of a request besides the prompt is left out, in any provider's words."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from opto_gym.errors import EndpointError
from opto_gym.llm import Budget, CallRecord, Client, adapting
from opto_gym.llm.adapting import KEYWORD, LIMIT, STRICT, SYSTEM, Adaptations, refused_changes
from opto_gym.llm.error_body import read_error_body
from tests.support.openai_server import OpenAIServer, Page

ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name a colour."}]

SCHEMA = {
    "type": "object",
    "properties": {
        "reasoning": {"type": "string", "maxLength": 300},
        "suggestion": {"type": "object", "properties": {"seed": {"type": "number"}}, "additionalProperties": False},
    },
    "additionalProperties": False,
}

REQUEST = {
    "model": "m",
    "messages": ASK,
    "max_tokens": 7,
    "temperature": 0.0,
    "top_p": 0.9,
    "n": 3,
    "seed": 1,
    "stop": ["x"],
    "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}},
}


def openai(message: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


REFUSALS: list[tuple[Any, list[str]]] = [
    # OpenAI and Azure: QwenLM/qwen-code/issues/921, npiv/chatblade/issues/100, BerriAI/litellm/issues/8199
    (
        openai(
            "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) is supported.",
            "unsupported_value",
            "temperature",
        ),
        ["temperature"],
    ),
    (
        openai(
            "Unsupported parameter: 'max_tokens' is not supported here. Use 'max_completion_tokens' instead.",
            "unsupported_parameter",
            "max_tokens",
        ),
        [LIMIT],
    ),
    (openai("Unsupported parameter: 'stop' is not supported with this model.", "unsupported_parameter"), ["stop"]),
    (openai("Unrecognized request argument supplied: seed"), ["seed"]),
    (openai("Unknown parameter: 'n'.", "unknown_parameter", "n"), ["n"]),
    (
        openai("Unsupported value: 'messages[0].role' does not support 'system'.", None, "messages[0].role"),
        [SYSTEM],
    ),
    (
        openai("Invalid schema for response_format 'answer': In context=('x',), 'maxLength' is not permitted."),
        [KEYWORD + "maxLength"],
    ),
    # dottxt-ai/outlines/issues/1666
    (
        openai("Invalid schema for response_format 'a': 'additionalProperties' is required to be supplied."),
        [STRICT],
    ),
    # Gemini: Vali-98/ChatterUI/issues/227, googleapis/js-genai/issues/1609, gemma's templates
    (
        [
            {
                "error": {
                    "code": 400,
                    "message": 'Unknown name "presence_penalty": Cannot find field.\nUnknown name "seed"',
                }
            }
        ],
        ["seed"],
    ),
    (openai("Multiple candidates is not enabled for this model"), ["n"]),
    (openai("Developer instruction is not enabled for models/gemma-3-27b-it"), [SYSTEM]),
    # Mistral: mistralai/platform-docs-public/issues/7, editor-code-assistant/eca/issues/231
    (
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]},
        ["seed"],
    ),
    (
        {
            "message": json.dumps({"detail": [{"loc": ["body", "top_p"], "msg": "Extra inputs are not permitted"}]}),
            "code": "1000",
        },
        ["top_p"],
    ),
    # vLLM: 1Panel-dev/MaxKB/issues/2912, microsoft/autogen/issues/1037, vllm-project/vllm/pull/2964
    (
        {"message": "[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are not permitted'}]"},
        ["seed"],
    ),
    ({"detail": [{"loc": ["body", "n"], "msg": "extra fields not permitted", "type": "value_error.extra"}]}, ["n"]),
    ({"object": "error", "message": "System role not supported", "code": 400}, [SYSTEM]),
    (openai("Conversation roles must alternate user/assistant/user/assistant/..."), [SYSTEM]),
    (openai("Only user and assistant roles are supported!"), [SYSTEM]),
    # Anthropic: The-PR-Agent/pr-agent/issues/2456, router-for-me/CLIProxyAPI/issues/193, ENTERPILOT/GoModel/pull/963
    (openai("`temperature` is deprecated for this model."), ["temperature"]),
    (openai("temperature and top_p cannot both be specified for this model. Please use only one."), ["top_p"]),
    (openai("For 'string' type, property 'maxLength' is not supported in output_config"), [KEYWORD + "maxLength"]),
    (openai("For 'string' type, property 'maxLength' is not supported"), [KEYWORD + "maxLength"]),
    # Groq: stanfordnlp/dspy/issues/1155; llama.cpp
    (openai("'n' : number must be at most 1"), ["n"]),
    (openai("Only one completion choice is allowed"), ["n"]),
    # DeepSeek: bytedance/deer-flow/issues/545; LM Studio: LoadShine/tada/issues/16
    (openai("This response_format type is unavailable now", "invalid_request_error"), ["response_format"]),
    ({"error": "'response_format.type' must be 'json_schema' or 'text'"}, ["response_format"]),
    # LiteLLM: BerriAI/litellm/pull/33738; xAI by LiteLLM: BerriAI/litellm/issues/14056
    (openai("gpt-5-nano doesn't support temperature=0.1. Only temperature=1 is supported."), ["temperature"]),
    (openai("groq does not support parameters: {'n': 8}, for model=x. To drop these, set drop_params"), ["n"]),
    ({"code": "Client specified an invalid argument", "error": "Argument not supported on this model: stop"}, ["stop"]),
    # Moonshot, Rust servers, DashScope
    (openai("invalid temperature: only 1 is allowed for this model"), ["temperature"]),
    (openai("messages[0].role: unknown variant `system`, expected `user` or `assistant`"), [SYSTEM]),
    (openai("Unexpected role 'system' after role 'user'"), [SYSTEM]),
    (openai("参数 'seed' 不支持"), ["seed"]),
    ({"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Input should be 'user' or 'assistant'"}]}, [SYSTEM]),
    # TGI
    ({"error": "Input validation error: `temperature` must be strictly positive"}, ["temperature=0.0"]),
    # about something else
    (openai("temperature: Input should be less than or equal to 1.5"), []),
    (openai("top_p is too large"), []),
    (
        openai("max_tokens is too large: 5000. This model supports at most 4096 completion tokens", None, "max_tokens"),
        [],
    ),
    (openai("Invalid 'seed': integer above maximum value"), []),
    (openai("The model `m` does not exist", "model_not_found"), []),
    (openai("API key expired"), []),
    (openai("messages: at least one message is required"), []),
]


@pytest.mark.parametrize(("body", "changes"), REFUSALS, ids=lambda x: None)
def test_a_refused_field_is_known_by_the_message(body: Any, changes: list[str]):
    said = read_error_body(json.dumps(body))
    assert refused_changes(REQUEST, said) == changes
    known = Adaptations()
    assert known.learn(REQUEST, said, 400) == bool(changes)
    body, made = known.sent(REQUEST)
    assert made == tuple(c for c in changes if c != "n")
    answers = 0
    while known.learn({**body, "n": 1}, said, 400):  # an endpoint that always says the same
        body, answers = known.sent(REQUEST)[0], answers + 1
    assert answers <= 2


def refusing(*names: str):
    """A profile that refuses fields, one at a time."""

    def profile(body: dict[str, Any]) -> Any:
        for name in names:
            if name in body:
                return Page(
                    400, openai(f"Unsupported parameter: '{name}' is not supported with this model.", None, name)
                )
        return "ok"

    return profile


def client(server: OpenAIServer, **settings: Any) -> Client:
    return Client("m", base_url=server.url, **settings)


def test_every_optional_field_is_dropped_at_once_and_remembered(tmp_path: Path):
    names = ["temperature", "top_p", "seed", "stop", "response_format"]
    settings: dict[str, Any] = {"temperature": 0.0, "top_p": 0.5, "seed": 1, "stop": ["x"], "json_schema": SCHEMA}
    with OpenAIServer(profile=refusing(*names)) as server:
        record = CallRecord(tmp_path / "llm.jsonl", trial="t")
        llm = client(server, budget=Budget({"llm_calls": 2, "tokens": 5000}), attempts=1, record=record)
        answer = llm.chat(ASK, **settings)
        assert (answer.text, answer.dropped) == ("ok", tuple(names))
        assert len(server.requests) == 1 + len(names)
        assert client(server).chat(ASK, **settings).dropped == tuple(names)  # of another client of this process
        assert len(server.requests) == 2 + len(names)
        assert set(server.requests[-1]["body"]) == {"model", "messages", "max_tokens"}
        assert llm.budget.spent["llm_calls"] == 1
        assert llm.budget.spent["tokens"] == answer.tokens_in + answer.tokens_out
        assert llm.ledger.totals()["errors"] == len(names)
    (line,) = map(json.loads, (tmp_path / "llm.jsonl").read_text().splitlines())
    assert line["request"]["temperature"] == 0.0  # what was asked
    assert line["dropped"] == names
    again = Client("m", base_url=server.url, record=CallRecord(tmp_path / "llm.jsonl", trial="t", mode="replay"))
    assert again.chat(ASK, **settings).dropped == tuple(names)
    assert again.ledger.totals()["errors"] == len(names)


def test_a_resumed_trial_goes_on_as_it_began(tmp_path: Path):
    path = tmp_path / "llm.jsonl"
    with OpenAIServer(profile=refusing("temperature")) as server:
        client(server, record=CallRecord(path, trial="t")).chat(ASK, temperature=0.0)
        adapting.forget()
        client(server, record=CallRecord(path, trial="t")).chat([ASK[1]], temperature=0.0)
        assert "temperature" not in server.requests[-1]["body"]
        assert len(server.requests) == 3


def test_what_is_asked_is_the_key_whoever_learnt_first(tmp_path: Path):
    lines = []
    for before in (False, True):
        adapting.forget()
        path = tmp_path / f"{before}.jsonl"
        with OpenAIServer(profile=refusing("temperature")) as server:
            if before:
                client(server).chat(ASK, temperature=0.5)
            Client("m", base_url=server.url, record=CallRecord(path, trial="t")).chat(ASK, temperature=0.0)
            lines.append(json.loads(path.read_text().replace(server.url, "")))
    assert [line["dropped"] for line in lines] == [["temperature"]] * 2
    assert lines[0]["request"] == lines[1]["request"]


@pytest.mark.parametrize(
    ("said", "changes"),
    [
        ("Only one completion choice is allowed", ["n"]),  # llama.cpp
        ("Jinja Exception: System role not supported", [SYSTEM]),
        ("'seed' is not supported", ["seed"]),
        ("invalid state: the seed node is unknown", []),
        ("The server had an error", []),
    ],
)
def test_a_refusal_may_come_as_an_error_of_the_server(said: str, changes: list[str]):
    body = {"error": {"code": 500, "message": said, "type": "server_error"}}
    assert refused_changes(REQUEST, read_error_body(json.dumps(body)), 500) == changes


def test_threads_learn_together():
    with OpenAIServer(profile=refusing("temperature", "seed")) as server:
        llm, answers = client(server), []
        threads = [
            threading.Thread(target=lambda: answers.append(llm.chat(ASK, temperature=0.0, seed=3))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [a.text for a in answers] == ["ok"] * 8
        assert {a.dropped for a in answers} == {("temperature", "seed")} | {("seed", "temperature")} & {
            a.dropped for a in answers
        }


def test_an_endpoint_that_refuses_without_an_end_is_not_asked_without_an_end():
    def profile(body: dict[str, Any]) -> Any:
        return Page(400, openai("Unsupported parameter: 'temperature' is not supported with this model."))

    with OpenAIServer(profile=profile) as server:
        with pytest.raises(EndpointError, match="'temperature' is not supported"):
            client(server).chat(ASK, temperature=0.0)
        assert len(server.requests) == 2


def test_the_system_message_is_folded_into_the_first_user_message():
    def profile(body: dict[str, Any]) -> Any:
        roles = [m["role"] for m in body["messages"]]
        return Page(400, openai("System role not supported")) if "system" in roles else "ok"

    with OpenAIServer(profile=profile) as server:
        llm = client(server)
        assert llm.chat(ASK).dropped == (SYSTEM,)
        assert server.requests[-1]["body"]["messages"] == [{"role": "user", "content": "Be brief.\n\nName a colour."}]
        llm.chat([ASK[0]])
        assert server.requests[-1]["body"]["messages"] == [{"role": "user", "content": "Be brief."}]
        part = {"type": "text", "text": "Hi."}
        llm.complete({"messages": [ASK[0], {"role": "user", "content": [part]}]})
        folded = [{"role": "user", "content": [{"type": "text", "text": "Be brief."}, part]}]
        assert server.requests[-1]["body"]["messages"] == folded


def test_a_schema_loses_its_keyword_then_its_strictness_then_itself():
    def profile(body: dict[str, Any]) -> Any:
        form = body.get("response_format")
        if form is None:
            return "ok"
        if "maxLength" in json.dumps(form):
            return Page(400, openai("Invalid schema for response_format: 'maxLength' is not permitted."))
        if form["json_schema"].get("strict"):
            return Page(400, openai("Invalid schema for response_format: 'required' is required to be supplied."))
        return Page(400, openai("response_format is not supported"))

    with OpenAIServer(profile=profile) as server:
        answer = client(server).chat(ASK, json_schema=SCHEMA)
        assert answer.dropped == (KEYWORD + "maxLength", STRICT, "response_format")
        assert SCHEMA["properties"]["reasoning"]["maxLength"] == 300  # the caller's schema is untouched
        client(server).chat(ASK, json_schema=SCHEMA)
        assert "response_format" not in server.requests[-1]["body"]


def test_changes_in_words():
    changes = ["temperature", KEYWORD + "maxLength", SYSTEM, LIMIT, "n", "seed"]
    assert adapting.describe_changes(changes) == (
        "without temperature, seed; without maxLength in the schema; with the system message in the user's; with "
        "max_completion_tokens in place of max_tokens; by one request for each of n answers"
    )
