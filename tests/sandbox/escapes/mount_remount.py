"""Makes its read-only root writable again."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(165, 0, b"/", 0, 32 | 4096, 0) == 0
