"""Makes a POSIX message queue, which stays after the process."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(240, b"og_escape", 0o102, 0o600, 0) >= 0
