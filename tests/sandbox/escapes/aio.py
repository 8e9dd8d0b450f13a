"""Submits asynchronous input and output."""

import ctypes

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    context = ctypes.c_ulong()
    return sc(206, 10, ctypes.addressof(context)) == 0
