"""The parts that the scripted endpoints are made of: completions and errors in the providers' forms."""

from __future__ import annotations

from typing import Any

from tests.support.openai_server import Page

Body = dict[str, Any]


def text_for(body: Body) -> str:
    """A usable answer to a prompt of an optimizer on `NumericalOptimization-v0`, or to a question."""
    prompt = "\n".join(str(m.get("content")) for m in body["messages"])
    value = round(len(prompt) % 997 / 10, 1)  # another one for each prompt
    if '{"choice": its number}' in prompt:
        return '{"reasoning": "r", "suggestion": {"choice": 1}}'
    if "<new_value>" in prompt:
        return f"I raise it.\n<new_value>\n{value}\n</new_value>"
    if "each part between its tags" in prompt:
        return f"<x0>{value + body.get('seed', 0)}</x0>"
    if '"suggestion"' in prompt:
        return f'{{"reasoning": "r", "answer": "", "suggestion": {{"x0": {value}}}}}'
    return "The sum is what is asked. Answer: 7"


def usage(body: Body, text: str, **details: Any) -> Body:
    """The usage that an endpoint reports, a word being a token."""
    words = sum(len(str(m.get("content")).split()) for m in body["messages"])
    tokens = {"prompt_tokens": words, "completion_tokens": len(text.split())}
    return {**tokens, "total_tokens": sum(tokens.values()), **details}


def completion(
    body: Body, *, n: int | None = None, reported: Body | None = None, message: Body | None = None, **choice: Any
) -> Page:
    """A chat completion with `text_for` the prompt.

    Args:
        body: The request.
        n: The number of choices; None is what is asked for.
        reported: What the usage says besides; its fields of None are left out.
        message: Fields of the message, in place of its content.
        choice: Further fields of each choice.
    """
    text = text_for(body)
    made = {"role": "assistant", "content": text, **(message or {})}
    count = body.get("n", 1) if n is None else n
    choices = [{"index": i, "message": made, "finish_reason": "stop", **choice} for i in range(count)]
    tokens = {k: v for k, v in usage(body, text, **(reported or {})).items() if v is not None}
    return Page(
        200, {"id": "c", "object": "chat.completion", "model": body["model"], "choices": choices, "usage": tokens}
    )


def openai_error(message: str, code: str | None = None, param: str | None = None, *, status: int = 400) -> Page:
    """An error in OpenAI's form."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return Page(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})


def unsupported(name: str, instead: str = "") -> Page:
    """OpenAI's refusal of a field."""
    said = f"Unsupported parameter: '{name}' is not supported with this model.{instead}"
    return openai_error(said, "unsupported_parameter", name)


def has_system(body: Body) -> bool:
    """Whether a request has a system message."""
    return any(m["role"] == "system" for m in body["messages"])


def keywords_of(schema: Any) -> set[str]:
    """All names in a JSON schema."""
    if isinstance(schema, dict):
        return set(schema).union(*map(keywords_of, schema.values()))
    return set().union(*map(keywords_of, schema)) if isinstance(schema, list) else set()


def schema_of(body: Body) -> Body:
    """The form of the JSON schema in a request; empty if there is none."""
    return (body.get("response_format") or {}).get("json_schema") or {}
