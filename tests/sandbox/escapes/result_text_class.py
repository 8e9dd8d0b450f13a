"""Answers with text whose encoding is code of its own."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    class Text(str):
        def encode(self, *_):
            os.write(3, b"\0\0\0\2{}")
            return b"666"

        def __str__(self):
            return '", "score": 1, "x": "'

    return {"score": Text("")} and Text("")
