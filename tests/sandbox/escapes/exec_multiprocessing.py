"""Starts a pool of multiprocessing."""

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, [-1]) == [1]
