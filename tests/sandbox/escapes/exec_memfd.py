"""Runs a program that lies in memory only."""

import os

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    fd = os.memfd_create("x", 0)
    os.write(fd, b"#!/bin/sh\ntouch " + t["outside"].encode())
    return bool(os.execve(fd, ["x"], {}))
