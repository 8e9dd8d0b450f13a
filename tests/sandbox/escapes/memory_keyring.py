"""Leaves a secret in the kernel's keyring for the next candidate."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    key = sc(248, b"user", b"og_escape", b"x", 1, -5)
    return key > 0 and (sc(250, 9, key, -5) or True)
