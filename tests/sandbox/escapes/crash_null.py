"""Reads address 0."""

import ctypes

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return ctypes.string_at(0)
