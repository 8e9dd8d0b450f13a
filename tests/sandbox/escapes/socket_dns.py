"""Looks a name up, which tells it to a server."""

import socket

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return (
        socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
        and socket.socket(socket.AF_INET, socket.SOCK_DGRAM).fileno() >= 0
    )
