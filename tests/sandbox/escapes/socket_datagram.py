"""Sends a datagram to a server of the machine."""

import socket

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"SECRET", ("127.0.0.1", t["udp"]))
