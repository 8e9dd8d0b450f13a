"""Listens for connections."""

import socket

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen()
    return s.getsockname()[1]
