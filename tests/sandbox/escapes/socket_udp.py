"""Opens a socket for datagrams."""

import socket

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).fileno() >= 0
