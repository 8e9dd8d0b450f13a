"""The text of an answer without the model's reasoning, which is not the answer.

Servers without a parser for a model's reasoning leave it in the text, between tags that differ from family to family:

| models | form |
| --- | --- |
| DeepSeek, Qwen, GLM, MiniMax, Phi, Nemotron | ``<think>...</think>``, often without the opening tag |
| Claude by prompt, Gemini and Gemma by prompt, EXAONE | ``<thinking>``, ``<thought>``, ``<scratchpad>`` |
| Seed-OSS, LongCat | ``<seed:think>``, ``<longcat_think>`` |
| Magistral (Mistral) | ``[THINK]...[/THINK]`` |
| Kimi | ``◁think▷...◁/think▷`` |
| Command A (Cohere), Sky-T1 | ``<|START_THINKING|>...<|END_THINKING|>``, ``<|begin_of_thought|>...`` |
| gpt-oss (OpenAI) | the channels of the harmony format, with or without its special tokens |
| Gemma 4 | ``<|channel>thought...<channel|>`` |

A tag that the answer itself mentions is content: inside a JSON object, a code fence, inline code, or another tag.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection

_NAMES = r"(?:\w+:)?(?:ant|longcat_)?(?:think(?:ing)?|thoughts?|reasoning|scratchpad)"
_REASONING_NAME = re.compile(_NAMES, re.I)
_ANSWER_TAGS = ("variable", "value", "new_value")
_MENTIONED = re.compile(r"(?:[a-z,:] |[\"'(])\Z"), re.compile(r" [a-z]|[.,;:!?)\"']")
_MAX_SCANS = 50  # for objects; braces after them are plain characters, so that the time stays linear

_TOKEN = re.compile(
    rf"""
    (?P<harmony> <\|channel\|> \s* (?P<channel>\w+) [^<]* (?: <\|constrain\|> [^<]* )? <\|message\|> )
  | (?P<turn> <\|(?:start|end|return|call)\|> (?: assistant (?=<\|channel\|>) )? )
  | (?P<opened> <(?P<open_name>{_NAMES})(?:\s[^<>]*)?> | \[THINK\] | ◁think▷ | <\|START_THINKING\|>
              | <\|begin_of_thought\|> | <\|inner_prefix\|> | <\|channel>\s*thought\b )
  | (?P<closed> </(?P<close_name>{_NAMES})\s*> | \[/THINK\] | ◁/think▷ | <\|END_THINKING\|> | <\|end_of_thought\|>
              | <\|inner_suffix\|> | <channel\|> )
  | (?P<wrapper> <\|(?:START|END)_(?:RESPONSE|TEXT)\|> | <\|(?:begin|end)_of_(?:solution|box)\|> )
  | (?P<fence> ^[ \t]*(?:`{{3,}}|~{{3,}}) )
  | (?P<ticks> `+ )
  | (?P<brace> \{{ )
  | (?P<tag> <(?P<tag_name>[A-Za-z_][\w.-]*)> )
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_CLOSED_BY = {
    "[think]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<|start_thinking|>": "<|END_THINKING|>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
}
_BARE_HARMONY = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)(?=[A-Z\"'`{(]|We\b|I\b)")  # "analysisThe user"
_BARE_FINAL = re.compile(r"assistant\s*final(?!\w*ly)|(?:(?<=[.!?\n\"'`)}\]])final(?=[A-Z{\"`<\[]))")
_END_OF_TURN = re.compile(
    r"(?:<\|(?:im_end|eot_id|eom_id|endoftext|end_of_text|end|return|END_OF_TURN_TOKEN)\|>|<end_of_turn>"
    r"|<｜end▁of▁sentence｜>|</s>|<eos>)\Z"
)


def without_reasoning(text: str, *, cut: bool = False, keep: Collection[str] = ()) -> str:
    """An answer without the model's reasoning, and without the special tokens around it.

    Reasoning that never closes reaches to the end; where the opening tag is missing, as where the chat template has it,
    reasoning is all before the closing one. A tag that is mentioned inside a JSON object, a code fence, inline code or
    between other tags is part of the answer, and so is one in the middle of a sentence that never closes.

    Args:
        text: The answer.
        cut: Whether the answer ended by length. Then an object, a fence or a tag that never closes reaches to the end.
        keep: Names of tags that are the answer's own, such as a parameter's.

    Returns:
        The rest; "" where all is reasoning. A text without reasoning comes back as it is.
    """
    while (end := _END_OF_TURN.search(text.rstrip()[-40:])) is not None:
        text = text.rstrip().removesuffix(end[0])
    bare = _BARE_HARMONY.match(text)
    if bare is not None:
        finals = list(_BARE_FINAL.finditer(text, bare.end()))
        return text[finals[0].end() :].lstrip() if finals else ""
    return _Scan(text, cut, keep).rest()


class _Scan:
    """One pass over an answer, which keeps what is not reasoning."""

    def __init__(self, text: str, cut: bool, keep: Collection[str]) -> None:
        self.text, self.cut, self.keep = text, cut, {name.lower() for name in keep}
        self.kept: list[str] = []
        self.start = self.at = 0  # of the piece that is being read, and the place in it
        self.objects: dict[int, int] = {}
        self.scans = 0
        self.may_close = True
        self.closing_tags: dict[str, list[int]] | None = None

    def rest(self) -> str:
        """The text that is kept."""
        while (token := self.token(self.at)) is not None:
            self.take(token)
        whole = not self.kept and self.start == 0
        rest = self.text[self.start :]
        return rest if whole else "".join([*self.kept, rest]).strip()

    def token(self, at: int) -> re.Match[str] | None:
        """The next token at or after a place that is not the answer's own tag."""
        while token := _TOKEN.search(self.text, at):
            name = token["open_name"] or token["close_name"]
            if name is None or name.lower() not in self.keep:
                break
            # the text between the answer's own tags is protected
            at = max(self.after_tag(token.end(), name) if token["open_name"] else 0, token.end())
        return token

    def take(self, token: re.Match[str]) -> None:
        """Keeps, skips or drops what a token begins."""
        kind = token.lastgroup
        if token["harmony"]:
            self.drop(token.start(), token.end(), all_before=True)
            if token["channel"].lower() != "final":
                following = re.compile(r"<\|(?:start|channel)\|>").search(self.text, token.end())
                self.start = self.at = following.start() if following else len(self.text)
        elif token["turn"] or token["wrapper"]:
            self.drop(token.start(), token.end())
        elif token["opened"]:
            self.take_opened(token)
        elif token["closed"]:
            if self.mentioned(token):
                self.at = token.end()
            else:
                self.drop(token.start(), token.end(), all_before=True)
        else:
            assert kind is not None
            self.at = max(self.after(token), token.end())

    def take_opened(self, token: re.Match[str]) -> None:
        """Drops the reasoning that an opening tag begins; a tag that is only mentioned is kept."""
        line = self.text[self.start : token.start()].rpartition("\n")[2]
        if not line.strip():
            end = self.after_closing(token)
            if end is None and token["open_name"] == "reasoning" and not self.cut:
                self.at = token.end()  # a tag that prompts ask for, whose closing one was forgotten
            else:
                self.drop(token.start(), end or len(self.text))
            return
        at = token.end()  # in the middle of a line: reasoning only if it closes, and not inside of something else
        while self.may_close and (inner := self.token(at)) is not None:
            if inner["closed"]:
                self.drop(token.start(), inner.end())
                return
            at = max(self.after(inner), inner.end())
        self.may_close = False  # nor does a later one
        self.at = token.end()

    def after_closing(self, token: re.Match[str]) -> int | None:
        """The end of the reasoning that an opening tag begins; None if it never closes."""
        name = token["open_name"]
        if name is None:
            opened = token[0].lower()
            closing = re.compile(re.escape(_CLOSED_BY.get(opened, "<channel|>")), re.I)
            found = closing.search(self.text, token.end())
        else:
            found = self.closing(rf"</{re.escape(name)}\s*>", token.end())
            found = found or self.closing(rf"</{_NAMES}\s*>", token.end())
        return found.end() if found else None

    def closing(self, pattern: str, at: int) -> re.Match[str] | None:
        """The first closing tag after a place, of those that are not only mentioned if there is one."""
        tags = list(itertools.islice(re.compile(pattern, re.I).finditer(self.text, at), _MAX_SCANS))
        return next((tag for tag in tags if not self.mentioned(tag)), tags[0] if tags and not self.cut else None)

    def drop(self, start: int, end: int, all_before: bool = False) -> None:
        """Drops the text from start to end, or all up to the end."""
        if all_before:
            self.kept.clear()
        else:
            self.kept.append(self.text[self.start : start])
        self.start = self.at = end

    def mentioned(self, token: re.Match[str]) -> bool:
        """Whether a closing tag without an opening one is a part of a sentence: "the </think> tag"."""
        before, after = _MENTIONED
        around = self.text[max(0, token.start() - 2) : token.start()], self.text[token.end() : token.end() + 2]
        return before.search(around[0]) is not None and after.match(around[1]) is not None

    # ---- what is protected
    def after(self, token: re.Match[str]) -> int:
        """The end of the object, fence, inline code or tag that a token begins; 0 where it is a plain character."""
        if token["fence"]:
            return self.after_fence(token)
        if token["ticks"]:
            line_end = self.text.find("\n", token.end())
            line = self.text[token.end() : line_end if line_end >= 0 else len(self.text)]
            found = re.search(rf"(?<!`){token['ticks']}(?!`)", line)
            return token.end() + found.end() if found else 0
        if token["brace"]:
            return self.after_object(token.start())
        return self.after_tag(token.end(), token["tag_name"]) if token["tag"] else 0

    def after_fence(self, token: re.Match[str]) -> int:
        mark = token["fence"].strip()
        closing = re.compile(rf"^[ \t]*{re.escape(mark)}{re.escape(mark[0])}*[ \t]*\r?$", re.MULTILINE)
        found = closing.search(self.text, token.end())
        return found.end() if found else len(self.text) if self.cut else 0

    def after_object(self, start: int) -> int:
        if start not in self.objects and self.scans < _MAX_SCANS:
            self.scans += 1
            self.find_objects(start)
        found = self.objects.get(start, 0)
        if found == 0 and self.cut and re.compile(r"\{\s*[\"']").match(self.text, start):
            return len(self.text)
        return found

    def find_objects(self, start: int) -> None:
        """Finds the ends of the object that begins at a place, and of those in it; 0 for one that never closes."""
        opened: list[int] = []
        quoted = False
        for part in re.compile(r'\\.|["{}]', re.DOTALL).finditer(self.text, start):
            if part[0] == '"':
                quoted = not quoted
            elif not quoted and part[0] == "{":
                opened.append(part.start())
            elif not quoted and part[0] == "}":
                self.objects[opened.pop()] = part.end()
                if not opened:
                    return
        self.objects.update(dict.fromkeys(opened, 0))

    def after_tag(self, start: int, name: str) -> int:
        if self.closing_tags is None:
            self.closing_tags = defaultdict(list)
            for closing in re.finditer(r"</([A-Za-z_][\w.-]*)>", self.text):
                self.closing_tags[closing[1]].append(closing.end())
        ends = self.closing_tags.get(name, [])
        k = bisect_left(ends, start)
        if k < len(ends):
            return ends[k]
        return len(self.text) if self.cut and (name in _ANSWER_TAGS or name.lower() in self.keep) else 0
