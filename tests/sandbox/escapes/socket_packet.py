"""Opens a packet socket."""

import socket

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW).fileno() >= 0
