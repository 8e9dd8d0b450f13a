"""Connects to a server on a socket in the file system."""

import socket

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    s = socket.socket(socket.AF_UNIX)
    s.connect(t["unix"])
    s.sendall(b"SECRET")
