"""Opens a socket of the family AF_INET6."""

import socket

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    return socket.socket(socket.AF_INET6, socket.SOCK_STREAM).fileno() >= 0
