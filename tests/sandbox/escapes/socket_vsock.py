"""Opens a socket of the family AF_VSOCK."""

import socket

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    return socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).fileno() >= 0
