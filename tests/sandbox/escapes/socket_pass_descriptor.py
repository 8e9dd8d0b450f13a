"""Receives a descriptor over a pair of sockets."""

import socket

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    a, b = socket.socketpair()
    socket.send_fds(a, [b"x"], [0])
    return socket.recv_fds(b, 1, 1)[1]
