"""Opens a socket of the family AF_INET."""

import socket

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM).fileno() >= 0
