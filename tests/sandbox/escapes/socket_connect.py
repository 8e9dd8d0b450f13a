"""Connects to a server of the machine."""

import socket

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    socket.create_connection(("127.0.0.1", t["tcp"])).sendall(b"SECRET")
