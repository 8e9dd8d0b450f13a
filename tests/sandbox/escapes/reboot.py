"""Asks the kernel to refuse Ctrl-Alt-Del."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(169, 0xFEE1DEAD, 672274793, 0, 0) == 0
