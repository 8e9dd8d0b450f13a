"""Opens a socket of the family AF_NETLINK."""

import socket

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).fileno() >= 0
