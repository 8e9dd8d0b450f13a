"""Opens a raw socket."""

import socket

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).fileno() >= 0
