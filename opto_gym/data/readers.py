"""Readers of the published file formats."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

from .catalogue import SETS

Example = dict[str, Any]
"""``input``, ``target``, and what else a set has; texts."""


def read_examples(path: str, content: bytes, counted: bool) -> list[Example]:
    """The examples, checked; a ValueError says what is wrong."""
    name = path.split("/")[0]
    try:
        examples = READERS[name](content.decode())
    except (ValueError, KeyError, TypeError, csv.Error) as e:
        raise ValueError(f"{path} is damaged, or has another form than the published file: {e}") from e
    published = SETS[name].files.get(path)
    if counted and published is not None and len(examples) != published.examples:
        raise ValueError(f"{path}: expected the published file's {published.examples} examples, got {len(examples)}")
    return examples


def _read_bbh(text: str) -> list[Example]:
    examples = [{"input": e["input"], "target": e["target"]} for e in json.loads(text)["examples"]]
    return _texts(examples)


def _read_gsm8k(text: str) -> list[Example]:
    """The answer's last line is the target; the calculator's marks <<...>> are no part of the working."""
    examples = []
    for line in filter(str.strip, text.split("\n")):
        record = json.loads(line)
        working, mark, target = record["answer"].rpartition("####")
        if not mark or not re.fullmatch(r"-?[\d,]+", target.strip()):
            raise ValueError(f"expected an answer that ends in '#### N', got {record['answer'][-60:]!r}")
        working = re.sub(r"<<.*?>>", "", working).strip()
        target = target.strip().replace(",", "")
        examples.append({"input": record["question"], "target": target, "working": working})
    return _texts(examples)


def _read_mmlu(text: str) -> list[Example]:
    examples = []
    for row in csv.reader(io.StringIO(text)):
        question, *options, letter = row
        if len(options) != 4 or letter not in ("A", "B", "C", "D"):
            raise ValueError(f"expected a question, four options and a letter of A to D, got {row!r:.80}")
        listed = "\n".join(f"({name}) {option}" for name, option in zip("ABCD", options, strict=True))
        examples.append({"input": f"{question}\n{listed}", "target": f"({letter})"})
    return _texts(examples)


def _texts(examples: list[Example]) -> list[Example]:
    if not all(isinstance(v, str) and v for e in examples for k, v in e.items() if k != "working"):
        raise ValueError("expected texts that are not empty")
    return examples


READERS: dict[str, Callable[[str], list[Example]]] = {"bbh": _read_bbh, "gsm8k": _read_gsm8k, "mmlu": _read_mmlu}
