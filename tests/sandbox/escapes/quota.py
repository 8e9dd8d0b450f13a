"""Asks for the disk's quotas."""

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    return sc(179, 0x800007 << 8, b"/dev/root", 0, bytes(100)) == 0
