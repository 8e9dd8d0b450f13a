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
"""``input``, ``target`` and, in GSM8K, ``working``: all are texts."""


def read_examples(path: str, content: bytes, counted: bool) -> list[Example]:
    """Reads the examples of a file.

    Args:
        path: The file's path in the data folder.
        content: Its bytes.
        counted: Whether the number of examples must be that of the published file.

    Raises:
        ValueError: If the file is damaged, or has another form or number of examples than the published one.
    """
    name = path.split("/")[0]
    try:
        examples = READERS[name](content.decode("utf-8"))
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
    """Takes the target from an answer's last line, and removes the calculator's marks ``<<...>>`` from the working."""
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
