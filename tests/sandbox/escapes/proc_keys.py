"""Lists the kernel's keys."""

STOPPED_AT = "L2"
THROUGH_AT = None


def attack(t):
    return open("/proc/keys").read()
