"""Mounts a tmpfs over the libraries."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(165, b"tmpfs", b"/usr", b"tmpfs", 0, b"") == 0
