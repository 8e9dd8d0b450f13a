"""What an endpoint refuses of a request besides the prompt, and what is sent in its place.

Endpoints that call themselves compatible with OpenAI's take different fields. Where one refuses an optional field, the
field is dropped (or renamed, or the system message folded into the user's), the request is sent again at once, and the
change is remembered for all later requests to this model. A call's key is that of what was asked, so that it does not
matter which call has learnt a change first; the line of the record holds the changes.
"""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .error_body import ErrorBody

N = "n"
"""The change by which several completions are asked for one by one."""

SYSTEM = "system role"
"""The change that folds system messages into the first user message."""

LIMIT = "max_tokens -> max_completion_tokens"
"""The change of the name of the limit on an answer, for OpenAI's newer models."""

STRICT = "response_format: strict"
"""The change that asks for a schema without `strict`, whose rules the schema does not follow."""

KEYWORD = "response_format: "
"""How a change begins that leaves a keyword out of a schema."""

OPTIONAL = (
    *("temperature", "top_p", N, "seed", "stop", "response_format", "frequency_penalty", "presence_penalty"),
    *("logit_bias", "logprobs", "top_logprobs", "parallel_tool_calls"),
)
"""The optional fields of a request, which are dropped where they are refused."""

KEYWORDS = (
    *("maxLength", "minLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("multipleOf", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "patternProperties"),
    *("propertyNames", "additionalProperties", "default", "title", "examples", "const", "$schema", "$id", "not"),
)
"""The keywords of a JSON schema without which it says less and stays valid."""

_STATUSES = (400, 404, 422, 500, 501)
"""Statuses of refused fields; proxies and templates that fail send 500 with the same words."""

_REFUSAL = re.compile(
    r"""\bnot?\ (?:longer\ )?(?:be\ )?(?:support|permit|allow|accept|enabled|available|implement|recogni|valid|expected)
      | n't\ (?:support|allow|accept|permit|recogni) | \bunsupported | \bunrecogni[sz]ed | \bunknown | \bunexpected
      | \bunavailable | \bforbidden | \bdeprecated | \bextra[_ ](?:inputs?|fields?|forbidden) | \bextra_
      | \bcannot\b | \bcan't\ be | \binvalid\b | \bonly\b.{0,60}\b(?:supported|allowed|accepted|one|1|default)\b
      | \bmust\ be\b | \bshould\ be\b | \bat\ most\b | \bdisallowed | \bunimplemented | 不支持 | 不允许 | 无效
    """,
    re.IGNORECASE | re.VERBOSE,
)
_FIELD_UNKNOWN = re.compile(
    r"unsupported|not? (?:longer )?support|n't support|unknown|unrecogni|extra[_ ]|permitted|forbidden|unexpected",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"""too\ (?:large|small|high|low|big|long|many) | (?:above|below|exceeds?)\b
      | (?:greater|less|larger|smaller|higher|lower)\ than | less_than | greater_than | \bbetween\b | \bin\ \[ | >= | <=
      | \b(?:at\ least|at\ most) | strictly\ positive | \brange\b | (?:maximum|minimum)\ (?:value|of)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_POSITIVE = re.compile(r"positive|greater[ _]than|> ?0|above 0|larger than|be zero|non-?zero", re.IGNORECASE)
_ONE_OF_TWO = re.compile(r"\bboth\b|\bonly one\b|\bnot .*together\b", re.IGNORECASE)
_SEVERAL = re.compile(
    r"""(?:multiple|several|one|single)\ (?:candidate|completion|choice|generation)s?\b | candidate_?count
      | number\ of\ (?:choices|completions) | best_of | \bn\ (?:must|should|>|=|is|parameter|value) | \bparameter\ n\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_FORMAT = re.compile(
    r"""response[_ ]?(?:format|schema|mime) | json[_ ]?(?:schema|object|mode) | structured[_ ]outputs? | guided[_ ]
      | \bgrammar\b | output_config
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SYSTEM = re.compile(
    r"""system(?:'|"|`)?\ (?:role|message|prompt|instruction)s?\b | roles?\b.{0,60}\b(?:system|developer)\b
      | developer\ instruction | only\ user(?:,|\ and)\ (?:and\ )?(?:assistant|model) | roles\ must\ alternate
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SYSTEM_REFUSED = re.compile(rf"{_REFUSAL.pattern} | roles\ must\ alternate | only\ user", re.IGNORECASE | re.VERBOSE)


class Adaptations:
    """What one model of one endpoint refuses; thread-safe.

    Args:
        changes: The changes that are known.
    """

    def __init__(self, changes: Iterable[str] = ()) -> None:
        self._changes, self._lock = dict.fromkeys(changes), threading.Lock()

    def __contains__(self, change: object) -> bool:
        return change in self._changes

    @property
    def changes(self) -> tuple[str, ...]:
        """The changes that are known, the first one that was learnt first."""
        return tuple(self._changes)

    def add(self, changes: Iterable[str]) -> None:
        """Adds changes, such as those of a recorded call."""
        with self._lock:
            self._changes = {**self._changes, **dict.fromkeys(changes)}

    def sent(self, request: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The body to send for a request, and the changes in it. Several completions are left to the caller, see `N`.

        Args:
            request: What is asked: a body of OpenAI's chat completions.
        """
        body, made = dict(request), []
        for change in self._changes:
            if change != N and apply_change(body, change):
                made.append(change)
        return body, tuple(made)

    def learn(self, body: Mapping[str, Any], said: ErrorBody, status: int | None) -> bool:
        """Learns from a refusal what the endpoint does not take.

        Args:
            body: What was sent.
            said: What the endpoint said.
            status: The status with which it said so.

        Returns:
            Whether the next body for the same request will be another one.
        """
        if status not in _STATUSES:
            return False
        found = refused_changes(body, said, status)
        if found:
            self.add(found)
        return bool(found)


_known: dict[tuple[str, str], Adaptations] = {}
_known_lock = threading.Lock()


def adaptations_of(endpoint: str, model: str) -> Adaptations:
    """What is known of a model in this process.

    Args:
        endpoint: The endpoint's name.
        model: The model's name.
    """
    with _known_lock:
        return _known.setdefault((endpoint, model), Adaptations())


def forget() -> None:
    """Forgets what was learnt of all endpoints, for example after one was set up in another way."""
    with _known_lock:
        _known.clear()


def describe_changes(changes: Iterable[str]) -> str:
    """Changes in words, for a report, such as "without temperature"."""
    names = list(dict.fromkeys(changes))
    dropped = [name for name in names if name.partition("=")[0] in OPTIONAL and name != N]
    keywords = [name.removeprefix(KEYWORD) for name in names if name.startswith(KEYWORD)]
    texts = [f"without {', '.join(dropped)}"] if dropped else []
    keywords = ["strictness" if keyword == "strict" else keyword for keyword in keywords]
    texts += [f"without {', '.join(keywords)} in the schema"] if keywords else []
    texts += ["with the system message in the user's"] if SYSTEM in names else []
    texts += ["with max_completion_tokens in place of max_tokens"] if LIMIT in names else []
    texts += ["by one request for each of n answers"] if N in names else []
    return "; ".join(texts)


# ---- changes of a body


def apply_change(body: dict[str, Any], change: str) -> bool:
    """Makes a change in a body of a request; its parts are copied before.

    Returns:
        Whether the body is another one now.
    """
    if change == SYSTEM:
        return _fold_system_messages(body)
    if change == LIMIT:
        if "max_tokens" not in body:
            return False
        body["max_completion_tokens"] = body.pop("max_tokens")
        return True
    if change.startswith(KEYWORD):
        return _change_schema(body, change.removeprefix(KEYWORD))
    if change in OPTIONAL:
        return body.pop(change, None) is not None
    name, _, value = change.partition("=")  # a single value is refused, such as temperature=0.0
    if name in body and repr(body[name]) == value:
        del body[name]
        return True
    return False


def _fold_system_messages(body: dict[str, Any]) -> bool:
    """Puts the texts of the system messages before the first user message."""
    messages = body["messages"]
    system = [m["content"] for m in messages if m.get("role") in ("system", "developer")]
    if not system:
        return False
    others = [m for m in messages if m.get("role") not in ("system", "developer")]
    first = next((k for k, m in enumerate(others) if m.get("role") == "user"), None)
    if first is None:
        others.insert(0, {"role": "user", "content": ""})
        first = 0
    content = [*system, others[first]["content"]]
    if all(isinstance(part, str) for part in content):
        joined: Any = "\n\n".join(filter(None, content))
    else:
        joined = [p for c in content for p in ([{"type": "text", "text": c}] if isinstance(c, str) else c or [])]
    others[first] = {**others[first], "content": joined}
    body["messages"] = others
    return True


def _change_schema(body: dict[str, Any], keyword: str) -> bool:
    """Leaves a keyword out of the schema in a body, or `strict` out of its form."""
    form = _schema_form(body)
    if form is None:
        return False
    form = copy.deepcopy(dict(form))
    if keyword == "strict":
        found = bool(form.pop("strict", False))
    else:
        found = [schema.pop(keyword) for schema in _schemas(form.get("schema")) if keyword in schema] != []
    if found:
        body["response_format"] = {**body["response_format"], "json_schema": form}
    return found


def _schema_form(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The form of a body's JSON schema: its name, whether it is strict, and the schema; None if it has none."""
    response_format = body.get("response_format")
    form = response_format.get("json_schema") if isinstance(response_format, Mapping) else None
    return form if isinstance(form, Mapping) else None


def _schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """A JSON schema and all schemas in it."""
    if isinstance(schema, list):
        for part in schema:
            yield from _schemas(part)
    elif isinstance(schema, dict):
        yield schema
        for name, part in schema.items():
            if name in ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"):
                for inner in part.values() if isinstance(part, dict) else ():
                    yield from _schemas(inner)
            elif name in ("items", "anyOf", "allOf", "oneOf", "prefixItems", "not", "additionalProperties", "contains"):
                yield from _schemas(part)


# ---- what a refusal names


def refused_changes(body: Mapping[str, Any], said: ErrorBody, status: int = 400) -> list[str]:
    """The changes by which a refused body may be accepted; none if the refusal names nothing that is optional.

    Args:
        body: What was sent.
        said: What the endpoint said.
        status: The status with which it said so.
    """
    text = f"{said.text} {' '.join(said.codes)}"
    if any(m.get("role") in ("system", "developer") for m in body["messages"]) and _names_system(said, text):
        return [SYSTEM]
    if status == 404:  # "no endpoints support the parameters" is not told apart from a missing model
        return []
    if "max_tokens" in body and _names_limit(said):
        return [LIMIT]
    if not _REFUSAL.search(text) and not _RANGE.search(text):
        return []
    if "response_format" in body and (_names(said, "response_format", _FORMAT) or _names_keyword(body, said.text)):
        return _schema_changes(body, said.text)
    named = [name for name in OPTIONAL if name in body and _names(said, name, _SEVERAL if name == N else None)]
    if status == 500:  # less is taken for a refusal
        named = [name for name in named if (_SEVERAL if name == N else _quoted(name)).search(said.text)]
    if _ONE_OF_TWO.search(text) and {"temperature", "top_p"} <= set(named):
        return ["top_p"]
    return [change for name in named if (change := _change_of(name, body[name], text))]


def _change_of(name: str, value: Any, text: str) -> str | None:
    """The change for a field that a refusal names: None where only its value is out of a range.

    A temperature of 0 that has to be positive is left out, since programs ask for it as the least random one.
    """
    if name == N or not _RANGE.search(text):
        return name if name != N or value != 1 else None
    if name == "temperature" and value == 0 and _POSITIVE.search(text):
        return f"{name}={value!r}"
    return name if _FIELD_UNKNOWN.search(text) else None


def _names_system(said: ErrorBody, text: str) -> bool:
    """Whether a refusal is of the system role."""
    if any(re.fullmatch(r"messages\.\d+\.(?:\w+\.)?role", field) for field in said.fields) and _REFUSAL.search(text):
        return True
    return _SYSTEM.search(text) is not None and _SYSTEM_REFUSED.search(text) is not None


def _names_limit(said: ErrorBody) -> bool:
    """Whether a refusal is of the name `max_tokens`, not of its value."""
    if re.search(r"too large|at least|at most|exceed|maximum|less than|greater than|context", said.text, re.IGNORECASE):
        return False
    if "max_completion_tokens" in said.text:
        return _REFUSAL.search(said.text) is not None or "instead" in said.text
    named = "max_tokens" in said.fields or _quoted("max_tokens").search(said.text)
    return bool(named) and _REFUSAL.search(f"{said.text} {' '.join(said.codes)}") is not None


def _names(said: ErrorBody, name: str, words: re.Pattern[str] | None) -> bool:
    """Whether a refusal names a field: as its parameter, in the text, or by other words for it."""
    if any(field == name or field.startswith((f"{name}.", f"{name}[")) for field in said.fields):
        return True
    if any(field in OPTIONAL for field in said.fields) and name not in said.text:
        return False
    mentioned = _quoted(name) if len(name) <= 4 else re.compile(rf"(?<![\w.]){name}(?!\w)")
    return mentioned.search(said.text) is not None or (words is not None and words.search(said.text) is not None)


def _quoted(name: str) -> re.Pattern[str]:
    """A field's name in quotes, or where only a field is named: ``seed: ...``, ``parameter seed``, ``seed=1``."""
    return re.compile(
        rf"""["'`“‘]{re.escape(name)}["'`”’] | (?:^|[\s,(]){re.escape(name)}\ ?[:=]
          | (?:parameter|field|argument|param|option|property|name)s?:?\ {re.escape(name)}\b
          | :\ *{re.escape(name)}(?=[\s,.;]|$)
          | \b{re.escape(name)}\ (?:parameter|field|argument|is\ not|isn't|are\ not)""",
        re.IGNORECASE | re.VERBOSE,
    )


def _names_keyword(body: Mapping[str, Any], text: str) -> bool:
    """Whether a text names, in quotes, a keyword of the schema in a body."""
    used = {name for schema in _schemas((_schema_form(body) or {}).get("schema")) for name in schema}
    return any(keyword in used and re.search(rf"""["'`]{re.escape(keyword)}["'`]""", text) for keyword in KEYWORDS)


def _schema_changes(body: Mapping[str, Any], text: str) -> list[str]:
    """What to change of a refused `response_format`: the keywords that are named, then `strict`, then all of it."""
    form = _schema_form(body)
    if form is not None:
        used = {name for schema in _schemas(form.get("schema")) for name in schema}
        named = [k for k in KEYWORDS if k in used and re.search(rf"(?<![\w$]){re.escape(k)}(?!\w)", text)]
        missing = re.search(
            r"is required to be supplied|must be (?:supplied|specified|set)|missing", text, re.IGNORECASE
        )
        if named and not missing:
            return [KEYWORD + keyword for keyword in named]
        if form.get("strict") and (missing or "strict" in text):
            return [STRICT]
    return ["response_format"]
