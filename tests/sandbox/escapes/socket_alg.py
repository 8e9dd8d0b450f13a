"""Opens a socket of the family AF_ALG."""

import socket

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    return socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET).fileno() >= 0
