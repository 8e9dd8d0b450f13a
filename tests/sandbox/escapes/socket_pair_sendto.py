"""Sends from one of a pair of sockets to an address."""

import socket

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    a, _b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    a.sendto(b"SECRET", "\0" + t["abstract_datagram"])
    return True
