"""Runs a program by execveat."""

import ctypes
import os

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    fd = os.open("/bin/true", os.O_PATH)
    argv = (ctypes.c_char_p * 2)(b"true", None)
    sc(322, fd, b"", argv, argv[1:], 0x1000)
    return False
