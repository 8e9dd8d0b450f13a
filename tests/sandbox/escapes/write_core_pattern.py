"""Has the kernel run a program of its own when a process dumps core."""

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    with open("/proc/sys/kernel/core_pattern", "r+"):
        return True
