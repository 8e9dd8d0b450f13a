"""Fetches a page."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    import urllib.request

    return urllib.request.urlopen(f"http://127.0.0.1:{t['tcp']}/", timeout=0.3)
