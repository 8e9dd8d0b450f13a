"""What an endpoint refuses for the prompt's sake, and the errors that it sends in a response with status 200.

A refused prompt says something about the prompt, not about the endpoint: it is that question's wrong answer, or that
step's unusable one. The patterns are those of the providers' public messages; tests/llm/refused_prompts.py has the
messages with their sources.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from .error_body import ErrorBody, read_error_body, read_error_data

TOO_LONG = "the prompt is longer than the model's context"
"""How the problem of an answer to a prompt that is too long begins."""

REFUSED = "the endpoint refused the prompt"
"""How the problem of an answer to a prompt that a filter refused begins."""

_PROMPT_STATUSES = (400, 403, 413, 422, 429, 451, 500)
"""Statuses of refused prompts; llama.cpp and LM Studio send 500 for a long one, Groq 413, some gateways 429."""

_TOO_LONG = re.compile(
    r"""exceed_context_size | context_(?:length|window)_exceeded | ContextWindowExceeded | string_above_max_length
      | max(?:imum)?\ (?:model\ )?(?:context|input|prompt|sequence|model)\ (?:length|window|size|tokens)
      | max(?:imum)?\ (?:allowed\ )?(?:number\ of\ )?input\ tokens | maximum\ allowed\ (?:input\ )?length
      | (?:exceed(?:s|ed|ing)?|longer\ than|over|beyond|outside|larger\ than|greater\ than|out\ of|too\ large\ for)
        \ (?:the\ |its\ |this\ )?(?:model(?:'s|s)?\ |available\ |maximum\ |max\ |allowed\ |configured\ |loaded\ )*
        (?:context|input\ limit|input\ token)
      | context\ (?:length|window|size|limit)\ (?:is\ |was\ |has\ been\ )?(?:exceeded|overflow|of\ only)
      | context\ (?:the\ )?overflows | n_keep\b.*n_ctx | exceeds\ n_ctx
      | (?:prompt|input|message|request|text|query|conversation)s?\ (?:is|are|was|too)\ (?:too\ )?(?:long|large)\b
        (?!.*\btokens\ per\ (?:minute|day)\b.*\bwait\b)
      | reduce\ (?:the\ length|your\ (?:prompt|message|input)|the\ (?:prompt|input|size|number\ of\ (?:input\ )?tokens))
      | too\ many\ (?:input\ |prompt\ )?tokens\b(?!\ per)
      | input\ (?:token\ count|length|tokens?)\b.*\bexceeds? | token\ (?:count|limit)\ exceed
      | requested\ token\ count\ exceeds | requested\ tokens\ .*exceed
      | `?inputs`?\ (?:tokens\ \+\ `?max_new_tokens`?\ must\ be | must\ have\ less\ than)
      | max_tokens\ must\ be\ at\ least\ 1,\ got\ -
      | (?:request\ entity|payload|content|request\ body)\ (?:is\ )?too\ large | RequestEntityTooLarge
    """,
    re.IGNORECASE | re.VERBOSE,
)
_FILTERED = re.compile(
    r"""content[_ -]?filter | content[_ ]policy | content\ management\ policy | ResponsibleAI | content_safety
      | invalid_prompt\b | invalid\ prompt:
      | (?:prompt|input|message|content|request|text)\b.{0,60}\b(?:was|were|is|has\ been|been|got)\ (?:\w+\ )?
        (?:flagged|blocked|filtered|considered\ high\ risk|rejected\ (?:by|as|because)|moderated)
      | requires\ moderation | moderation_(?:blocked|error)|\bmoderation\b.{0,40}\b(?:flagged|blocked|failed|refused)
      | violat\w*\b.{0,50}\b(?:policy|policies|guidelines|terms) | usage\ polic(?:y|ies)
      | prohibited_content | prohibited\ (?:content|use) | blocked\ by\ (?:\w+\ )*(?:safety|content|guardrail|policy)
      | safety\ (?:system|reasons|settings|filter|check|guidelines) | unsafe\ content | harmful\ content
      | data_inspection_failed | inappropriate\ content | content\ exists\ risk | sensitive_(?:words|content)
      | sensitive\ (?:content|words|information) | guardrail\w*\b.{0,40}\b(?:intervened|blocked|triggered|violat)
      | repetitive\ patterns\ in\ your\ prompt | 不安全或敏感 | 敏感(?:内容|词|信息) | 内容安全 | 违规
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ABOUT_THE_ACCOUNT = re.compile(
    r"\b(?:account|organi[sz]ation|api[ _-]?key|subscription|deactivated|terminated|suspended|banned|region|country)\b",
    re.IGNORECASE,
)
_RATE = re.compile(r"rate[_ ]limit|tokens per (?:minute|day)|\bTPM\b|quota", re.IGNORECASE)

_NOT_FOUND = re.compile(
    r"unexpected endpoint or method|\b(?:not[_ ]found|no such (?:model|route)|unknown (?:model|url))", re.I
)
_NO_ACCESS = re.compile(
    r"(?:invalid|incorrect|expired|missing|no)[_ ](?:api[_ ]?key|auth\w*)|authentication_error|unauthori[sz]ed", re.I
)
_BAD_REQUEST = re.compile(r"invalid_request_error|INVALID_ARGUMENT|BadRequest", re.IGNORECASE)
_SOUNDS_LIKE_ERROR = re.compile(
    r"\b(?:error|exception|unexpected endpoint|unavailable|overloaded|time-?d? ?out|gateway|upstream|too many requests"
    r"|rate limit|forbidden|unauthori[sz]ed|access denied|not found)\b",
    re.IGNORECASE,
)
_NAMES_OF_ERRORS = ("errors", "message", "msg", "detail", "details", "error_message", "error_msg")
_ENDED_WELL = ("stop", "length", "tool_calls", "function_call", "eos", "end_turn", "stop_sequence", "max_tokens")


def refused_prompt(said: ErrorBody, status: int | None) -> str | None:
    """How the problem of the answer begins, if an endpoint refuses a prompt; None if it refuses something else.

    Args:
        said: The body of the error.
        status: The HTTP status.

    Returns:
        `TOO_LONG`, `REFUSED` or None.
    """
    if status not in _PROMPT_STATUSES or _is_about_the_account(said):
        return None
    text = f"{' '.join(said.codes)} {said.text}"
    one_request = status == 413 or (status == 429 and "request too large" in text.lower())
    if status == 429 or (_RATE.search(text) and not one_request):
        return TOO_LONG if one_request and "tokens" in text.lower() else None
    if one_request or _TOO_LONG.search(text):
        return TOO_LONG
    return REFUSED if _FILTERED.search(text) and status != 500 and not said.is_page else None


def _is_about_the_account(said: ErrorBody) -> bool:
    """Whether a refusal is of the account, in words that the refusal of a prompt has too."""
    return _ABOUT_THE_ACCOUNT.search(said.text) is not None and not _TOO_LONG.search(f"{said.text} {said.codes}")


class ErrorIn200(NamedTuple):
    """An error in a response with status 200.

    Attributes:
        said: What it says.
        status: The HTTP status that it stands for; 500 if it names none, so that the request is sent again.
        may_be_billed: Whether the response holds completions, so that it may be billed.
    """

    said: ErrorBody
    status: int
    may_be_billed: bool


def error_in_200(body: bytes, data: Any) -> ErrorIn200 | None:
    """The error that a response with status 200 holds in place of a completion, or beside one; None if it holds none.

    An HTML page is an error, and so is a text or JSON data in the form of one, as ``{"error": "Unexpected endpoint or
    method"}`` or ``{"detail": ...}``. A body without an error is none, even if nothing in it can be used.

    Args:
        body: The body.
        data: The body's JSON data; None if it has none.
    """
    if not isinstance(data, Mapping):
        said = read_error_body(body)
        if said.is_page or (data is None and _SOUNDS_LIKE_ERROR.search(said.text)):
            return ErrorIn200(said, 500 if said.is_page else _status(said), may_be_billed=False)
        is_error = isinstance(data, list) and any(isinstance(part, Mapping) and part.get("error") for part in data)
        return ErrorIn200(said, _status(said), may_be_billed=False) if is_error else None
    choices = data.get("choices")
    if data.get("error") or ("choices" not in data and any(data.get(name) for name in _NAMES_OF_ERRORS)):
        said = read_error_data(data.get("error") or data)
        return ErrorIn200(said, _status(said), may_be_billed=bool(choices))
    errors = [_error_of_choice(choice) for choice in choices] if isinstance(choices, list) else []
    if not errors or any(error is None for error in errors):  # of several choices, some may be usable
        return None
    said = next(error for error in errors if error is not None)
    return ErrorIn200(said, _status(said), may_be_billed=True)


def _error_of_choice(choice: Any) -> ErrorBody | None:
    """The error in a choice that ended by one."""
    if not isinstance(choice, Mapping):
        return None
    reason = str(choice.get("finish_reason") or "").lower()
    message = choice.get("message")
    error = choice.get("error") or (message.get("error") if isinstance(message, Mapping) else None)
    if reason != "error" and (not error or reason in _ENDED_WELL):
        return None
    return read_error_data(error) if error else ErrorBody("the completion ended by an error (finish_reason 'error')")


def _status(said: ErrorBody) -> int:
    """The HTTP status that an error stands for, by its code or its words."""
    if said.status is not None:
        return said.status
    text = f"{' '.join(said.codes)} {said.text}"
    for pattern, status in ((_NO_ACCESS, 401), (_NOT_FOUND, 404), (_BAD_REQUEST, 400)):
        if pattern.search(text):
            return status
    return 400 if refused_prompt(said, 400) else 500
