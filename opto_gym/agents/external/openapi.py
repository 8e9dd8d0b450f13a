"""The OpenAPI document of the protocol for programs, made from the structs that check the requests.

The server serves it as ``/openapi.json``; ``scripts/make_openapi.py`` writes it to docs/openapi.json.
"""

from __future__ import annotations

import inspect
from typing import Any, Literal

import msgspec

from ...llm.gateway import ChatRequest
from .messages import Evaluation, EvaluationRequest, InvalidAnswer, Proposal, Task

VERSION = "1"
"""The version of the protocol."""

_REF = "#/components/schemas/{name}"

_ANYWHERE = {401: {"invalid_api_key": "the token is unknown, or its trial has ended"}}
_IN_A_TRIAL = _ANYWHERE | {
    424: {"trial_failed": "the environment, the endpoint or the record failed, and the trial with it"}
}
_WITH_A_BODY = _IN_A_TRIAL | {
    400: {"invalid_request": "the body is not JSON, or not in the expected form; the message says where"},
    408: {"request_timeout": "the body did not arrive in time"},
    413: {"request_too_large": "more than 16 MiB"},
}
_SPENT = {"budget_exhausted": "the budget does not hold the call; nothing was spent. The program should end"}
_EVALUATION = _WITH_A_BODY | {400: _SPENT | _WITH_A_BODY[400]}
_CHAT = _WITH_A_BODY | {
    400: {
        **_SPENT,
        **_WITH_A_BODY[400],
        "not_served": "streaming is not supported, or the trial has no model",
        "context_length_exceeded": "the prompt is longer than the model's context",
        "endpoint_refused": "the model's endpoint refused the request",
    },
    404: {"model_not_found": "another model than the trial's"},
    424: {**_WITH_A_BODY[424], "endpoint_failed": "the model's endpoint gave no answer in all attempts"},
    502: {"endpoint_failed": "the answer was paid, but has no completion"},
}


class Error(msgspec.Struct):
    """An error: `code` is for programs, `message` for people."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: None
    code: str


class Refusal(msgspec.Struct):
    """OpenAI's error object."""

    error: Error


class Completion(msgspec.Struct):
    """The endpoint's answer, byte for byte; OpenAI documents its fields."""

    choices: list[dict[str, Any]]


class Model(msgspec.Struct):
    """The model that a trial may ask."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(msgspec.Struct):
    """The trial's one model, if it has one."""

    object: Literal["list"]
    data: list[Model]


def openapi() -> dict[str, Any]:
    """The document as plain data: the requests, answers and errors of the gateway and of the evaluation server."""
    structs = (ChatRequest, EvaluationRequest, Proposal, InvalidAnswer, Task, Evaluation, Completion, Models, Refusal)
    _, schemas = msgspec.json.schema_components(structs, ref_template=_REF)
    for schema in schemas.values():
        schema["description"] = inspect.cleandoc(schema["description"])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "opto_gym",
            "version": VERSION,
            "description": "The model and the trace oracle of one trial, for an optimizer in any language.",
        },
        "paths": {
            "/v1/chat/completions": {"post": _operation("Ask the trial's model", _CHAT, ChatRequest, Completion)},
            "/v1/models": {"get": _operation("The trial's model", _ANYWHERE, None, Models)},
            "/v1/task": {"get": _operation("The problem to optimize", _IN_A_TRIAL, None, Task)},
            "/v1/evaluations": {
                "post": _operation("One oracle call, paid from the budget", _EVALUATION, EvaluationRequest, Evaluation)
            },
            "/v1/recommendation": {
                "post": _operation("Recommend parameters; the last recommendation counts", _WITH_A_BODY, Proposal)
            },
            "/v1/invalid-answers": {
                "post": _operation("Report an answer of the model that could not be used", _WITH_A_BODY, InvalidAnswer)
            },
            "/openapi.json": {"get": _operation("This document", _ANYWHERE, None, dict)},
        },
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
    }


def _operation(
    summary: str, errors: dict[int, dict[str, str]], request: type | None, answer: type | None = None
) -> dict[str, Any]:
    """An operation of the document: its request, its answer, and its errors by status and code."""
    answers = {"204": {"description": "Stored"}}
    if answer:
        answers = {"200": {"description": "The answer", **_json(_schema(answer))}}
    for status, codes in sorted(errors.items()):
        allowed = {"properties": {"error": {"properties": {"code": {"enum": list(codes)}}}}}
        description = "\n".join(f"* `{code}`: {meaning}" for code, meaning in codes.items())
        answers[str(status)] = {"description": description, **_json({"allOf": [_schema(Refusal), allowed]})}
    body = {"requestBody": {"required": True, **_json(_schema(request))}} if request else {}
    return {"summary": summary, **body, "responses": answers}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _schema(of: type) -> dict[str, Any]:
    return {"type": "object"} if of is dict else {"$ref": _REF.format(name=of.__name__)}
